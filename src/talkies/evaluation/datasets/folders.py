"""Any folder of classes, of video or of audio files.

    root/                             root/
    ├── dog/a.mp4                     ├── train/dog/a.mp4
    └── cat/b.mp4                     ├── test/dog/b.mp4
                                      └── val/dog/c.mp4        (val/ is optional)

A class is a folder with media files at any depth below it; other files and hidden ones are ignored. Classes are
numbered alphabetically. There are no lists, so neither missing files nor shifted labels can be detected.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from talkies.core import Modality, UsageError, format_count
from talkies.evaluation.datasets.dataset import DataSet, Example, Split, leave_one_out, number_classes
from talkies.evaluation.datasets.lists import list_media_files
from talkies.media import has_film_suffix, has_media_suffix

SIDES = ("train", "test", "val")
DEFAULT_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Folding:
    """How a folder without train/ and test/ is split.

    `group` is a regular expression that is searched for in a file's name; its first group identifies the source of the
    file, and each source is tested on once. With `folds`, or without `group`, there are that many stratified folds
    instead (5 by default), shuffled with `seed`, and all files of a source are in one fold.
    """

    group: str | None = None
    folds: int | None = None
    seed: int = 0

    @property
    def fold_count(self) -> int:
        """The number of folds where examples are not split by source."""
        return DEFAULT_FOLDS if self.folds is None else self.folds


def read_video_folder(root: Path, *, group: str | None = None, folds: int | None = None, seed: int = 0) -> DataSet:
    """Return the films of a folder of classes, split by train/ and test/ if it has them, or as `Folding` says.

    Args:
        root: the folder.
        group: as in `Folding`.
        folds: as in `Folding`.
        seed: as in `Folding`.

    Raises:
        UsageError: if `group` is not a regular expression with a group or does not match a file's name; if there are
            too few files or sources for the folds, or folds are requested in addition to train/ and test/; if a media
            file is outside the classes' folders, a class is empty, or test/ has a class that train/ lacks; or if, with
            `group`, a source is on both sides.
    """
    return _read_folder(root, "video", Folding(group, folds, seed))


def read_audio_folder(root: Path, *, group: str | None = None, folds: int | None = None, seed: int = 0) -> DataSet:
    """Return the sounds, and films for their sound, of a folder of classes, like `read_video_folder`.

    Args:
        root: the folder.
        group: as in `Folding`.
        folds: as in `Folding`.
        seed: as in `Folding`.

    Raises:
        UsageError: as for a folder of video.
    """
    return _read_folder(root, "audio", Folding(group, folds, seed))


def _read_folder(root: Path, modality: Modality, folding: Folding) -> DataSet:
    if not root.is_dir():
        raise UsageError(f"{root} is not a folder; name the one that holds the classes' folders")
    sides = _find_sides(root)
    files_of_side = {side: _list_class_files(root, side, modality) for side in sides}
    labels = number_classes(name for side in sides for name in files_of_side[side])

    examples: list[Example] = []
    numbers: dict[str, tuple[int, ...]] = {}
    for side in sides:
        first = len(examples)
        for name, paths in files_of_side[side].items():
            examples += [Example(path, (labels[name],), _parse_source(root, path, folding)) for path in paths]
        numbers[side] = tuple(range(first, len(examples)))

    if sides == (".",):
        splits = _build_splits(root, examples, folding)
    elif folding.folds is not None:
        raise UsageError(f"{root} has train/ and test/, which are its split; do not ask for folds")
    else:
        _check_sides(root, examples, numbers)
        train, test, select = (numbers.get(side, ()) for side in SIDES)
        splits = (Split("train on train, test on test", train, test, select),)

    return DataSet(
        name=f"{modality}-folder",
        root=root,
        modality=modality,
        classes=tuple(labels),
        examples=tuple(examples),
        splits=splits,
    )


def _list_folders(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _find_sides(root: Path) -> tuple[str, ...]:
    """Return the folders of the sides, or `.` where classes are directly in the root: `train` may be a class."""
    names = _list_folders(root)
    if "train" not in names or not _list_folders(root / "train"):
        return (".",)
    if "test" not in names:
        raise UsageError(f"{root} has train/ with classes, but no test/; name the folder to test on test")
    others = [name for name in names if name not in SIDES]
    if others:
        raise UsageError(f"{root} has {others[0]}/ next to train/ and test/; move it away, or into them")
    return tuple(side for side in SIDES if side in names)


def _list_class_files(root: Path, side: str, modality: Modality) -> dict[str, list[str]]:
    """Return the media files of each class, relative to `root`."""
    has_suffix = has_film_suffix if modality == "video" else has_media_suffix
    stray = [path.name for path in sorted((root / side).iterdir()) if path.is_file() and has_suffix(path.name)]
    if stray:
        raise UsageError(f"{root / side / stray[0]} is in no class's folder; move it into one")

    files = {}
    for name in _list_folders(root / side):
        files[name] = [path for path in list_media_files(root, str(PurePosixPath(side, name))) if has_suffix(path)]
        if not files[name]:
            raise UsageError(f"{root / side / name} holds no {modality} file; fill the class's folder, or remove it")
    if not files:
        raise UsageError(f"{root / side} holds no folders of classes; lay it out as docs/datasets.md says")
    return files


def _parse_source(root: Path, path: str, folding: Folding) -> str:
    """Return what `group` finds in a file's name; without `group`, each file is its own source."""
    if folding.group is None:
        return path
    group, example = folding.group, "give one such as '(s[0-9]+)_'"
    try:
        pattern = re.compile(group)
    except re.error as error:
        raise UsageError(f"group '{group}' is not a regular expression ({error}); {example}") from error
    if not pattern.groups:
        raise UsageError(f"group '{group}' has no part in brackets; {example}")

    match = pattern.search(PurePosixPath(path).name)
    if not match or not match[1]:
        raise UsageError(f"group '{group}' does not match the name of {root / path}; give one that matches all names")
    return match[1]


