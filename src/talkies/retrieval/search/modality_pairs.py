"""Which modality of a query is compared with which modality of a row, and the scores that follow.

Shapes: `B` rows, `D` embedding.
"""

from collections.abc import Mapping

import numpy as np

from talkies.core import MODALITIES, Float32s, Modality, ModalityChoice
from talkies.retrieval.index.rows import IndexRows

ModalityPairs = tuple[tuple[Modality, Modality], ...]
"""Each pair names a modality of the query and the modality of a row that it is compared with."""


def pair_modalities(from_: ModalityChoice, to: ModalityChoice) -> ModalityPairs:
    """Return every pair of a query's and a row's modality; both with both compares like with like only."""
    if from_ == "both" and to == "both":
        return (("video", "video"), ("audio", "audio"))
    query_modalities = MODALITIES if from_ == "both" else (from_,)
    row_modalities = MODALITIES if to == "both" else (to,)
    return tuple((own, other) for own in query_modalities for other in row_modalities)


def combine_query_vectors(vectors: Mapping[Modality, Float32s], pairs: ModalityPairs) -> dict[Modality, Float32s]:
    """Return one vector `[D]` for each modality of the rows; a row's score is the sum of its products with them.

    The score is the mean cosine over the pairs, so the vectors of pairs that share a row modality are summed first.
    """
    combined: dict[Modality, Float32s] = {}
    for own, other in pairs:
        part_D = vectors[own] / np.float32(len(pairs))
        combined[other] = combined[other] + part_D if other in combined else part_D
    return combined


def score_rows(rows: IndexRows, query_vectors: Mapping[Modality, Float32s]) -> Float32s:
    """Return the scores `[B]` of rows by a query's vectors (see `combine_query_vectors`)."""
    parts = [rows.get_vectors(modality) @ vector_D for modality, vector_D in query_vectors.items()]
    score_B: Float32s = parts[0] if len(parts) == 1 else parts[0] + parts[1]
    return score_B
