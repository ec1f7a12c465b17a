"""Passages that come back: runs along the diagonals of what two films' clips have in common.

                 film B →                  A passage that comes back is a line: clip after clip is like the other
        . . . . . . . . . .                passage's clip after clip. What is sustained, a drone or a picture that
        . . . . o . . . . .                stands still, is a field and no line: it is as much like its return out of
      ↓ . . . . . o . . . .    film A      step, and counts as one clip, which is like another by chance now and then.
        . . . . . . o . . .

A run is a passage if neither runs at random places are so alike on the whole (`Levels.run`), nor so many clips of
random pairs that speak for themselves (`Levels.log_chance`); of all pairs of a library 1/1000 run would be expected.

Shapes: as in `alike`; `K` shifts, `L` lengths or clips of a passage.
"""

from bisect import bisect_right
from dataclasses import dataclass
from math import ceil, log

import numpy as np

from talkies.core import Float32s, Float64s, Int64s
from talkies.retrieval.recurrence.similarity import (
    FALSE_RUNS,
    MOST_PARTNERS,
    Cells,
    Placed,
    Sequences,
    chance_level,
    random_pairs,
    scores_of,
    top_pairs,
)

LEAST_CLIPS = 3
_LENGTHS = 1, 1.5, 2, 3, 4, 6, 8  # times the least
_RECURRING = 3  # of all clips, so many may a clip be like that are really the same
_ENOUGH = 200  # runs at random places that tell a level
_END = 0.5  # of the mean score: what the first and the last clip have at least
_NEVER = 2.0  # no cosine is so great
_SAME_LINE = 0.5  # of two runs of neighbouring lines: what they share of the shorter


@dataclass(frozen=True, slots=True)
class Run:
    """Rows `[first, first + length)` in places, alike row by row to those `shift` places later; `score` is their mean
    cosine, `lag` by what part of a stride the best shift is more.
    """

    first_place: int
    length: int
    shift: int
    score: float
    lag: float


