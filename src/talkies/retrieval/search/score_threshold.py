"""The score threshold of a search: the score that no clip of the library is expected to reach by chance.

Chance is estimated from random pairs of the library's own clips, taken from different films (in a library of one film:
from distant clips). Some of these pairs are truly similar, so the spread is estimated from the median and the lower
half of their scores, as if they were normally distributed. The threshold is the score that one of N rows is expected to
reach by chance. A query that is slightly similar to everything, such as noise, gets a higher threshold by the same rule
applied to its own scores (the z-norm of speaker verification, Auckenthaler et al. 2000). The scores of words, and of
combined queries, lie on another scale than those of clips with clips: for them only their own scores count. No
threshold is more than half way from the 99th percentile of those scores to 1, so that the identical clip is always
found.

Shapes: `B` clips of the sample, `D` embedding.
"""

from statistics import NormalDist

import numpy as np

from talkies.core import Bools, Float32s
from talkies.retrieval.index.rows import IndexRows
from talkies.retrieval.search.modality_pairs import ModalityPairs, RowVectors, score_rows

NO_THRESHOLD = -1.0
SAMPLE_ROWS = 1_500
_MIN_PAIRS = 200
_ONE_SD_BELOW_MEAN = 0.15866  # the share of a normal distribution below its mean minus its standard deviation
_HIGH_QUANTILE = 0.99
_DISTANT_CLIPS = 4  # clip lengths from which on two clips of one film count as a random pair


class ScoreThresholds:
    """The score thresholds of one library, estimated from a sample of its rows; safe for threads.

    Args:
        sample: Rows spread evenly over the library.
        total_rows: The number of rows in the library.
        clip_seconds: The length of a clip.
    """

    def __init__(self, sample: IndexRows, total_rows: int, clip_seconds: float) -> None:
        self._sample, self._total_rows = sample, total_rows
        self._distant_seconds = _DISTANT_CLIPS * clip_seconds
        self._random_pairs = int(np.count_nonzero(_find_random_pairs(sample, self._distant_seconds)))
        self._general: dict[ModalityPairs, float] = {}  # two threads may compute the same value twice

    def compute(self, row_vectors: RowVectors, pairs: ModalityPairs | None) -> float:
        """Return the threshold of one query.

        Args:
            row_vectors: The query's vectors `[D]` by the modality of the rows.
            pairs: The modalities that are compared, if the query is a clip; None for words and combined queries.

        Returns:
            A score, or `NO_THRESHOLD` in a library with too few clips to estimate chance.
        """
        if self._random_pairs < _MIN_PAIRS:
            return NO_THRESHOLD
        own = estimate_chance_maximum(score_rows(self._sample, row_vectors), self._total_rows)
        return own if pairs is None else max(self.compute_general(pairs), own)

    def compute_general(self, pairs: ModalityPairs) -> float:
        """Return the least threshold of any query, or `NO_THRESHOLD` in a library with too few clips."""
        if self._random_pairs < _MIN_PAIRS:
            return NO_THRESHOLD
        if pairs not in self._general:
            score_BB: Float32s = np.mean(
                [self._sample.get_vectors(own) @ self._sample.get_vectors(other).T for own, other in pairs], axis=0
            )
            random_scores = score_BB[_find_random_pairs(self._sample, self._distant_seconds)]
            self._general[pairs] = estimate_chance_maximum(random_scores, self._total_rows)
        return self._general[pairs]


def estimate_chance_maximum(scores: Float32s, total_rows: int) -> float:
    """Return the score that one of `total_rows` rows is expected to reach by chance.

    Args:
        scores: Scores of which most are due to chance.
        total_rows: The number of rows that are compared.

    Returns:
        A score below 1 (see the top of this file).
    """
    low, median, high = np.quantile(scores, (_ONE_SD_BELOW_MEAN, 0.5, _HIGH_QUANTILE)).tolist()
    expected = median + NormalDist().inv_cdf(1 - 1 / max(2, total_rows)) * (median - low)
    return float(min(expected, (1 + high) / 2))


def _find_random_pairs(rows: IndexRows, distant_seconds: float) -> Bools:
    """Return which pairs of rows `[B, B]` are of different films; in a sample of one film, which are distant."""
    _, film_B = np.unique(rows.film_B.astype(str), return_inverse=True)
    different_films_BB: Bools = film_B[:, None] != film_B[None]
    if different_films_BB.any():
        return different_films_BB
    distant_BB: Bools = np.abs(rows.start_B[:, None] - rows.start_B[None]) >= distant_seconds
    return distant_BB
