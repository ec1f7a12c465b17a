"""UCF101 (Soomro, Zamir, Shah 2012): 13,320 clips of 101 actions, three splits.

    root/
    ├── UCF-101/                      (or the classes' folders in the root itself)
    │   └── ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi
    └── ucfTrainTestlist/
        ├── classInd.txt              1 ApplyEyeMakeup
        ├── trainlist01.txt           ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1
        └── testlist01.txt            ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi

Clips of one class and group (`g01`) were cut from one video; no group lies on both sides of a split. A class's number
is said by classInd and by each line of a training list, and its name by the folder and by the file (whose capitals
differ for HandstandPushups), so a shifted label is seen.
"""

import re
from pathlib import Path

from talkies.core import UsageError
from talkies.evaluation.datasets.dataset import DataSet, Example, Published, Split, absent_of
from talkies.evaluation.datasets.lists import Once, Row, read_rows

LISTS = "ucfTrainTestlist"
NAME = re.compile(r"(?P<folder>[^/]+)/v_(?P<action>[^/]+)_(?P<group>g\d+)_c\d+\.avi")


def read_ucf101(root: Path) -> DataSet:
    """Return UCF101 with its three splits; an example's source is its class and group.

    Raises:
        UsageError: if a list is missing or malformed, names a class that classInd lacks, gives a class another number,
            or is of another version than the other splits; or if a clip or a group is on both sides of a split.
    """
    listed, classes = _classes(root)
    labels = {name: label for label, name in enumerate(classes)}
    lists, sides = [listed], []
    for number in (1, 2, 3):
        train_list, train = read_rows(root, f"{LISTS}/trainlist{number:02d}.txt", form="CLASS/CLIP.avi NUMBER")
        test_list, test = read_rows(root, f"{LISTS}/testlist{number:02d}.txt", form="CLASS/CLIP.avi")
        _check_split(train, test, labels)
        lists += [train_list, test_list]
        sides.append(([row.fields[0] for row in train], [row.fields[0] for row in test]))
    named = sorted({*sides[0][0], *sides[0][1]})
    for number, (train_clips, test_clips) in enumerate(sides[1:], start=2):
        other = set(named) ^ {*train_clips, *test_clips}
        if other:
            raise UsageError(
                f"{root / LISTS}: the lists of splits 1 and {number} do not name the same clips ({min(other)} is in "
                f"one alone), so they are of different versions; take the publishers' own ucfTrainTestlist"
            )
    within = folder_within(root, "UCF-101", classes)
    examples = [_example(clip, within, labels) for clip in named]
    numbers = {clip: number for number, clip in enumerate(named)}
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
        absent=absent_of(root, examples),
    )


def folder_within(root: Path, folder: str, classes: tuple[str, ...]) -> str:
    """Return `folder/`, or nothing where the classes' folders lie in the root itself."""
    bare = not (root / folder).is_dir() and any((root / name).is_dir() for name in classes)
    return "" if bare else f"{folder}/"


def _classes(root: Path) -> tuple[str, tuple[str, ...]]:
    listed, rows = read_rows(root, f"{LISTS}/classInd.txt", form="NUMBER CLASS")
    for wanted, row in enumerate(rows, start=1):
        if row.integer(0, "a class's number") != wanted:
            raise row.refusal(f"numbers {row.fields[1]} {row.fields[0]}, and {wanted} comes next")
    return listed, tuple(row.fields[1] for row in rows)


def _check_split(train: list[Row], test: list[Row], labels: dict[str, int]) -> None:
    once, sources = Once(), set()
    for row in (*train, *test):
        found = NAME.fullmatch(row.fields[0])
        if not found or found["folder"].lower() != found["action"].lower():
            raise row.refusal(f"names '{row.fields[0]}', which is not of the form CLASS/v_CLASS_gNN_cNN.avi")
        if found["folder"] not in labels:
            raise row.refusal(
                f"is of class {found['folder']}, which classInd.txt lacks: they are of different versions"
            )
        if row.fields[1:] and row.integer(1, "a class's number") != labels[found["folder"]] + 1:
            raise row.refusal(
                f"numbers {found['folder']} {row.fields[1]}, and classInd.txt numbers it {labels[found['folder']] + 1}"
            )
        once.add(row, row.fields[0])
        source = (found["folder"], found["group"])
        if row.fields[1:]:
            sources.add(source)
        elif source in sources:
            raise row.refusal(f"is of group {found['group']} of {found['folder']}, which the training list has too")


def _example(clip: str, within: str, labels: dict[str, int]) -> Example:
    found = NAME.fullmatch(clip)
    assert found is not None
    return Example(within + clip, (labels[found["folder"]],), source=f"{found['folder']} {found['group']}")
