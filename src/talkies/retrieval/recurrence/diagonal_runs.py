"""Find repeated passages: runs of similar clips along the diagonals of the similarity matrix.

                 film B →                  A passage that repeats is a diagonal line: clip after clip is similar to the
        . . . . . . . . . .                other occurrence's clip after clip. A sustained sound or a still picture is a
        . . . . o . . . . .                block and no line: it is just as similar to its repetition out of step, and
      ↓ . . . . . o . . . .    film A      counts as one clip, which may be similar to another by chance.
        . . . . . . o . . .

A run is a passage if chance reaches neither its mean score (`CalibratedThresholds.get_run_score`) nor the scores of its
independent clips (`compute_log_chance`); 1/1000 run is expected by chance among all pairs of a library.

Shapes: `C` pairs, `K` shifts, `L` clips of a run, `G` clips between a run and its repetition.
"""

from dataclasses import dataclass
from math import log

import numpy as np

from talkies.core import Float64s
from talkies.retrieval.recurrence.calibration import EXPECTED_FALSE_RUNS, CalibratedThresholds
from talkies.retrieval.recurrence.similarity import MAX_PARTNERS, ScoredPairs, find_top_pairs
from talkies.retrieval.recurrence.timeline import ClipTimeline

_MIN_END_SHARE = 0.5  # the least score of a run's first and last clip, as a share of its mean score
_MIN_SHARED_LENGTH = 0.5  # the overlap from which on runs of neighbouring diagonals are one, as a share of the shorter
_MAX_MISSING = 1  # consecutive pairs that may be missing in a run
_NO_SCORE = -2.0  # below every cosine


@dataclass(frozen=True, slots=True)
class DiagonalRun:
    """Consecutive clips that are similar to those `shift` strides later.

    Args:
        first: The position of the first clip.
        length: The number of clips.
        shift: The distance to the repetition, in strides.
        score: The mean cosine of the pairs.
        lag: The fraction of a stride by which the best shift is greater.
    """

    first: int
    length: int
    shift: int
    score: float
    lag: float

    @property
    def position_L(self) -> np.ndarray:
        """The positions of its clips."""
        return np.arange(self.first, self.first + self.length)


def find_runs(timeline: ClipTimeline, thresholds: CalibratedThresholds) -> list[DiagonalRun]:
    """Return all passages of one modality that repeat, each once, in the order of positions."""
    if len(timeline) < 2 * thresholds.min_clips:
        return []
    clips = timeline.positioned_rows
    pairs = find_top_pairs(
        clips, clips, min_score=thresholds.pair_score, min_gap=thresholds.min_gap, max_partners=MAX_PARTNERS
    )
    candidates = _suppress_neighbours(_link_pairs(timeline, pairs, thresholds))
    runs = [run for candidate in candidates if (run := _verify_run(timeline, candidate, thresholds)) is not None]
    return sorted(_suppress_neighbours(runs), key=lambda run: (run.first, run.shift))


def _link_pairs(timeline: ClipTimeline, pairs: ScoredPairs, thresholds: CalibratedThresholds) -> list[DiagonalRun]:
    """Return the runs of pairs along each diagonal; single pairs may be missing."""
    low_C = timeline.position_N[np.minimum(pairs.first_C, pairs.second_C)]
    high_C = timeline.position_N[np.maximum(pairs.first_C, pairs.second_C)]
    if not len(low_C):
        return []

    # Sort by diagonal and position along it; the same pair may have been found from both sides.
    size = len(timeline.row_P)
    key_C, index_C = np.unique((high_C - low_C) * size + low_C, return_index=True)
    shift_C, position_C = np.divmod(key_C, size)
    score_C = pairs.score_C[index_C]

    # Start a run at each new diagonal and after each gap.
    gap_C = np.diff(position_C, prepend=-9) > _MAX_MISSING + 1
    starts = np.flatnonzero((np.diff(shift_C, prepend=-1) != 0) | gap_C)
    counts = np.diff(starts, append=len(shift_C))
    totals = np.add.reduceat(score_C, starts)
    runs = []
    for start, count, total in zip(starts, counts, totals, strict=True):
        if count >= thresholds.min_clips:
            first, last = int(position_C[start]), int(position_C[start + count - 1])
            runs.append(DiagonalRun(first, last - first + 1, int(shift_C[start]), float(total / count), 0.0))
    return runs


def _suppress_neighbours(runs: list[DiagonalRun]) -> list[DiagonalRun]:
    """Return the runs without those next to a better one: the same passage one or two strides off."""
    kept: dict[int, list[DiagonalRun]] = {}
    best_first = sorted(runs, key=lambda run: (-run.score * run.length, run.first, run.shift))
    for run in best_first:
        near = [other for shift in range(run.shift - 2, run.shift + 3) for other in kept.get(shift, ())]
        if not any(_count_shared(run, other) > _MIN_SHARED_LENGTH * min(run.length, other.length) for other in near):
            kept.setdefault(run.shift, []).append(run)
    return [run for same_shift in kept.values() for run in same_shift]


