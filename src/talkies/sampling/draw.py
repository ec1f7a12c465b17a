"""Which clips of a film a batch takes: k random starts at a minimum distance, drawn for many films at once.

Starts are drawn by number (see `Starts`): two starts that are apart in number are at least as far apart in frames.

Shapes: `F` films, `M` films drawn for, `K` clips a film, `S` shots or ranges of starts, `U` units of starts,
`E` breakpoints, `X` starts asked for at once.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from talkies.core import Int64s, SpanTable
from talkies.sampling.starts import Starts, search_last_at_most

Ranges = tuple[Int64s, Int64s, Int64s]
"""Half-open ranges of start numbers: first numbers, ends, and the film of each range."""


class ClipSampler(ABC):
    """Draws the starts of each film's clips for one batch.

    With a `max_distance` the first start is drawn among those after which all clips fit, and the others follow it.
    """

    def __init__(self, starts: Starts, min_distance: int, max_distance: int | None) -> None:
        """Prepare to draw from all films.

        Args:
            starts: where clips of each film may start.
            min_distance: the smallest distance between two starts of a film, in frames.
            max_distance: the largest distance from the first start of a film to the last, in frames; None for any.
        """
        self._starts, self._min_distance, self._max_distance = starts, min_distance, max_distance
        self._first_starts: dict[int, Ranges] = {}  # clips -> first number, offset and film of each range

    @property
    @abstractmethod
    def most_clips_F(self) -> Int64s:
        """The largest number of clips that each film can give to one batch."""

    @abstractmethod
    def draw(self, random: np.random.Generator, film_M: Int64s, clips: int) -> Int64s:
        """Return the numbers `[M, K]` of starts, in the order of time.

        Args:
            random: the generator of this batch.
            film_M: the film numbers to draw for.
            clips: how many clips each film gives, `K`.
        """

    @abstractmethod
    def _find_first_starts(self, clips: int) -> Ranges:
        """Return the starts after which `clips` fit within the largest distance, this one included."""

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

    def _find_end(self, number_X: Int64s, film_X: Int64s) -> Int64s:
        """Return the number of the first start that is too far from these, or the first of the next film."""
        if self._max_distance is None:
            return self._starts.bound_F1[film_X + 1]
        return self._starts.find_first_at(film_X, self._starts.find_frames(number_X, film_X) + self._max_distance + 1)


class ClipsAnywhere(ClipSampler):
    """Draws every choice of k starts that are at least `min_distance` apart in number with the same probability.

    To choose k of N such starts, choose k distinct ones of N − (k−1)(min_distance−1), and move each further by
    min_distance − 1 than the one before.
    """

    @property
    def most_clips_F(self) -> Int64s:
        """The largest number of clips that each film can give to one batch."""
        count_F = self._starts.count_F
        if self._max_distance is not None:  # most starts are within reach from the first start of a run
            first_R = self._starts.offset_R1[:-1]
            film_R = self._starts.find_films(first_R)
            count_F = np.zeros_like(count_F)
            np.maximum.at(count_F, film_R, self._find_end(first_R, film_R) - first_R)
        return (count_F - 1) // self._min_distance + 1

    def draw(self, random: np.random.Generator, film_M: Int64s, clips: int) -> Int64s:
        """Return the numbers `[M, K]` of starts, in the order of time."""
        first_M = self._starts.bound_F1[film_M]
        if self._max_distance is not None:
            first_M = self._draw_first_start(random, film_M, clips)

        count_M = self._find_end(first_M, film_M) - first_M
        spread = self._min_distance - 1
        chosen_MK = draw_combinations(random, count_M - (clips - 1) * spread, clips)
        return first_M[:, None] + chosen_MK + spread * np.arange(clips)

    def _find_first_starts(self, clips: int) -> Ranges:
        """Return the starts after which `clips` fit within the largest distance, this one included.

        The clips fit after start *x* if start *x* + `need` is within reach. While both stay inside their runs, their
        distance in frames is constant, so only the starts where one of the two enters a run have to be checked.
        """
        starts, need = self._starts, (clips - 1) * self._min_distance
        edge = _sort_distinct([starts.offset_R1, starts.offset_R1 - need])
        begin, end = edge[:-1], edge[1:]
        film = starts.find_films(begin)

        fits = begin + need < starts.bound_F1[film + 1]
        fits[fits] = begin[fits] + need < self._find_end(begin[fits], film[fits])
        return begin[fits], end[fits], film[fits]


class OneClipPerShot(ClipSampler):
    """Draws at most one clip of a shot: every choice of k units with the same probability, then a start in each.

    A unit is a range of starts: from one start to the first that may follow it, so two clips never share a unit. The
    first unit starts at a film's first start, or with a `max_distance` at the first start that was drawn. Starts are
    drawn from the last unit backwards, each among those of its unit that the start drawn before may follow.
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
        film_S, middle = shots.film_R, starts.window_frames // 2
        first_S = starts.find_first_at(film_S, np.maximum(shots.start_R - middle, 0))
        self._shot_S = _sort_distinct([first_S, starts.bound_F1])  # each shot's first start, and the end
        self._shot_F1 = np.searchsorted(self._shot_S, starts.bound_F1)
        if max_distance is None:
            self._unit_U = self._find_units()
            self._unit_F1 = np.searchsorted(self._unit_U, starts.bound_F1)
        else:
            self._breakpoint_E = self._find_breakpoints(max_distance)

    @property
    def most_clips_F(self) -> Int64s:
        """The largest number of clips that each film can give to one batch."""
        if self._max_distance is None:
            units_F: Int64s = np.diff(self._unit_F1)
            return units_F

        # The number of clips after a start is largest just before a breakpoint: count from each of those.
        number_E = self._breakpoint_E[1:] - 1
        film_E = self._starts.find_films(number_E)
        end_E, count_E = self._find_end(number_E, film_E), np.zeros_like(number_E)
        while (within_E := np.flatnonzero(number_E < end_E)).size:
            count_E[within_E] += 1
            number_E[within_E] = self._find_next(number_E[within_E])

        most_clips_F = np.zeros_like(self._starts.count_F)
        np.maximum.at(most_clips_F, film_E, count_E)
        return most_clips_F

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

        # Draw a start in each, the last unit first: the start after it limits how late it may be.
        share_MK = random.random(low_MK.shape)
        number_MK: Int64s = np.empty_like(low_MK)
        for clip in reversed(range(clips)):
            low_M, high_M = low_MK[:, clip], high_MK[:, clip]
            if clip + 1 < clips:
                high_M = np.minimum(high_M, self._find_last_before(number_MK[:, clip + 1], film_M))
            number_MK[:, clip] = low_M + (share_MK[:, clip] * (high_M - low_M + 1)).astype(np.int64)
        return number_MK

    def _find_next(self, number_X: Int64s) -> Int64s:
        """Return the first start that may follow each of these: `min_distance` later and in another shot.

        It is beyond the film's last start if no start may follow.
        """
        place_X = np.minimum(np.searchsorted(self._shot_S, number_X, side="right"), len(self._shot_S) - 1)
        next_X: Int64s = np.maximum(number_X + self._min_distance, self._shot_S[place_X])
        return next_X

    def _find_last_before(self, number_X: Int64s, film_X: Int64s) -> Int64s:
        """Return the last start that each of these may follow; each film must have starts."""
        place_X = search_last_at_most(self._shot_S, self._shot_F1[film_X], self._shot_F1[film_X + 1] - 1, number_X)
        last_X: Int64s = np.minimum(number_X - self._min_distance, self._shot_S[place_X] - 1)
        return last_X

    def _find_units(self) -> Int64s:
        """Return the first start of each unit of all films, and the end."""
        has_starts_F = self._starts.count_F > 0
        here, end = self._starts.bound_F1[:-1][has_starts_F], self._starts.bound_F1[1:][has_starts_F]
        units = [self._starts.bound_F1[-1:]]
        while len(here):  # one unit of every film at a time
            units.append(here)
            here = self._find_next(here)
            here, end = here[here < end], end[here < end]
        return np.sort(np.concatenate(units))

    def _find_units_after(self, first_M: Int64s, film_M: Int64s) -> Int64s:
        """Return the first start of each unit within reach of `first_M`, and the end, repeated to fill a row."""
        end_M, edges = self._find_end(first_M, film_M), [first_M]
        while (edges[-1] < end_M).any():
            edges.append(np.minimum(self._find_next(edges[-1]), end_M))
        return np.stack(edges, axis=1)

    def _find_breakpoints(self, max_distance: int) -> Int64s:
        """Return the breakpoints of the next-start function, applied once, twice and so on within `max_distance`.

        From one breakpoint to the next, the first start that may follow a start *x*, and the first that may follow
        that one, are either constant or move on together with *x* within their runs.
        """
        new = np.concatenate([self._shot_S, self._shot_S - self._min_distance, self._starts.offset_R1])
        breakpoints = [new]
        for _ in range(max_distance // self._min_distance):
            # The first start that is followed by a breakpoint or a later one is a breakpoint too.
            before = new[new > 0] - 1
            new = self._find_last_before(before, self._starts.find_films(before)) + 1
            is_shot = self._shot_S[np.searchsorted(self._shot_S, new, side="right") - 1] == new
            new = new[~is_shot]  # the first starts of shots are in the list already
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
            last_of_begin, last_of_end = self._find_next(last_of_begin), self._find_next(last_of_end)
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


def draw_combinations(random: np.random.Generator, count_M: Int64s, size: int) -> Int64s:
    """Return `[M, size]`: in each row `size` distinct numbers below `count_M`, in order, each choice equally likely.

    Source: R. W. Floyd's algorithm (Bentley and Floyd, *A sample of brilliance*, CACM 30, 1987): number *j* of the last
    `size` takes the place of a number below it that was chosen before.
    """
    top_MK = count_M[:, None] - size + np.arange(size)
    drawn_MK = random.integers(0, top_MK + 1)
    chosen_MK = np.sort(drawn_MK, axis=1)
    for row in np.flatnonzero((chosen_MK[:, 1:] == chosen_MK[:, :-1]).any(axis=1)):
        chosen: set[int] = set()
        for number, top in zip(drawn_MK[row].tolist(), top_MK[row].tolist(), strict=True):
            chosen.add(top if number in chosen else number)
        chosen_MK[row] = sorted(chosen)
    return chosen_MK


def _sort_distinct(parts: Sequence[Int64s]) -> Int64s:
    """Return the numbers from 0 on, each once, in order; `np.unique` hashes them, which takes longer."""
    all_X = np.sort(np.concatenate(parts))
    distinct_X: Int64s = all_X[(all_X >= 0) & np.append(True, all_X[1:] > all_X[:-1])]
    return distinct_X
