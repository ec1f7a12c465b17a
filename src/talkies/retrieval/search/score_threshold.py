"""From which score on a clip counts as found: one that no clip of the library is expected to reach by chance.

Chance is what random pairs of the library's own clips show, of different films (of one film, clips far apart). Some of
these pairs are truly alike, so the middle and the lower half of their scores tell the spread, as if they were normally
distributed, and the floor is where a search of N rows would find one by chance. A query that is a little like
everything, as noise may be, has a floor of its own by the same rule from its own scores (the z-norm of speaker
verification, Auckenthaler et al. 2000); the higher one holds. Neither is more than half the way from what one in a
hundred pairs reaches to a likeness of 1, so that the very same clip is always found.

Shapes: `B` clips of the sample, `D` embedding.
"""

from collections.abc import Mapping
from statistics import NormalDist

import numpy as np

from talkies.core import Bools, Float32s, Modality
from talkies.retrieval.index.rows import IndexRows
from talkies.retrieval.search.query import weights

NO_FLOOR = -1.0
SAMPLE = 1_500
_LEAST_PAIRS = 200
_ONE_SPREAD_BELOW = 0.15866  # of a normal distribution lies below its mean less its standard deviation
_RARE = 0.99

Pairs = tuple[tuple[Modality, Modality], ...]


class Floors:
    """Floors of a library of so many `rows`, from a sample of them; -1 where there are too few to tell what is chance.

    Safe for threads: what is worked out twice is the same.
    """

    def __init__(self, sample: IndexRows, rows: int, clip_seconds: float) -> None:
        self._sample, self._rows, self._apart_seconds = sample, rows, 4 * clip_seconds
        self._known: dict[Pairs, float] = {}

    def of(self, vectors: Mapping[Modality, Float32s], pairs: Pairs) -> float:
        """Return the floor of a query's scores."""
        general = self.of_random_pairs(pairs)
        if general == NO_FLOOR:
            return NO_FLOOR
        return max(general, chance_level(scores(self._sample, weights(vectors, pairs)), self._rows))

    def of_random_pairs(self, pairs: Pairs) -> float:
        """Return the floor that holds for every query."""
        if pairs not in self._known:
            sides = {"video": self._sample.video_BD, "audio": self._sample.audio_BD}
            score_BB: Float32s = np.mean([sides[one] @ sides[other].T for one, other in pairs], axis=0)
            random = score_BB[_random_pairs(self._sample, self._apart_seconds)]
            self._known[pairs] = chance_level(random, self._rows) if len(random) >= _LEAST_PAIRS else NO_FLOOR
        return self._known[pairs]


def chance_level(score: Float32s, rows: int) -> float:
    """Return the score that one of so many rows reaches by chance, from scores that are mostly those of chance."""
    low, middle, rare = np.quantile(score, (_ONE_SPREAD_BELOW, 0.5, _RARE)).tolist()
    expected = middle + NormalDist().inv_cdf(1 - 1 / max(2, rows)) * (middle - low)
    return float(min(expected, (1 + rare) / 2))


def scores(rows: IndexRows, weight: Mapping[Modality, Float32s]) -> Float32s:
    """Return the scores of rows by the weights of a query (see `weights`)."""
    sides = {"video": rows.video_BD, "audio": rows.audio_BD}
    parts = [sides[side] @ vector for side, vector in weight.items()]
    total: Float32s = parts[0] if len(parts) == 1 else parts[0] + parts[1]
    return total


def _random_pairs(rows: IndexRows, apart_seconds: float) -> Bools:
    """Return which pairs `[B, B]` of rows are of different films; of a single film, which are far apart."""
    _, film_B = np.unique(rows.film_B.astype(str), return_inverse=True)
    different_BB: Bools = film_B[:, None] != film_B[None]
    if different_BB.any():
        return different_BB
    far: Bools = np.abs(rows.start_B[:, None] - rows.start_B[None]) >= apart_seconds
    return far
