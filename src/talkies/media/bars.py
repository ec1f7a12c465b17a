"""Find the letterbox and pillarbox bars that are burnt into a film's pictures, and the frames at which they change.

Bars are dark and flat, and end at a straight edge that is at the same place in every bright picture; a dark scene has
a dark edge, but no such line. So each picture is asked four times, once for each side, where its content begins and
whether it begins with a straight step. Pictures without solid content, such as black ones, titles and most night
scenes, say nothing.

    coverage of rows      0 0 0 0 0 .3 .3 0 0 0 1 1 1 1 1 …     share of pixels that differ from the bar
                          └───bar──┴─text─┴────┘ └─ picture: the first row from which on nearly all rows are covered

Pictures of twice 128 rows and more are looked at in blocks, so that the same edge is as sharp at any size.
What the pictures say is then explained by as few changes of bars as possible (dynamic programming over frames): a
change costs as much as a second or so of unexplained pictures.

Shapes: `F` frames, `H` rows, `W` columns, `N` rows or columns along one axis, `S` states.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from talkies.core import Bars, BarSpan, Bools, Float64s, Int64s, UInt8s, average_blocks, choose_block_side

_MAX_LEVEL = 64  # luma of a bar's brightest pixels in the outermost row; black is 16
_MAX_EDGE_SPREAD = 8.0  # standard deviation of the outermost row of a bar, grain included
_MIN_TOLERANCE = 5.0  # levels by which content differs from a bar, at least
_MIN_STEP = 10.0  # levels by which the first whole row of the picture differs, at least
_MAX_BAR_SHARE = 0.42  # of a side, for one bar
_SOLID_SHARE = 0.55  # of the pixels within the edges; less is text, or a light in the dark
_COVER_SHARE = 0.5  # coverage of a picture's row, relative to that of its well covered rows
_RUN_SHARE, _RUN_COVERED = 0.125, 0.9  # the picture's first rows (1/8 of the side), and how many are covered
_MIN_PARTIAL = 0.8  # a first row that differs less than this share of the next one is partly bar

_SAMPLES_PER_SECOND = 4
_MAX_STATES = 6
_UNEXPLAINED, _CONTRADICTED = 0.5, 1.0  # cost of a frame with deeper edges than its state's, or with content in a bar
_SWITCH_SECONDS = 0.75  # cost of a change, in seconds of contradicted frames
_MIN_SUPPORT = 0.3  # of the frames of a stretch that say anything
_MAX_LEVEL_CHANGE = 2.0  # standard deviation of a bar's level within a stretch
_SAME_SHARE = 0.15  # two bars are alike that differ by this share of their sum
_SCENE_LEVELS = 18.0  # mean difference of successive samples of two scenes
_MANY_SCENES = 4
_CLEAN_SHARE = 0.9  # of the pictures that show nothing in a bar at one end only: a night sky has stars
_THIN_SHARE = 0.06  # a single bar of at most this share is the edge of an analogue picture

_FIRST, _LAST = 0, 1
Costs = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _AxisReading:
    """Where the content of one picture begins along one axis, from both ends, and whether it begins with a step.

    `is_clean` says that nothing is written in what would be the bar.
    """

    reach: tuple[int, int]
    is_sharp: tuple[bool, bool]
    has_partial_row: tuple[bool, bool] = (False, False)
    is_clean: tuple[bool, bool] = (False, False)
    level: float = 0.0


_NO_BARS = _AxisReading((0, 0), (False, False))


@dataclass(frozen=True, slots=True)
class _Reading:
    """What one picture says; `rows` and `columns` are None if it says nothing."""

    rows: _AxisReading | None
    columns: _AxisReading | None
    scene: int


class BarFinder:
    """Takes the luma of a film's frames in order, looks at four a second, and finds their bars.

    Args:
        fps: the frame rate.
    """

    def __init__(self, fps: int) -> None:
        self._step = max(1, fps // _SAMPLES_PER_SECOND)
        self._frames = 0
        self._extents = self._size = (0, 0)  # height and width of the pictures, and in blocks
        self._factor = 1
        self._readings: list[_Reading] = []
        self._is_new = True  # whether any frame since the last sample shows another picture
        self._scene, self._last_sample = 0, np.zeros((0, 0), np.int16)

    def push(self, luma_HW: UInt8s, repeated: bool = False) -> None:
        """Take the next frame, luma `[H, W]`; `repeated` says that it shows the same picture as the one before."""
        self._is_new |= not repeated
        is_sample = self._frames % self._step == 0
        self._frames += 1
        if not is_sample:
            return
        if self._readings and not self._is_new:
            self._readings.append(self._readings[-1])
            return
        self._is_new = False
        self._extents = luma_HW.shape[0], luma_HW.shape[1]
        self._factor = choose_block_side(luma_HW)
        luma_HW = average_blocks(luma_HW, self._factor)
        self._size = luma_HW.shape[0], luma_HW.shape[1]
        rows, columns = _read_picture(luma_HW)
        self._count_scene(luma_HW)
        self._readings.append(_Reading(rows, columns, self._scene))

    def finish(self, cuts: Sequence[int] = ()) -> tuple[BarSpan, ...]:
        """Return the spans of frames with bars, in order; frames outside them have none.

        Args:
            cuts: the first frames of the film's shots: bars change at a cut. Where there is none near a change, the
                spans before and after it reach as far as the samples leave open, and so may overlap.
        """
        if not self._readings:
            return ()
        height, width = self._size
        rows = _AxisTrack([reading.rows for reading in self._readings], self._readings, height)
        columns = _AxisTrack([reading.columns for reading in self._readings], self._readings, width)
        bars_F4 = np.concatenate([rows.find_bars(), columns.find_bars()], axis=1)
        bars_F4 = _scale_bars(_drop_rare_windows(bars_F4, self._readings), self._extents, self._factor)

        changes = [0, *(np.flatnonzero((bars_F4[1:] != bars_F4[:-1]).any(axis=1)) + 1).tolist(), len(bars_F4)]
        spans = []
        for first, end in pairwise(changes):
            if end > first and bars_F4[first].any():
                start_frame, _ = self._locate_change(first, cuts)
                _, end_frame = self._locate_change(end, cuts)
                spans.append(BarSpan(start_frame, end_frame, *map(int, bars_F4[first])))
        return tuple(spans)

    def _locate_change(self, sample: int, cuts: Sequence[int]) -> tuple[int, int]:
        """Return the earliest and the latest frame at which the bars of a sample may begin."""
        latest = min(sample * self._step, self._frames)
        earliest = max(0, (sample - 1) * self._step + 1)
        if sample == 0 or latest == self._frames:
            return (0, 0) if sample == 0 else (self._frames, self._frames)
        near = [cut for cut in cuts if earliest <= cut <= latest]
        return (near[0], near[0]) if near else (earliest, latest)

    def _count_scene(self, luma_HW: UInt8s) -> None:
        sample = luma_HW[4::16, 4::16].astype(np.int16)
        last, self._last_sample = self._last_sample, sample
        if sample.shape != last.shape or np.abs(sample - last).mean() > _SCENE_LEVELS:
            self._scene += 1


def find_bars_of_picture(luma_HW: UInt8s) -> Bars:
    """Return the bars of a single picture, luma `[H, W]`: only alike ones at both ends, with straight edges."""
    extents, factor = luma_HW.shape, choose_block_side(luma_HW)
    luma_HW = average_blocks(luma_HW, factor)
    rows, columns = _read_picture(luma_HW)
    sides: list[int] = []
    for axis, extent in ((rows, luma_HW.shape[0]), (columns, luma_HW.shape[1])):
        alike = axis is not None and all(axis.is_sharp) and _are_alike(*axis.reach) and min(axis.reach) >= 0.02 * extent
        sides += _measure_bars([axis]) if axis is not None and alike else (0, 0)
    return Bars(*_scale_bars(np.array([sides]), (extents[0], extents[1]), factor)[0].tolist())


def _scale_bars(bars_F4: Int64s, extents: tuple[int, int], factor: int) -> Int64s:
    """Return bars in pixels from bars in blocks; a last block that is not whole belongs to the bar after it."""
    rests = np.array([0, extents[0] % factor, 0, extents[1] % factor])
    return np.where(bars_F4 > 0, bars_F4 * factor + rests, 0)


# One picture


def _read_picture(luma_HW: UInt8s) -> tuple[_AxisReading | None, _AxisReading | None]:
    """Return what a picture says of its bars along both axes."""
    edges = ((luma_HW[0], luma_HW[-1]), (luma_HW[:, 0], luma_HW[:, -1]))
    levels = [_find_level(*pair) for pair in edges]
    if levels == [None, None]:
        return _NO_BARS, _NO_BARS
    contents = [None if level is None else _Content.of(luma_HW, *level) for level in levels]
    reach, cover = [], []
    for axis, content in enumerate(contents):
        lit_NM = np.zeros((2, 2), np.bool_) if content is None else content.lit_HW if axis == 0 else content.lit_HW.T
        cover_N = np.count_nonzero(lit_NM, axis=1) / lit_NM.shape[1]
        cover.append(cover_N)
        reach.append((0, 0) if content is None else (_find_content(cover_N), _find_content(cover_N[::-1])))

    (top, bottom), (left, right) = reach
    rows, columns = slice(top, luma_HW.shape[0] - bottom), slice(left, luma_HW.shape[1] - right)
    inside = next(content for content in contents if content is not None).lit_HW[rows, columns]
    if not inside.size or np.count_nonzero(inside) < _SOLID_SHARE * inside.size:
        return None, None
    by_row, by_column = contents
    return (
        _read_axis(by_row.difference_HW[:, columns], reach[0], cover[0], by_row) if by_row else _NO_BARS,
        _read_axis(by_column.difference_HW[rows].T, reach[1], cover[1], by_column) if by_column else _NO_BARS,
    )


@dataclass(frozen=True, slots=True)
class _Content:
    """How much each pixel of a picture differs from the level of the bars, and which ones do."""

    level: float
    tolerance: float
    difference_HW: npt.NDArray[np.int16]
    lit_HW: Bools

    @classmethod
    def of(cls, luma_HW: UInt8s, level: float, spread: float) -> "_Content":
        tolerance = max(_MIN_TOLERANCE, 2.5 * spread)
        difference_HW = np.abs(luma_HW.astype(np.int16) - round(level))
        return cls(level, tolerance, difference_HW, difference_HW > tolerance)


def _find_level(*edges: UInt8s) -> tuple[float, float] | None:
    """Return the level of the darker of two opposite edges that may be a bar's, and its spread; None for none."""
    dark = [(float(edge.mean()), float(edge.std())) for edge in edges if edge.max() <= _MAX_LEVEL]
    return min(((level, spread) for level, spread in dark if spread <= _MAX_EDGE_SPREAD), default=None)


