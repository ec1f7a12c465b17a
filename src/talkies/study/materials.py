"""Read the materials of composed films from folders, and keep recordings, clips and backgrounds of unseen films apart.

sounds/                   actions/ or sounds/       either with train/ and test/
├── audio/                ├── fall/a.mp4            ├── train/fall/a.mp4
└── meta/esc50.csv        └── sitting/b.mp4         └── test/fall/b.mp4
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from talkies.core import UsageError
from talkies.evaluation.datasets import READERS
from talkies.evaluation.transfer.transfer import check_complete
from talkies.media import has_film_suffix, has_media_suffix
from talkies.synth import Materials

ESC_LISTS = ("esc10", "esc50")
_HELD_OUT_FOLDS = 2
_HELD_OUT_SHARE = 0.4
Files = dict[str, tuple[list[Path], list[Path]]]
"""The files of each class for films to learn from, and for unseen films."""


@dataclass(frozen=True, slots=True)
class MaterialFolders:
    """Where the files of composed films are.

    Attributes:
        sounds: recordings: ESC-50's or ESC-10's layout, or a folder for each class.
        actions: videos, a folder for each class; the folders of classes with recordings have their names.
        backgrounds: the films behind films to learn from.
        held_out_backgrounds: the films behind unseen films.
    """

    sounds: Path | None = None
    actions: Path | None = None
    backgrounds: tuple[Path, ...] = ()
    held_out_backgrounds: tuple[Path, ...] = ()

    def read_all(self) -> Materials:
        """Return all files as materials of one set of films.

        Raises:
            UsageError: if a folder does not hold classes of files, or no folder is named.
        """
        seen, _ = self._read(seed=0, is_split=False)
        return seen

    def read_split(self, seed: int) -> tuple[Materials, Materials]:
        """Return the materials of films to learn from and of unseen films.

        Of ESC's layout, unseen films get the recordings of the last two folds; of `train/` and `test/`, those of
        `test/`; of other folders, two in five files of each class, chosen by `seed`.

        Raises:
            UsageError: as `read_all`, or if a class has only one file.
        """
        return self._read(seed, is_split=True)

    def _read(self, seed: int, *, is_split: bool) -> tuple[Materials, Materials]:
        if self.sounds is None and self.actions is None:
            raise UsageError("composed films need a folder of sounds or of actions; name one")
        sounds = _read_sounds(self.sounds, seed, is_split) if self.sounds else {}
        clips = _read_classes(self.actions, has_film_suffix, seed, is_split) if self.actions else {}
        classes = tuple(sounds) + tuple(name for name in clips if name not in sounds)
        seen, unseen = (
            Materials(
                classes=classes,
                sounds=tuple(tuple(sounds[name][side]) if name in sounds else () for name in classes),
                clips=tuple(tuple(clips[name][side]) if name in clips else () for name in classes),
                backgrounds=backgrounds,
            )
            for side, backgrounds in enumerate((self.backgrounds, self.held_out_backgrounds))
        )
        return seen, unseen


def _read_sounds(root: Path, seed: int, is_split: bool) -> Files:
    lists = [name for name in ESC_LISTS if (root / "meta" / f"{name}.csv").is_file()]
    if not lists:
        return _read_classes(root, has_media_suffix, seed, is_split)
    data = READERS[lists[0]](root)
    check_complete(data, {}, allow_missing=False)
    held_out = {number for split in data.splits[-_HELD_OUT_FOLDS:] for number in split.test} if is_split else set()
    files: Files = {name: ([], []) for name in data.classes}
    for number, example in enumerate(data.examples):
        files[data.classes[example.labels[0]]][number in held_out].append(data.get_path(number).absolute())
    return files


def _read_classes(root: Path, has_suffix: Callable[[str], bool], seed: int, is_split: bool) -> Files:
    """Return the files of a folder of classes, or of its `train/` and `test/`."""
    if not root.is_dir():
        raise UsageError(f"{root} is not a folder; name the one that holds the classes' folders")
    if all(_list_folders(root / side) for side in ("train", "test")):
        train, test = (_list_files(root / side, has_suffix) for side in ("train", "test"))
        if not is_split:
            return {name: (train.get(name, []) + test.get(name, []), []) for name in sorted({*train, *test})}
        if train.keys() != test.keys():
            name = min(train.keys() ^ test.keys())
            raise UsageError(f"class '{name}' is in only one of train/ and test/ of {root}; add files to the other")
        return {name: (train[name], test[name]) for name in train}

    files: Files = {}
    for number, (name, paths) in enumerate(_list_files(root, has_suffix).items()):
        held_out: set[int] = set()
        if is_split:
            if len(paths) < 2:
                raise UsageError(f"class '{name}' of {root} has only one file, and unseen films need others; add files")
            count = max(1, round(_HELD_OUT_SHARE * len(paths)))
            held_out = set(np.random.default_rng([seed, number]).permutation(len(paths))[:count].tolist())
        files[name] = ([], [])
        for position, path in enumerate(paths):
            files[name][position in held_out].append(path)
    return files


def _list_folders(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _list_files(root: Path, has_suffix: Callable[[str], bool]) -> dict[str, list[Path]]:
    """Return the files of each class's folder, at any depth, in the order of their paths."""
    files = {
        folder.name: sorted(
            path.absolute()
            for path in folder.rglob("*")
            if has_suffix(path.name) and path.is_file() and not _is_hidden(path.relative_to(root).parts)
        )
        for folder in _list_folders(root)
    }
    if not files:
        raise UsageError(f"{root} holds no folders of classes; lay it out as docs/datasets.md says")
    for name, paths in files.items():
        if not paths:
            raise UsageError(f"{root / name} holds no file that can be used; fill the class's folder, or remove it")
    return files


def _is_hidden(parts: Sequence[str]) -> bool:
    return any(part.startswith(".") for part in parts)
