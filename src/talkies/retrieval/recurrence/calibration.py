"""Thresholds for repeated passages, calibrated on random pairs of a library's own clips.

Shapes: `C` random pairs, `L` lengths of runs.
"""

from bisect import bisect_right
from dataclasses import dataclass
from math import ceil, log

import numpy as np

from talkies.core import Float32s, Int64s
from talkies.retrieval.recurrence.similarity import MAX_COSINE, estimate_null_quantile
from talkies.retrieval.recurrence.timeline import ClipTimeline

EXPECTED_FALSE_RUNS = 1e-3
"""The number of runs expected by chance among all pairs of a library in which nothing repeats."""
MIN_CLIPS = 3
_SAMPLE_PAIRS = 20_000
_LENGTH_FACTORS = 1, 1.5, 2, 3, 4, 6, 8  # lengths of runs, as multiples of the least
_MAX_TRUE_REPEATS = 3  # a clip may truly repeat this many times; such pairs are kept out of the fit
_MIN_SAMPLE_RUNS = 200  # random runs needed to calibrate a length
_UNREACHABLE = 2.0  # above every cosine
_MAX_PAIR_CHANCE = 0.02


@dataclass(frozen=True, slots=True)
class CalibratedThresholds:
    """What scores mean in one library, for one modality.

    Args:
        pair_score: The least score of a pair of clips that may be part of a run.
        length_L: Lengths of runs, in clips, ascending; the first is the least length of a run.
        run_score_L: For runs of at least that length, the mean score that chance does not reach.
        null_score_C: Scores of random pairs, ascending.
        continuity_score: The median score of neighbouring clips, at least `pair_score`.
        log_pairs: The logarithm of the number of pairs of clips.
        min_gap: The least distance between the two clips of a pair, in strides.
    """

    pair_score: float
    length_L: tuple[int, ...]
    run_score_L: tuple[float, ...]
    null_score_C: Float32s
    continuity_score: float
    log_pairs: float
    min_gap: int

    @property
    def min_clips(self) -> int:
        """The least length of a run, in clips."""
        return self.length_L[0]

    def get_run_score(self, length: int) -> float:
        """Return the least mean score of a run of this length."""
        return self.run_score_L[bisect_right(self.length_L, length) - 1]

    def compute_log_chance(self, score: float) -> float:
        """Return the log probability that a random pair scores this much; beyond the sample it is extrapolated."""
        count = len(self.null_score_C)
        above = count - int(np.searchsorted(self.null_score_C, score))
        tail_count = max(1, count // 1000)
        if above >= tail_count:
            return log(above / count)

        # An exponential tail in Fisher's z, fitted to the highest thousandth of the sample.
        z_C = np.arctanh(np.clip(self.null_score_C[-tail_count:], -MAX_COSINE, MAX_COSINE))
        mean_excess = max(float(z_C.mean() - z_C[0]), 1e-3)
        excess = float(np.arctanh(min(score, MAX_COSINE))) - float(z_C[0])
        return log(tail_count / count) - excess / mean_excess


def calibrate_thresholds(timeline: ClipTimeline, min_seconds: float) -> CalibratedThresholds:
    """Return the thresholds of a library for one modality.

    Args:
        timeline: The clips.
        min_seconds: The least duration of a passage.
    """
    stride, clip = timeline.stride_seconds, timeline.clip_seconds
    min_clips = max(MIN_CLIPS, ceil((min_seconds - clip) / stride - 1e-9) + 1)
    min_gap = max(min_clips, timeline.clip_strides + 1)
    first_C, second_C = _sample_random_pairs(timeline, min_gap)
    null_score_C = np.sort(timeline.score_pairs(first_C, second_C))
    pairs = max(1.0, len(timeline) ** 2 / 2)
    if len(null_score_C) < 2:
        return CalibratedThresholds(
            pair_score=_UNREACHABLE,
            length_L=(min_clips,),
            run_score_L=(_UNREACHABLE,),
            null_score_C=null_score_C,
            continuity_score=_UNREACHABLE,
            log_pairs=log(pairs),
            min_gap=min_gap,
        )

    pair_chance = min(_MAX_PAIR_CHANCE, (EXPECTED_FALSE_RUNS / pairs) ** (1 / min_clips))
    pair_score = estimate_null_quantile(null_score_C, 0.9, pair_chance)
    lengths, run_scores = _calibrate_runs(timeline, (first_C, second_C), min_clips, EXPECTED_FALSE_RUNS / pairs)
    neighbour_C = timeline.find_neighbours()
    continuity_C = timeline.score_pairs(neighbour_C, neighbour_C + 1)
    return CalibratedThresholds(
        pair_score=pair_score,
        length_L=lengths,
        run_score_L=run_scores,
        null_score_C=null_score_C,
        continuity_score=max(pair_score, float(np.median(continuity_C))) if len(continuity_C) else pair_score,
        log_pairs=log(pairs),
        min_gap=min_gap,
    )


def _sample_random_pairs(timeline: ClipTimeline, min_gap: int) -> tuple[Int64s, Int64s]:
    """Return random pairs of clips at least `min_gap` strides apart; the same ones for the same library."""
    random = np.random.default_rng(0)
    count = min(_SAMPLE_PAIRS, len(timeline) ** 2)
    first_C, second_C = random.integers(0, max(len(timeline), 1), (2, count))
    far_C = np.abs(timeline.position_N[first_C] - timeline.position_N[second_C]) >= min_gap
    return first_C[far_C], second_C[far_C]


def _calibrate_runs(
    timeline: ClipTimeline, pairs: tuple[Int64s, Int64s], min_clips: int, chance: float
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return lengths of runs, and for each the mean score that random runs exceed with probability `chance`."""
    first_C, second_C = (timeline.position_N[row_C] for row_C in pairs)
    total_C, complete_C = np.zeros(len(first_C)), np.ones(len(first_C), np.bool_)
    fit_quantile = min(0.999, max(0.8, 1 - _MAX_TRUE_REPEATS / len(timeline)))
    wanted_lengths = {ceil(factor * min_clips) for factor in _LENGTH_FACTORS}
    lengths, scores = list[int](), list[float]()
    for step in range(max(wanted_lengths)):
        left_C, right_C = timeline.find_rows(first_C + step), timeline.find_rows(second_C + step)
        complete_C &= (left_C >= 0) & (right_C >= 0)
        if np.count_nonzero(complete_C) < _MIN_SAMPLE_RUNS and lengths:
            break
        total_C += timeline.score_pairs(left_C, right_C)
        if step + 1 in wanted_lengths:
            used_C = complete_C if complete_C.any() else np.ones_like(complete_C)
            lengths.append(step + 1)
            scores.append(estimate_null_quantile(total_C[used_C] / (step + 1), fit_quantile, chance))
    return tuple(lengths), tuple(scores)
