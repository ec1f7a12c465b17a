"""Kinetics-400, -600 and -700 (Kay et al. 2017; Carreira et al. 2018, 2019) and the subset Kinetics-Sounds.

    root/
    ├── train.csv                     label,youtube_id,time_start,time_end,split
    ├── val.csv                       (or validate.csv; the lists may lie in annotations/)
    ├── train/
    │   ├── ID_000012_000022.mp4      (ID_, then first and last second of the cut in six digits)
    │   └── abseiling/ID_000012_000022.mp4    (or so, with the class's folder)
    └── val/                          (or validate/ or validation/)

One trains on `train` and tests on `val`, for the labels of the publishers' test list were long held back. Videos vanish
from their home, so how many clips there are is not fixed. Classes are numbered by the alphabet of the training list.
Labels are names: a shifted label is seen where a clip lies in the folder of another class, and cannot be seen where
clips lie without such folders.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from talkies.core import UsageError
from talkies.evaluation.datasets.dataset import DataSet, Example, Modality, Published, Split, numbered
from talkies.evaluation.datasets.lists import Once, Row, files_by_stem, read_csv

COLUMNS = ("label", "youtube_id", "time_start", "time_end", "split")
Listed = tuple[tuple[str, ...], dict[str, list[tuple[Row, str]]]]
NUMBERS = (400, 600, 700)
LISTS = {"train": ("train.csv",), "val": ("val.csv", "validate.csv")}
SIDES = {"train": ("train",), "val": ("val", "validate", "validation")}

SOUNDS = frozenset(
    {"blowing nose", "blowing out candles", "bowling", "chopping wood", "dribbling basketball", "laughing"}
    | {"mowing lawn", "playing accordion", "playing bagpipes", "playing bass guitar", "playing clarinet"}
    | {"playing drums", "playing guitar", "playing harmonica", "playing keyboard", "playing organ", "playing piano"}
    | {"playing saxophone", "playing trombone", "playing trumpet", "playing violin", "playing xylophone"}
    | {"ripping paper", "shoveling snow", "shuffling cards", "singing", "stomping grapes", "strumming guitar"}
    | {"tap dancing", "tapping guitar", "tapping pen", "tickling"}
)
"""The 32 of the 34 classes that Arandjelovic & Zisserman (2017) chose which Kinetics-400 has as it was published."""


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    modality: Modality
    classes: int


def read_kinetics(root: Path, number: int = 400) -> DataSet:
    """Return Kinetics of `number` classes (400, 600 or 700); an example's source is its YouTube video.

    Raises:
        UsageError: if `number` is another; if a list is missing or malformed, or its split column is not its name; if
            the lists overlap, or the second has a class that the first lacks; or if a clip lies in another class's
            folder.
    """
    if number not in NUMBERS:
        raise UsageError(f"there is no Kinetics-{number}; ask for 400, 600 or 700")
    return _read(root, _Kind(f"kinetics{number}", "video", number), _rows(root))


def read_kinetics_sounds(root: Path) -> DataSet:
    """Return the clips of Kinetics-400 that are of the 32 classes of Kinetics-Sounds, seen and heard.

    Raises:
        UsageError: as for Kinetics-400; or if the lists have none of the classes.
    """
    kind = _Kind("kinetics-sounds", "both", len(SOUNDS))
    lists, rows = _rows(root)
    sounds = {side: [(row, stem) for row, stem in rows[side] if row.fields[0] in SOUNDS] for side in rows}
    if not sounds["train"]:
        raise UsageError(f"{root / lists[0]} has none of the classes of Kinetics-Sounds; take that of Kinetics-400")
    return _read(root, kind, (lists, sounds))


def _rows(root: Path) -> Listed:
    """Return the lists' names, and each one's rows with their files' names without suffix."""
    lists, rows, once = [], {}, Once(within_a_list=False)
    for side, names in LISTS.items():
        name, found = read_csv(root, *names, *(f"annotations/{name}" for name in names), columns=COLUMNS)
        lists.append(name)
        rows[side] = [(row, _stem(row)) for row in found]
        for row, stem in rows[side]:
            if row.fields[4] not in SIDES[side]:
                raise row.refusal(f"is of split '{row.fields[4]}', and the list is that of '{side}'")
            once.add(row, stem)
    return tuple(lists), rows


def _read(root: Path, kind: _Kind, listed: Listed) -> DataSet:
    lists, rows = listed
    labels = numbered(row.fields[0] for row, _ in rows["train"])
    for row, _ in rows["val"]:
        if row.fields[0] not in labels:
            raise row.refusal(f"is of class '{row.fields[0]}', which {lists[0]} lacks: they are of different versions")
    examples: list[Example] = []
    absent, sides = set(), {}
    for side, of_side in rows.items():
        there = files_by_stem(root, SIDES[side])
        _check_folders(root, of_side, there)
        first = len(examples)
        for row, stem in of_side:
            if stem not in there:
                absent.add(len(examples))
            examples.append(
                Example(there.get(stem, f"{side}/{stem}.mp4"), (labels[row.fields[0]],), source=row.fields[1])
            )
        sides[side] = tuple(range(first, len(examples)))
    return DataSet(
        name=kind.name,
        root=root,
        modality=kind.modality,
        classes=tuple(labels),
        examples=tuple(examples),
        splits=(Split("train on train, test on val", sides["train"], sides["val"]),),
        lists=lists,
        published=Published(kind.classes),
        absent=frozenset(absent),
    )


def _stem(row: Row) -> str:
    start, end = row.seconds(2, "time_start"), row.seconds(3, "time_end")
    if end <= start:
        raise row.refusal(f"ends at {row.fields[3]} s, and begins at {row.fields[2]} s")
    return f"{row.fields[1]}_{int(start):06d}_{int(end):06d}"


def _check_folders(root: Path, rows: Iterable[tuple[Row, str]], there: dict[str, str]) -> None:
    plain = {row.fields[0]: _plain(row.fields[0]) for row, _ in rows}
    folders_of_classes = set(plain.values())
    for row, stem in rows:
        path = there.get(stem, "")
        folder = _plain(PurePosixPath(path).parent.name)
        if folder != plain[row.fields[0]] and folder in folders_of_classes:
            raise row.refusal(f"is of class '{row.fields[0]}', and {root / path} lies in another's folder")


def _plain(label: str) -> str:
    """Return a label's letters and digits, for folders write `playing_guitar` or `playing guitar`."""
    return "".join(letter for letter in label.lower() if letter.isalnum())
