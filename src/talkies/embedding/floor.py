"""From which score on a clip counts as found: what random pairs of the library's own clips do not reach.

For each pair of sides, clips of different films (of one film, clips far apart) are compared. A row is found when its
score is above `QUANTILE` of these pairs' scores, and stands out from the query's own scores as far as that share of the
pairs does (the z-norm of speaker verification, Auckenthaler et al. 2000): a query that is a little like everything, as
noise is, finds nothing.

Shapes: `B` clips of the sample, `D` embedding.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from talkies.embedding.index import Modality
from talkies.embedding.query import Vector, weights
from talkies.embedding.rows import IndexRows

QUANTILE = 0.98
SAMPLE = 1_500
_LEAST_PAIRS = 200

Pairs = tuple[tuple[Modality, Modality], ...]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Calibration:
    """For one choice of sides: the score and the standing out that so many random pairs stay under."""

    score: float
    standing_out: float


class Floors:
    """Floors of a library, from a sample of its rows."""

    def __init__(self, sample: IndexRows, clip_seconds: float) -> None:
        self._sample, self._apart_seconds = sample, 4 * clip_seconds
        self._known: dict[Pairs, Calibration | None] = {}

    def of(self, vectors: Mapping[Modality, Vector], pairs: Pairs) -> float:
        """Return the floor of a query's scores; −1 where there are too few clips to tell what is chance."""
        calibration = self.calibration(pairs)
        if calibration is None:
            return -1.0
        score_B = scores(self._sample, weights(vectors, pairs))
        own = float(score_B.mean() + calibration.standing_out * score_B.std())
        return max(calibration.score, own)

    def calibration(self, pairs: Pairs) -> Calibration | None:
        """Return what random pairs stay under, or nothing where there are too few of them."""
        if pairs not in self._known:
            self._known[pairs] = self._calibrated(pairs)
        return self._known[pairs]

    def _calibrated(self, pairs: Pairs) -> Calibration | None:
        rows, sides = self._sample, {"video": self._sample.video_BD, "audio": self._sample.audio_BD}
        score_BB: Floats = np.mean([sides[one] @ sides[other].T for one, other in pairs], axis=0)
        random_BB = _random_pairs(rows, self._apart_seconds)
        if random_BB.sum() < _LEAST_PAIRS:
            return None
        mean_B1, spread_B1 = score_BB.mean(1, keepdims=True), score_BB.std(1, keepdims=True)
        standing_BB = (score_BB - mean_B1) / np.maximum(spread_B1, 1e-6)
        return Calibration(
            float(np.quantile(score_BB[random_BB], QUANTILE)), float(np.quantile(standing_BB[random_BB], QUANTILE))
        )


def scores(rows: IndexRows, weight: Mapping[Modality, Vector]) -> Floats:
    """Return the scores of rows by the weights of a query (see `weights`)."""
    sides = {"video": rows.video_BD, "audio": rows.audio_BD}
    parts = [sides[side] @ vector for side, vector in weight.items()]
    total: Floats = parts[0] if len(parts) == 1 else parts[0] + parts[1]
    return total


def _random_pairs(rows: IndexRows, apart_seconds: float) -> npt.NDArray[np.bool_]:
    """Return which pairs `[B, B]` of rows are of different films; of a single film, which are far apart."""
    _, film_B = np.unique(rows.film_B.astype(str), return_inverse=True)
    different_BB: npt.NDArray[np.bool_] = film_B[:, None] != film_B[None]
    if different_BB.any():
        return different_BB
    far: npt.NDArray[np.bool_] = np.abs(rows.start_B[:, None] - rows.start_B[None]) >= apart_seconds
    return far
