"""Any folder of classes, of video or of audio.

    root/                             root/
    ├── dog/a.mp4                     ├── train/dog/a.mp4
    └── cat/b.mp4                     ├── test/dog/b.mp4
                                      └── val/dog/c.mp4        (or without val/)

A class is a folder, at any depth below which its media lie; other files and hidden ones do not count. Classes are
numbered by the alphabet. There are no lists: what is not there is not missed, and nothing could tell a shifted label.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from talkies.core import UsageError, format_count
from talkies.evaluation.datasets.dataset import DataSet, Example, Modality, Split, leave_one_out, numbered
from talkies.evaluation.datasets.lists import files_below
from talkies.media import has_film_suffix, has_media_suffix

SIDES = ("train", "test", "val")
USUAL_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Folding:
    """How a folder without train/ and test/ is split.

    `group` is a regular expression whose first group, searched for in a file's name, tells what it belongs to: each
    such group is tested on once. With `folds`, or without `group`, there are so many stratified folds instead (5 if
    not said), drawn by `seed`, and what belongs together is in one fold.
    """

    group: str | None = None
    folds: int | None = None
    seed: int = 0


def read_video_folder(root: Path, *, group: str | None = None, folds: int | None = None, seed: int = 0) -> DataSet:
    """Return the films of a folder of classes, split as `Folding` says, or by train/ and test/ if it has them.

    Raises:
        UsageError: if `group` is no regular expression with a group or does not fit a file's name; if there are too few
            files or groups for the folds, or folds are asked for beside train/ and test/; if media lie in no class, a
            class has none, or test/ has a class that train/ lacks; or if, with `group`, what belongs together lies in
            both.
    """
    return _read(root, "video", Folding(group, folds, seed))


def read_audio_folder(root: Path, *, group: str | None = None, folds: int | None = None, seed: int = 0) -> DataSet:
    """Return the sounds, and films for their sound, of a folder of classes, as `read_video_folder` does.

    Raises:
        UsageError: as for a folder of video.
    """
    return _read(root, "audio", Folding(group, folds, seed))


def _read(root: Path, modality: Modality, folding: Folding) -> DataSet:
    if not root.is_dir():
        raise UsageError(f"{root} is not a folder; name the one that holds the classes' folders")
    sides = _sides(root)
    found = {side: _files(root, side, modality) for side in sides}
    labels = numbered(name for side in sides for name in found[side])
    examples: list[Example] = []
    numbers: dict[str, tuple[int, ...]] = {}
    for side in sides:
        first = len(examples)
        for name, paths in found[side].items():
            examples += [Example(path, (labels[name],), _source(root, path, folding)) for path in paths]
        numbers[side] = tuple(range(first, len(examples)))
    if sides == (".",):
        splits = _split(root, examples, folding)
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


def _folders(root: Path, within: str) -> list[str]:
    return sorted(path.name for path in (root / within).iterdir() if path.is_dir() and not path.name.startswith("."))


def _sides(root: Path) -> tuple[str, ...]:
    """Return the sides' folders, or `.` where the classes' folders lie in the root: `train` may be a class."""
    names = _folders(root, ".")
    if "train" not in names or not _folders(root, "train"):
        return (".",)
    if "test" not in names:
        raise UsageError(f"{root} has train/ with classes and lacks test/; name what is to be tested on test")
    strange = [name for name in names if name not in SIDES]
    if strange:
        raise UsageError(f"{root} has {strange[0]}/ beside train/ and test/; move it away, or into them")
    return tuple(side for side in SIDES if side in names)


def _files(root: Path, side: str, modality: Modality) -> dict[str, list[str]]:
    """Return each class's media, from the root."""
    wanted = has_film_suffix if modality == "video" else has_media_suffix
    stray = [path.name for path in sorted((root / side).iterdir()) if path.is_file() and wanted(path.name)]
    if stray:
        raise UsageError(f"{root / side / stray[0]} lies in no class's folder; move it into one")
    found = {}
    for name in _folders(root, side):
        found[name] = [path for path in files_below(root, str(PurePosixPath(side, name))) if wanted(path)]
        if not found[name]:
            raise UsageError(f"{root / side / name} holds no {modality} file; fill the class's folder, or remove it")
    if not found:
        raise UsageError(f"{root / side} holds no folders of classes; lay it out as docs/datasets.md says")
    return found


def _source(root: Path, path: str, folding: Folding) -> str:
    if folding.group is None:
        return path
    group, example = folding.group, "give one such as '(s[0-9]+)_'"
    try:
        pattern = re.compile(group)
    except re.error as error:
        raise UsageError(f"group '{group}' is no regular expression ({error}); {example}") from error
    if not pattern.groups:
        raise UsageError(f"group '{group}' has no part in brackets; {example}")
    fits = pattern.search(PurePosixPath(path).name)
    if not fits or not fits[1]:
        raise UsageError(f"group '{group}' does not fit the name of {root / path}; give one that fits all names")
    return fits[1]


def _check_sides(root: Path, examples: Sequence[Example], numbers: dict[str, tuple[int, ...]]) -> None:
    learnt = {examples[number].labels for number in numbers["train"]}
    side_of: dict[str, str] = {}
    for side, of_side in numbers.items():
        for number in of_side:
            example = examples[number]
            if example.labels not in learnt:
                raise UsageError(
                    f"{root / example.path} is of a class that train/ lacks; remove it, or add files there"
                )
            if side_of.setdefault(example.source, side) != side:
                raise UsageError(
                    f"{root / example.path} belongs to {example.source}, of which {side_of[example.source]}/ has files "
                    f"too; keep what belongs together on one side"
                )


def _split(root: Path, examples: Sequence[Example], folding: Folding) -> tuple[Split, ...]:
    sources = [example.source for example in examples]
    if folding.group is not None and folding.folds is None:
        if len(set(sources)) < 2:
            raise UsageError(
                f"{root}: all files belong to {sources[0]}, so none are left to test on; choose another group"
            )
        return leave_one_out(sources)
    folds = USUAL_FOLDS if folding.folds is None else folding.folds
    labels = [example.labels[0] for example in examples]
    least = min(Counter(label for label, _ in set(zip(labels, sources, strict=True))).values())
    if not 2 <= folds <= least:
        has = format_count(least, "file" if folding.group is None else "group")
        raise UsageError(
            f"{root}: {format_count(folds, 'fold')} cannot be made, for one class has but {has}; ask for at least 2 and at "
            f"most {max(least, 2)}"
        )
    splits = leave_one_out([f"fold {fold + 1}" for fold in _fold_of(labels, sources, folding)])
    if len(splits) < folds:
        raise UsageError(f"{root}: the groups are too unequal for {format_count(folds, 'fold')}; ask for fewer")
    return splits


def _fold_of(labels: Sequence[int], sources: Sequence[str], folding: Folding) -> list[int]:
    """Return each example's fold, from 0."""
    from sklearn.model_selection import StratifiedGroupKFold

    fold_of = [0] * len(labels)
    folds = USUAL_FOLDS if folding.folds is None else folding.folds
    made = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=folding.seed)
    for fold, (_, test) in enumerate(made.split(labels, labels, sources)):
        for number in test.tolist():
            fold_of[number] = fold
    return fold_of
