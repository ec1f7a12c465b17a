"""Which modality of a query is compared with which modality of a row, and the scores that follow.

Shapes: `B` rows, `D` embedding.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from talkies.core import MODALITIES, Float32s, Modality, ModalityChoice, UsageError
from talkies.retrieval.index.embedding_set import EmbeddingSet
from talkies.retrieval.index.rows import IndexRows

ModalityPairs = tuple[tuple[Modality, Modality], ...]
"""Each pair names a modality of the query and the modality of a row that it is compared with."""
RowVectors = Mapping[Modality, Float32s]
"""The vector `[D]` that each modality of the rows is multiplied by; the sum of the products is a row's score."""
_ZERO_LENGTH = 1e-6


def pair_modalities(
    from_: ModalityChoice, to: ModalityChoice, available: Collection[Modality], entry: EmbeddingSet
) -> ModalityPairs:
    """Return the pairs of a query's and a row's modality that are compared.

    "Both" means those that the query and the set have and that can be compared; of both with both, like with like only.

    Args:
        from_: The modalities of the query that are used.
        to: The modalities of the rows that are used.
        available: The modalities that the query has.
        entry: The set that is searched.

    Raises:
        UsageError: if the set lacks a modality that is named, or no pair can be compared.
    """
    for choice in (from_, to):
        if choice != "both":
            entry.check_has(choice)
    own = [modality for modality in _list_chosen(from_) if modality in available]
    others = [modality for modality in _list_chosen(to) if modality in entry.modalities]
    if len(own) == len(others) == len(MODALITIES):
        return tuple((modality, modality) for modality in MODALITIES)
    pairs = tuple((each, other) for each in own for other in others if each == other or entry.joint)
    if not pairs:
        entry.check_comparable(own[0], others[0])
    return pairs


def pair_words(to: ModalityChoice, entry: EmbeddingSet) -> ModalityPairs:
    """Return the modalities that words are compared with, as pairs of equal ones; "both" means those that they can be.

    Raises:
        UsageError: if the words of the set's model cannot be compared with a modality that is named.
    """
    chosen = entry.text if to == "both" and entry.text else [each for each in _list_chosen(to) if to != "both"]
    for modality in chosen or entry.modalities:
        entry.check_words(modality)
    return tuple((modality, modality) for modality in chosen)


def _list_chosen(choice: ModalityChoice) -> Sequence[Modality]:
    return MODALITIES if choice == "both" else (choice,)


def combine_query_vectors(vectors: Mapping[Modality, Float32s], pairs: ModalityPairs) -> dict[Modality, Float32s]:
    """Return one vector `[D]` for each modality of the rows; a row's score is the sum of its products with them.

    The score is the mean cosine over the pairs, so the vectors of pairs that share a row modality are summed first.
    """
    combined: dict[Modality, Float32s] = {}
    for own, other in pairs:
        part_D = vectors[own] / np.float32(len(pairs))
        combined[other] = combined[other] + part_D if other in combined else part_D
    return combined


def combine_parts(parts: Sequence[tuple[float, RowVectors]]) -> dict[Modality, Float32s]:
    """Return the vectors of a combined query: those of its parts, weighted, over the sum of the positive weights.

    Raises:
        UsageError: if the parts cancel each other.
    """
    total = sum(weight for weight, _ in parts if weight > 0)
    sums: dict[Modality, np.ndarray] = {}
    for weight, vectors in parts:
        for modality, vector_D in vectors.items():
            part_D = weight / total * vector_D.astype(np.float64)
            sums[modality] = sums[modality] + part_D if modality in sums else part_D

    combined = {name: vector_D.astype(np.float32) for name, vector_D in sums.items() if _is_above_zero(vector_D)}
    if not combined:
        raise UsageError("the parts of the query cancel each other; exclude something else, or with a smaller weight")
    return combined


def _is_above_zero(vector_D: np.ndarray) -> bool:
    return float(np.linalg.norm(vector_D)) > _ZERO_LENGTH


def score_rows(rows: IndexRows, query_vectors: RowVectors) -> Float32s:
    """Return the scores `[B]` of rows by a query's vectors (see `combine_query_vectors`)."""
    parts = [rows.get_vectors(modality) @ vector_D for modality, vector_D in query_vectors.items()]
    score_B: Float32s = parts[0] if len(parts) == 1 else parts[0] + parts[1]
    return score_B
