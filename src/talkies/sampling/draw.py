"""Which clips a film gives: k starts that keep the gap, drawn for many films at once.

Starts are drawn by their numbers (`Starts`); what is apart in number is apart in frames.

Shapes: `F` films, `M` films drawn for, `K` clips a film, `U` units of starts.
"""

from abc import ABC, abstractmethod

import numpy as np

from talkies.core import Int64s, SpanTable, film_line
from talkies.sampling.starts import Starts


class ClipDraw(ABC):
    """Draws clips: `apart` is the least distance between two starts of a film, in frames, and `reach` the greatest
    between the first and the last, or nothing.
    """  # noqa: D205

    def __init__(self, starts: Starts, apart: int, reach: int | None) -> None:
        self._starts, self._apart, self._reach = starts, apart, reach

    @property
    @abstractmethod
    def most_F(self) -> Int64s:
        """How many clips each film can give to one batch."""

    @abstractmethod
    def draw(self, random: np.random.Generator, film_M: Int64s, clips: int) -> Int64s:
        """Return the numbers `[M, K]` of starts, in the order of time."""


class DrawAnywhere(ClipDraw):
    """Every choice of k starts that are at least `apart` apart in number is drawn equally often.

    Choosing k of N so is choosing k distinct ones of N − (k−1)(apart−1), and spreading them by apart − 1 each. With a
    `reach` the first start that may be taken is drawn, of those from which k can be had, and then the k from there on.
    """

    def __init__(self, starts: Starts, apart: int, reach: int | None) -> None:
        super().__init__(starts, apart, reach)
        self._known: dict[int, tuple[Int64s, Int64s, Int64s]] = {}

    @property
    def most_F(self) -> Int64s:
        """How many clips each film can give to one batch."""
        return (self._room_F() - 1) // self._apart + 1

    def draw(self, random: np.random.Generator, film_M: Int64s, clips: int) -> Int64s:
        """Return the numbers `[M, K]` of starts, in the order of time."""
        spread = self._apart - 1
        first_M, count_M = self._starts.bound_F1[film_M], self._starts.count_F[film_M]
        if self._reach is not None:
            first_M = self._drawn_first(random, film_M, clips)
            count_M = self._end(first_M, film_M) - first_M
        chosen_MK = combinations(random, count_M - (clips - 1) * spread, clips)
        return first_M[:, None] + chosen_MK + spread * np.arange(clips)

    def _end(self, number_X: Int64s, film_X: Int64s) -> Int64s:
        """Return the number of the first start that is out of reach."""
        assert self._reach is not None
        return self._starts.number_from(film_X, self._starts.frame(number_X) + self._reach + 1)

    def _room_F(self) -> Int64s:
        """Return how many starts the clips of one batch can be drawn from."""
        starts = self._starts
        if self._reach is None:
            return starts.count_F
        room_F = np.zeros(len(starts.count_F), np.int64)
        # The most are to be had where a run of starts begins, or where the reach just takes in the end of one.
        film_R = starts.film_of(starts.offset_R1[:-1])
        last_R = starts.first_R + np.diff(starts.offset_R1) - 1
        for number_R in (starts.offset_R1[:-1], starts.number_from(film_R, last_R - self._reach)):
            np.maximum.at(room_F, film_R, self._end(number_R, film_R) - number_R)
        return room_F

    def _drawn_first(self, random: np.random.Generator, film_M: Int64s, clips: int) -> Int64s:
        """Return for each film a start from which `clips` can be had within reach, each equally often."""
        first_S, offset_S1, stretch_F1 = self._known.get(clips) or self._known.setdefault(clips, self._firsts(clips))
        low_M, high_M = offset_S1[stretch_F1[film_M]], offset_S1[stretch_F1[film_M + 1]]
        place_M = random.integers(low_M, high_M)
        stretch_M = np.searchsorted(offset_S1, place_M, side="right") - 1
        return first_S[stretch_M] + place_M - offset_S1[stretch_M]

    def _firsts(self, clips: int) -> tuple[Int64s, Int64s, Int64s]:
        """Return the starts from which `clips` can be had: stretches of numbers, and where each film's begin.

        From start *x* they can if the one `need` numbers on is within reach; where *x* and that one are each in a run,
        their distance is the same, so only where one of the two enters a run it has to be looked at.
        """
        starts, need = self._starts, (clips - 1) * self._apart
        entered = starts.offset_R1[:-1]
        edge = np.unique(np.concatenate([entered, entered - need, starts.bound_F1, starts.bound_F1 - need]))
        edge = edge[(edge >= 0) & (edge <= starts.bound_F1[-1])]
        begin, end = edge[:-1], edge[1:]
        film = starts.film_of(begin)
        inside = begin + need < starts.bound_F1[film + 1]
        begin, end, film = begin[inside], end[inside], film[inside]
        near = starts.frame(begin + need) - starts.frame(begin) <= (self._reach or 0)
        begin, end, film = begin[near], end[near], film[near]
        offset = np.concatenate([[0], np.cumsum(end - begin)]).astype(np.int64)
        return begin, offset, np.searchsorted(film, np.arange(len(starts.bound_F1)))


