"""From described films to rows that can be compared: each film's mean removed, all blocks of numbers on one scale.

Shapes: `N` clips of a film, `E` numbers.
"""

from collections.abc import Sequence

import numpy as np

from talkies.analysis.descriptors.describe_films import DescribedFilm
from talkies.core import Float64s, Int64s


def rows_of(films: Sequence[DescribedFilm], view: str) -> list[Float64s]:
    """Return each film's rows `[N, E]` of a view, less the film's mean.

    Each block of numbers is divided by its spread (the root of its variance within films, the mean over films), so
    that all weigh alike, and a row has a squared length of about one. A block that never varies is nothing.
    """
    count = len(films[0].views[view])
    parts = [_block([film.views[view][place].astype(np.float64) for film in films]) for place in range(count)]
    return [np.concatenate(blocks, axis=1) / np.sqrt(count) for blocks in zip(*parts, strict=True)]


def _block(rows: Sequence[Float64s]) -> list[Float64s]:
    centred = [row_NE - row_NE.mean(0) for row_NE in rows]
    spread = float(np.sqrt(np.mean([spread_of(row_NE) ** 2 for row_NE in centred])))
    return [row_NE / spread if spread > 0 else np.zeros_like(row_NE) for row_NE in centred]


def spread_of(row_NE: Float64s) -> float:
    """Return how far a film's rows lie from their mean: the root of the mean squared distance."""
    return float(np.sqrt(((row_NE - row_NE.mean(0)) ** 2).sum(1).mean()))


def evenly(count: int, most: int) -> Int64s:
    """Return at most `most` of so many places, spread evenly from the first to the last."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))
