"""Which clips of a film a batch takes: k random starts at a minimum distance in frames, for many films at once.

Shapes: `F` films, `M` films drawn for, `K` clips a film, `R` runs of starts, `S` shots or ranges of starts, `U` units
of starts, `E` breakpoints, `X` starts asked for at once.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from talkies.core import Int64s, SpanTable
from talkies.sampling.combinations import draw_combinations
from talkies.sampling.spaced import SpacedStarts
from talkies.sampling.starts import StartRanges, Starts, search_last_at_most

_CANDIDATES, _ROUNDS = 8, 2  # first starts that are drawn at once, and how often, before all of a film are tried
_MOST_AT_ONCE = 1 << 20  # starts tried at once

Ranges = tuple[Int64s, Int64s, Int64s]
"""Half-open ranges of start numbers: first numbers, ends, and the film of each range."""


class ClipSampler(ABC):
    """Draws the starts of each film's clips for one batch.

    With a `max_distance` a first start is drawn among those after which all clips fit, each with the same probability,
    and the clips are drawn from there to `max_distance` after it.
    """

    def __init__(self, starts: Starts, min_distance: int, max_distance: int | None) -> None:
        """Prepare to draw from all films.

        Args:
            starts: where clips of each film may start.
            min_distance: the smallest distance between two starts of a film, in frames.
            max_distance: the largest distance from the first start of a film to the last, in frames; None for any.
        """
        self._starts, self._min_distance, self._max_distance = starts, min_distance, max_distance

    @abstractmethod
    def count_most_clips(self, needed: int) -> Int64s:
        """Return the largest number of clips that each film can give to one batch, `[F]`, but at most `needed`."""

    @abstractmethod
    def draw(self, random: np.random.Generator, film_M: Int64s, clips: int) -> Int64s:
        """Return the numbers `[M, K]` of starts, in the order of time.

        Args:
            random: the generator of this batch.
            film_M: the film numbers to draw for; each must be able to give the clips.
            clips: how many clips each film gives, `K`.
        """

    def _find_end(self, number_X: Int64s, film_X: Int64s) -> Int64s:
        """Return the number of the first start that is too far from these, or the first of the next film."""
        if self._max_distance is None:
            return self._starts.bound_F1[film_X + 1]
        return self._starts.find_first_at(film_X, self._starts.find_frames(number_X, film_X) + self._max_distance + 1)


class ClipsAnywhere(ClipSampler):
    """Draws every choice of k starts that are at least `min_distance` frames apart with the same probability."""

    def __init__(self, starts: Starts, min_distance: int, max_distance: int | None) -> None:
        """Prepare to draw from all films; see `ClipSampler`."""
        super().__init__(starts, min_distance, max_distance)
        self._spaced = SpacedStarts(starts, min_distance)

    def count_most_clips(self, needed: int) -> Int64s:
        """Return the largest number of clips that each film can give to one batch, `[F]`, but at most `needed`."""
        has_starts = np.flatnonzero(self._starts.count_F)
        most_clips_F = np.zeros_like(self._starts.count_F)
        if self._max_distance is None:
            ranges = StartRanges.of_films(self._starts, has_starts)
            most_clips_F[has_starts] = self._spaced.count_clips(ranges, needed)
            return most_clips_F

        # What a single run can give is enough for most films.
        film_R = self._starts.find_films(self._starts.offset_R1[:-1])
        reach_R = np.minimum(np.diff(self._starts.offset_R1) - 1, self._max_distance)
        np.maximum.at(most_clips_F, film_R, np.minimum(reach_R // self._min_distance + 1, needed))

        # In the others, move the clips of the best choice to earlier starts together until one is at its run's first.
        # The clips before that one may be as late as they can be: try each run's first start with 0, 1, 2 … before it.
        number_X, film_X = self._starts.offset_R1[:-1], film_R
        for _ in range(needed):
            is_open_X = (number_X >= self._starts.bound_F1[film_X]) & (most_clips_F[film_X] < needed)
            number_X, film_X = number_X[is_open_X], film_X[is_open_X]
            if not len(number_X):
                break
            np.maximum.at(most_clips_F, film_X, self._count_clips_after(number_X, film_X, needed))
            frame_X = self._starts.find_frames(number_X, film_X)
            number_X = self._starts.find_last_at(film_X, frame_X - self._min_distance)
        return most_clips_F

    def draw(self, random: np.random.Generator, film_M: Int64s, clips: int) -> Int64s:
        """Return the numbers `[M, K]` of starts, in the order of time."""
        if self._max_distance is None:
            return self._spaced.draw(random, StartRanges.of_films(self._starts, film_M), clips)
        first_M = self._draw_first_start(random, film_M, clips)
        end_M = self._find_end(first_M, film_M)
        return self._spaced.draw(random, StartRanges.between(self._starts, film_M, first_M, end_M), clips)

    def _draw_first_start(self, random: np.random.Generator, film_M: Int64s, clips: int) -> Int64s:
        """Return for each film a random start after which `clips` fit, each with the same probability."""
        # In a film without holes they fit unless its end is too near; in others, starts are drawn until they fit.
        starts = self._starts
        has_holes_M = starts.run_F1[film_M + 1] - starts.run_F1[film_M] > 1
        low_M, high_M = starts.bound_F1[film_M], starts.bound_F1[film_M + 1]
        first_M: Int64s = random.integers(low_M, high_M - np.where(has_holes_M, 0, (clips - 1) * self._min_distance))
        left = np.flatnonzero(has_holes_M)
        left = left[self._count_clips_after(first_M[left], film_M[left], clips) < clips]
        if not left.size:
            return first_M

        # From a generator of its own, so that the other films' draws do not depend on how often this is needed.
        [random] = random.spawn(1)
        for _ in range(_ROUNDS):
            candidate_XM = random.integers(low_M[left], high_M[left], (_CANDIDATES, len(left)))
            film_XM = np.broadcast_to(film_M[left], candidate_XM.shape)
            count_XM = self._count_clips_after(candidate_XM.reshape(-1), film_XM.reshape(-1), clips)
            fits_XM = count_XM.reshape(candidate_XM.shape) >= clips
            has_one = fits_XM.any(axis=0)
            first_M[left] = np.take_along_axis(candidate_XM, fits_XM.argmax(axis=0)[None], axis=0)[0]
            left = left[~has_one]
            if not left.size:
                return first_M

        for row in left:
            first_M[row] = random.choice(self._list_first_starts(int(film_M[row]), clips))
        return first_M

    def _list_first_starts(self, film: int, clips: int) -> Int64s:
        """Return all starts of a film after which `clips` fit within the largest distance."""
        number_X = np.arange(self._starts.bound_F1[film], self._starts.bound_F1[film + 1])
        return number_X[self._count_clips_after(number_X, np.full_like(number_X, film), clips) >= clips]

    def _count_clips_after(self, number_X: Int64s, film_X: Int64s, most: int) -> Int64s:
        """Return how many clips fit from each of these starts to the largest distance after it, but at most `most`."""
        count_X = np.empty_like(number_X)
        for begin in range(0, len(number_X), _MOST_AT_ONCE):
            part = slice(begin, begin + _MOST_AT_ONCE)
            number, film = number_X[part], film_X[part]
            ranges = StartRanges.between(self._starts, film, number, self._find_end(number, film))
            count_X[part] = self._spaced.count_clips(ranges, most)
        return count_X


class OneClipPerShot(ClipSampler):
    """Draws at most one clip of a shot: every choice of k units with the same probability, then a start in each.

    A unit is a range of starts: from one start to the first that may follow it, so two clips never share a unit. The
    first unit starts at a film's first start, or with a `max_distance` at the first start that was drawn. In each unit
    a start is drawn among those that the clip in the next unit may follow.
    """

    def __init__(self, starts: Starts, min_distance: int, max_distance: int | None, shots: SpanTable) -> None:
        """Prepare to draw from all films.

        Args:
            starts: where clips of each film may start.
            min_distance: the smallest distance between two starts of a film, in frames.
            max_distance: the largest distance from the first start of a film to the last, in frames; None for any.
            shots: the shots of each film; a clip belongs to the shot of its middle frame.
        """
        super().__init__(starts, min_distance, max_distance)
        self._first_starts: dict[int, Ranges] = {}  # clips -> first number, offset and film of each range
        film_S, middle = shots.film_R, starts.window_frames // 2
        first_S = starts.find_first_at(film_S, np.maximum(shots.start_R - middle, 0))
        self._shot_S = _sort_distinct([first_S, starts.bound_F1])  # each shot's first start, and the end
        self._shot_F1 = np.searchsorted(self._shot_S, starts.bound_F1)
        if max_distance is None:
            self._unit_U = self._find_units()
            self._unit_F1 = np.searchsorted(self._unit_U, starts.bound_F1)
        else:
            self._breakpoint_E = self._find_breakpoints(max_distance)

    def count_most_clips(self, needed: int) -> Int64s:
        """Return the largest number of clips that each film can give to one batch, `[F]`, but at most `needed`."""
        if self._max_distance is None:
            units_F: Int64s = np.minimum(np.diff(self._unit_F1), needed)
            return units_F

        # The number of clips after a start is largest just before a breakpoint: count from each of those.
        number_E = self._breakpoint_E[1:] - 1
        film_E = self._starts.find_films(number_E)
        end_E, count_E = self._find_end(number_E, film_E), np.zeros_like(number_E)
        while (within_E := np.flatnonzero(number_E < end_E)).size:
            count_E[within_E] += 1
            number_E[within_E] = self._find_next(number_E[within_E], film_E[within_E])

        most_clips_F = np.zeros_like(self._starts.count_F)
        np.maximum.at(most_clips_F, film_E, count_E)
        return np.minimum(most_clips_F, needed)

    def draw(self, random: np.random.Generator, film_M: Int64s, clips: int) -> Int64s:
        """Return the numbers `[M, K]` of starts, in the order of time."""
        # Choose k units of each film: their first and last starts.
        if self._max_distance is None:
            unit_M = self._unit_F1[film_M]
            unit_MK = unit_M[:, None] + draw_combinations(random, self._unit_F1[film_M + 1] - unit_M, clips)
            low_MK, high_MK = self._unit_U[unit_MK], self._unit_U[unit_MK + 1] - 1
        else:
            edge_MU = self._find_units_after(self._draw_first_start(random, film_M, clips), film_M)
            unit_MK = draw_combinations(random, (edge_MU[:, :-1] < edge_MU[:, 1:]).sum(axis=1), clips)
            low_MK = np.take_along_axis(edge_MU, unit_MK, axis=1)
            high_MK = np.take_along_axis(edge_MU, unit_MK + 1, axis=1) - 1

        # Draw a start in each. Only a start in the next unit limits how late it may be: start where that has none.
        share_MK = random.random(low_MK.shape)
        number_MK: Int64s = low_MK + (share_MK * (high_MK - low_MK + 1)).astype(np.int64)
        followers_MK = np.zeros_like(low_MK)  # how many units without a gap between them follow each one
        for clip in reversed(range(clips - 1)):
            is_next_M = high_MK[:, clip] + 1 == low_MK[:, clip + 1]
            followers_MK[:, clip] = np.where(is_next_M, followers_MK[:, clip + 1] + 1, 0)
        for followers in range(1, int(followers_MK.max()) + 1):
            row, place = np.nonzero(followers_MK == followers)
            last = self._find_last_before(number_MK[row, place + 1], film_M[row])
            low, high = low_MK[row, place], np.minimum(high_MK[row, place], last)
            number_MK[row, place] = low + (share_MK[row, place] * (high - low + 1)).astype(np.int64)
        return number_MK

    def _draw_first_start(self, random: np.random.Generator, film_M: Int64s, clips: int) -> Int64s:
        """Return for each film a random start after which `clips` fit, each with the same probability."""
        if clips not in self._first_starts:
            begin, end, film = self._find_first_starts(clips)
            offset = np.concatenate([[0], np.cumsum(end - begin)]).astype(np.int64)
            range_F1 = np.searchsorted(film, np.arange(len(self._starts.bound_F1)))
            self._first_starts[clips] = begin, offset, range_F1
        begin_S, offset_S1, range_F1 = self._first_starts[clips]

        place_M = random.integers(offset_S1[range_F1[film_M]], offset_S1[range_F1[film_M + 1]])
        range_M = np.searchsorted(offset_S1, place_M, side="right") - 1
        return begin_S[range_M] + place_M - offset_S1[range_M]

    def _find_next(self, number_X: Int64s, film_X: Int64s) -> Int64s:
        """Return the first start that may follow each of these: `min_distance` frames later and in another shot.

        It is beyond the film's last start if no start may follow.
        """
        frame_X = self._starts.find_frames(number_X, film_X)
        place_X = np.minimum(np.searchsorted(self._shot_S, number_X, side="right"), len(self._shot_S) - 1)
        distant_X = self._starts.find_first_at(film_X, frame_X + self._min_distance)
        next_X: Int64s = np.maximum(distant_X, self._shot_S[place_X])
        return next_X

    def _find_last_before(self, number_X: Int64s, film_X: Int64s) -> Int64s:
        """Return the last start that each of these may follow; each film must have starts."""
        frame_X = self._starts.find_frames(number_X, film_X)
        place_X = search_last_at_most(self._shot_S, self._shot_F1[film_X], self._shot_F1[film_X + 1] - 1, number_X)
        distant_X = self._starts.find_last_at(film_X, frame_X - self._min_distance)
        last_X: Int64s = np.minimum(distant_X, self._shot_S[place_X] - 1)
        return last_X

    def _find_units(self) -> Int64s:
        """Return the first start of each unit of all films, and the end."""
        has_starts_F = self._starts.count_F > 0
        film = np.flatnonzero(has_starts_F)
        here = self._starts.bound_F1[film]
        units = [self._starts.bound_F1[-1:]]
        while len(here):  # one unit of every film at a time
            units.append(here)
            here = self._find_next(here, film)
            is_in_film = here < self._starts.bound_F1[film + 1]
            here, film = here[is_in_film], film[is_in_film]
        return np.sort(np.concatenate(units))

    def _find_units_after(self, first_M: Int64s, film_M: Int64s) -> Int64s:
        """Return the first start of each unit within reach of `first_M`, and the end, repeated to fill a row."""
        end_M, edges = self._find_end(first_M, film_M), [first_M]
        while (edges[-1] < end_M).any():
            edges.append(np.minimum(self._find_next(edges[-1], film_M), end_M))
        return np.stack(edges, axis=1)

    def _find_breakpoints(self, max_distance: int) -> Int64s:
        """Return the breakpoints of the next-start function, applied once, twice and so on within `max_distance`.

        From one breakpoint to the next, the first start that may follow a start *x*, and the first that may follow
        that one, are either constant or move on together with *x* within their runs.
        """
        starts, shot_S = self._starts, self._shot_S[:-1]
        film_S, film_R = starts.find_films(shot_S), starts.find_films(starts.offset_R1[:-1])
        known = _sort_distinct([self._shot_S, starts.offset_R1])

        # From these starts on the distance decides: before them it is fulfilled by the next shot, or the next run.
        after_shot_S = starts.find_first_at(film_S, starts.find_frames(shot_S, film_S) - self._min_distance)
        after_run_R = starts.find_first_at(film_R, starts.first_R - self._min_distance)
        new = _sort_distinct([known, after_shot_S, after_run_R])
        breakpoints = [new]
        for _ in range(max_distance // self._min_distance):
            # The first start that is followed by a breakpoint or a later one is a breakpoint too.
            before = new[new > 0] - 1
            new = self._find_last_before(before, starts.find_films(before)) + 1
            new = new[known[np.searchsorted(known, new, side="right") - 1] != new]
            breakpoints.append(new)
        return _sort_distinct(breakpoints)

    def _find_first_starts(self, clips: int) -> Ranges:
        """Return the starts after which `clips` fit within the largest distance, this one included.

        Between two breakpoints the last clip either stays where it is, and then a later first start is better, or
        moves on with the first.
        """
        assert self._max_distance is not None
        starts, begin, end = self._starts, self._breakpoint_E[:-1], self._breakpoint_E[1:]
        film = starts.find_films(begin)

        # Follow the first and the last start of each range to the start of the last clip.
        last_of_begin, last_of_end = begin, end - 1
        for _ in range(clips - 1):
            last_of_begin, last_of_end = self._find_next(last_of_begin, film), self._find_next(last_of_end, film)
        in_film = last_of_end < starts.bound_F1[film + 1]
        begin, end, film, last_of_begin, last_of_end = (
            part[in_film] for part in (begin, end, film, last_of_begin, last_of_end)
        )

        # Where the last clip stays, drop the first starts that are too far from it.
        earliest = starts.find_first_at(film, starts.find_frames(last_of_end, film) - self._max_distance)
        moves = (last_of_begin < last_of_end) & (earliest < end)
        begin = np.where(moves, begin, np.maximum(begin, earliest))
        fits = begin < end
        return begin[fits], end[fits], film[fits]


def _sort_distinct(parts: Sequence[Int64s]) -> Int64s:
    """Return the numbers from 0 on, each once, in order; `np.unique` hashes them, which takes longer."""
    all_X = np.sort(np.concatenate(parts))
    distinct_X: Int64s = all_X[(all_X >= 0) & np.append(True, all_X[1:] > all_X[:-1])]
    return distinct_X
