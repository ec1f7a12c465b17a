"""HMDB51 (Kuehne et al. 2011): 6,766 clips of 51 actions, three splits.

    root/
    ├── hmdb51_org/                   (or the classes' folders directly in the root)
    │   └── brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_0.avi
    └── testTrainMulti_7030_splits/
        └── brush_hair_test_split1.txt    April_09_brush_hair_u_nm_np1_ba_goo_0.avi 1

The number in a line is 1 for training, 2 for testing and 0 for neither. Clips whose names differ only in the last
number come from one video; the publishers' splits keep them together. The class is a name that the list's name, the
folder and each clip's name repeat, so a shifted label is detected; classes are numbered alphabetically.
"""

import re
from pathlib import Path

from talkies.core import UsageError
from talkies.evaluation.datasets.dataset import DataSet, Example, Published, Split, find_absent_examples
from talkies.evaluation.datasets.lists import DuplicateCheck, read_rows
from talkies.evaluation.datasets.ucf101 import find_class_folder

LISTS = "testTrainMulti_7030_splits"
SPLITS = (1, 2, 3)
TRAIN, TEST = 1, 2  # the number of a clip in a list; 0 is neither

SidesOfClips = dict[str, int]
"""The number of each clip in one list."""


def read_hmdb51(root: Path) -> DataSet:
    """Return HMDB51 with its three splits; the source of an example is its file name without the last number.

    Raises:
        UsageError: if a list is missing or malformed, names a clip of another class, or names other clips than the
            lists of the other splits; or if a video is on both sides of a split.
    """
    lists = sorted(path.name for path in (root / LISTS).glob("*_test_split?.txt"))
    classes = tuple(sorted({name.rsplit("_test_split", 1)[0] for name in lists}))
    if not classes:
        raise UsageError(f"{root} lacks {LISTS}/<class>_test_split1.txt; lay the data set out as docs/datasets.md says")
    sides = {(name, number): _read_sides(root, name, number) for name in classes for number in SPLITS}
    _check_versions(root, sides)

    folder = find_class_folder(root, "hmdb51_org", classes)
    clips = [(label, clip) for label, name in enumerate(classes) for clip in sorted(sides[name, 1])]
    examples = [Example(f"{folder}{classes[label]}/{clip}", (label,), parse_source(clip)) for label, clip in clips]
    splits = []
    for number in SPLITS:
        side_of_example = [sides[classes[label], number][clip] for label, clip in clips]
        splits.append(_build_split(root, number, examples, side_of_example))

    return DataSet(
        name="hmdb51",
        root=root,
        modality="video",
        classes=classes,
        examples=tuple(examples),
        splits=tuple(splits),
        lists=tuple(f"{LISTS}/{name}_test_split{number}.txt" for name in classes for number in SPLITS),
        published=Published(classes=51, examples=6_766),
        absent=find_absent_examples(root, examples),
    )


def parse_source(clip: str) -> str:
    """Return the video that a clip comes from: its file name without suffix and last number."""
    return re.sub(r"_\d+\.avi$", "", clip)


def _build_split(root: Path, number: int, examples: list[Example], side_of_example: list[int]) -> Split:
    train = tuple(index for index, side in enumerate(side_of_example) if side == TRAIN)
    test = tuple(index for index, side in enumerate(side_of_example) if side == TEST)
    shared = {examples[index].source for index in train} & {examples[index].source for index in test}
    if shared:
        raise UsageError(
            f"{root / LISTS}: split {number} trains and tests on clips of the video {min(shared)}; "
            f"take the publishers' own lists"
        )
    return Split(f"split {number}", train, test)


def _read_sides(root: Path, name: str, number: int) -> SidesOfClips:
    """Return the number of each clip in the list of one class and split."""
    _, rows = read_rows(root, f"{LISTS}/{name}_test_split{number}.txt", form="CLIP.avi 0|1|2")
    duplicates = DuplicateCheck()
    for row in rows:
        clip, side = row.fields
        if not clip.endswith(".avi") or f"_{name}_" not in clip:
            raise row.error(f"names '{clip}', which is not a clip of {name}")
        if side not in {"0", "1", "2"}:
            raise row.error(f"gives {clip} the number {side}, which is none of 0, 1 and 2")
        duplicates.add(row, clip)
    return {row.fields[0]: int(row.fields[1]) for row in rows}


def _check_versions(root: Path, sides: dict[tuple[str, int], SidesOfClips]) -> None:
    """Check that the lists of a class name the same clips in all splits."""
    for (name, number), clips in sides.items():
        differing = clips.keys() ^ sides[name, 1].keys()
        if differing:
            raise UsageError(
                f"{root / LISTS}: {name}_test_split{number}.txt and {name}_test_split1.txt do not name the same clips "
                f"({min(differing)} is in only one), so they are of different versions; take the publishers' own lists"
            )
