"""How many clips each run of starts gives, where a film gives k clips at a minimum distance in each run.

A run of *n* starts has C(n − (j−1)(d−1), j) choices of *j* starts at distance *d*. A choice in all runs of a film is
one in each run, so the numbers of clips of the runs have a probability proportional to the product of their choices,
given that they add up to k. Independent numbers with probabilities proportional to λ^j times the choices have it too,
as soon as their sum is k: λ^k is then common to all. So numbers are drawn independently until their sum is k. Any λ > 0
is right; a λ with which the runs give k clips on average is fast.

The longest run is not drawn but gets what is missing, and the numbers are accepted with its probability of giving that
many, in units of its largest one.

Shapes: `M` films, `X` their runs one film after the other, `E` the possible numbers of clips of each run one run after
the other, `T` tries.
"""

from functools import lru_cache
from math import lgamma

import numpy as np

from talkies.core import Bools, Float64s, Int64s
from talkies.sampling.starts import search_last_at_most

_TRIES = 12
_LARGE = 1024  # from here on logarithms of factorials are computed by Stirling's series


def draw_run_counts(
    random: np.random.Generator, size_X: Int64s, edge_M1: Int64s, clips: int, distance: int
) -> tuple[Int64s, Bools]:
    """Return how many clips each run gives, `[X]`, and which films have a draw, `[M]`; the others have to draw again.

    Args:
        random: the generator.
        size_X: how many starts each run has, at least one.
        edge_M1: the runs of film *m* are `edge_M1[m]` to `edge_M1[m + 1]`, at least one.
        clips: how many clips a film gives.
        distance: the smallest distance between two starts in a run.
    """
    # List what each run may give, with its probability; the largest is 1 at first.
    most_X = np.minimum((size_X - 1) // distance + 1, clips)
    edge_X1 = np.concatenate([[0], np.cumsum(most_X + 1)]).astype(np.int64)
    run_E = np.repeat(np.arange(len(size_X)), most_X + 1)
    clips_E = np.arange(edge_X1[-1]) - edge_X1[run_E]
    free_E = size_X[run_E] - np.maximum(clips_E - 1, 0) * (distance - 1)
    weight_E = _log_binomial(free_E, clips_E) + clips_E * _choose_log_tilt(size_X, edge_M1, clips, distance)[run_E]
    weight_E = np.exp(weight_E - np.maximum.reduceat(weight_E, edge_X1[:-1])[run_E])
    total_E1 = np.concatenate([[0.0], np.cumsum(weight_E / np.add.reduceat(weight_E, edge_X1[:-1])[run_E])])

    # Draw the clips of all runs, and give what is missing to the film's longest run.
    first_X, low_X = edge_X1[:-1], total_E1[edge_X1[:-1]]
    wanted_TX = low_X + random.random((_TRIES, len(size_X))) * (total_E1[edge_X1[1:]] - low_X)
    first_TX, last_TX = (np.broadcast_to(part_X, wanted_TX.shape) for part_X in (first_X, first_X + most_X))
    count_TX = search_last_at_most(total_E1, first_TX, last_TX, wanted_TX) - first_X
    longest_M = np.lexsort((size_X, np.repeat(np.arange(len(edge_M1) - 1), np.diff(edge_M1))))[edge_M1[1:] - 1]
    missing_TM = clips - np.add.reduceat(count_TX, edge_M1[:-1], axis=1) + count_TX[:, longest_M]

    # Accept what that run would give with its probability there.
    is_possible_TM = (missing_TM >= 0) & (missing_TM <= most_X[longest_M])
    place_TM = edge_X1[longest_M] + np.where(is_possible_TM, missing_TM, 0)
    is_drawn_TM = is_possible_TM & (random.random(missing_TM.shape) < weight_E[place_TM])
    try_M = is_drawn_TM.argmax(axis=0)
    count_X: Int64s = count_TX[np.repeat(try_M, np.diff(edge_M1)), np.arange(len(size_X))]
    count_X[longest_M] = missing_TM[try_M, np.arange(len(try_M))]
    return count_X, np.logical_or.reduce(is_drawn_TM, axis=0)


def _choose_log_tilt(size_X: Int64s, edge_M1: Int64s, clips: int, distance: int) -> Float64s:
    """Return for each run the logarithm of a λ with which the runs of its film give about `clips` clips, `[X]`.

    A run is filled from left to right with tiles: a clip, of length `distance`, with probability *p*, or a single
    frame. A choice of *j* clips then has a probability proportional to λ^j with λ = p / (1 − p)^distance. By the
    renewal theorem *p* solves (length of the runs − what they lose at their ends) × p / (mean length of a tile) =
    clips.
    """
    runs_M, length_M = np.diff(edge_M1), np.add.reduceat(size_X + distance - 1, edge_M1[:-1])
    chance_M = np.zeros(len(runs_M))
    for _ in range(6):
        lost_M = runs_M * (distance - 1) * (1 - chance_M) / (1 + (distance - 1) * chance_M)
        density_M = np.minimum(clips / (length_M - lost_M), (1 - 1e-9) / distance)
        chance_M = density_M / (1 - (distance - 1) * density_M)
    log_tilt_M = np.log(chance_M) - distance * np.log1p(-chance_M)
    return np.repeat(log_tilt_M, runs_M)


def _log_binomial(count_E: Int64s, size_E: Int64s) -> Float64s:
    """Return the natural logarithms of C(count, size), with an absolute error below 1e-11.

    The logarithms of count! and (count − size)! are not computed one by one where they are large, because their
    difference would lose its digits.
    """
    rest_E = count_E - size_E
    is_large_E = rest_E >= _LARGE
    log_factorial = _list_log_factorials(_LARGE + int(size_E.max()))
    log_binomial_E = -log_factorial[size_E]

    count, rest = count_E[~is_large_E], rest_E[~is_large_E]
    log_binomial_E[~is_large_E] += log_factorial[count] - log_factorial[rest]

    size, count, rest = size_E[is_large_E], count_E[is_large_E], rest_E[is_large_E].astype(np.float64)
    log_binomial_E[is_large_E] += size * (np.log(count) - 1) - (rest + 0.5) * np.log1p(-size / count)
    log_binomial_E[is_large_E] += _compute_stirling_series(count) - _compute_stirling_series(rest)
    return log_binomial_E


@lru_cache(maxsize=8)
def _list_log_factorials(count: int) -> Float64s:
    """Return the natural logarithms of 0!, 1! and so on, `[count]`."""
    return np.array([lgamma(number + 1) for number in range(count)])


def _compute_stirling_series(number_E: Int64s | Float64s) -> Float64s:
    """Return log n! − (n + ½) log n + n − ½ log 2π; from 1,024 on its error is below 1e-18."""
    return 1 / (12.0 * number_E) - 1 / (360.0 * number_E) / number_E / number_E
