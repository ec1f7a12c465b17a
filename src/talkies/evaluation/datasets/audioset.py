"""AudioSet (Gemmeke et al. 2017): ten-second sounds, each of one or more of 527 classes.

    root/
    ├── class_labels_indices.csv          index,mid,display_name
    ├── balanced_train_segments.csv       # comments, then: --4gqARaEJE, 0.000, 10.000, "/m/068hy,/m/07q6cd_"
    ├── unbalanced_train_segments.csv
    ├── eval_segments.csv
    ├── balanced_train_segments/          YTID.wav, YYTID.wav or YTID_30.000.wav, at any depth, with any suffix
    ├── unbalanced_train_segments/
    └── eval_segments/                    (all three may be in audios/)

Training uses the balanced list ("20k") or both training lists ("2m"); the test list is the evaluation list. The start
after YTID_ may be written 30.000, 30, 000030 or 30000 (milliseconds). The comments of a list say how many segments it
has. A class is a code that only class_labels_indices.csv turns into a name, so codes that were shifted against the
segments cannot be detected.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from talkies.core import UsageError
from talkies.evaluation.datasets.dataset import DataSet, Example, Published, Split, read_text
from talkies.evaluation.datasets.lists import DuplicateCheck, Row, index_media_by_stem, parse_csv, read_csv

TRAIN = {"20k": ("balanced_train_segments",), "2m": ("balanced_train_segments", "unbalanced_train_segments")}
TEST = "eval_segments"


def read_audioset(root: Path, *, subset: str = "20k") -> DataSet:
    """Return AudioSet; the source of an example is its YouTube video.

    Args:
        root: the data set's folder.
        subset: what to train on: `20k`, the balanced list, or `2m`, both training lists.

    Raises:
        UsageError: if there is no such subset; if a list is missing, malformed, or has another number of segments than
            its comments say; if classes are not numbered 0 to n - 1 or a segment has an unknown class; or if two lists
            name the same video.
    """
    if subset not in TRAIN:
        raise UsageError(f"AudioSet has no subset '{subset}'; ask for 20k (balanced) or 2m (balanced and unbalanced)")
    class_list, label_of_code, classes = _read_classes(root)

    examples: list[Example] = []
    absent: set[int] = set()
    lists = [class_list]
    duplicates = DuplicateCheck(within_a_list=False)
    first_test = 0
    for name in (*TRAIN[subset], TEST):
        first_test = len(examples)
        media = index_media_by_stem(root, (name, f"audios/{name}"))
        list_name, text = read_text(root, f"{name}.csv")
        for row in _parse_segments(root / list_name, text):
            duplicates.add(row, row.fields[0])
            path = next((media[stem] for stem in _generate_stems(row) if stem in media), None)
            if path is None:
                absent.add(len(examples))
            labels = _parse_labels(row, label_of_code)
            examples.append(Example(path or f"{name}/{row.fields[0]}.wav", labels, source=row.fields[0]))
        lists.append(list_name)

    numbers = tuple(range(len(examples)))
    return DataSet(
        name="audioset",
        root=root,
        modality="audio",
        classes=classes,
        examples=tuple(examples),
        splits=(Split(f"train on {subset}, test on eval", numbers[:first_test], numbers[first_test:]),),
        lists=tuple(lists),
        multi_label=True,
        published=Published(classes=527),
        absent=frozenset(absent),
    )


def _read_classes(root: Path) -> tuple[str, dict[str, int], tuple[str, ...]]:
    """Return the name of the class list, the label of each code, and the names of the classes."""
    list_name, rows = read_csv(root, "class_labels_indices.csv", columns=("index", "mid", "display_name"))
    label_of_code: dict[str, int] = {}
    names: list[str] = []
    for row in rows:
        if row.parse_integer(0, "index") != len(names):
            raise row.error(f"has index {row.fields[0]}, but {len(names)} comes next")
        if label_of_code.setdefault(row.fields[1], len(names)) != len(names):
            raise row.error(f"has the code {row.fields[1]} again")
        names.append(row.fields[2])
    return list_name, label_of_code, tuple(names)


def _parse_segments(path: Path, text: str) -> Iterator[Row]:
    declared = re.search(r"^#.*\bnum_segs=(\d+)", text, re.MULTILINE)
    count = 0
    for row in parse_csv(path, text):
        if len(row.fields) != 4:
            raise row.error("is not of the form 'YTID, START, END, \"CODE,CODE\"'")
        count += 1
        yield row
    if declared and int(declared[1]) != count:
        raise UsageError(f"{path} declares {declared[1]} segments, but has {count}; take the publishers' own list")


def _generate_stems(row: Row) -> Iterator[str]:
    """Yield the names without suffix that a segment's file may have."""
    name, start = row.fields[0], row.parse_seconds(1, "the start")
    starts = (f"{start:.3f}", f"{start:.0f}", f"{start:06.0f}", f"{1000 * start:.0f}")
    for prefix in (name, f"Y{name}"):
        yield prefix
        yield from (f"{prefix}_{written}" for written in starts)


def _parse_labels(row: Row, label_of_code: dict[str, int]) -> tuple[int, ...]:
    codes = [code.strip() for code in row.fields[3].split(",")]
    unknown = [code for code in codes if code not in label_of_code]
    if unknown:
        raise row.error(f"has the code '{unknown[0]}', which class_labels_indices.csv lacks")
    return tuple(sorted({label_of_code[code] for code in codes}))
