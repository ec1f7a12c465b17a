"""Means over seeds and queries with 95 % intervals, from resampling both.

Neighbouring clips are alike, so blocks of neighbours are resampled and not single clips.

Shapes: `A` seeds, `Q` queries, `R` resamples.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from talkies.core import Float64s

RESAMPLES = 2_000
BLOCK_CLIPS = 6
"""Clips of a block: 15 s."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its 95 % interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.mean:.1f} % ({100 * self.low:.1f} to {100 * self.high:.1f})"

    def to_json(self) -> dict[str, float]:
        """Return the three numbers by name."""
        return {"mean": round(self.mean, 5), "low": round(self.low, 5), "high": round(self.high, 5)}


def resample(values_AQ: Float64s, blocks_Q: Sequence[Hashable]) -> Interval:
    """Return the mean of `values_AQ` with its interval; the same draws every time, so that differences are paired.

    Args:
        values_AQ: a value of each seed and query.
        blocks_Q: the block of each query; the queries of a block are drawn together.
    """
    random = np.random.default_rng(0)
    names = list(dict.fromkeys(blocks_Q))
    places = [np.flatnonzero([block == name for block in blocks_Q]) for name in names]
    sums_AK = np.stack([values_AQ[:, place].sum(1) for place in places], axis=1)
    sizes_K = np.array([len(place) for place in places])

    seeds, blocks = len(values_AQ), len(names)
    means = np.empty(RESAMPLES)
    for number in range(RESAMPLES):
        seed_A = random.integers(seeds, size=seeds)
        block_K = random.integers(blocks, size=blocks)
        means[number] = sums_AK[seed_A][:, block_K].sum() / (seeds * sizes_K[block_K].sum())
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(values_AQ.mean()), float(low), float(high))
