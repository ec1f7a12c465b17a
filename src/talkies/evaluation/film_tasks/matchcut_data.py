"""The lists of Netflix' match cutting data: `data/` of https://github.com/Netflix/matchcut, read and checked.

    data/train.txt, validation.txt, test.txt     IMDb ids, one a line
    data/shot-time-ranges.csv                    imdb_id, shot_idx, start, end: shots, in seconds of the film
    data/dataset-frame.json, dataset-motion.json pairs of shots of one film, with the majority's label
    data/dataset-random-negatives.json           pairs drawn by chance, none a match

Chen et al., "Match Cutting: Finding Cuts with Smooth Visual Transitions", https://arxiv.org/abs/2210.05766
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from talkies.core import UsageError, describe_os_error
from talkies.evaluation.film_tasks.shots import TimedShot
from talkies.runtime import hash_file

TASKS = ("frame", "motion")
SPLITS = ("train", "validation", "test")
RANGES = "shot-time-ranges.csv"
_DRAWN = "dataset-random-negatives.json"
_SAME_SECONDS = 1e-3
_ANEW = "copy the whole folder data of one version of github.com/Netflix/matchcut"


class _Record(BaseModel):
    imdb_id: str
    clip1_index: int
    clip1_start: float
    clip1_end: float
    clip2_index: int
    clip2_start: float
    clip2_end: float


class _LabelledRecord(_Record):
    majority_label: bool


_R = TypeVar("_R", bound=_Record)


@dataclass(frozen=True, slots=True)
class ShotPair:
    """Two shots of a film, by their numbers, and whether a cut from one to the other matches."""

    imdb_id: str
    first: int
    second: int
    matches: bool


@dataclass(frozen=True, slots=True)
class MatchCutLists:
    """Films by split, shots by film and number, the labelled pairs by task, and the pairs drawn by chance."""

    splits: Mapping[str, tuple[str, ...]]
    shots: Mapping[str, Mapping[int, TimedShot]]
    pairs: Mapping[str, Sequence[ShotPair]]
    random_negatives: Sequence[ShotPair]


def read_matchcut(data: Path) -> MatchCutLists:
    """Return the lists in `data/data`.

    Raises:
        UsageError: if a list is missing or damaged, or two are not of one version.
    """
    folder = data / "data"
    splits = _read_splits(folder)
    shots = _read_shots(folder / RANGES)
    for split, ids in splits.items():
        if bare := [imdb_id for imdb_id in ids if imdb_id not in shots]:
            raise UsageError(f"{folder / split}.txt names {bare[0]}, of which {RANGES} has no shot; {_ANEW}")
    known = {imdb_id for ids in splits.values() for imdb_id in ids}
    pairs = {}
    for task in TASKS:
        records = _records(folder / f"dataset-{task}.json", _LabelledRecord)
        _check_records(folder / f"dataset-{task}.json", records, shots, known)
        pairs[task] = [_pair(record, record.majority_label) for record in records]
    path = folder / _DRAWN
    drawn = _records(path, _Record)
    _check_records(path, drawn, shots, known)
    return MatchCutLists(splits, shots, pairs, [_pair(record, False) for record in drawn])


def hashes_of_matchcut(data: Path) -> dict[str, str]:
    """Return a hash of each list by its bytes."""
    names = [*(f"{split}.txt" for split in SPLITS), RANGES, *(f"dataset-{task}.json" for task in TASKS), _DRAWN]
    return {f"data/{name}": hash_file(data / "data" / name) for name in names}


def _pair(record: _Record, matches: bool) -> ShotPair:
    return ShotPair(record.imdb_id, record.clip1_index, record.clip2_index, matches)


def _read_splits(folder: Path) -> dict[str, tuple[str, ...]]:
    splits: dict[str, tuple[str, ...]] = {}
    where: dict[str, str] = {}
    for split in SPLITS:
        path = folder / f"{split}.txt"
        splits[split] = tuple(_text_of(path).split())
        if not splits[split]:
            raise UsageError(f"{path} names no film; {_ANEW}")
        for imdb_id in splits[split]:
            if imdb_id in where:
                raise UsageError(f"{path}: {imdb_id} stands in {where[imdb_id]}.txt as well; {_ANEW}")
            where[imdb_id] = split
    return splits


def _read_shots(path: Path) -> dict[str, dict[int, TimedShot]]:
    shots: dict[str, dict[int, TimedShot]] = {}
    for line, row in enumerate(csv.DictReader(_text_of(path).splitlines()), 2):
        try:
            imdb_id, shot = row["imdb_id"], TimedShot(int(row["shot_idx"]), float(row["start"]), float(row["end"]))
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"{path}: line {line} is no shot (imdb_id, shot_idx, start, end); {_ANEW}") from error
        if shot.number in shots.setdefault(imdb_id, {}):
            raise UsageError(f"{path}: line {line} has shot {shot.number} of {imdb_id} again; {_ANEW}")
        shots[imdb_id][shot.number] = shot
    return shots


def _records(path: Path, kind: type[_R]) -> list[_R]:
    try:
        return TypeAdapter(list[kind]).validate_json(_text_of(path))  # type: ignore[valid-type]
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "its beginning"
        raise UsageError(f"{path} is damaged or of another version (at {place}: {first['msg']}); {_ANEW}") from error


def _check_records(
    path: Path, records: Sequence[_Record], shots: Mapping[str, Mapping[int, TimedShot]], known: set[str]
) -> None:
    for number, record in enumerate(records):
        if record.imdb_id not in known:
            raise UsageError(f"{path}: pair {number} is of {record.imdb_id}, which is in no split; {_ANEW}")
        told = (
            (record.clip1_index, record.clip1_start, record.clip1_end),
            (record.clip2_index, record.clip2_start, record.clip2_end),
        )
        for index, start, end in told:
            shot = shots.get(record.imdb_id, {}).get(index)
            if shot is None:
                raise UsageError(
                    f"{path}: pair {number} is of shot {index} of {record.imdb_id}, which is not in {RANGES}; {_ANEW}"
                )
            if max(abs(start - shot.start_seconds), abs(end - shot.end_seconds)) > _SAME_SECONDS:
                raise UsageError(
                    f"{path}: pair {number} has shot {index} of {record.imdb_id} at {start:.3f} s, and {RANGES} "
                    f"at {shot.start_seconds:.3f} s; {_ANEW}"
                )
        if record.clip1_index == record.clip2_index:
            raise UsageError(f"{path}: pair {number} of {record.imdb_id} is one shot twice; {_ANEW}")


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        cause = describe_os_error(error) if isinstance(error, OSError) else "not text"
        raise UsageError(f"{path} cannot be read ({cause}); {_ANEW}") from error
