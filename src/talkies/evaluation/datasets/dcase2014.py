"""What the audio-visual literature calls DCASE2014: scenes of the IEEE AASP challenge of 2013 (Stowell et al. 2015).

    root/
    ├── scenes_stereo/bus01.wav           ten classes, ten recordings of 30 s each, to train on
    └── scenes_stereo_testset/bus01.wav   as many to test on

(each folder may lie once more in one of its own name, as some unpackers leave it). There are no lists: the class is the
file's name without its number, so labels cannot be shifted unless the files are renamed, and a file that is not there
is not missed here; `check_published` counts.
"""

import re
from pathlib import Path, PurePosixPath

from talkies.core import UsageError
from talkies.evaluation.datasets.dataset import DataSet, Example, Published, Split, numbered
from talkies.evaluation.datasets.lists import files_below

FOLDERS = ("scenes_stereo", "scenes_stereo_testset")
NAME = re.compile(r"(?P<scene>[a-z]+)\d+")


def read_dcase2014(root: Path) -> DataSet:
    """Return the scenes, to be learnt on the public set and tested on the test set; each recording is its own source.

    Raises:
        UsageError: if a folder is missing or holds a file that names no class, or the second has a class that the first
            lacks.
    """
    scenes: list[list[tuple[str, str]]] = []
    for folder in FOLDERS:
        names = files_below(root, folder)
        if not names:
            raise UsageError(
                f"{root} lacks {folder}/ with its recordings; lay the data set out as docs/datasets.md says"
            )
        scenes.append([(name, _scene(root, name)) for name in names])
    labels = numbered(scene for _, scene in scenes[0])
    for name, scene in scenes[1]:
        if scene not in labels:
            raise UsageError(
                f"{root / name} is of class {scene}, which {FOLDERS[0]} lacks; take the publishers' own files"
            )
    examples = [Example(name, (labels[scene],), source=name) for of_folder in scenes for name, scene in of_folder]
    everything = tuple(range(len(examples)))
    first = len(scenes[0])
    return DataSet(
        name="dcase2014",
        root=root,
        modality="audio",
        classes=tuple(labels),
        examples=tuple(examples),
        splits=(Split("train on the public set, test on the test set", everything[:first], everything[first:]),),
        published=Published(classes=10, examples=200),
    )


def _scene(root: Path, name: str) -> str:
    found = NAME.fullmatch(PurePosixPath(name).stem)
    if not found:
        raise UsageError(f"{root / name} names no class, as bus01.wav does; take the publishers' own files")
    return found["scene"]
