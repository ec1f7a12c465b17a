"""UCF101 (Soomro, Zamir, Shah 2012): 13,320 clips of 101 actions, three splits.

    root/
    ├── UCF-101/                      (or the classes' folders directly in the root)
    │   └── ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi
    └── ucfTrainTestlist/
        ├── classInd.txt              1 ApplyEyeMakeup
        ├── trainlist01.txt           ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1
        └── testlist01.txt            ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi

Clips of one class and group (`g01`) were cut from one video; no group is on both sides of a split. The number of a
class is in classInd and in each line of a training list, and its name in the folder and in the file (with other
capitals for HandstandPushups), so a shifted label is detected.
"""

import re
from pathlib import Path

from talkies.core import UsageError
from talkies.evaluation.datasets.dataset import DataSet, Example, Published, Split, find_absent_examples
from talkies.evaluation.datasets.lists import DuplicateCheck, Row, read_rows

LISTS = "ucfTrainTestlist"
NAME = re.compile(r"(?P<folder>[^/]+)/v_(?P<action>[^/]+)_(?P<group>g\d+)_c\d+\.avi")

ClipsOfSides = tuple[list[str], list[str]]
"""The training clips and the test clips of one split."""


def read_ucf101(root: Path) -> DataSet:
    """Return UCF101 with its three splits; the source of an example is its class and group.

    Raises:
        UsageError: if a list is missing or malformed, names a class that classInd lacks, gives a class another number,
            or is of another version than the other splits; or if a clip or a group is on both sides of a split.
    """
    class_list, classes = _read_classes(root)
    labels = {name: label for label, name in enumerate(classes)}

    lists = [class_list]
    sides: list[ClipsOfSides] = []
    for number in (1, 2, 3):
        train_list, train = read_rows(root, f"{LISTS}/trainlist{number:02d}.txt", form="CLASS/CLIP.avi NUMBER")
        test_list, test = read_rows(root, f"{LISTS}/testlist{number:02d}.txt", form="CLASS/CLIP.avi")
        _check_split(train, test, labels)
        lists += [train_list, test_list]
        sides.append(([row.fields[0] for row in train], [row.fields[0] for row in test]))
    _check_versions(root, sides)

    clips = sorted({*sides[0][0], *sides[0][1]})
    folder = find_class_folder(root, "UCF-101", classes)
    examples = [_build_example(clip, folder, labels) for clip in clips]
    numbers = {clip: number for number, clip in enumerate(clips)}
    splits = [
        Split(f"split {number}", tuple(numbers[clip] for clip in train), tuple(numbers[clip] for clip in test))
        for number, (train, test) in enumerate(sides, start=1)
    ]
    return DataSet(
        name="ucf101",
        root=root,
        modality="video",
        classes=classes,
        examples=tuple(examples),
        splits=tuple(splits),
        lists=tuple(lists),
        published=Published(classes=101, examples=13_320),
        absent=find_absent_examples(root, examples),
    )


def find_class_folder(root: Path, folder: str, classes: tuple[str, ...]) -> str:
    """Return `folder/`, or an empty string where the classes' folders are directly in the root."""
    is_bare = not (root / folder).is_dir() and any((root / name).is_dir() for name in classes)
    return "" if is_bare else f"{folder}/"


def _read_classes(root: Path) -> tuple[str, tuple[str, ...]]:
    list_name, rows = read_rows(root, f"{LISTS}/classInd.txt", form="NUMBER CLASS")
    for expected, row in enumerate(rows, start=1):
        if row.parse_integer(0, "a class's number") != expected:
            raise row.error(f"numbers {row.fields[1]} {row.fields[0]}, but {expected} comes next")
    return list_name, tuple(row.fields[1] for row in rows)


def _check_split(train: list[Row], test: list[Row], labels: dict[str, int]) -> None:
    """Check the names, classes and numbers of one split's clips, and that no clip or group is on both sides."""
    duplicates = DuplicateCheck()
    train_sources = set()
    for row in (*train, *test):
        match = NAME.fullmatch(row.fields[0])
        if not match or match["folder"].lower() != match["action"].lower():
            raise row.error(f"names '{row.fields[0]}', which is not of the form CLASS/v_CLASS_gNN_cNN.avi")
        name, group = match["folder"], match["group"]
        if name not in labels:
            raise row.error(f"is of class {name}, which classInd.txt lacks: they are of different versions")

        is_training = len(row.fields) > 1  # only lines of a training list have a number
        if is_training and row.parse_integer(1, "a class's number") != labels[name] + 1:
            raise row.error(f"numbers {name} {row.fields[1]}, but classInd.txt numbers it {labels[name] + 1}")
        duplicates.add(row, row.fields[0])
        if is_training:
            train_sources.add((name, group))
        elif (name, group) in train_sources:
            raise row.error(f"is of group {group} of {name}, which the training list has too")


def _check_versions(root: Path, sides: list[ClipsOfSides]) -> None:
    """Check that all splits name the same clips."""
    clips = {*sides[0][0], *sides[0][1]}
    for number, (train, test) in enumerate(sides[1:], start=2):
        differing = clips ^ {*train, *test}
        if differing:
            raise UsageError(
                f"{root / LISTS}: the lists of splits 1 and {number} do not name the same clips ({min(differing)} is "
                f"in only one), so they are of different versions; take the publishers' own ucfTrainTestlist"
            )


def _build_example(clip: str, folder: str, labels: dict[str, int]) -> Example:
    match = NAME.fullmatch(clip)
    assert match is not None
    return Example(folder + clip, (labels[match["folder"]],), source=f"{match['folder']} {match['group']}")
