"""ESC-50 and its subset ESC-10 (Piczak 2015): five-second sounds, five folds.

    root/
    ├── audio/1-100032-A-0.wav        FOLD-CLIP-TAKE-TARGET (.wav, .ogg or .flac)
    └── meta/
        ├── esc50.csv                 filename,fold,target,category,esc10,src_file,take
        └── esc10.csv                 (without it, the rows of esc50.csv whose esc10 is True)

The class appears three times, as target, category and last number of the file's name, and the fold twice, so a shift
of one against the others is detected.

The published folds keep the clips of one class and one recording together. Four recordings have clips of two classes,
in two folds (131943, 134049, 209698, 234879): a source is therefore a recording and, where it has two, a class.
"""

import re
from pathlib import Path, PurePosixPath

from talkies.core import UsageError
from talkies.evaluation.datasets.dataset import DataSet, Example, Published, leave_one_out
from talkies.evaluation.datasets.lists import DuplicateCheck, Row, index_media_by_stem, read_csv

COLUMNS = ("filename", "fold", "target", "category", "esc10", "src_file")
NAME = re.compile(r"(?P<fold>\d+)-\d+-[A-Z]+-(?P<target>\d+)\.\w+")


def read_esc50(root: Path) -> DataSet:
    """Return ESC-50 with one split for each fold to test on; a source is a Freesound recording of a class.

    Raises:
        UsageError: if the list is missing or malformed, if target, category and file name disagree on a class or a
            fold, or if a recording is in two folds with one class.
    """
    list_name, rows = read_csv(root, "meta/esc50.csv", columns=COLUMNS)
    return _build_data_set(root, "esc50", list_name, list(rows), Published(classes=50, examples=2_000))


def read_esc10(root: Path) -> DataSet:
    """Return ESC-10, like `read_esc50`; its classes keep the order of ESC-50.

    Raises:
        UsageError: as for ESC-50, or if no row belongs to ESC-10.
    """
    list_name, rows = read_csv(root, "meta/esc10.csv", "meta/esc50.csv", columns=COLUMNS)
    esc10_rows = [row for row in rows if row.fields[4].lower() == "true"]
    if not esc10_rows:
        raise UsageError(f"{root / list_name} has no row whose esc10 is True; take the publishers' own list")
    return _build_data_set(root, "esc10", list_name, esc10_rows, Published(classes=10, examples=400))


def _build_data_set(root: Path, name: str, list_name: str, rows: list[Row], published: Published) -> DataSet:
    categories = _read_categories(rows)
    labels = {target: label for label, target in enumerate(sorted(categories))}
    media = index_media_by_stem(root, ["audio"])
    duplicates = DuplicateCheck()
    fold_of_source: dict[tuple[str, str], str] = {}
    targets_of_recording: dict[str, set[str]] = {}
    for row in rows:
        targets_of_recording.setdefault(row.fields[5], set()).add(row.fields[2])
    examples, absent = [], set()

    for number, row in enumerate(rows):
        _check_name(row)
        file_name, fold, target, *_, recording = row.fields
        duplicates.add(row, file_name)
        other = fold_of_source.setdefault((recording, target), fold)
        if other != fold:
            raise row.error(f"puts the recording {recording} in fold {fold}, but it is in {other} too")
        source = recording if len(targets_of_recording[recording]) == 1 else f"{recording} of target {target}"
        stem = PurePosixPath(file_name).stem
        if stem not in media:
            absent.add(number)
        examples.append(Example(media.get(stem, f"audio/{file_name}"), (labels[int(target)],), source))

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


def _read_categories(rows: list[Row]) -> dict[int, str]:
    """Return the category of each target, after a check that each has exactly one of the other."""
    categories: dict[int, str] = {}
    targets: dict[str, int] = {}
    for row in rows:
        target, category = row.parse_integer(2, "target"), row.fields[3]
        if categories.setdefault(target, category) != category or targets.setdefault(category, target) != target:
            raise row.error(f"has target {target} with category {category}, but another line pairs them differently")
    return categories


def _check_name(row: Row) -> None:
    match = NAME.fullmatch(row.fields[0])
    if not match:
        raise row.error(f"names '{row.fields[0]}', which is not of the form FOLD-CLIP-TAKE-TARGET.wav")
    if int(match["target"]) != row.parse_integer(2, "target"):
        raise row.error(f"gives {row.fields[0]} the target {row.fields[2]}, but its name says {match['target']}")
    if int(match["fold"]) != row.parse_integer(1, "fold"):
        raise row.error(f"gives {row.fields[0]} the fold {row.fields[1]}, but its name says {match['fold']}")
