"""Which films a batch takes: equally often, or in proportion to their weights.

Shapes: `F` films, `M` films of a batch.
"""

from abc import ABC, abstractmethod
from functools import lru_cache

import numpy as np

from talkies.core import Float64s, Int64s
from talkies.sampling.schedule import BatchShape, Schedule
from talkies.sampling.streams import Stream, make_generator

_GOLDEN = (5**0.5 - 1) / 2
_ALMOST_ONE = 1 - 1e-9


class FilmOrder(ABC):
    """Selects the films of every batch: distinct ones, a pure function of (seed, step)."""

    def __init__(self, films: int, schedule: Schedule, seed: int) -> None:
        """Prepare to order `films` films, numbered from 0."""
        self._films, self._schedule, self._seed = films, schedule, seed

    @abstractmethod
    def select_films(self, step: int) -> Int64s:
        """Return the numbers `[M]` of the films of one step."""


class UniformFilmOrder(FilmOrder):
    """Takes films in epochs: each epoch visits every film once, in a new random order.

    At any time, the visits of any two films differ by at most one. A batch in which one epoch ends and the next starts
    must not take a film twice. The next epoch therefore starts with films that the batch has not taken yet, in the
    epoch's order, and its other films follow in that order too.
    """

    def __init__(self, films: int, schedule: Schedule, seed: int) -> None:
        super().__init__(films, schedule, seed)
        self._order_of_epoch: dict[int, Int64s] = {}  # the last two epochs

    def select_films(self, step: int) -> Int64s:
        """Return the numbers `[M]` of the films of one step."""
        shape = self._schedule.find_shape(step)
        epoch, place = divmod(shape.count_films_before(step), self._films)
        films_M = self._order_epoch(epoch)[place : place + shape.films]
        if missing := shape.films - len(films_M):
            films_M = np.concatenate([films_M, self._order_epoch(epoch + 1)[:missing]])
        return films_M

    def _order_epoch(self, epoch: int) -> Int64s:
        """Return the films in the order of an epoch, which may depend on the epoch before."""
        known = self._order_of_epoch
        if epoch in known:
            return known[epoch]

        # With few films, an epoch's start can depend on the end of the one before: go back to one that does not.
        first = epoch
        if self._films < 2 * self._schedule.most_films:
            while self._count_carried(first) and first - 1 not in known:
                first -= 1

        order_F = known.get(first - 1, np.arange(0))
        if first and first - 1 not in known:
            order_F = self._shuffle(first - 1)
        for current in range(first, epoch + 1):
            order_F = self._order_after(order_F, current)
            before = {current - 1: known[current - 1]} if current - 1 in known else {}
            known = self._order_of_epoch = {**before, current: order_F}
        return order_F

    def _order_after(self, before_F: Int64s, epoch: int) -> Int64s:
        """Return the films in the order of an epoch, given the order of the epoch before."""
        order_F, carried = self._shuffle(epoch), self._count_carried(epoch)
        if not carried:
            return order_F

        # Films that the shared batch took from the epoch before must wait; enough others are left to fill it.
        size = self._schedule.count_films_of_batch(epoch * self._films)
        is_free = ~np.isin(order_F[:size], before_F[-carried:])
        first = np.flatnonzero(is_free)[: size - carried]
        rest = np.ones(self._films, bool)
        rest[first] = False
        return np.concatenate([order_F[first], order_F[rest]])

    def _count_carried(self, epoch: int) -> int:
        """Return how many films of the batch in which an epoch starts belong to the epoch before."""
        return self._schedule.find_place_in_batch(epoch * self._films)

    def _shuffle(self, epoch: int) -> Int64s:
        return _permute(self._seed, epoch, self._films)


class WeightedFilmOrder(FilmOrder):
    """Takes films in proportion to their weights, in blocks of ⌈F/M⌉ batches.

    In each block a film's number of visits is its share of them, rounded up or down, and in the long run exactly its
    share. The visits are listed film by film in a shuffled order and dealt to the batches like cards, so no batch gets
    a film twice. A film whose share is more than one visit a batch is in every batch, once.
    """

    def __init__(self, weight_F: Int64s, schedule: Schedule, seed: int) -> None:
        """Prepare to order the films of these weights."""
        super().__init__(len(weight_F), schedule, seed)
        self._shares = {shape: _divide_shares(weight_F, shape.films) for shape in schedule.shapes}
        self._last_block: tuple[tuple[BatchShape, int], Int64s] | None = None

    def select_films(self, step: int) -> Int64s:
        """Return the numbers `[M]` of the films of one step."""
        shape = self._schedule.find_shape(step)
        steps = -(-self._films // shape.films)
        block, place = divmod(step - shape.first_step, steps)
        if self._last_block is None or self._last_block[0] != (shape, block):
            self._last_block = (shape, block), self._deal_block(shape, block)
        return self._last_block[1][:, place]

    def _deal_block(self, shape: BatchShape, block: int) -> Int64s:
        """Return the films of a block's batches, `[M, steps]`."""
        always, total_share_F1 = self._shares[shape]
        steps, drawn = -(-self._films // shape.films), shape.films - len(always)

        # Round the shares to visits: the offset changes from block to block, so that the rounding evens out.
        offset = make_generator(self._seed, Stream.OFFSET, shape.first_step).random() + block * _GOLDEN
        total_visits_F1 = np.floor(total_share_F1 * (steps * drawn) + offset % 1).astype(np.int64)
        visits_F: Int64s = np.diff(total_visits_F1).astype(np.int64)

        # Deal the visits to the batches, whose order is shuffled too.
        random = make_generator(self._seed, Stream.BLOCK, shape.first_step, block)
        order_F = random.permutation(self._films)
        dealt = np.repeat(order_F, visits_F[order_F]).reshape(drawn, steps)[:, random.permutation(steps)]
        return np.concatenate([np.repeat(always[:, None], steps, axis=1), dealt]).astype(np.int64)


def _divide_shares(weight_F: Int64s, films: int) -> tuple[Int64s, Float64s]:
    """Return the films that are in every batch, and the cumulative shares of the others, from 0 to 1, `[F + 1]`.

    Args:
        weight_F: the weight of each film.
        films: how many films a batch takes.
    """
    share_F, always_F, left = weight_F / weight_F.sum(), np.zeros(len(weight_F), bool), films
    while (over_F := ~always_F & (share_F * left >= _ALMOST_ONE)).any():
        always_F |= over_F
        left = films - int(always_F.sum())
        rest = share_F[~always_F].sum()
        share_F = np.where(always_F, 0.0, share_F / rest if rest else 0.0)
    total_share_F1 = np.concatenate([[0.0], np.cumsum(share_F)])
    return np.flatnonzero(always_F), total_share_F1 / (total_share_F1[-1] or 1.0)


@lru_cache(maxsize=4)
def _permute(seed: int, epoch: int, count: int) -> Int64s:
    return make_generator(seed, Stream.EPOCH, epoch).permutation(count).astype(np.int64)