def _count_shared(run: DiagonalRun, other: DiagonalRun) -> int:
    end = min(run.first + run.length, other.first + other.length)
    return max(0, end - max(run.first, other.first))


def _verify_run(timeline: ClipTimeline, run: DiagonalRun, thresholds: CalibratedThresholds) -> DiagonalRun | None:
    """Return a candidate at its full length, or None if it may be due to chance."""
    run = _extend_run(timeline, run, thresholds.pair_score)
    same_film = timeline.find_film(run.first) == timeline.find_film(run.first + run.shift)
    if same_film and run.length > run.shift:  # it would overlap its own repetition
        run = DiagonalRun(run.first, run.shift, run.shift, run.score, 0.0)
    if run.length < thresholds.min_clips:
        return None

    # Compare the run with the neighbouring diagonals.
    reach = timeline.clip_strides + 2
    score_K = np.array([_score_shifted(timeline, run, offset) for offset in range(-reach, reach + 1)])
    if same_film:  # a passage is similar to itself
        score_K[: max(0, reach - run.shift + thresholds.min_gap)] = np.nan
    score = float(score_K[reach])
    clips = _count_independent_clips(run, score_K, timeline.clip_strides)

    log_chance = thresholds.log_pairs + clips * thresholds.compute_log_chance(score)
    if score < thresholds.get_run_score(run.length) or log_chance > log(EXPECTED_FALSE_RUNS):
        return None
    if same_film and not _is_interrupted(timeline, run, thresholds.continuity_score):
        return None
    return DiagonalRun(run.first, run.length, run.shift, score, _find_peak(score_K[reach - 1 : reach + 2]))


def _count_independent_clips(run: DiagonalRun, score_K: Float64s, clip_strides: int) -> float:
    """Return the number of independent clips of a run, judged by the scores of the neighbouring diagonals.

    A sustained sound, or a shot in which nothing moves, is as similar to its repetition slightly out of step, and
    counts as one clip however long it lasts. The number is the effective sample size of a first-order autoregressive
    series.
    """
    reach = len(score_K) // 2
    out_of_step_K = np.abs(np.arange(-reach, reach + 1)) > clip_strides
    others = score_K[out_of_step_K & ~np.isnan(score_K)]
    correlation = float(np.clip(others.mean() / float(score_K[reach]), 0, 1)) if len(others) else 1.0
    return max(1.0, run.length / clip_strides * (1 - correlation) / (1 + correlation))


def _is_interrupted(timeline: ClipTimeline, run: DiagonalRun, min_score: float) -> bool:
    """Return whether something else, or silence or black, is between a passage and its repetition."""
    row_G = timeline.find_rows(np.arange(run.first + run.length, run.first + run.shift))
    if (row_G < 0).any():
        return True
    row_L = timeline.find_rows(run.position_L)
    score_GL = timeline.rows_ND[row_G] @ timeline.rows_ND[row_L[row_L >= 0]].T
    return bool((score_GL.max(axis=1) < min_score).any())


def _extend_run(timeline: ClipTimeline, run: DiagonalRun, min_score: float) -> DiagonalRun:
    """Return a run extended or cut to where its end clips score at least half of its mean score."""
    min_score = max(min_score, _MIN_END_SHARE * run.score)
    first, last = run.first, run.first + run.length - 1
    while _score_pair(timeline, first - 1, run.shift) >= min_score:
        first -= 1
    while _score_pair(timeline, last + 1, run.shift) >= min_score:
        last += 1
    while first < last and _score_pair(timeline, first, run.shift) < min_score:
        first += 1
    while first < last and _score_pair(timeline, last, run.shift) < min_score:
        last -= 1
    return DiagonalRun(first, last - first + 1, run.shift, run.score, 0.0)


def _score_pair(timeline: ClipTimeline, position: int, shift: int) -> float:
    first, second = timeline.find_rows(np.array([position, position + shift]))
    return float(timeline.rows_ND[first] @ timeline.rows_ND[second]) if first >= 0 and second >= 0 else _NO_SCORE


def _score_shifted(timeline: ClipTimeline, run: DiagonalRun, offset: int) -> float:
    """Return the mean score of a run `offset` diagonals further; NaN if more than half of the pairs are missing."""
    left_L, right_L = timeline.find_rows(run.position_L), timeline.find_rows(run.position_L + run.shift + offset)
    exists_L = (left_L >= 0) & (right_L >= 0)
    if 2 * np.count_nonzero(exists_L) < run.length:
        return float("nan")
    return float(timeline.score_pairs(left_L[exists_L], right_L[exists_L]).mean())


def _find_peak(score_3: Float64s) -> float:
    """Return the offset of the peak between three neighbouring scores, in strides (a parabola through the three)."""
    before, middle, after = score_3
    curvature = before - 2 * middle + after
    if np.isnan(curvature) or curvature >= 0:
        return 0.0
    return float(np.clip((before - after) / (2 * curvature), -0.5, 0.5))
