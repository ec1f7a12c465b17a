"""The lists of scene boundaries in MovieNet's layout, as github.com/AnyiRao/SceneSeg takes them, read and checked.

    meta/split318.json            {"train": [...], "val": [...], "test": [...], "all": [...]}: IMDb ids
    label318/<imdb id>.txt        a line a shot: its number, and 1 if a scene ends with it (-1: perhaps), else 0
    shot_movie318/<imdb id>.txt   a line a shot: first frame, last frame, and frames of its pictures

A label speaks of a shot and the next, so the last shot's says nothing; a list may end before it. As published, -1
counts as 1.

Rao et al., "A Local-to-Global Approach to Multi-modal Movie Scene Segmentation", CVPR 2020.

Shapes: `S` shots of a film.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from talkies.core import Bools, Int64s, UsageError, describe_os_error
from talkies.evaluation.film_tasks.shots import TimedShot
from talkies.runtime import hash_file

SPLITS = {"train": "train", "validation": "val", "test": "test"}
"""Our names of the splits, and the lists' own."""

SPLIT_FILE, LABELS, SHOTS = Path("meta/split318.json"), Path("label318"), Path("shot_movie318")
_ANEW = "take label318, shot_movie318 and meta of one version of the data"


@dataclass(frozen=True, slots=True)
class FilmScenes:
    """A film's shots `frames_S2` (first and last frame) and whether a scene ends with each, `boundary_B`.

    The last shot has no boundary: B = S - 1.
    """

    frames_S2: Int64s
    boundary_B: Bools

    def shots(self, fps: float) -> list[TimedShot]:
        """Return the shots in seconds: from the beginning of the first frame to the end of the last."""
        return [
            TimedShot(number, first / fps, (last + 1) / fps)
            for number, (first, last) in enumerate(self.frames_S2.tolist())
        ]


@dataclass(frozen=True, slots=True)
class SceneLists:
    """IMDb ids by split; `read` gives a film's scenes."""

    data: Path
    splits: Mapping[str, tuple[str, ...]]

    def read(self, imdb_ids: Iterable[str]) -> dict[str, FilmScenes]:
        """Return the scenes of these films.

        Raises:
            UsageError: if a film's lists are missing, damaged, or not of one version.
        """
        return {imdb_id: _read_film(self.data, imdb_id) for imdb_id in imdb_ids}

    def hashes(self) -> dict[str, str]:
        """Return a hash of the list of splits, of all labels and of all shots, by the bytes of their files."""
        ids = sorted(imdb_id for ids in self.splits.values() for imdb_id in ids)
        found = {SPLIT_FILE.as_posix(): hash_file(self.data / SPLIT_FILE)}
        for folder in (LABELS, SHOTS):
            parts = [hash_file(self.data / folder / f"{imdb_id}.txt") for imdb_id in ids]
            found[folder.as_posix()] = blake2b("".join(parts).encode(), digest_size=8).hexdigest()
        return found


def read_scene_lists(data: Path) -> SceneLists:
    """Return which films of `data` are for what.

    Raises:
        UsageError: if the list is missing or damaged, or a film is in two splits.
    """
    path = data / SPLIT_FILE
    try:
        document = json.loads(_text_of(path))
        splits = {ours: tuple(document[theirs]) for ours, theirs in SPLITS.items()}
        whole = set(document.get("all", [imdb_id for ids in splits.values() for imdb_id in ids]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is damaged (it needs lists train, val and test); {_ANEW}") from error
    where: dict[str, str] = {}
    for split, ids in splits.items():
        if not ids:
            raise UsageError(f"{path} names no film of {SPLITS[split]}; {_ANEW}")
        for imdb_id in ids:
            if imdb_id in where:
                raise UsageError(f"{path}: {imdb_id} is in {SPLITS[where[imdb_id]]} and in {SPLITS[split]}; {_ANEW}")
            where[imdb_id] = split
    if whole != where.keys():
        other = min(whole ^ where.keys())
        raise UsageError(f"{path}: {other} is in all or in a split, and not in both; {_ANEW}")
    return SceneLists(data, splits)


def _read_film(data: Path, imdb_id: str) -> FilmScenes:
    shots, labels = data / SHOTS / f"{imdb_id}.txt", data / LABELS / f"{imdb_id}.txt"
    frames = [pair[:2] for pair in _numbers(shots, 2)]
    marked = [pair[:2] for pair in _numbers(labels, 2)]
    if len(frames) < 2:
        raise UsageError(f"{shots} has {len(frames)} shots, and a boundary lies between two; {_ANEW}")
    for place, (number, label) in enumerate(marked):
        if number != place:
            raise UsageError(f"{labels}: line {place + 1} is of shot {number}, not of shot {place}; {_ANEW}")
        if label not in (-1, 0, 1):
            raise UsageError(f"{labels}: line {place + 1} has label {label}, and labels are 0, 1 and -1; {_ANEW}")
    if len(marked) not in (len(frames), len(frames) - 1):
        raise UsageError(f"{labels} labels {len(marked)} shots, and {shots} has {len(frames)}; {_ANEW}")
    before = -1
    for place, (first, last) in enumerate(frames):
        if not before <= first <= last or first < 0:
            raise UsageError(
                f"{shots}: line {place + 1} is a shot of frames {first} to {last}, after one that ends at {before}; "
                f"{_ANEW}"
            )
        before = last
    boundary_B = np.array([label != 0 for _, label in marked[: len(frames) - 1]], np.bool_)
    return FilmScenes(np.array(frames, np.int64), boundary_B)


def _numbers(path: Path, least: int) -> list[list[int]]:
    rows = []
    for line, text in enumerate(_text_of(path).splitlines(), 1):
        try:
            row = [int(word) for word in text.split()]
        except ValueError:
            row = []
        if len(row) < least:
            raise UsageError(f"{path}: line {line} is '{text[:40]}', and {least} whole numbers are needed; {_ANEW}")
        rows.append(row)
    return rows


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        cause = describe_os_error(error) if isinstance(error, OSError) else "not text"
        raise UsageError(f"{path} cannot be read ({cause}); {_ANEW}") from error
