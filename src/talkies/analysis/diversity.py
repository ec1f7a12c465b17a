"""How many different kinds of things there are: the effective number of clusters, and the Vendi score.

Shapes: `N` clips, `E` numbers.
"""

from collections.abc import Sequence

import numpy as np

from talkies.core import Float64s

_ZERO_LENGTH = 1e-9


def effective_number(counts: Sequence[int]) -> float:
    """Return the exponential of the entropy of shares (Hill number of order 1): n for n equal counts, 1 for one."""
    shares = np.array([count for count in counts if count > 0], np.float64)
    shares /= shares.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def cosine_matrix(row_NE: Float64s) -> Float64s:
    """Return the cosine of each pair of rows.

    Rows of zeros count as equal to each other (1) and different from all others (0).

    Args:
        row_NE: Rows `[N, E]`.

    Returns:
        Cosines `[N, N]`.
    """
    length_N = np.linalg.norm(row_NE, axis=1)
    empty_N = length_N <= _ZERO_LENGTH * max(1.0, float(length_N.max()))
    unit_NE = np.where(empty_N[:, None], 0.0, row_NE / np.where(empty_N, 1.0, length_N)[:, None])
    kernel_NN: Float64s = np.clip(unit_NE @ unit_NE.T, -1.0, 1.0) + np.outer(empty_N, empty_N)
    return kernel_NN


def vendi_score(kernel_NN: Float64s) -> float:
    """Return the Vendi score (Friedman and Dieng 2023, arXiv:2210.02410) of a similarity matrix.

    It is the exponential of the von Neumann entropy of kernel/N: n for n clips that have nothing in common, 1 for n
    equal clips.

    Args:
        kernel_NN: Similarities `[N, N]` with ones on the diagonal.
    """
    eigenvalues = np.linalg.eigvalsh(kernel_NN / len(kernel_NN))
    eigenvalues = eigenvalues[eigenvalues > 1e-12]
    return float(np.exp(-(eigenvalues * np.log(eigenvalues)).sum()))