@dataclass(frozen=True, slots=True)
class Levels:
    """What scores mean in a library, told by random pairs of the very clips that are compared, and of runs of them.

    `cell`: from where on as many clips in a row as a run has at least are looked at. `run_L`: for runs of `length_L`
    clips and more, the mean score that no run at a random place would have. `score_C`: scores of random pairs in order.
    `going_on`: what half of the neighbouring clips have.
    """

    cell: float
    length_L: tuple[int, ...]
    run_L: tuple[float, ...]
    score_C: Float32s
    going_on: float
    log_pairs: float
    apart_places: int

    @property
    def least_clips(self) -> int:
        """How many clips a run has at least."""
        return self.length_L[0]

    def run(self, length: int) -> float:
        """Return the mean score that a run of so many clips must have."""
        return self.run_L[bisect_right(self.length_L, length) - 1]

    def log_chance(self, score: float) -> float:
        """Return the logarithm of the share of random pairs that are as alike; beyond the last of them drawn on."""
        count = len(self.score_C)
        above = count - int(np.searchsorted(self.score_C, score))
        enough = max(1, count // 1000)
        if above >= enough:
            return log(above / count)
        z_C = np.arctanh(np.clip(self.score_C[-enough:], -0.99999, 0.99999))
        fall = max(float(z_C.mean() - z_C[0]), 1e-3)
        return log(enough / count) - (float(np.arctanh(min(score, 0.99999))) - float(z_C[0])) / fall


def levels_of(found: Sequences, least_seconds: float) -> Levels:
    """Return the levels of one side of a library, for passages of so many seconds at least."""
    stride, clip = found.stride_seconds, found.clip_seconds
    least_clips = max(LEAST_CLIPS, ceil((least_seconds - clip) / stride - 1e-9) + 1)
    apart_places = max(least_clips, found.clip_places + 1)
    first_C, second_C = random_pairs(found, apart_places)
    score_C = np.sort(scores_of(found.rows_ND, found.rows_ND, first_C, second_C))
    pairs = max(1.0, len(found) ** 2 / 2)
    if len(score_C) < 2:
        return Levels(_NEVER, (least_clips,), (_NEVER,), score_C, _NEVER, log(pairs), apart_places)
    cell = chance_level(score_C, 0.9, min(0.02, (FALSE_RUNS / pairs) ** (1 / least_clips)))
    lengths, levels = _run_levels(found, (first_C, second_C), least_clips, FALSE_RUNS / pairs)
    next_C = np.flatnonzero(np.diff(found.place_N) == 1)
    beside_C = scores_of(found.rows_ND, found.rows_ND, next_C, next_C + 1)
    going_on = max(cell, float(np.median(beside_C))) if len(beside_C) else cell
    return Levels(cell, lengths, levels, score_C, going_on, log(pairs), apart_places)


def _run_levels(
    found: Sequences, pairs: tuple[Int64s, Int64s], least_clips: int, chance: float
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return lengths of runs, and for each the mean score that runs at random places have with so small a chance."""
    place_C, other_C = (found.place_N[row_C] for row_C in pairs)
    total_C, whole_C = np.zeros(len(place_C)), np.ones(len(place_C), np.bool_)
    quantile = min(0.999, max(0.8, 1 - _RECURRING / len(found)))
    lengths, levels = list[int](), list[float]()
    for step in range(ceil(max(_LENGTHS) * least_clips)):
        left_C, right_C = found.row_at(place_C + step), found.row_at(other_C + step)
        whole_C &= (left_C >= 0) & (right_C >= 0)
        if np.count_nonzero(whole_C) < _ENOUGH and lengths:
            break
        total_C += scores_of(found.rows_ND, found.rows_ND, left_C, right_C)
        if step + 1 in {ceil(by * least_clips) for by in _LENGTHS}:
            lengths.append(step + 1)
            there_C = whole_C if whole_C.any() else np.ones_like(whole_C)
            levels.append(chance_level(total_C[there_C] / (step + 1), quantile, chance))
    return tuple(lengths), tuple(levels)


def find_runs(found: Sequences, levels: Levels) -> list[Run]:
    """Return all passages of one side that come back, each once, in the order of places."""
    if len(found) < 2 * levels.least_clips:
        return []
    side = Placed(found.rows_ND, found.place_N)
    cells = top_pairs(side, side, levels.cell, levels.apart_places, MOST_PARTNERS)
    drawn = _without_neighbours(_lines(found, cells, levels))
    runs = [run for candidate in drawn if (run := _looked_at(found, candidate, levels)) is not None]
    return sorted(_without_neighbours(runs), key=lambda run: (run.first_place, run.shift))


def _lines(found: Sequences, cells: Cells, levels: Levels) -> list[Run]:
    """Return the runs of cells along each diagonal, one missing now and then."""
    low_C = found.place_N[np.minimum(cells.first_C, cells.second_C)]
    high_C = found.place_N[np.maximum(cells.first_C, cells.second_C)]
    if not len(low_C):
        return []
    line_C, which_C = np.unique((high_C - low_C) * len(found.row_P) + low_C, return_index=True)
    shift_C, place_C = np.divmod(line_C, len(found.row_P))
    score_C = cells.score_C[which_C]
    breaks_C = (np.diff(shift_C, prepend=-1) != 0) | (np.diff(place_C, prepend=-9) > 2)
    begins = np.flatnonzero(breaks_C)
    counts = np.diff(begins, append=len(shift_C))
    sums = np.add.reduceat(score_C, begins)
    return [
        Run(int(place_C[at]), int(place_C[at + n - 1] - place_C[at]) + 1, int(shift_C[at]), float(total / n), 0.0)
        for at, n, total in zip(begins, counts, sums, strict=True)
        if n >= levels.least_clips
    ]


def _without_neighbours(runs: list[Run]) -> list[Run]:
    """Return the runs less those that lie beside a better one: the same passage, seen a stride off."""
    kept: dict[int, list[Run]] = {}
    best_first = sorted(runs, key=lambda run: (-run.score * run.length, run.first_place, run.shift))
    for run in best_first:
        near = [other for shift in range(run.shift - 2, run.shift + 3) for other in kept.get(shift, ())]
        if not any(_shared(run, other) > _SAME_LINE * min(run.length, other.length) for other in near):
            kept.setdefault(run.shift, []).append(run)
    return [run for some in kept.values() for run in some]


def _shared(one: Run, other: Run) -> int:
    end = min(one.first_place + one.length, other.first_place + other.length)
    return max(0, end - max(one.first_place, other.first_place))


def _looked_at(found: Sequences, run: Run, levels: Levels) -> Run | None:
    """Return a candidate at its full length, if it is no chance.

    How many clips of it speak for themselves is told by the lines beside it: a sustained sound, or a shot in which
    nothing moves, is as much like its return a little out of step, and counts as one clip however long it lasts.
    """
    run = _grown(found, run, levels.cell)
    same_film = found.film_at(run.first_place) == found.film_at(run.first_place + run.shift)
    if same_film and run.length > run.shift:  # it would overlap its own return
        run = Run(run.first_place, run.shift, run.shift, run.score, 0.0)
    if run.length < levels.least_clips:
        return None
    look = found.clip_places + 2
    beside_K = np.array([_mean_at(found, run, by) for by in range(-look, look + 1)])
    if same_film:  # a passage is like itself
        beside_K[: max(0, look - run.shift + levels.apart_places)] = np.nan
    score, beside = float(beside_K[look]), np.abs(np.arange(-look, look + 1)) > found.clip_places
    others = beside_K[beside & ~np.isnan(beside_K)]
    out_of_step = float(np.clip(others.mean() / score, 0, 1)) if len(others) else 1.0
    apart = run.length / found.clip_places
    clips = max(1.0, apart * (1 - out_of_step) / (1 + out_of_step))  # of a series that changes so slowly, as many
    if score < levels.run(run.length) or levels.log_pairs + clips * levels.log_chance(score) > log(FALSE_RUNS):
        return None
    if same_film and not _gone_between(found, run, levels.going_on):
        return None
    return Run(run.first_place, run.length, run.shift, score, _peak(beside_K[look - 1 : look + 2]))


def _gone_between(found: Sequences, run: Run, least: float) -> bool:
    """Return whether something else, or silence or black, lies between a passage and its return."""
    between_P = np.arange(run.first_place + run.length, run.first_place + run.shift)
    row_G = found.row_at(between_P)
    if (row_G < 0).any():
        return True
    row_L = found.row_at(np.arange(run.first_place, run.first_place + run.length))
    score_GL = found.rows_ND[row_G] @ found.rows_ND[row_L[row_L >= 0]].T
    return bool((score_GL.max(axis=1) < least).any())


def _grown(found: Sequences, run: Run, least: float) -> Run:
    """Return a run that goes as far as its clips are alike, and at its ends at least half as much as in the middle."""
    least = max(least, _END * run.score)
    first, last = run.first_place, run.first_place + run.length - 1
    while _score(found, first - 1, run.shift) >= least:
        first -= 1
    while _score(found, last + 1, run.shift) >= least:
        last += 1
    while first < last and _score(found, first, run.shift) < least:
        first += 1
    while first < last and _score(found, last, run.shift) < least:
        last -= 1
    return Run(first, last - first + 1, run.shift, run.score, 0.0)


def _score(found: Sequences, place: int, shift: int) -> float:
    one, other = found.row_at(np.array([place, place + shift]))
    return float(found.rows_ND[one] @ found.rows_ND[other]) if one >= 0 and other >= 0 else -2.0


def _mean_at(found: Sequences, run: Run, by: int) -> float:
    """Return the mean score of a run's clips with those `by` places beside its return; nothing if half are missing."""
    place_L = np.arange(run.first_place, run.first_place + run.length)
    left_L, right_L = found.row_at(place_L), found.row_at(place_L + run.shift + by)
    there_L = (left_L >= 0) & (right_L >= 0)
    if 2 * np.count_nonzero(there_L) < run.length:
        return float("nan")
    return float(scores_of(found.rows_ND, found.rows_ND, left_L[there_L], right_L[there_L]).mean())


def _peak(score_3: Float64s) -> float:
    """Return where between its neighbours the middle score's peak lies, in strides (a parabola through the three)."""
    before, here, after = score_3
    bend = before - 2 * here + after
    if np.isnan(bend) or bend >= 0:
        return 0.0
    return float(np.clip((before - after) / (2 * bend), -0.5, 0.5))
