"""Makes described clips comparable: each film's mean removed, and all blocks of numbers on one scale.

Shapes: `N` clips of a film, `E` numbers.
"""

from collections.abc import Sequence

import numpy as np

from talkies.analysis.descriptors.describe_films import DescribedFilm
from talkies.core import Float64s, Modality


def normalise_rows(films: Sequence[DescribedFilm], modality: Modality) -> list[Float64s]:
    """Return each film's rows of one modality, less the film's mean.

    Each block of numbers is divided by its spread (the root of its variance within films, the mean over films), so
    that all blocks weigh the same, and a row has a squared length of about one. A block that never varies becomes
    zeros.

    Returns:
        For each film an array `[N, E]`.
    """
    count = len(films[0].blocks[modality])
    scaled = [
        _scale_block([film.blocks[modality][number].astype(np.float64) for film in films]) for number in range(count)
    ]
    return [np.concatenate(blocks, axis=1) / np.sqrt(count) for blocks in zip(*scaled, strict=True)]


def compute_spread(row_NE: Float64s) -> float:
    """Return the root of the mean squared distance of rows `[N, E]` from their mean."""
    return float(np.sqrt(((row_NE - row_NE.mean(0)) ** 2).sum(1).mean()))


def _scale_block(rows: Sequence[Float64s]) -> list[Float64s]:
    centred = [row_NE - row_NE.mean(0) for row_NE in rows]
    spread = float(np.sqrt(np.mean([compute_spread(row_NE) ** 2 for row_NE in centred])))
    return [row_NE / spread if spread > 0 else np.zeros_like(row_NE) for row_NE in centred]
