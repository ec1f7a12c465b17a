"""Films that are the same, whole or for a long part, however they were encoded, cropped or trimmed.

Shapes: as in `alike`; `K` clips of a film that are in another.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from talkies.core import Float32s, Int64s, Modality
from talkies.retrieval.recurrence.families import Place
from talkies.retrieval.recurrence.passages import Levels, Run
from talkies.retrieval.recurrence.similarity import Sequences, scores_of

LEAST_SHARE = 0.5
"""Of the shorter film's clips, found in the other at one offset: then the two are near-duplicates."""
LONG_SECONDS = 60.0
"""Or so much of both."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Two films that share a long part by `sides`: its place in each, and how much later it is in the second.

    `first_share` and `second_share` are of each film's clips that are found in the other at that offset; `score` is
    the mean cosine of those.
    """

    sides: tuple[Modality, ...]
    first: Place
    second: Place
    offset_seconds: float
    first_share: float
    second_share: float
    score: float


def find_duplicates(
    side: Modality, found: Sequences, runs: Sequence[Run], levels: Levels
) -> tuple[list[Duplicate], list[Run]]:
    """Return the near-duplicate films among those that share passages, and the runs that they do not account for."""
    by_films = defaultdict(list)
    for run in runs:
        by_films[found.film_at(run.first_place), found.film_at(run.first_place + run.shift)].append(run)
    duplicates, rest = [], []
    for (first, second), some in sorted(by_films.items()):
        duplicate, shift = _duplicate(side, found, some, levels) if first != second else (None, 0)
        rest += [run for run in some if duplicate is None or abs(run.shift - shift) > 1]
        if duplicate is not None:
            duplicates.append(duplicate)
    return duplicates, sorted(rest, key=lambda run: (run.first_place, run.shift))


def joined_by_sides(duplicates: Sequence[Duplicate], least_apart_seconds: float) -> list[Duplicate]:
    """Return the duplicates, those that both sides show at one offset as one: as the side that shows more tells it."""
    joined: dict[tuple[str, str], list[Duplicate]] = defaultdict(list)
    for duplicate in sorted(duplicates, key=lambda each: -max(each.first_share, each.second_share)):
        same = joined[duplicate.first.film_id, duplicate.second.film_id]
        for place, other in enumerate(same):
            if abs(other.offset_seconds - duplicate.offset_seconds) <= least_apart_seconds:
                same[place] = replace(other, sides=tuple(sorted({*other.sides, *duplicate.sides}, reverse=True)))
                break
        else:
            same.append(duplicate)
    return [duplicate for _, same in sorted(joined.items()) for duplicate in same]


def lesser_films(duplicates: Sequence[Duplicate]) -> set[str]:
    """Return the films that are found in others for the most part."""
    return {
        each.first.film_id if each.first_share > each.second_share else each.second.film_id
        for each in duplicates
        if max(each.first_share, each.second_share) >= LEAST_SHARE
    }


def _duplicate(side: Modality, found: Sequences, runs: Sequence[Run], levels: Levels) -> tuple[Duplicate | None, int]:
    """Return what two films share along the shift that most of their runs are near, if it is much; and that shift."""
    first, second = found.film_at(runs[0].first_place), found.film_at(runs[0].first_place + runs[0].shift)
    lines = {run.shift: _line(found, first, second, run.shift) for run in runs}
    shift = max(lines, key=lambda each: (float(lines[each][1].sum()), -each))
    place_K, score_K = _shared(found, first, second, shift, levels)
    shares = [len(place_K) / int(np.count_nonzero(found.film_N == film)) for film in (first, second)]
    if max(shares) < LEAST_SHARE and len(place_K) * found.stride_seconds < LONG_SECONDS:
        return None, shift
    along = [run for run in runs if abs(run.shift - shift) <= 1]
    lag = float(np.average([run.shift - shift + run.lag for run in along], weights=[run.length for run in along]))
    length = int(place_K[-1] - place_K[0]) + 1
    duplicate = Duplicate(
        sides=(side,),
        first=found.span_of(first, int(place_K[0]), length),
        second=found.span_of(second, int(place_K[0]) + shift, length, lag),
        offset_seconds=(shift - int(found.begin_F[second] - found.begin_F[first]) + lag) * found.stride_seconds,
        first_share=min(1.0, shares[0]),
        second_share=min(1.0, shares[1]),
        score=float(score_K.mean()),
    )
    return duplicate, shift


def _line(found: Sequences, first: int, second: int, shift: int) -> tuple[Int64s, Float32s]:
    """Return the places of a film's clips that have another film's clip at a shift, and how alike the two are."""
    own = np.flatnonzero(found.film_N == first)
    other = found.row_at(found.place_N[own] + shift)
    there = (other >= 0) & (found.film_N[other] == second)
    return found.place_N[own[there]], scores_of(found.rows_ND, found.rows_ND, own[there], other[there])


def _shared(found: Sequences, first: int, second: int, shift: int, levels: Levels) -> tuple[Int64s, Float32s]:
    """Return the places of a film's clips that are found in another film at a shift or beside it, and their scores.

    Alone a clip may be as like another by chance; as many in a row as a run has at least (one missing now and then)
    are not.
    """
    best: dict[int, float] = {}
    for by in (-1, 0, 1):
        for place, score in zip(*_line(found, first, second, shift + by), strict=True):
            best[int(place)] = max(float(score), best.get(int(place), -1.0))
    place_K = np.array(sorted(place for place, score in best.items() if score >= levels.cell), np.int64)
    stretch_K = np.cumsum(np.diff(place_K, prepend=-9) > 2) - 1
    kept_K = place_K[np.bincount(stretch_K, minlength=1)[stretch_K] >= levels.least_clips] if len(place_K) else place_K
    return kept_K, np.array([best[place] for place in kept_K.tolist()], np.float32)
