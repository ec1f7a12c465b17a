"""The lists of Netflix' match cutting data: `data/` of https://github.com/Netflix/matchcut, read and checked.

    data/train.txt, validation.txt, test.txt     IMDb ids, one a line
    data/shot-time-ranges.csv                    imdb_id, shot_idx, start, end: shots, in seconds of the film
    data/dataset-frame.json, dataset-motion.json pairs of shots of one film, with the majority's label
    data/dataset-random-negatives.json           random pairs, none a match

Chen et al., "Match Cutting: Finding Cuts with Smooth Visual Transitions", https://arxiv.org/abs/2210.05766
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from talkies.core import UsageError
from talkies.evaluation.film_tasks.shots import TimedShot
from talkies.evaluation.film_tasks.text_lists import read_list
from talkies.runtime import hash_file

KINDS = ("frame", "motion")
SPLITS = ("train", "validation", "test")
RANGES = "shot-time-ranges.csv"
_RANDOM_NEGATIVES = "dataset-random-negatives.json"
_TOLERANCE_SECONDS = 1e-3
_REMEDY = "copy the whole folder data of one version of github.com/Netflix/matchcut"


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
_Shots = Mapping[str, Mapping[int, TimedShot]]


@dataclass(frozen=True, slots=True)
class ShotPair:
    """Two shots of a film, by their numbers, and whether a cut from one to the other matches."""

    imdb_id: str
    first: int
    second: int
    matches: bool


@dataclass(frozen=True, slots=True)
class MatchCutLists:
    """Films by split, shots by film and number, the labelled pairs by kind of match cut, and the random pairs."""

    splits: Mapping[str, tuple[str, ...]]
    shots: _Shots
    pairs: Mapping[str, Sequence[ShotPair]]
    random_negatives: Sequence[ShotPair]


def read_matchcut_lists(data: Path) -> MatchCutLists:
    """Return the lists in `data/data`.

    Raises:
        UsageError: if a list is missing or damaged, or two are not of one version.
    """
    folder = data / "data"
    splits = _read_splits(folder)
    shots = _read_shots(folder / RANGES)
    for split, ids in splits.items():
        if without_shots := [imdb_id for imdb_id in ids if imdb_id not in shots]:
            raise UsageError(
                f"{folder / split}.txt names {without_shots[0]}, and {RANGES} has no shot of it; {_REMEDY}"
            )
    known_ids = {imdb_id for ids in splits.values() for imdb_id in ids}

    pairs = {}
    for kind in KINDS:
        path = folder / f"dataset-{kind}.json"
        records = _read_records(path, _LabelledRecord)
        _check_records(path, records, shots, known_ids)
        pairs[kind] = [_make_pair(record, record.majority_label) for record in records]

    path = folder / _RANDOM_NEGATIVES
    negatives = _read_records(path, _Record)
    _check_records(path, negatives, shots, known_ids)
    return MatchCutLists(splits, shots, pairs, [_make_pair(record, False) for record in negatives])


def hash_matchcut_lists(data: Path) -> dict[str, str]:
    """Return a hash of the bytes of each list."""
    splits = [f"{split}.txt" for split in SPLITS]
    labels = [f"dataset-{kind}.json" for kind in KINDS]
    names = [*splits, RANGES, *labels, _RANDOM_NEGATIVES]
    return {f"data/{name}": hash_file(data / "data" / name) for name in names}


def _make_pair(record: _Record, matches: bool) -> ShotPair:
    return ShotPair(record.imdb_id, record.clip1_index, record.clip2_index, matches)


def _read_splits(folder: Path) -> dict[str, tuple[str, ...]]:
    splits: dict[str, tuple[str, ...]] = {}
    split_of: dict[str, str] = {}
    for split in SPLITS:
        path = folder / f"{split}.txt"
        splits[split] = tuple(read_list(path, _REMEDY).split())
        if not splits[split]:
            raise UsageError(f"{path} names no film; {_REMEDY}")
        for imdb_id in splits[split]:
            if imdb_id in split_of:
                raise UsageError(f"{path}: {imdb_id} is also in {split_of[imdb_id]}.txt; {_REMEDY}")
            split_of[imdb_id] = split
    return splits


def _read_shots(path: Path) -> dict[str, dict[int, TimedShot]]:
    shots: dict[str, dict[int, TimedShot]] = {}
    for line, row in enumerate(csv.DictReader(read_list(path, _REMEDY).splitlines()), 2):
        try:
            imdb_id = row["imdb_id"]
            shot = TimedShot(int(row["shot_idx"]), float(row["start"]), float(row["end"]))
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"{path}: line {line} is no shot (imdb_id, shot_idx, start, end); {_REMEDY}") from error
        if shot.number in shots.setdefault(imdb_id, {}):
            raise UsageError(f"{path}: line {line} repeats shot {shot.number} of {imdb_id}; {_REMEDY}")
        shots[imdb_id][shot.number] = shot
    return shots


def _read_records(path: Path, kind: type[_R]) -> list[_R]:
    try:
        return TypeAdapter(list[kind]).validate_json(read_list(path, _REMEDY))  # type: ignore[valid-type]
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "its beginning"
        raise UsageError(f"{path} is damaged or of another version (at {place}: {first['msg']}); {_REMEDY}") from error


def _check_records(path: Path, records: Sequence[_Record], shots: _Shots, known_ids: set[str]) -> None:
    """Check that each pair is of two shots that the other lists have, at the same times."""
    for number, record in enumerate(records):
        imdb_id = record.imdb_id
        if imdb_id not in known_ids:
            raise UsageError(f"{path}: pair {number} is of {imdb_id}, which is in no split; {_REMEDY}")

        first = (record.clip1_index, record.clip1_start, record.clip1_end)
        second = (record.clip2_index, record.clip2_start, record.clip2_end)
        for index, start, end in (first, second):
            shot = shots.get(imdb_id, {}).get(index)
            if shot is None:
                raise UsageError(
                    f"{path}: pair {number} is of shot {index} of {imdb_id}, which is not in {RANGES}; {_REMEDY}"
                )
            if max(abs(start - shot.start_seconds), abs(end - shot.end_seconds)) > _TOLERANCE_SECONDS:
                raise UsageError(
                    f"{path}: pair {number} has shot {index} of {imdb_id} at {start:.3f} s, and {RANGES} "
                    f"at {shot.start_seconds:.3f} s; {_REMEDY}"
                )

        if record.clip1_index == record.clip2_index:
            raise UsageError(f"{path}: pair {number} of {imdb_id} is the same shot twice; {_REMEDY}")