class DrawOneAShot(ClipDraw):
    """At most one clip a shot: k of a film's units are drawn, each choice equally often, and a start in each.

    A unit is a shot, or as many that follow each other as it takes to be `apart` long, so that whatever units are
    drawn, their clips can keep the gap: each start is drawn from those of its unit that lie far enough before the next
    one's, beginning with the last.
    """

    def __init__(self, starts: Starts, apart: int, reach: int | None, shots: SpanTable) -> None:
        super().__init__(starts, apart, reach)
        self._first_U = _units(starts, shots, apart)
        self._last_U = np.append(self._first_U, starts.bound_F1[-1])[1:] - 1
        self._unit_F1 = np.searchsorted(self._first_U, starts.bound_F1)
        end_U = np.repeat(self._unit_F1[1:], np.diff(self._unit_F1))
        if reach is not None:  # only units that lie whole within reach of the first start
            film_U = film_line(starts.film_of(self._first_U))
            last_U, reached_U = film_U + starts.frame(self._last_U), film_U + starts.frame(self._first_U) + reach
            end_U = np.minimum(end_U, np.searchsorted(last_U, reached_U, side="right"))
        self._units_U = end_U - np.arange(len(end_U))  # how many there are from each unit on
        self._begins: dict[int, Int64s] = {}

    @property
    def most_F(self) -> Int64s:
        """How many clips each film can give to one batch."""
        most_F = np.zeros(len(self._unit_F1) - 1, np.int64)
        np.maximum.at(most_F, self._starts.film_of(self._first_U), self._units_U)
        return most_F

    def draw(self, random: np.random.Generator, film_M: Int64s, clips: int) -> Int64s:
        """Return the numbers `[M, K]` of starts, in the order of time."""
        unit_M = self._unit_F1[film_M]
        if self._reach is not None:
            begin = self._begins.setdefault(clips, np.flatnonzero(self._units_U >= clips))
            bound_F1 = np.searchsorted(begin, self._unit_F1)
            unit_M = begin[random.integers(bound_F1[film_M], bound_F1[film_M + 1])]
        unit_MK = unit_M[:, None] + combinations(random, self._units_U[unit_M], clips)
        low_MK, high_MK = self._first_U[unit_MK], self._last_U[unit_MK]
        share_MK = random.random(unit_MK.shape)
        number_MK: Int64s = high_MK
        while True:  # a start moves its neighbour before it, which may move the one before that
            limit_MK = np.minimum(high_MK[:, :-1], number_MK[:, 1:] - self._apart)
            top_MK = np.concatenate([limit_MK, high_MK[:, -1:]], axis=1)
            moved_MK: Int64s = low_MK + (share_MK * (top_MK - low_MK + 1)).astype(np.int64)
            if np.array_equal(moved_MK, number_MK):
                return number_MK
            number_MK = moved_MK


def combinations(random: np.random.Generator, count_M: Int64s, size: int) -> Int64s:
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


def _units(starts: Starts, shots: SpanTable, apart: int) -> Int64s:
    """Return the number of each unit's first start, over all films; a film's are at least `apart` from each other."""
    middle = starts.window_frames // 2
    film_S = shots.film_R
    number_S = starts.number_from(film_S, np.maximum(shots.start_R - middle, 0))
    number_S = number_S[number_S < starts.bound_F1[film_S + 1]]
    first = np.unique(np.concatenate([number_S, starts.bound_F1[:-1][starts.count_F > 0]]))
    bound_F1 = np.searchsorted(first, starts.bound_F1)
    kept = np.zeros(len(first), bool)
    some_F = bound_F1[1:] > bound_F1[:-1]
    here, end = bound_F1[:-1][some_F], bound_F1[1:][some_F]
    while len(here):  # one unit of every film at a time
        kept[here] = True
        here = np.searchsorted(first, first[here] + apart)
        here, end = here[here < end], end[here < end]
    return first[kept]
