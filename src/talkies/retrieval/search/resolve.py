"""Resolve a query: find or encode its parts, and decide which vectors are compared with which.

Shapes: `B` rows, `D` embedding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from talkies.core import Float32s, LibraryError, Modality, UsageError, escape_controls
from talkies.retrieval.index.embedding_set import EmbeddingSet
from talkies.retrieval.index.rows import IndexRows
from talkies.retrieval.search.clip_sequence import ClipSequence, score_sequence
from talkies.retrieval.search.modality_pairs import (
    ModalityPairs,
    RowVectors,
    combine_parts,
    combine_query_vectors,
    pair_modalities,
    pair_words,
    score_rows,
)
from talkies.retrieval.search.query import (
    MODALITY_WORDS,
    Comparisons,
    Example,
    Moment,
    Part,
    SearchQuery,
    Single,
    Words,
)
from talkies.retrieval.search.snapshot import IndexSnapshot

_MEAN_PENALTY = np.float32(0.05)  # a clip next to the true sequence may be as close to the mean
_SAME_STRIDE_SECONDS = 1e-6


class QueryEncoder(Protocol):
    """Encodes files and texts with the model that made a set."""

    def encode_example(self, path: Path) -> Example:
        """Return a file's embedding."""

    def encode_text(self, text: str, modality: Modality) -> Float32s:
        """Return a text's unit vector `[D]`, for comparison with one modality."""


@dataclass(frozen=True, slots=True)
class ResolvedQuery:
    """A query's vectors, what they are compared with, and where they come from.

    Args:
        row_vectors: The vector that each modality of the rows is multiplied by.
        compared: What is compared, as in `SearchResult`.
        source: The name of the film or file, or the words.
        pairs: The modalities of a clip that are compared with those of rows; None for words and combined queries, whose
            scores lie on another scale.
        sequence: The clips of a file that is longer than one clip, if they fit the set's stride; otherwise None.
        film_id: The film of a moment; otherwise None.
        start_seconds: The start of the clip in the film; otherwise 0.
        end_seconds: Its end; for a file, its duration; otherwise 0.
        shot: The number of the clip's shot, -1 if unknown.
    """

    row_vectors: RowVectors
    compared: Comparisons
    source: str
    pairs: ModalityPairs | None = None
    sequence: ClipSequence | None = None
    film_id: str | None = None
    start_seconds: float = 0.0
    end_seconds: float = 0.0
    shot: int = -1

    def score(self, rows: IndexRows) -> Float32s:
        """Return the scores `[B]` of rows: by the mean of the query's clips or by their sequence, the better one."""
        score_B = score_rows(rows, self.row_vectors)
        if self.sequence is None or self.pairs is None:
            return score_B
        better_B: Float32s = np.maximum(score_B - _MEAN_PENALTY, score_sequence(rows, self.sequence, self.pairs))
        return better_B


def resolve_query(query: SearchQuery, snapshot: IndexSnapshot, encoder: QueryEncoder) -> ResolvedQuery:
    """Return the query's vectors and what they are compared with.

    Args:
        query: The query.
        snapshot: The set that is searched.
        encoder: Encodes files and texts with the model that made the set.

    Raises:
        UsageError: if the moment is outside the film, a file lacks the modality that is used, or the set lacks what the
            query needs: a modality, one space for both, or words.
        LibraryError: if there is no such film, it is not embedded, or the file was encoded by another model.
        MediaError, IsolationError: if a file cannot be read.
    """
    resolved = [_resolve_part(query, part.by, snapshot, encoder) for part in query.parts]
    if len(resolved) == 1:
        return resolved[0]  # its weight is positive, and the only one
    return _combine(query.parts, resolved)


def _resolve_part(query: SearchQuery, by: Single, snapshot: IndexSnapshot, encoder: QueryEncoder) -> ResolvedQuery:
    if isinstance(by, Words):
        pairs = pair_words(query.to, snapshot.entry)
        vectors = {modality: encoder.encode_text(by.text, modality) for modality, _ in pairs}
        compared: Comparisons = tuple(("words", modality) for modality, _ in pairs)
        return ResolvedQuery(combine_query_vectors(vectors, pairs), compared, f'"{by.text}"')
    if isinstance(by, Moment):
        pairs = pair_modalities(query.from_, query.to, snapshot.entry.modalities, snapshot.entry)
        return _resolve_moment(by, pairs, snapshot)
    example = encoder.encode_example(by) if isinstance(by, Path) else by
    return _resolve_file(query, example, snapshot.entry)


