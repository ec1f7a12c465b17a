"""HMDB51 (Kuehne et al. 2011): 6,766 clips of 51 actions, three splits.

    root/
    ├── hmdb51_org/                   (or the classes' folders in the root itself)
    │   └── brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_0.avi
    └── testTrainMulti_7030_splits/
        └── brush_hair_test_split1.txt    April_09_brush_hair_u_nm_np1_ba_goo_0.avi 1

A line's number is 1 for training, 2 for testing and 0 for neither. Clips whose names differ only in the last number
come from one video; the publishers' splits keep them together. A class is known by its name alone, which the list's
name, the folder and each clip's name repeat, so a shifted label is seen; classes are numbered by the alphabet.
"""

import re
from pathlib import Path

from talkies.core import UsageError
from talkies.evaluation.datasets.dataset import DataSet, Example, Published, Split, absent_of
from talkies.evaluation.datasets.lists import Once, read_rows
from talkies.evaluation.datasets.ucf101 import folder_within

LISTS = "testTrainMulti_7030_splits"
SPLITS = (1, 2, 3)


def read_hmdb51(root: Path) -> DataSet:
    """Return HMDB51 with its three splits; an example's source is its file's name without the last number.

    Raises:
        UsageError: if a list is missing or malformed, names a clip of another class, or names other clips than the
            lists of the other splits; or if one video lies on both sides of a split.
    """
    lists = sorted(path.name for path in (root / LISTS).glob("*_test_split?.txt"))
    classes = tuple(sorted({name.rsplit("_test_split", 1)[0] for name in lists}))
    if not classes:
        raise UsageError(f"{root} lacks {LISTS}/<class>_test_split1.txt; lay the data set out as docs/datasets.md says")
    sides = {(name, number): _sides(root, name, number) for name in classes for number in SPLITS}
    _check_versions(root, sides)
    within = folder_within(root, "hmdb51_org", classes)
    clips = [(label, clip) for label, name in enumerate(classes) for clip in sorted(sides[name, 1])]
    examples = [Example(f"{within}{classes[label]}/{clip}", (label,), source_of(clip)) for label, clip in clips]
    splits = []
    for number in SPLITS:
        side = [sides[classes[label], number][clip] for label, clip in clips]
        train = tuple(place for place, which in enumerate(side) if which == 1)
        test = tuple(place for place, which in enumerate(side) if which == 2)
        both = {examples[place].source for place in train} & {examples[place].source for place in test}
        if both:
            raise UsageError(
                f"{root / LISTS}: split {number} trains and tests on clips of the video {min(both)}; "
                f"take the publishers' own lists"
            )
        splits.append(Split(f"split {number}", train, test))
    return DataSet(
        name="hmdb51",
        root=root,
        modality="video",
        classes=classes,
        examples=tuple(examples),
        splits=tuple(splits),
        lists=tuple(f"{LISTS}/{name}_test_split{number}.txt" for name in classes for number in SPLITS),
        published=Published(classes=51, examples=6_766),
        absent=absent_of(root, examples),
    )


def source_of(clip: str) -> str:
    """Return what clips of one video share: the file's name without suffix and last number."""
    return re.sub(r"_\d+\.avi$", "", clip)


def _sides(root: Path, name: str, number: int) -> dict[str, int]:
    _, rows = read_rows(root, f"{LISTS}/{name}_test_split{number}.txt", form="CLIP.avi 0|1|2")
    once = Once()
    for row in rows:
        clip, side = row.fields
        if not clip.endswith(".avi") or f"_{name}_" not in clip:
            raise row.refusal(f"names '{clip}', which is no clip of {name}")
        if side not in {"0", "1", "2"}:
            raise row.refusal(f"gives {clip} the number {side}, which is none of 0, 1 and 2")
        once.add(row, clip)
    return {row.fields[0]: int(row.fields[1]) for row in rows}


def _check_versions(root: Path, sides: dict[tuple[str, int], dict[str, int]]) -> None:
    for (name, number), clips in sides.items():
        other = clips.keys() ^ sides[name, 1].keys()
        if other:
            raise UsageError(
                f"{root / LISTS}: {name}_test_split{number}.txt and {name}_test_split1.txt do not name the same clips "
                f"({min(other)} is in one alone), so they are of different versions; take the publishers' own lists"
            )
