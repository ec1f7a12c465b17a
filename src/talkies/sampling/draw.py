"""Which clips a film gives: k starts that keep the gap, drawn for many films at once.

Starts are drawn by their numbers (`Starts`); what is apart in number is apart in frames.

Shapes: `F` films, `M` films drawn for, `K` clips a film, `U` units of starts.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from talkies.core import Int64s, SpanTable
from talkies.sampling.starts import Starts, last_at_most


class ClipSampler(ABC):
    """Draws clips: `apart` is the least distance between two starts of a film, in frames, and `reach` the greatest
    between the first and the last, or nothing.

    With a `reach` the first start that may be taken is drawn, of those from which all clips can be had, and then the
    clips from there on.
    """

    def __init__(self, starts: Starts, apart: int, reach: int | None) -> None:
        self._starts, self._apart, self._reach = starts, apart, reach
        self._known: dict[int, tuple[Int64s, Int64s, Int64s]] = {}

    @property
    @abstractmethod
    def most_clips_F(self) -> Int64s:
        """How many clips each film can give to one batch."""

    @abstractmethod
    def draw(self, random: np.random.Generator, film_M: Int64s, clips: int) -> Int64s:
        """Return the numbers `[M, K]` of starts, in the order of time."""

    @abstractmethod
    def _firsts(self, clips: int) -> tuple[Int64s, Int64s, Int64s]:
        """Return the starts from which `clips` can be had within reach: stretches of numbers, and their films."""

    def _drawn_first(self, random: np.random.Generator, film_M: Int64s, clips: int) -> Int64s:
        """Return for each film a start from which `clips` can be had within reach, each equally often."""
        if clips not in self._known:
            begin, end, film = self._firsts(clips)
            offset = np.concatenate([[0], np.cumsum(end - begin)]).astype(np.int64)
            self._known[clips] = begin, offset, np.searchsorted(film, np.arange(len(self._starts.bound_F1)))
        first_S, offset_S1, stretch_F1 = self._known[clips]
        place_M = random.integers(offset_S1[stretch_F1[film_M]], offset_S1[stretch_F1[film_M + 1]])
        stretch_M = np.searchsorted(offset_S1, place_M, side="right") - 1
        return first_S[stretch_M] + place_M - offset_S1[stretch_M]

    def _end(self, number_X: Int64s, film_X: Int64s) -> Int64s:
        """Return the number of the first start that is out of reach, or of the next film."""
        if self._reach is None:
            return self._starts.bound_F1[film_X + 1]
        return self._starts.find_first_at(film_X, self._starts.find_frames(number_X, film_X) + self._reach + 1)


class ClipsAnywhere(ClipSampler):
    """Every choice of k starts that are at least `apart` apart in number is drawn equally often.

    Choosing k of N so is choosing k distinct ones of N − (k−1)(apart−1), and spreading them by apart − 1 each.
    """

    @property
    def most_clips_F(self) -> Int64s:
        """How many clips each film can give to one batch."""
        room_F = self._starts.count_F
        if self._reach is not None:  # nowhere more starts are within reach than from where a run of them begins
            room_F, first_R = np.zeros_like(room_F), self._starts.offset_R1[:-1]
            film_R = self._starts.find_films(first_R)
            np.maximum.at(room_F, film_R, self._end(first_R, film_R) - first_R)
        return (room_F - 1) // self._apart + 1

    def draw(self, random: np.random.Generator, film_M: Int64s, clips: int) -> Int64s:
        """Return the numbers `[M, K]` of starts, in the order of time."""
        first_M = self._starts.bound_F1[film_M]
        if self._reach is not None:
            first_M = self._drawn_first(random, film_M, clips)
        count_M, spread = self._end(first_M, film_M) - first_M, self._apart - 1
        chosen_MK = draw_combinations(random, count_M - (clips - 1) * spread, clips)
        return first_M[:, None] + chosen_MK + spread * np.arange(clips)

    def _firsts(self, clips: int) -> tuple[Int64s, Int64s, Int64s]:
        """Return the starts from which `clips` can be had within reach: stretches of numbers, and their films.

        From start *x* they can if the one `need` numbers on is within reach; where *x* and that one are each in a run,
        their distance is the same, so only where one of the two enters a run it has to be looked at.
        """
        starts, need = self._starts, (clips - 1) * self._apart
        edge = _distinct([starts.offset_R1, starts.offset_R1 - need])
        begin, end, film = edge[:-1], edge[1:], starts.find_films(edge[:-1])
        near = begin + need < starts.bound_F1[film + 1]
        near[near] = begin[near] + need < self._end(begin[near], film[near])
        return begin[near], end[near], film[near]


class OneClipPerShot(ClipSampler):
    """At most one clip a shot: k of a film's units are drawn, each choice equally often, and a start in each.

    A unit is what lies from one start to the first that may follow it, so no two clips can be of one unit; units follow
    each other from a film's first start on, or with a `reach` from the one that is drawn. The starts are drawn
    beginning with the last unit, each from those of its unit that the one drawn before may follow.
    """

    def __init__(self, starts: Starts, apart: int, reach: int | None, shots: SpanTable) -> None:
        super().__init__(starts, apart, reach)
        film_S, middle = shots.film_R, starts.window_frames // 2
        first_S = starts.find_first_at(film_S, np.maximum(shots.start_R - middle, 0))
        self._shot_S = _distinct([first_S, starts.bound_F1])  # each shot's first start, and the end
        self._shot_F1 = np.searchsorted(self._shot_S, starts.bound_F1)
        if reach is None:
            self._unit_U = self._units()
            self._unit_F1 = np.searchsorted(self._unit_U, starts.bound_F1)
        else:
            self._edge_E = self._edges(reach)

    @property
    def most_clips_F(self) -> Int64s:
        """How many clips each film can give to one batch."""
        if self._reach is None:
            units_F: Int64s = np.diff(self._unit_F1)
            return units_F
        most_clips_F = np.zeros_like(self._starts.count_F)
        number_E = self._edge_E[1:] - 1
        film_E = self._starts.find_films(number_E)
        end_E, count_E = self._end(number_E, film_E), np.zeros_like(number_E)
        while (within_E := np.flatnonzero(number_E < end_E)).size:
            count_E[within_E] += 1
            number_E[within_E] = self._next(number_E[within_E])
        np.maximum.at(most_clips_F, film_E, count_E)
        return most_clips_F

    def draw(self, random: np.random.Generator, film_M: Int64s, clips: int) -> Int64s:
        """Return the numbers `[M, K]` of starts, in the order of time."""
        if self._reach is None:
            unit_M = self._unit_F1[film_M]
            unit_MK = unit_M[:, None] + draw_combinations(random, self._unit_F1[film_M + 1] - unit_M, clips)
            low_MK, high_MK = self._unit_U[unit_MK], self._unit_U[unit_MK + 1] - 1
        else:
            edge_MU = self._units_from(self._drawn_first(random, film_M, clips), film_M)
            unit_MK = draw_combinations(random, (edge_MU[:, :-1] < edge_MU[:, 1:]).sum(axis=1), clips)
            low_MK, high_MK = (np.take_along_axis(edge_MU, unit_MK + i, axis=1) - i for i in (0, 1))
        share_MK = random.random(low_MK.shape)
        number_MK: Int64s = np.empty_like(low_MK)
        for clip in reversed(range(clips)):
            low_M, high_M = low_MK[:, clip], high_MK[:, clip]
            if clip + 1 < clips:
                high_M = np.minimum(high_M, self._last_before(number_MK[:, clip + 1], film_M))
            number_MK[:, clip] = low_M + (share_MK[:, clip] * (high_M - low_M + 1)).astype(np.int64)
        return number_MK

    def _next(self, number_X: Int64s) -> Int64s:
        """Return the first starts that may follow these, `apart` on and in another shot, or beyond the film."""
        place_X = np.minimum(np.searchsorted(self._shot_S, number_X, side="right"), len(self._shot_S) - 1)
        next_X: Int64s = np.maximum(number_X + self._apart, self._shot_S[place_X])
        return next_X

    def _last_before(self, number_X: Int64s, film_X: Int64s) -> Int64s:
        """Return the last starts that these, of films of which each has starts, may follow."""
        place_X = last_at_most(self._shot_S, self._shot_F1[film_X], self._shot_F1[film_X + 1] - 1, number_X)
        last_X: Int64s = np.minimum(number_X - self._apart, self._shot_S[place_X] - 1)
        return last_X

    def _units(self) -> Int64s:
        """Return the first start of each unit of all films, and the end."""
        some_F = self._starts.count_F > 0
        here, end = self._starts.bound_F1[:-1][some_F], self._starts.bound_F1[1:][some_F]
        units = [self._starts.bound_F1[-1:]]
        while len(here):  # one unit of every film at a time
            units.append(here)
            here = self._next(here)
            here, end = here[here < end], end[here < end]
        return np.sort(np.concatenate(units))

    def _units_from(self, first_M: Int64s, film_M: Int64s) -> Int64s:
        """Return the first start of each unit within reach, and the end as often as there are fewer than of others."""
        end_M, edges = self._end(first_M, film_M), [first_M]
        while (edges[-1] < end_M).any():
            edges.append(np.minimum(self._next(edges[-1]), end_M))
        return np.stack(edges, axis=1)

    def _edges(self, reach: int) -> Int64s:
        """Return the starts at which it changes how those lie that follow: from one to the next of these, the first
        that may follow, and the first that may follow that, stand still or move on with it within their runs.
        """
        new = np.concatenate([self._shot_S, self._shot_S - self._apart, self._starts.offset_R1])
        edges = [new]
        for _ in range(reach // self._apart):  # what is followed by an edge first there is an edge too
            before = new[new > 0] - 1
            new = self._last_before(before, self._starts.find_films(before)) + 1
            new = new[self._shot_S[np.searchsorted(self._shot_S, new, side="right") - 1] != new]  # others are known
            edges.append(new)
        return _distinct(edges)

    def _firsts(self, clips: int) -> tuple[Int64s, Int64s, Int64s]:
        """Return the starts from which `clips` can be had within reach: stretches of numbers, and their films.

        Between two edges the last clip stands still, and then the later the first is the better, or moves on with it.
        """
        starts, begin, end = self._starts, self._edge_E[:-1], self._edge_E[1:]
        film, of_begin, of_last = starts.find_films(begin), begin, end - 1
        for _ in range(clips - 1):
            of_begin, of_last = self._next(of_begin), self._next(of_last)
        there = of_last < starts.bound_F1[film + 1]
        begin, end, film, of_begin, of_last = (part[there] for part in (begin, end, film, of_begin, of_last))
        assert self._reach is not None
        nearest = starts.find_first_at(film, starts.find_frames(of_last, film) - self._reach)
        moves = (of_begin < of_last) & (nearest < end)
        begin = np.where(moves, begin, np.maximum(begin, nearest))
        near = begin < end
        return begin[near], end[near], film[near]


def draw_combinations(random: np.random.Generator, count_M: Int64s, size: int) -> Int64s:
    """Return `[M, size]`: in each row so many of the numbers below `count_M`, in order, each choice equally often.

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


def _distinct(parts: Sequence[Int64s]) -> Int64s:
    """Return the numbers that are there and not below 0, each once, in order (`np.unique` hashes, and takes longer)."""
    all_X = np.sort(np.concatenate(parts))
    distinct_X: Int64s = all_X[(all_X >= 0) & np.append(True, all_X[1:] > all_X[:-1])]
    return distinct_X
