"""Resolve a query: find or encode its example, and decide which vectors are compared with which.

Shapes: `B` rows, `D` embedding.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from talkies.core import Float32s, LibraryError, Modality, UsageError, escape_controls
from talkies.retrieval.index.rows import IndexRows
from talkies.retrieval.search.clip_sequence import ClipSequence, score_sequence
from talkies.retrieval.search.modality_pairs import (
    ModalityPairs,
    combine_query_vectors,
    pair_modalities,
    score_rows,
)
from talkies.retrieval.search.query import MODALITY_WORDS, Example, Moment, SearchQuery
from talkies.retrieval.search.snapshot import IndexSnapshot

_MEAN_PENALTY = np.float32(0.05)  # a clip next to the true sequence may be as close to the mean
_SAME_STRIDE_SECONDS = 1e-6


@dataclass(frozen=True, slots=True)
class ResolvedQuery:
    """A query's vectors, what they are compared with, and where they come from.

    Args:
        vectors: The unit vectors `[D]` of the modalities that the example has.
        pairs: The modalities that are compared.
        sequence: The clips of a file that is longer than one clip, if they fit the set's stride; otherwise None.
        source: The name of the film or file.
        film_id: The film of a moment; None for a file.
        start_seconds: The start of the clip in the film; 0 for a file.
        end_seconds: Its end; for a file, its duration.
        shot: The number of the clip's shot, -1 if unknown.
    """

    vectors: Mapping[Modality, Float32s]
    pairs: ModalityPairs
    sequence: ClipSequence | None
    source: str
    film_id: str | None
    start_seconds: float
    end_seconds: float
    shot: int = -1

    @property
    def row_vectors(self) -> Mapping[Modality, Float32s]:
        """The vector that each modality of the rows is multiplied by."""
        return combine_query_vectors(self.vectors, self.pairs)

    def score(self, rows: IndexRows) -> Float32s:
        """Return the scores `[B]` of rows: by the mean of the query's clips or by their sequence, the better one."""
        score_B = score_rows(rows, self.row_vectors)
        if self.sequence is None:
            return score_B
        better_B: Float32s = np.maximum(score_B - _MEAN_PENALTY, score_sequence(rows, self.sequence, self.pairs))
        return better_B


def resolve_query(
    query: SearchQuery, snapshot: IndexSnapshot, encode_example: Callable[[Path], Example]
) -> ResolvedQuery:
    """Return the query's vectors and what they are compared with.

    Args:
        query: The query.
        snapshot: The set that is searched.
        encode_example: Encodes a file with the model that made the set.

    Returns:
        The resolved query.

    Raises:
        UsageError: if the moment is outside the film, or the file lacks the modality that is used.
        LibraryError: if there is no such film, it is not embedded, or the file was encoded by another model.
        MediaError, IsolationError: if a file cannot be read.
    """
    example = encode_example(query.by) if isinstance(query.by, Path) else query.by
    pairs = choose_modality_pairs(query, example)
    if isinstance(example, Moment):
        return _resolve_moment(example, pairs, snapshot)
    return _resolve_file(example, pairs, snapshot)


def choose_modality_pairs(query: SearchQuery, example: Moment | Example) -> ModalityPairs:
    """Return the modalities that are compared; "both" of a file means those that it has.

    Raises:
        UsageError: if a file lacks the modality that is used.
    """
    if isinstance(example, Moment):
        return pair_modalities(query.from_, query.to)
    if query.from_ == "both":
        return pair_modalities("both" if len(example.modalities) == 2 else example.modalities[0], query.to)
    if query.from_ not in example.modalities:
        raise UsageError(
            f"{escape_controls(example.name)} has no {MODALITY_WORDS[query.from_]} to search with; "
            f"search with its {MODALITY_WORDS[example.modalities[0]]}"
        )
    return pair_modalities(query.from_, query.to)


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
    return ResolvedQuery(
        vectors={"video": rows.video_BD[nearest], "audio": rows.audio_BD[nearest]},
        pairs=pairs,
        sequence=None,
        source=film.name,
        film_id=film.film_id,
        start_seconds=float(rows.start_B[nearest]),
        end_seconds=float(rows.end_B[nearest]),
        shot=int(rows.shot_B[nearest]),
    )


def _resolve_file(example: Example, pairs: ModalityPairs, snapshot: IndexSnapshot) -> ResolvedQuery:
    """Return the vectors of a file that the set's model encoded."""
    entry = snapshot.entry
    if example.stamp != entry.stamp:
        raise LibraryError(
            f"{escape_controls(example.name)} was encoded by another model (stamp {example.stamp}) than the embeddings "
            f"searched (stamp {entry.stamp}); give the file again"
        )
    sequence = example.sequence
    if sequence and abs(sequence.stride_seconds - entry.stride_seconds) >= _SAME_STRIDE_SECONDS:
        sequence = None
    return ResolvedQuery(example.vectors, pairs, sequence, example.name, None, 0.0, example.seconds)
