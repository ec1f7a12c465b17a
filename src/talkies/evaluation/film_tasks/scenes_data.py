"""The lists of scene boundaries in MovieNet's layout, as github.com/AnyiRao/SceneSeg takes them, read and checked.

    meta/split318.json            {"train": [...], "val": [...], "test": [...], "all": [...]}: IMDb ids
    label318/<imdb id>.txt        a line a shot: its number, and 1 if a scene ends with it (-1: perhaps), else 0
    shot_movie318/<imdb id>.txt   a line a shot: first frame, last frame, and frames of its pictures

A label is about a shot and the next one, so the last shot's label means nothing, and a list may end before it. As
published, -1 counts as 1.

Rao et al., "A Local-to-Global Approach to Multi-modal Movie Scene Segmentation", CVPR 2020.

Shapes: `S` shots of a film, `B` boundaries between them (S - 1).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from talkies.core import Bools, Int64s, UsageError
from talkies.evaluation.film_tasks.shots import TimedShot
from talkies.evaluation.film_tasks.text_lists import read_list
from talkies.runtime import hash_file

SPLITS = {"train": "train", "validation": "val", "test": "test"}
"""Our names of the splits, and the names in the lists."""

SPLIT_FILE, LABELS, SHOTS = Path("meta/split318.json"), Path("label318"), Path("shot_movie318")
_REMEDY = "take label318, shot_movie318 and meta of one version of the data"


@dataclass(frozen=True, slots=True)
class FilmScenes:
    """A film's shots `frames_S2` (first and last frame) and whether a scene ends with each, `boundary_B`.

    The last shot has no boundary: B = S - 1.
    """

    frames_S2: Int64s
    boundary_B: Bools

    def to_shots(self, fps: float) -> list[TimedShot]:
        """Return the shots in seconds at `fps` frames a second: from the first frame's start to the last one's end."""
        return [
            TimedShot(number, first / fps, (last + 1) / fps)
            for number, (first, last) in enumerate(self.frames_S2.tolist())
        ]


@dataclass(frozen=True, slots=True)
class SceneLists:
    """The IMDb ids of each split, and access to each film's scenes."""

    data: Path
    splits: Mapping[str, tuple[str, ...]]

    def read(self, imdb_ids: Iterable[str]) -> dict[str, FilmScenes]:
        """Return the scenes of these films.

        Raises:
            UsageError: if a film's lists are missing, damaged, or not of one version.
        """
        return {imdb_id: _read_film(self.data, imdb_id) for imdb_id in imdb_ids}

    def hash_files(self) -> dict[str, str]:
        """Return a hash of the list of splits, of all labels and of all shots, from the bytes of their files."""
        ids = sorted(imdb_id for ids in self.splits.values() for imdb_id in ids)
        hashes = {SPLIT_FILE.as_posix(): hash_file(self.data / SPLIT_FILE)}
        for folder in (LABELS, SHOTS):
            parts = [hash_file(self.data / folder / f"{imdb_id}.txt") for imdb_id in ids]
            hashes[folder.as_posix()] = blake2b("".join(parts).encode(), digest_size=8).hexdigest()
        return hashes


def read_scene_lists(data: Path) -> SceneLists:
    """Return the lists in `data`.

    Raises:
        UsageError: if the list of splits is missing or damaged, or a film is in two splits.
    """
    path = data / SPLIT_FILE
    try:
        document = json.loads(read_list(path, _REMEDY))
        splits = {ours: tuple(document[theirs]) for ours, theirs in SPLITS.items()}
        all_ids = set(document.get("all", [imdb_id for ids in splits.values() for imdb_id in ids]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is damaged (it needs lists train, val and test); {_REMEDY}") from error

    split_of: dict[str, str] = {}
    for split, ids in splits.items():
        if not ids:
            raise UsageError(f"{path} names no film of {SPLITS[split]}; {_REMEDY}")
        for imdb_id in ids:
            if imdb_id in split_of:
                raise UsageError(
                    f"{path}: {imdb_id} is in {SPLITS[split_of[imdb_id]]} and in {SPLITS[split]}; {_REMEDY}"
                )
            split_of[imdb_id] = split

    if all_ids != split_of.keys():
        other = min(all_ids ^ split_of.keys())
        raise UsageError(f"{path}: {other} is in all or in a split, and not in both; {_REMEDY}")
    return SceneLists(data, splits)


def _read_film(data: Path, imdb_id: str) -> FilmScenes:
    shots, labels = data / SHOTS / f"{imdb_id}.txt", data / LABELS / f"{imdb_id}.txt"
    frames = [pair[:2] for pair in _read_numbers(shots, 2)]
    numbered_labels = [pair[:2] for pair in _read_numbers(labels, 2)]

    if len(frames) < 2:
        raise UsageError(f"{shots} has {len(frames)} shots, and a boundary needs two; {_REMEDY}")
    _check_labels(labels, numbered_labels)
    if len(numbered_labels) not in (len(frames), len(frames) - 1):
        raise UsageError(f"{labels} labels {len(numbered_labels)} shots, and {shots} has {len(frames)}; {_REMEDY}")
    _check_frames(shots, frames)

    boundary_B = np.array([label != 0 for _, label in numbered_labels[: len(frames) - 1]], np.bool_)
    return FilmScenes(np.array(frames, np.int64), boundary_B)


def _check_labels(path: Path, numbered_labels: Sequence[Sequence[int]]) -> None:
    for place, (number, label) in enumerate(numbered_labels):
        if number != place:
            raise UsageError(f"{path}: line {place + 1} is of shot {number}, not of shot {place}; {_REMEDY}")
        if label not in (-1, 0, 1):
            raise UsageError(f"{path}: line {place + 1} has label {label}, and labels are 0, 1 and -1; {_REMEDY}")


def _check_frames(path: Path, frames: Sequence[Sequence[int]]) -> None:
    """Check that shots are in order, and none ends before it starts."""
    before = -1
    for place, (first, last) in enumerate(frames):
        if not before <= first <= last or first < 0:
            raise UsageError(
                f"{path}: line {place + 1} is a shot of frames {first} to {last}, after one that ends at {before}; "
                f"{_REMEDY}"
            )
        before = last


def _read_numbers(path: Path, least: int) -> list[list[int]]:
    """Return the whole numbers of each line, of which there are at least `least`."""
    rows = []
    for line, text in enumerate(read_list(path, _REMEDY).splitlines(), 1):
        try:
            row = [int(word) for word in text.split()]
        except ValueError:
            row = []
        if len(row) < least:
            raise UsageError(f"{path}: line {line} is '{text[:40]}', and {least} whole numbers are needed; {_REMEDY}")
        rows.append(row)
    return rows