def _find_content(cover_N: Float64s) -> int:
    """Return the first row from which on nearly all rows are covered; the number of rows if there is none."""
    extent = len(cover_N)
    covered_N = cover_N >= _COVER_SHARE * np.partition(cover_N, -max(1, extent // 10))[-max(1, extent // 10)]
    covered_N &= cover_N > 0.05
    if covered_N[0] and covered_N.mean() > _RUN_COVERED:
        return 0
    run = max(4, round(_RUN_SHARE * extent))
    sums_N = np.cumsum(np.concatenate([[0], covered_N]))
    in_run_N = sums_N[run:] - sums_N[:-run]
    begins_N = covered_N[: len(in_run_N)] & (in_run_N >= _RUN_COVERED * run)
    return int(begins_N.argmax()) if begins_N.any() else extent


def _read_axis(
    difference_NM: npt.NDArray[np.int16], reach: tuple[int, int], cover_N: Float64s, content: _Content
) -> _AxisReading:
    step = max(_MIN_STEP, 1.5 * content.tolerance)
    mean_N = difference_NM.mean(axis=1) if difference_NM.size else np.zeros(len(cover_N))
    ends = [_read_end(mean_N, cover_N, reach[_FIRST], step), _read_end(mean_N[::-1], cover_N[::-1], reach[_LAST], step)]
    clean = [not cover[: max(1, depth - 1)].any() for cover, depth in zip((cover_N, cover_N[::-1]), reach, strict=True)]
    return _AxisReading(reach, (ends[0][0], ends[1][0]), (ends[0][1], ends[1][1]), (clean[0], clean[1]), content.level)


def _read_end(mean_N: Float64s, cover_N: Float64s, reach: int, step: float) -> tuple[bool, bool]:
    """Return whether content begins at row `reach` with a step, and whether that row is partly bar.

    Args:
        mean_N: the mean difference of each row from the bar's level, within the other axis' edges.
        cover_N: the share of each row's pixels that differ.
        reach: the first row of content.
        step: the least difference of the first whole row.
    """
    if not 1 <= reach <= _MAX_BAR_SHARE * len(mean_N):
        return False, False
    near = mean_N[reach + 1 : reach + 3].mean()
    beyond = mean_N[reach + 3 : reach + 11].mean()
    partial = bool(mean_N[reach] < _MIN_PARTIAL * near)
    bar_N = mean_N[: max(1, reach - 1)][cover_N[: max(1, reach - 1)] <= 0.02]
    is_flat = len(bar_N) > 0 and float(bar_N.max()) <= max(2.0, step / 4)
    last_of_bar = mean_N[max(0, reach - 2)]
    return bool(is_flat and near >= step and near >= 0.5 * beyond and last_of_bar <= 0.3 * near), partial


def _are_alike(first: int, last: int) -> bool:
    return abs(first - last) <= max(2.0, _SAME_SHARE * (first + last))


def _measure_bars(axes: Sequence[_AxisReading]) -> tuple[int, int]:
    """Return the bars at both ends: the median of readings with a step, and the row that is partly bar."""
    bars = []
    for end in (_FIRST, _LAST):
        reach = np.array([axis.reach[end] for axis in axes if axis.is_sharp[end]] or [0])
        partial = np.array([axis.has_partial_row[end] for axis in axes if axis.is_sharp[end]] or [False])
        bars.append(int(np.ceil(np.median(reach + partial))))
    return bars[0], bars[1]


# A whole film


class _AxisTrack:
    """What all frames of a film say of one axis, and the bars that explain it."""

    def __init__(self, axes: Sequence[_AxisReading | None], readings: Sequence[_Reading], extent: int) -> None:
        self._axes, self._extent = axes, extent
        self._scene_F = np.array([reading.scene for reading in readings], np.int64)
        self._level_F = np.array([axis.level if axis else 0.0 for axis in axes])
        self._informs_F = np.array([axis is not None for axis in axes], np.bool_)
        self._reach_F2 = np.array([axis.reach if axis else (0, 0) for axis in axes], np.int64).reshape(-1, 2)
        self._clean_F2 = np.array([axis.is_clean if axis else (False, False) for axis in axes], np.bool_).reshape(-1, 2)
        self._sharp_F2 = np.array([axis.is_sharp if axis else (False, False) for axis in axes], np.bool_).reshape(-1, 2)

    def find_bars(self) -> Int64s:
        """Return the bars of each frame at both ends, `[F, 2]`."""
        bars_F2 = np.zeros((len(self._axes), 2), np.int64)
        states = [(0, 0), *self._find_candidates()]
        if len(states) == 1:
            return bars_F2
        cost_FS = np.stack([self._compute_cost(state) for state in states], axis=1)
        state_F = _find_cheapest_path(cost_FS, _SWITCH_SECONDS * _SAMPLES_PER_SECOND)
        edges = [0, *(np.flatnonzero(np.diff(state_F)) + 1).tolist(), len(state_F)]
        for start, end in pairwise(edges):
            state = states[state_F[start]]
            if any(state):
                bars_F2[start:end] = self._measure_stretch(start, end, state)
        return bars_F2

    def _find_candidates(self) -> list[tuple[int, int]]:
        """Return the pairs of bars that enough frames show, the most frequent first."""
        informs = max(1, int(self._informs_F.sum()))
        is_sharp_F = self._informs_F & self._sharp_F2.any(axis=1)
        is_clear_F = is_sharp_F & (self._sharp_F2 | (self._reach_F2 == 0)).all(axis=1)
        counts = Counter((int(first), int(last)) for first, last in self._reach_F2[is_clear_F])

        candidates: list[tuple[int, int]] = []
        while counts and len(candidates) < _MAX_STATES:
            pair = counts.most_common(1)[0][0]
            near = [other for other in counts if max(abs(other[0] - pair[0]), abs(other[1] - pair[1])) <= 1]
            frames = sum(counts.pop(other) for other in near)
            enough = frames >= min(_SAMPLES_PER_SECOND, informs)
            if enough and self._is_plausible(pair, frames / informs):
                candidates.append(pair)
        return candidates

    def _is_plausible(self, pair: tuple[int, int], share: float) -> bool:
        """Return whether a pair of bars that a share of the frames shows may be one: uneven ones need more evidence."""
        if min(pair) > 0 and _are_alike(*pair):
            return True
        if min(pair) > 0:
            return share >= 0.5
        shows_F = self._informs_F & (np.abs(self._reach_F2 - np.array(pair)) <= 1).all(axis=1)
        scenes = len(np.unique(self._scene_F[shows_F]))
        is_clean = self._clean_F2[shows_F, int(np.argmax(pair))].mean() >= _CLEAN_SHARE
        return share >= 0.8 and (max(pair) <= _THIN_SHARE * self._extent or (is_clean and scenes >= _MANY_SCENES))

    def _compute_cost(self, state: tuple[int, int]) -> Float64s:
        """Return what it costs to say that each frame has these bars, `[F]`."""
        deeper_F2 = self._reach_F2 - np.array(state)
        contradicted_F = (deeper_F2 < -1).any(axis=1)
        is_clear_F = (self._sharp_F2 | (self._reach_F2 == 0)).all(axis=1) & self._sharp_F2.any(axis=1)
        unexplained_F = is_clear_F & (deeper_F2 > 1).any(axis=1)
        cost_F = np.where(contradicted_F, _CONTRADICTED, np.where(unexplained_F, _UNEXPLAINED, 0.0))
        return np.where(self._informs_F, cost_F, 0.0)

    def _measure_stretch(self, start: int, end: int, state: tuple[int, int]) -> tuple[int, int]:
        """Return the exact bars of a stretch of frames, or none if too few of its frames support its state."""
        near_F = (np.abs(self._reach_F2[start:end] - np.array(state)) <= 1).all(axis=1)
        support_F = near_F & self._informs_F[start:end] & self._sharp_F2[start:end].any(axis=1)
        informs = int(self._informs_F[start:end].sum())
        if support_F.sum() < _MIN_SUPPORT * informs or not support_F.any():
            return 0, 0
        if self._level_F[start:end][support_F].std() > _MAX_LEVEL_CHANGE:
            return 0, 0
        supporting = [self._axes[start + int(frame)] for frame in np.flatnonzero(support_F)]
        return _measure_bars([axis for axis in supporting if axis is not None])


def _find_cheapest_path(cost_FS: Costs, switch_cost: float) -> Int64s:
    """Return the state of each frame such that the costs of frames and changes are least together (Viterbi)."""
    frames, states = cost_FS.shape
    came_from_FS = np.zeros((frames, states), np.int8)
    total_S = cost_FS[0].copy()
    stay_S = np.arange(states)
    for frame in range(1, frames):
        best = int(total_S.argmin())
        switches_S = total_S > total_S[best] + switch_cost
        came_from_FS[frame] = np.where(switches_S, best, stay_S)
        total_S = np.where(switches_S, total_S[best] + switch_cost, total_S) + cost_FS[frame]

    state_F = np.zeros(frames, np.int64)
    state_F[-1] = int(total_S.argmin())
    for frame in range(frames - 1, 0, -1):
        state_F[frame - 1] = came_from_FS[frame, state_F[frame]]
    return state_F


def _drop_rare_windows(bars_F4: Int64s, readings: Sequence[_Reading]) -> Int64s:
    """Return bars without those at all four sides in a small part of a film, which are a screen in a dark room.

    There, only what the film has most of the time is kept.
    """
    windowed_F = np.logical_and((bars_F4[:, :2] > 0).any(axis=1), (bars_F4[:, 2:] > 0).any(axis=1))
    informs_F = np.array([reading.rows is not None for reading in readings], np.bool_)
    if not windowed_F.any() or (windowed_F & informs_F).sum() >= 0.5 * informs_F.sum():
        return bars_F4
    kept_F4 = bars_F4.copy()
    for axis in (slice(0, 2), slice(2, 4)):
        (usual, _), *_ = Counter(map(tuple, bars_F4[informs_F, axis].tolist())).most_common(1)
        is_usual_F = (np.abs(bars_F4[:, axis] - np.array(usual)) <= 1).all(axis=1)
        kept_F4[windowed_F & ~is_usual_F, axis] = 0
    return kept_F4
