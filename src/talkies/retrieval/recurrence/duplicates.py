"""Near-duplicate films: the same in full or for a long part, whatever their encoding, crop or trim.

Shapes: as in `timeline`; `K` clips of a film that are found in another.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from talkies.core import Float32s, Int64s, Modality
from talkies.retrieval.recurrence.calibration import CalibratedThresholds
from talkies.retrieval.recurrence.diagonal_runs import DiagonalRun
from talkies.retrieval.recurrence.families import FilmSpan
from talkies.retrieval.recurrence.timeline import ClipTimeline

MIN_SHARE = 0.5
"""Two films are near-duplicates if this share of the shorter one is found in the other at one offset."""
MIN_SECONDS = 60.0
"""Or if this much of both is."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Two films that share a long part.

    Args:
        modalities: The modalities that show it.
        first: The shared part in the first film.
        second: The shared part in the second film.
        offset_seconds: How much later it is in the second film.
        first_share: The share of the first film's clips that are found in the second at that offset.
        second_share: The share of the second film's clips.
        score: The mean cosine of those clips.
    """

    modalities: tuple[Modality, ...]
    first: FilmSpan
    second: FilmSpan
    offset_seconds: float
    first_share: float
    second_share: float
    score: float


def find_duplicates(
    modality: Modality, timeline: ClipTimeline, runs: Sequence[DiagonalRun], thresholds: CalibratedThresholds
) -> tuple[list[Duplicate], list[DiagonalRun]]:
    """Return the near-duplicate films among those that share runs, and the runs that they do not explain.

    Args:
        modality: The modality that the runs were found by.
        timeline: The clips.
        runs: Verified runs.
        thresholds: What scores mean in this library.
    """
    runs_of = defaultdict(list)
    for run in runs:
        runs_of[timeline.find_film(run.first), timeline.find_film(run.first + run.shift)].append(run)

    duplicates, unexplained = [], []
    for (first, second), shared_runs in sorted(runs_of.items()):
        duplicate, shift = None, 0
        if first != second:
            duplicate, shift = _compare_films(modality, timeline, shared_runs, thresholds)
        if duplicate is not None:
            duplicates.append(duplicate)
        unexplained += [run for run in shared_runs if duplicate is None or abs(run.shift - shift) > 1]
    return duplicates, sorted(unexplained, key=lambda run: (run.first, run.shift))


def merge_modalities(duplicates: Sequence[Duplicate], tolerance_seconds: float) -> list[Duplicate]:
    """Return the duplicates with those that both modalities show at one offset merged into one.

    The merged one has the numbers of the modality that shows the larger share.

    Args:
        duplicates: The duplicates found by each modality.
        tolerance_seconds: The largest difference between two offsets that are the same.
    """
    merged: dict[tuple[str, str], list[Duplicate]] = defaultdict(list)
    for duplicate in sorted(duplicates, key=lambda each: -max(each.first_share, each.second_share)):
        same_films = merged[duplicate.first.film_id, duplicate.second.film_id]
        for number, other in enumerate(same_films):
            if abs(other.offset_seconds - duplicate.offset_seconds) <= tolerance_seconds:
                both = {*other.modalities, *duplicate.modalities}
                same_films[number] = replace(other, modalities=tuple(sorted(both, reverse=True)))
                break
        else:
            same_films.append(duplicate)
    return [duplicate for _, same_films in sorted(merged.items()) for duplicate in same_films]


def find_contained_films(duplicates: Sequence[Duplicate]) -> set[str]:
    """Return the films of which at least half is found in another film."""
    return {
        each.first.film_id if each.first_share > each.second_share else each.second.film_id
        for each in duplicates
        if max(each.first_share, each.second_share) >= MIN_SHARE
    }


def _compare_films(
    modality: Modality, timeline: ClipTimeline, runs: Sequence[DiagonalRun], thresholds: CalibratedThresholds
) -> tuple[Duplicate | None, int]:
    """Return the duplicate that two films are, if they are one, and the shift at which they are most similar."""
    first, second = timeline.find_film(runs[0].first), timeline.find_film(runs[0].first + runs[0].shift)
    totals = {run.shift: float(_score_shift(timeline, first, second, run.shift)[1].sum()) for run in runs}
    shift = max(totals, key=lambda each: (totals[each], -each))

    # Measure how much of each film is shared.
    position_K, score_K = _find_shared_clips(timeline, first, second, shift, thresholds)
    first_share, second_share = (
        len(position_K) / int(np.count_nonzero(timeline.film_N == film)) for film in (first, second)
    )
    if max(first_share, second_share) < MIN_SHARE and len(position_K) * timeline.stride_seconds < MIN_SECONDS:
        return None, shift

    # Refine the offset to a fraction of a stride, by the runs along this shift.
    along = [run for run in runs if abs(run.shift - shift) <= 1]
    lag = float(np.average([run.shift - shift + run.lag for run in along], weights=[run.length for run in along]))
    start, length = int(position_K[0]), int(position_K[-1] - position_K[0]) + 1
    offset_strides = shift - int(timeline.begin_F[second] - timeline.begin_F[first]) + lag
    duplicate = Duplicate(
        modalities=(modality,),
        first=timeline.get_span(first, start, length),
        second=timeline.get_span(second, start + shift, length, lag),
        offset_seconds=offset_strides * timeline.stride_seconds,
        first_share=min(1.0, first_share),
        second_share=min(1.0, second_share),
        score=float(score_K.mean()),
    )
    return duplicate, shift


def _score_shift(timeline: ClipTimeline, first: int, second: int, shift: int) -> tuple[Int64s, Float32s]:
    """Return the positions of the first film's clips that have a counterpart at a shift, and their scores."""
    own = np.flatnonzero(timeline.film_N == first)
    other = timeline.find_rows(timeline.position_N[own] + shift)
    exists = (other >= 0) & (timeline.film_N[other] == second)
    return timeline.position_N[own[exists]], timeline.score_pairs(own[exists], other[exists])


def _find_shared_clips(
    timeline: ClipTimeline, first: int, second: int, shift: int, thresholds: CalibratedThresholds
) -> tuple[Int64s, Float32s]:
    """Return the positions and scores of the first film's clips that are found in the second near a shift.

    A single clip may be similar to another by chance; as many in a row as the shortest run (single ones may be missing)
    are not.
    """
    best: dict[int, float] = {}
    for offset in (-1, 0, 1):
        for position, score in zip(*_score_shift(timeline, first, second, shift + offset), strict=True):
            best[int(position)] = max(float(score), best.get(int(position), -1.0))
    similar = sorted(position for position, score in best.items() if score >= thresholds.pair_score)
    position_K = np.array(similar, np.int64)

    # Keep the stretches that are long enough.
    if len(position_K):
        stretch_K = np.cumsum(np.diff(position_K, prepend=-9) > 2) - 1
        position_K = position_K[np.bincount(stretch_K, minlength=1)[stretch_K] >= thresholds.min_clips]
    return position_K, np.array([best[position] for position in position_K.tolist()], np.float32)
