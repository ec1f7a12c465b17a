"""DCASE2014, as the audio-visual literature calls the scenes of the IEEE AASP challenge of 2013 (Stowell et al. 2015).

    root/
    ├── scenes_stereo/bus01.wav           ten classes, ten recordings of 30 s each, to train on
    └── scenes_stereo_testset/bus01.wav   as many to test on

Each folder may be nested in one of the same name, as some unpackers leave it. There are no lists. The class is the
file's name without its number, so labels cannot be shifted unless files are renamed; a missing file is detected only
by the counts of `check_published`.
"""

import re
from pathlib import Path, PurePosixPath

from talkies.core import UsageError
from talkies.evaluation.datasets.dataset import DataSet, Example, Published, Split, number_classes
from talkies.evaluation.datasets.lists import list_media_files

FOLDERS = ("scenes_stereo", "scenes_stereo_testset")
NAME = re.compile(r"(?P<scene>[a-z]+)\d+")


def read_dcase2014(root: Path) -> DataSet:
    """Return the scenes, with the public set for training and the test set for testing; a source is a recording.

    Raises:
        UsageError: if a folder is missing or holds a file whose name has no class, or the test set has a class that the
            public set lacks.
    """
    train_scenes, test_scenes = (_read_scenes(root, folder) for folder in FOLDERS)
    labels = number_classes(train_scenes.values())
    for name, scene in test_scenes.items():
        if scene not in labels:
            raise UsageError(
                f"{root / name} is of class {scene}, which {FOLDERS[0]} lacks; take the publishers' own files"
            )

    scenes = train_scenes | test_scenes
    examples = tuple(Example(name, (labels[scene],), source=name) for name, scene in scenes.items())
    numbers, first_test = tuple(range(len(examples))), len(train_scenes)
    return DataSet(
        name="dcase2014",
        root=root,
        modality="audio",
        classes=tuple(labels),
        examples=examples,
        splits=(Split("train on the public set, test on the test set", numbers[:first_test], numbers[first_test:]),),
        published=Published(classes=10, examples=200),
    )


def _read_scenes(root: Path, folder: str) -> dict[str, str]:
    """Return the scene of each recording in a folder, by its path relative to `root`."""
    names = list_media_files(root, folder)
    if not names:
        raise UsageError(f"{root} lacks {folder}/ with its recordings; lay the data set out as docs/datasets.md says")
    return {name: _parse_scene(root, name) for name in names}


def _parse_scene(root: Path, name: str) -> str:
    match = NAME.fullmatch(PurePosixPath(name).stem)
    if not match:
        raise UsageError(f"{root / name} has no class in its name, as bus01.wav has; take the publishers' own files")
    return match["scene"]
