"""ESC-50 and its subset ESC-10 (Piczak 2015): five-second sounds, five folds.

    root/
    ├── audio/1-100032-A-0.wav        FOLD-CLIP-TAKE-TARGET (.wav, .ogg or .flac)
    └── meta/
        ├── esc50.csv                 filename,fold,target,category,esc10,src_file,take
        └── esc10.csv                 (or else the rows of esc50.csv whose esc10 is True)

A class is said three times, by target, category and the last number of the file's name, and a fold twice: a shift of
one against the others is seen.
"""

import re
from pathlib import Path, PurePosixPath

from talkies.core import UsageError
from talkies.evaluation.datasets.dataset import DataSet, Example, Published, leave_one_out
from talkies.evaluation.datasets.lists import Once, Row, files_by_stem, read_csv

COLUMNS = ("filename", "fold", "target", "category", "esc10", "src_file")
NAME = re.compile(r"(?P<fold>\d+)-\d+-[A-Z]+-(?P<target>\d+)\.\w+")


def read_esc50(root: Path) -> DataSet:
    """Return ESC-50, a split for each fold to be tested on; a source is a Freesound recording.

    Raises:
        UsageError: if the list is missing or malformed, or target, category and file name disagree on a class or on a
            fold; or if a recording is in two folds.
    """
    listed, rows = read_csv(root, "meta/esc50.csv", columns=COLUMNS)
    return _read(root, "esc50", (listed, list(rows)), Published(classes=50, examples=2_000))


def read_esc10(root: Path) -> DataSet:
    """Return ESC-10, as `read_esc50` does; its classes keep the order of ESC-50.

    Raises:
        UsageError: as for ESC-50; or if no row is of ESC-10.
    """
    listed, rows = read_csv(root, "meta/esc10.csv", "meta/esc50.csv", columns=COLUMNS)
    of_ten = [row for row in rows if row.fields[4].lower() == "true"]
    if not of_ten:
        raise UsageError(f"{root / listed} has no row whose esc10 is True; take the publishers' own list")
    return _read(root, "esc10", (listed, of_ten), Published(classes=10, examples=400))


def _read(root: Path, name: str, listed: tuple[str, list[Row]], published: Published) -> DataSet:
    list_name, rows = listed
    categories = _categories(rows)
    labels = {target: label for label, target in enumerate(sorted(categories))}
    there, once = files_by_stem(root, ["audio"]), Once()
    folds: dict[str, str] = {}
    examples, absent = [], set()
    for number, row in enumerate(rows):
        _check_name(row)
        once.add(row, row.fields[0])
        source = row.fields[5]
        if folds.setdefault(source, row.fields[1]) != row.fields[1]:
            raise row.refusal(f"puts the recording {source} in fold {row.fields[1]}, and it is in {folds[source]} too")
        stem = PurePosixPath(row.fields[0]).stem
        if stem not in there:
            absent.add(number)
        examples.append(Example(there.get(stem, f"audio/{row.fields[0]}"), (labels[int(row.fields[2])],), source))
    return DataSet(
        name=name,
        root=root,
        modality="audio",
        classes=tuple(categories[target] for target in labels),
        examples=tuple(examples),
        splits=leave_one_out([f"fold {row.fields[1]}" for row in rows]),
        lists=(list_name,),
        published=published,
        absent=frozenset(absent),
    )


def _categories(rows: list[Row]) -> dict[int, str]:
    categories: dict[int, str] = {}
    targets: dict[str, int] = {}
    for row in rows:
        target, category = row.integer(2, "target"), row.fields[3]
        if categories.setdefault(target, category) != category or targets.setdefault(category, target) != target:
            raise row.refusal(f"has target {target} with category {category}, and another line has it otherwise")
    return categories


def _check_name(row: Row) -> None:
    found = NAME.fullmatch(row.fields[0])
    if not found:
        raise row.refusal(f"names '{row.fields[0]}', which is not of the form FOLD-CLIP-TAKE-TARGET.wav")
    if int(found["target"]) != row.integer(2, "target"):
        raise row.refusal(f"gives {row.fields[0]} the target {row.fields[2]}, and its name says {found['target']}")
    if int(found["fold"]) != row.integer(1, "fold"):
        raise row.refusal(f"gives {row.fields[0]} the fold {row.fields[1]}, and its name says {found['fold']}")
