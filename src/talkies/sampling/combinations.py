"""Random combinations, many at once.

Shapes: `M` rows, `K` numbers of each.
"""

import numpy as np

from talkies.core import Int64s


def draw_combinations(random: np.random.Generator, count_M: Int64s, size: int) -> Int64s:
    """Return `[M, size]`: in each row `size` distinct numbers below `count_M`, in order, each choice equally likely."""
    return draw_distinct(random, 0, count_M[:, None] - size + np.arange(size))


def draw_distinct(random: np.random.Generator, low_MK: Int64s | int, top_MK: Int64s) -> Int64s:
    """Return distinct numbers in the order of size, `[M, K]`: in each row each choice is equally likely.

    A row may be of several combinations, one after the other, whose numbers come from ranges that do not overlap.

    Source: R. W. Floyd's algorithm (Bentley and Floyd, *A sample of brilliance*, CACM 30, 1987): number *j* of the last
    K of a range takes the place of a number below it that was chosen before.

    Args:
        random: the generator.
        low_MK: the first number of the range that each number is from.
        top_MK: the largest value that each number may have: the last K of its range, in order.
    """
    drawn_MK = random.integers(low_MK, top_MK + 1)
    chosen_MK = np.sort(drawn_MK, axis=1)
    rows = np.flatnonzero((chosen_MK[:, 1:] == chosen_MK[:, :-1]).any(axis=1))
    if rows.size:
        chosen_MK[rows] = _replace_repeated(drawn_MK[rows], top_MK[rows])
    return chosen_MK


def _replace_repeated(drawn_MK: Int64s, top_MK: Int64s) -> Int64s:
    """Return the rows in order, with each number that equals one before it replaced by its `top`, until none does."""
    while True:
        order_MK = np.argsort(drawn_MK, axis=1, kind="stable")
        chosen_MK = np.take_along_axis(drawn_MK, order_MK, axis=1)
        row, place = np.nonzero(chosen_MK[:, 1:] == chosen_MK[:, :-1])
        if not row.size:
            return chosen_MK
        repeated = order_MK[row, place + 1]
        drawn_MK[row, repeated] = top_MK[row, repeated]
