"""Similarity between many clips: whitened embeddings, and the most similar pairs found in blocks.

Shapes: `N` clips of one modality, `D` embedding, `C` pairs (entries of an N × N matrix of which one block at a time is
in memory), `L`, `R` rows of a left and a right block.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from talkies.core import Float32s, Int64s

BLOCK = 2048
"""The number of rows that are compared with as many others at a time."""
MAX_PARTNERS = 32
"""The best matches kept for each clip."""
_RIDGE = 0.01
_RIDGE_PER_DIM_AND_ROW = 0.1
MAX_COSINE = 0.99999  # so that Fisher's z is finite
_EXCLUDED_SCORE = -2  # below every cosine


@dataclass(frozen=True, slots=True)
class Whitening:
    """A transform that gives embeddings equal variance in every direction, up to a ridge.

    The clips of a library have much in common that does not distinguish one moment from another; after whitening the
    cosine of two different moments is near zero (Jégou and Chum 2012). Equal rows stay equal.

    Args:
        mean_D: The mean of the rows.
        transform_DD: The matrix that centred rows are multiplied by.
    """

    mean_D: Float32s
    transform_DD: Float32s

    @classmethod
    def fit(cls, rows_ND: Float32s) -> "Whitening":
        """Return the whitening of these rows; the ridge is larger for few rows."""
        count, dim = max(1, len(rows_ND)), rows_ND.shape[1]
        mean_D = np.asarray(rows_ND.sum(axis=0, dtype=np.float64) / count)
        covariance_DD = np.zeros((dim, dim))
        for start in range(0, len(rows_ND), BLOCK):
            part_ND = rows_ND[start : start + BLOCK].astype(np.float64) - mean_D
            covariance_DD += part_ND.T @ part_ND
        eigenvalue_D, direction_DD = np.linalg.eigh(covariance_DD / count)
        ridge = max((_RIDGE + _RIDGE_PER_DIM_AND_ROW * dim / count) * float(eigenvalue_D.mean()), 1e-12)
        transform_DD = direction_DD / np.sqrt(np.clip(eigenvalue_D, 0, None) + ridge)
        return cls(mean_D.astype(np.float32), transform_DD.astype(np.float32))

    def __call__(self, rows_ND: Float32s) -> Float32s:
        """Return the rows whitened, as unit rows."""
        white_ND: Float32s = ((rows_ND - self.mean_D) @ self.transform_DD).astype(np.float32, copy=False)
        white_ND /= np.maximum(np.linalg.norm(white_ND, axis=1, keepdims=True), 1e-9)
        return white_ND


@dataclass(frozen=True, slots=True)
class PositionedRows:
    """Unit rows `[N, D]` and their positions on a time axis, in strides."""

    rows_ND: Float32s
    position_N: Int64s

    def __len__(self) -> int:
        return len(self.position_N)

    def take_block(self, start: int) -> "PositionedRows":
        """Return at most a block of rows, from one on."""
        return PositionedRows(self.rows_ND[start : start + BLOCK], self.position_N[start : start + BLOCK])


@dataclass(frozen=True, slots=True)
class ScoredPairs:
    """Pairs of a left row `first_C` and a right row `second_C`, with their cosines `score_C`."""

    first_C: Int64s
    second_C: Int64s
    score_C: Float32s


def find_top_pairs(
    left: PositionedRows, right: PositionedRows, *, min_score: float, min_gap: int, max_partners: int
) -> ScoredPairs:
    """Return the most similar pairs of a left and a right row; one block of the matrix is in memory at a time.

    Args:
        left: Unit rows.
        right: Unit rows.
        min_score: The least cosine of a pair.
        min_gap: The least distance between the positions of a pair, in strides.
        max_partners: The best matches kept for each left row.
    """
    strips = []
    for left_start in range(0, len(left), BLOCK):
        strip = _concatenate([])
        for right_start in range(0, len(right), BLOCK):
            pairs = _find_pairs_in_block(
                left.take_block(left_start),
                right.take_block(right_start),
                min_score=min_score,
                min_gap=min_gap,
                max_partners=max_partners,
            )
            shifted = ScoredPairs(pairs.first_C + left_start, pairs.second_C + right_start, pairs.score_C)
            strip = _keep_best_partners(_concatenate([strip, shifted]), max_partners)
        strips.append(strip)
    return _concatenate(strips)


def compute_pair_scores(left_ND: Float32s, right_ND: Float32s, first_C: Int64s, second_C: Int64s) -> Float32s:
    """Return the cosines `[C]` of pairs of unit rows, computed in blocks."""
    size = 16 * BLOCK
    parts = [
        np.einsum("cd,cd->c", left_ND[first_C[start : start + size]], right_ND[second_C[start : start + size]])
        for start in range(0, len(first_C), size)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def estimate_null_quantile(score_C: npt.NDArray[np.floating], fit_quantile: float, tail: float) -> float:
    """Return the cosine that random pairs exceed with a small probability.

    A normal distribution in Fisher's z is fitted to the median and one quantile above it: pairs that truly repeat lie
    beyond that quantile and do not bias the fit, nor does the bound at 1.

    Args:
        score_C: Cosines of random pairs.
        fit_quantile: The quantile that the fit uses, above 0.5.
        tail: The probability.
    """
    z_C = np.arctanh(np.clip(score_C, -MAX_COSINE, MAX_COSINE))
    median, upper = np.quantile(z_C, [0.5, fit_quantile])
    deviation = max(float(upper - median) / NormalDist().inv_cdf(fit_quantile), 1e-3)
    return float(np.tanh(median + NormalDist().inv_cdf(1 - max(tail, 1e-15)) * deviation))


def _find_pairs_in_block(
    left: PositionedRows, right: PositionedRows, *, min_score: float, min_gap: int, max_partners: int
) -> ScoredPairs:
    score_LR = left.rows_ND @ right.rows_ND.T
    gap = max(
        left.position_N.min() - right.position_N.max(),
        right.position_N.min() - left.position_N.max(),
    )
    if gap < min_gap:
        score_LR[np.abs(left.position_N[:, None] - right.position_N[None]) < min_gap] = _EXCLUDED_SCORE
    found_C = np.flatnonzero(score_LR >= min_score)

    # Where very many pairs score enough, keep the best of each row only.
    if score_LR.shape[1] > max_partners and len(found_C) > max_partners * len(left):
        bound_L = np.partition(score_LR, -max_partners, axis=1)[:, -max_partners]
        found_C = np.flatnonzero(score_LR >= np.maximum(bound_L, min_score)[:, None])
    first_C, second_C = np.divmod(found_C, score_LR.shape[1])
    return ScoredPairs(first_C, second_C, score_LR.ravel()[found_C])


def _keep_best_partners(pairs: ScoredPairs, max_partners: int) -> ScoredPairs:
    order = np.lexsort((pairs.second_C, -pairs.score_C, pairs.first_C))
    first_C = pairs.first_C[order]
    row_starts = np.flatnonzero(np.diff(first_C, prepend=-1))
    rank_C = np.arange(len(order)) - np.repeat(row_starts, np.diff(row_starts, append=len(order)))
    order = order[rank_C < max_partners]
    return ScoredPairs(pairs.first_C[order], pairs.second_C[order], pairs.score_C[order])


def _concatenate(parts: Sequence[ScoredPairs]) -> ScoredPairs:
    parts = [ScoredPairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32)), *parts]
    return ScoredPairs(
        np.concatenate([part.first_C for part in parts]),
        np.concatenate([part.second_C for part in parts]),
        np.concatenate([part.score_C for part in parts]),
    )
