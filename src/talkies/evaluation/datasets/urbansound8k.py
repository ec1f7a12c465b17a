"""UrbanSound8K (Salamon, Jacoby, Bello 2014): 8,732 sounds of up to four seconds, 10 classes, ten folds.

    root/
    ├── audio/fold1/101415-3-0-2.wav      FSID-CLASSID-OCCURRENCE-SLICE.wav
    └── metadata/UrbanSound8K.csv         slice_file_name,fsID,start,end,salience,fold,classID,class

A class is said three times, by classID, class and the file's name, and a recording twice: a shift of one against the
others is seen.
"""

import re
from pathlib import Path

from talkies.core import UsageError
from talkies.evaluation.datasets.dataset import DataSet, Example, Published, absent_of, leave_one_out
from talkies.evaluation.datasets.lists import Once, Row, read_csv

COLUMNS = ("slice_file_name", "fsID", "fold", "classID", "class")
NAME = re.compile(r"(?P<source>\d+)-(?P<label>\d+)-\d+-\d+\.wav")


def read_urbansound8k(root: Path) -> DataSet:
    """Return UrbanSound8K, a split for each fold to be tested on; a source is a Freesound recording.

    Raises:
        UsageError: if the list is missing or malformed, or classID, class and file name disagree; or if the classes'
            numbers are not 0 to n - 1.
    """
    listed, drawn = read_csv(root, "metadata/UrbanSound8K.csv", columns=COLUMNS)
    rows, once = list(drawn), Once()
    for row in rows:
        _check_name(row)
        once.add(row, row.fields[0])
    classes = _classes(root / listed, rows)
    examples = [
        Example(f"audio/fold{row.fields[2]}/{row.fields[0]}", (int(row.fields[3]),), source=row.fields[1])
        for row in rows
    ]
    return DataSet(
        name="urbansound8k",
        root=root,
        modality="audio",
        classes=classes,
        examples=tuple(examples),
        splits=leave_one_out([f"fold {row.fields[2]}" for row in rows]),
        lists=(listed,),
        published=Published(classes=10, examples=8_732),
        absent=absent_of(root, examples),
    )


def _check_name(row: Row) -> None:
    found = NAME.fullmatch(row.fields[0])
    if not found:
        raise row.refusal(f"names '{row.fields[0]}', which is not of the form FSID-CLASSID-OCCURRENCE-SLICE.wav")
    if int(found["label"]) != row.integer(3, "classID"):
        raise row.refusal(f"gives {row.fields[0]} the classID {row.fields[3]}, and its name says {found['label']}")
    if found["source"] != row.fields[1]:
        raise row.refusal(f"gives {row.fields[0]} the fsID {row.fields[1]}, and its name says {found['source']}")
    row.integer(2, "fold")


def _classes(path: Path, rows: list[Row]) -> tuple[str, ...]:
    classes: dict[int, str] = {}
    labels: dict[str, int] = {}
    for row in rows:
        label, name = int(row.fields[3]), row.fields[4]
        if classes.setdefault(label, name) != name or labels.setdefault(name, label) != label:
            raise row.refusal(f"has classID {label} with class {name}, and another line has it otherwise")
    missing = set(range(len(classes))) - classes.keys()
    if missing:
        raise UsageError(
            f"{path} has {len(classes)} classes and none with the classID {min(missing)}, and they run from 0 to "
            f"{len(classes) - 1}; take the publishers' own list"
        )
    return tuple(classes[label] for label in range(len(classes)))
