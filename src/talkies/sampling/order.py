"""Which films a batch takes.

Shapes: `F` films, `M` films of a batch.
"""

from abc import ABC, abstractmethod
from functools import lru_cache

import numpy as np

from talkies.core import Int64s
from talkies.sampling.schedule import Schedule, Shape
from talkies.sampling.streams import Stream, generator

_GOLDEN = (5**0.5 - 1) / 2
_ALMOST_ALWAYS = 1 - 1e-9


class FilmOrder(ABC):
    """The films of every batch: distinct ones, a pure function of (seed, step)."""

    def __init__(self, films: int, schedule: Schedule, seed: int) -> None:
        self._films, self._schedule, self._seed = films, schedule, seed

    @abstractmethod
    def select_films(self, step: int) -> Int64s:
        """Return the numbers `[M]` of the films of one step."""


class UniformFilmOrder(FilmOrder):
    """Films are taken in turns, in each every film once in an order of its own: so at any time every film was visited
    equally often within one.

    A batch in which one turn ends and the next begins must not take a film twice: the next turn begins with films that
    the batch has not taken yet, in their order, and its other films follow in theirs.
    """

    def __init__(self, films: int, schedule: Schedule, seed: int) -> None:
        super().__init__(films, schedule, seed)
        self._known: dict[int, Int64s] = {}  # the last two turns

    def select_films(self, step: int) -> Int64s:
        """Return the numbers `[M]` of the films of one step."""
        shape = self._schedule.at(step)
        turn, place = divmod(shape.place_of(step), self._films)
        films_M = self._order(turn)[place : place + shape.films]
        if missing := shape.films - len(films_M):
            films_M = np.concatenate([films_M, self._order(turn + 1)[:missing]])
        return films_M

    def _order(self, turn: int) -> Int64s:
        """Return the films in the order of a turn, which may depend on the one before."""
        if turn not in self._known:
            begin = turn
            if self._films < 2 * self._schedule.most_films:  # else a turn's beginning does not reach into its end
                while self._taken(begin) and begin - 1 not in self._known:
                    begin -= 1
            order_F = self._known.get(begin - 1, self._shuffled(begin - 1) if begin else np.arange(0))
            for now in range(begin, turn + 1):
                order_F = self._after(order_F, now)
                self._known = (
                    {now - 1: self._known[now - 1], now: order_F} if now - 1 in self._known else {now: order_F}
                )
        return self._known[turn]

    def _after(self, before_F: Int64s, turn: int) -> Int64s:
        order_F, taken = self._shuffled(turn), self._taken(turn)
        if not taken:
            return order_F
        size = self._size(turn)
        free = ~np.isin(order_F[:size], before_F[-taken:])  # enough of them are: `taken` films are not
        first = np.flatnonzero(free)[: size - taken]
        rest = np.ones(self._films, bool)
        rest[first] = False
        return np.concatenate([order_F[first], order_F[rest]])

    def _taken(self, turn: int) -> int:
        """Return how many films the batch in which a turn begins takes from the turn before."""
        return self._schedule.taken_before(turn * self._films)

    def _size(self, turn: int) -> int:
        return self._schedule.films_at(turn * self._films)

    def _shuffled(self, turn: int) -> Int64s:
        return _permutation(self._seed, turn, self._films)


class WeightedFilmOrder(FilmOrder):
    """Films are visited in proportion to their weights, in blocks of ⌈F/M⌉ batches: in each, every film as often as its
    share says, rounded up or down, and in the long run exactly.

    A block's visits are laid out film by film in a shuffled order and dealt to its batches like cards, so no batch gets
    a film twice. A film whose share is more than one visit a batch is in every batch, and no more than that.
    """

    def __init__(self, weight_F: Int64s, schedule: Schedule, seed: int) -> None:
        super().__init__(len(weight_F), schedule, seed)
        self._line = {shape: _line_of(weight_F, shape.films) for shape in schedule.shapes}
        self._known: tuple[tuple[Shape, int], Int64s] | None = None  # the last block

    def select_films(self, step: int) -> Int64s:
        """Return the numbers `[M]` of the films of one step."""
        shape = self._schedule.at(step)
        steps = -(-self._films // shape.films)
        block, place = divmod(step - shape.first_step, steps)
        if self._known is None or self._known[0] != (shape, block):
            self._known = (shape, block), self._block(shape, block)
        return self._known[1][:, place]

    def _block(self, shape: Shape, block: int) -> Int64s:
        """Return the films of a block's batches, `[M, steps]`."""
        always, line_F1 = self._line[shape]
        steps, drawn = -(-self._films // shape.films), shape.films - len(always)
        offset = generator(self._seed, Stream.OFFSET, shape.first_step).random() + block * _GOLDEN
        visits_F: Int64s = np.diff(np.floor(line_F1 * (steps * drawn) + offset % 1).astype(np.int64)).astype(np.int64)
        random = generator(self._seed, Stream.BLOCK, shape.first_step, block)
        order_F = random.permutation(self._films)
        dealt = np.repeat(order_F, visits_F[order_F]).reshape(drawn, steps)[:, random.permutation(steps)]
        return np.concatenate([np.repeat(always[:, None], steps, axis=1), dealt]).astype(np.int64)


def _line_of(weight_F: Int64s, films: int) -> tuple[Int64s, np.ndarray]:
    """Return the films that are in every batch, and the others' shares laid end to end from 0 to 1, `[F + 1]`."""
    share_F, always_F, left = weight_F / weight_F.sum(), np.zeros(len(weight_F), bool), films
    while (over_F := ~always_F & (share_F * left >= _ALMOST_ALWAYS)).any():
        always_F |= over_F
        left = films - int(always_F.sum())
        rest = share_F[~always_F].sum()
        share_F = np.where(always_F, 0.0, share_F / rest if rest else 0.0)
    line_F1 = np.concatenate([[0.0], np.cumsum(share_F)])
    return np.flatnonzero(always_F), line_F1 / (line_F1[-1] or 1.0)


@lru_cache(maxsize=4)
def _permutation(seed: int, turn: int, count: int) -> Int64s:
    return generator(seed, Stream.TURN, turn).permutation(count).astype(np.int64)
