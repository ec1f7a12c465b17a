"""Kinetics-400, -600 and -700 (Kay et al. 2017; Carreira et al. 2018, 2019) and the subset Kinetics-Sounds.

    root/
    ├── train.csv                     label,youtube_id,time_start,time_end,split
    ├── val.csv                       (or validate.csv; the lists may be in annotations/)
    ├── train/
    │   ├── ID_000012_000022.mp4      (ID_, then first and last second of the clip in six digits)
    │   └── abseiling/ID_000012_000022.mp4    (or like this, in the class's folder)
    └── val/                          (or validate/ or validation/)

The usual protocol trains on `train` and tests on `val`, because the labels of the test list were long withheld. Videos
vanish from YouTube, so the number of clips is not fixed. Classes are numbered alphabetically by the training list.
Labels are names: a shifted label is detected where clips are in the classes' folders, and cannot be detected otherwise.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from talkies.core import ModalityChoice, UsageError
from talkies.evaluation.datasets.dataset import DataSet, Example, Published, Split, number_classes
from talkies.evaluation.datasets.lists import DuplicateCheck, Row, index_media_by_stem, read_csv

COLUMNS = ("label", "youtube_id", "time_start", "time_end", "split")
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
"""The 32 of the 34 classes chosen by Arandjelovic & Zisserman (2017) that Kinetics-400 has as published."""

RowWithStem = tuple[Row, str]
"""A line of a list, and the name of its file without suffix."""


@dataclass(frozen=True, slots=True)
class _Lists:
    """The two lists: their names, and the rows of each by side (`train`, `val`)."""

    names: tuple[str, ...]
    rows: dict[str, list[RowWithStem]]


@dataclass(frozen=True, slots=True)
class _Variant:
    name: str
    modality: ModalityChoice
    classes: int


def read_kinetics(root: Path, number: int = 400) -> DataSet:
    """Return Kinetics of `number` classes (400, 600 or 700); the source of an example is its YouTube video.

    Raises:
        UsageError: if there is no such Kinetics; if a list is missing or malformed, or its split column does not fit
            its name; if the lists overlap, or the second has a class that the first lacks; or if a clip is in the
            folder of another class.
    """
    if number not in NUMBERS:
        raise UsageError(f"there is no Kinetics-{number}; ask for 400, 600 or 700")
    return _build_data_set(root, _Variant(f"kinetics{number}", "video", number), _read_lists(root))


def read_kinetics_sounds(root: Path) -> DataSet:
    """Return the clips of Kinetics-400 in the 32 classes of Kinetics-Sounds, with video and audio.

    Raises:
        UsageError: as for Kinetics-400, or if the lists have none of the classes.
    """
    lists = _read_lists(root)
    rows = {
        side: [(row, stem) for row, stem in side_rows if row.fields[0] in SOUNDS]
        for side, side_rows in lists.rows.items()
    }
    if not rows["train"]:
        raise UsageError(
            f"{root / lists.names[0]} has none of the classes of Kinetics-Sounds; take that of Kinetics-400"
        )
    return _build_data_set(root, _Variant("kinetics-sounds", "both", len(SOUNDS)), _Lists(lists.names, rows))


def _read_lists(root: Path) -> _Lists:
    list_names: list[str] = []
    rows: dict[str, list[RowWithStem]] = {}
    duplicates = DuplicateCheck(within_a_list=False)
    for side, names in LISTS.items():
        list_name, side_rows = read_csv(root, *names, *(f"annotations/{name}" for name in names), columns=COLUMNS)
        list_names.append(list_name)
        rows[side] = [(row, _build_stem(row)) for row in side_rows]
        for row, stem in rows[side]:
            if row.fields[4] not in SIDES[side]:
                raise row.error(f"is of split '{row.fields[4]}', but the list is that of '{side}'")
            duplicates.add(row, stem)
    return _Lists(tuple(list_names), rows)


def _build_data_set(root: Path, variant: _Variant, lists: _Lists) -> DataSet:
    labels = number_classes(row.fields[0] for row, _ in lists.rows["train"])
    for row, _ in lists.rows["val"]:
        if row.fields[0] not in labels:
            raise row.error(
                f"is of class '{row.fields[0]}', which {lists.names[0]} lacks: they are of different versions"
            )

    examples: list[Example] = []
    absent: set[int] = set()
    numbers: dict[str, tuple[int, ...]] = {}
    for side, rows in lists.rows.items():
        media = index_media_by_stem(root, SIDES[side])
        _check_folders(root, rows, media)
        first = len(examples)
        for row, stem in rows:
            label, video = row.fields[:2]
            if stem not in media:
                absent.add(len(examples))
            examples.append(Example(media.get(stem, f"{side}/{stem}.mp4"), (labels[label],), source=video))
        numbers[side] = tuple(range(first, len(examples)))

    return DataSet(
        name=variant.name,
        root=root,
        modality=variant.modality,
        classes=tuple(labels),
        examples=tuple(examples),
        splits=(Split("train on train, test on val", numbers["train"], numbers["val"]),),
        lists=lists.names,
        published=Published(variant.classes),
        absent=frozenset(absent),
    )


def _build_stem(row: Row) -> str:
    start, end = row.parse_seconds(2, "time_start"), row.parse_seconds(3, "time_end")
    if end <= start:
        raise row.error(f"ends at {row.fields[3]} s, but starts at {row.fields[2]} s")
    return f"{row.fields[1]}_{int(start):06d}_{int(end):06d}"


def _check_folders(root: Path, rows: Iterable[RowWithStem], media: dict[str, str]) -> None:
    """Check that no clip is in the folder of another class."""
    folder_names = {row.fields[0]: _normalise_name(row.fields[0]) for row, _ in rows}
    class_folders = set(folder_names.values())
    for row, stem in rows:
        path = media.get(stem, "")
        folder = _normalise_name(PurePosixPath(path).parent.name)
        if folder != folder_names[row.fields[0]] and folder in class_folders:
            raise row.error(f"is of class '{row.fields[0]}', but {root / path} is in the folder of another")


def _normalise_name(label: str) -> str:
    """Return a label's letters and digits, because folders are named `playing_guitar` or `playing guitar`."""
    return "".join(letter for letter in label.lower() if letter.isalnum())