def _check_sides(root: Path, examples: Sequence[Example], numbers: dict[str, tuple[int, ...]]) -> None:
    """Check that the classes of all sides are in train/, and that no source is on two sides."""
    trained = {examples[number].labels for number in numbers["train"]}
    side_of_source: dict[str, str] = {}
    for side, side_numbers in numbers.items():
        for number in side_numbers:
            example = examples[number]
            if example.labels not in trained:
                raise UsageError(
                    f"{root / example.path} is of a class that train/ lacks; remove it, or add files there"
                )
            if side_of_source.setdefault(example.source, side) != side:
                raise UsageError(
                    f"{root / example.path} belongs to {example.source}, which has files in "
                    f"{side_of_source[example.source]}/ too; keep what belongs together on one side"
                )


def _build_splits(root: Path, examples: Sequence[Example], folding: Folding) -> tuple[Split, ...]:
    sources = [example.source for example in examples]
    if folding.group is not None and folding.folds is None:
        if len(set(sources)) < 2:
            raise UsageError(
                f"{root}: all files belong to {sources[0]}, so none are left to test on; choose another group"
            )
        return leave_one_out(sources)

    labels = [example.labels[0] for example in examples]
    sources_of_class = Counter(label for label, _ in set(zip(labels, sources, strict=True)))
    fewest = min(sources_of_class.values())
    if not 2 <= folding.fold_count <= fewest:
        smallest = format_count(fewest, "file" if folding.group is None else "group")
        raise UsageError(
            f"{root}: {format_count(folding.fold_count, 'fold')} cannot be made because one class has only {smallest}; "
            f"ask for at least 2 and at most {max(fewest, 2)}"
        )

    fold_of_example = _assign_folds(labels, sources, folding)
    splits = leave_one_out([f"fold {fold + 1}" for fold in fold_of_example])
    if len(splits) < folding.fold_count:
        raise UsageError(
            f"{root}: the groups are too unequal for {format_count(folding.fold_count, 'fold')}; ask for fewer"
        )
    return splits


def _assign_folds(labels: Sequence[int], sources: Sequence[str], folding: Folding) -> list[int]:
    """Return the fold of each example, from 0: stratified by label, with each source in one fold."""
    from sklearn.model_selection import StratifiedGroupKFold

    fold_of_example = [0] * len(labels)
    splitter = StratifiedGroupKFold(n_splits=folding.fold_count, shuffle=True, random_state=folding.seed)
    for fold, (_, test) in enumerate(splitter.split(labels, labels, sources)):
        for number in test.tolist():
            fold_of_example[number] = fold
    return fold_of_example