def _combine(parts: Sequence[Part], resolved: Sequence[ResolvedQuery]) -> ResolvedQuery:
    """Return the query of several parts; where a moment is one of them, its clip is the query's own."""
    vectors = combine_parts([(part.weight, one.row_vectors) for part, one in zip(parts, resolved, strict=True)])
    moment = next((one for one in resolved if one.film_id is not None), None)
    return ResolvedQuery(
        row_vectors=vectors,
        compared=tuple(dict.fromkeys(pair for one in resolved for pair in one.compared)),
        source=_describe_parts(parts, resolved),
        film_id=moment.film_id if moment else None,
        start_seconds=moment.start_seconds if moment else 0.0,
        end_seconds=moment.end_seconds if moment else 0.0,
        shot=moment.shot if moment else -1,
    )


def _describe_parts(parts: Sequence[Part], resolved: Sequence[ResolvedQuery]) -> str:
    """Return the sources of all parts with their signs, and with their weights where these are not 1."""
    text = ""
    for part, one in zip(parts, resolved, strict=True):
        weight = "" if abs(part.weight) == 1 else f"{abs(part.weight):g} × "
        sign = " − " if part.weight < 0 else " + " if text else ""
        text += f"{sign}{weight}{one.source}"
    return text.strip()


def _resolve_moment(moment: Moment, pairs: ModalityPairs, snapshot: IndexSnapshot) -> ResolvedQuery:
    """Return the clip of the film whose middle is nearest to the moment."""
    film, at = snapshot.find_usable_film(moment.film), moment.at_seconds
    if not 0 <= at <= film.duration_seconds:
        raise UsageError(
            f"{film.printable_name} lasts {film.duration_seconds:.2f} s, and the query's moment is {at:g}; "
            "name a time inside it"
        )
    rows = snapshot.read_film_clips(film, at)

    # Of two clips equally near, the later one contains the moment: spans are half-open.
    nearest = len(rows) - 1 - int(np.abs(rows.middle_B - at)[::-1].argmin())
    vectors: Mapping[Modality, Float32s] = {"video": rows.video_BD[nearest], "audio": rows.audio_BD[nearest]}
    return ResolvedQuery(
        row_vectors=combine_query_vectors(vectors, pairs),
        compared=pairs,
        source=film.name,
        pairs=pairs,
        film_id=film.film_id,
        start_seconds=float(rows.start_B[nearest]),
        end_seconds=float(rows.end_B[nearest]),
        shot=int(rows.shot_B[nearest]),
    )


def _resolve_file(query: SearchQuery, example: Example, entry: EmbeddingSet) -> ResolvedQuery:
    """Return the vectors of a file that the set's model encoded."""
    name = escape_controls(example.name)
    if example.stamp != entry.stamp:
        raise LibraryError(
            f"{name} was encoded by another model (stamp {example.stamp}) than the embeddings "
            f"searched (stamp {entry.stamp}); give the file again"
        )
    check_encoded(example, entry)
    pairs = _pair_file(query, example, name, entry)
    sequence = example.sequence
    if sequence and abs(sequence.stride_seconds - entry.stride_seconds) >= _SAME_STRIDE_SECONDS:
        sequence = None
    return ResolvedQuery(
        row_vectors=combine_query_vectors(example.vectors, pairs),
        compared=pairs,
        source=example.name,
        pairs=pairs,
        sequence=sequence,
        end_seconds=example.seconds,
    )


def check_encoded(example: Example, entry: EmbeddingSet) -> None:
    """Check that the model of a set encoded anything of a file.

    Raises:
        UsageError: if the file has only what the model cannot encode.
    """
    if not example.modalities:
        raise UsageError(
            f"{escape_controls(example.name)} has no {MODALITY_WORDS[entry.modalities[0]]}, and {entry.name} encodes "
            "nothing else; search with a file that has one, or embed the library with a model of both"
        )


def _pair_file(query: SearchQuery, example: Example, name: str, entry: EmbeddingSet) -> ModalityPairs:
    """Return the modalities that are compared; "both" of a file means those that it has.

    Raises:
        UsageError: if the file lacks the modality that is used.
    """
    if query.from_ != "both" and query.from_ not in example.modalities:
        entry.check_has(query.from_)
        raise UsageError(
            f"{name} has no {MODALITY_WORDS[query.from_]} to search with; "
            f"search with its {MODALITY_WORDS[example.modalities[0]]}"
        )
    return pair_modalities(query.from_, query.to, example.modalities, entry)
