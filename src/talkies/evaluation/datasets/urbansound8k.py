"""UrbanSound8K (Salamon, Jacoby, Bello 2014): 8,732 sounds of up to four seconds, 10 classes, ten folds.

    root/
    ├── audio/fold1/101415-3-0-2.wav      FSID-CLASSID-OCCURRENCE-SLICE.wav
    └── metadata/UrbanSound8K.csv         slice_file_name,fsID,start,end,salience,fold,classID,class

The class appears three times, as classID, class and in the file's name, and the recording twice, so a shift of one
against the others is detected.
"""

import re
from pathlib import Path

from talkies.core import UsageError
from talkies.evaluation.datasets.dataset import DataSet, Example, Published, find_absent_examples, leave_one_out
from talkies.evaluation.datasets.lists import DuplicateCheck, Row, read_csv

COLUMNS = ("slice_file_name", "fsID", "fold", "classID", "class")
NAME = re.compile(r"(?P<source>\d+)-(?P<label>\d+)-\d+-\d+\.wav")


def read_urbansound8k(root: Path) -> DataSet:
    """Return UrbanSound8K with one split for each fold to test on; a source is a Freesound recording.

    Raises:
        UsageError: if the list is missing or malformed, if classID, class and file name disagree, or if the classes'
            numbers are not 0 to n - 1.
    """
    list_name, lines = read_csv(root, "metadata/UrbanSound8K.csv", columns=COLUMNS)
    rows = list(lines)
    duplicates = DuplicateCheck()
    for row in rows:
        _check_name(row)
        duplicates.add(row, row.fields[0])
    classes = _read_classes(root / list_name, rows)

    examples = []
    for row in rows:
        file_name, source, fold, label, _ = row.fields
        examples.append(Example(f"audio/fold{fold}/{file_name}", (int(label),), source))
    return DataSet(
        name="urbansound8k",
        root=root,
        modality="audio",
        classes=classes,
        examples=tuple(examples),
        splits=leave_one_out([f"fold {row.fields[2]}" for row in rows]),
        lists=(list_name,),
        published=Published(classes=10, examples=8_732),
        absent=find_absent_examples(root, examples),
    )


def _check_name(row: Row) -> None:
    match = NAME.fullmatch(row.fields[0])
    if not match:
        raise row.error(f"names '{row.fields[0]}', which is not of the form FSID-CLASSID-OCCURRENCE-SLICE.wav")
    if int(match["label"]) != row.parse_integer(3, "classID"):
        raise row.error(f"gives {row.fields[0]} the classID {row.fields[3]}, but its name says {match['label']}")
    if match["source"] != row.fields[1]:
        raise row.error(f"gives {row.fields[0]} the fsID {row.fields[1]}, but its name says {match['source']}")
    row.parse_integer(2, "fold")


def _read_classes(path: Path, rows: list[Row]) -> tuple[str, ...]:
    classes: dict[int, str] = {}
    labels: dict[str, int] = {}
    for row in rows:
        label, name = int(row.fields[3]), row.fields[4]
        if classes.setdefault(label, name) != name or labels.setdefault(name, label) != label:
            raise row.error(f"has classID {label} with class {name}, but another line pairs them differently")

    missing = set(range(len(classes))) - classes.keys()
    if missing:
        raise UsageError(
            f"{path} has {len(classes)} classes but none with the classID {min(missing)}, and they run from 0 to "
            f"{len(classes) - 1}; take the publishers' own list"
        )
    return tuple(classes[label] for label in range(len(classes)))
