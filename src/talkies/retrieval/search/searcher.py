"""A library opened for searching: each search sees the newest version of its embeddings.

A search runs forward: load the snapshot, resolve the query, collect candidates, select hits.
"""

import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from talkies.core import Float32s, Modality
from talkies.library import FilmEntry, Library
from talkies.retrieval.index.ann import EXACT_BELOW
from talkies.retrieval.index.embedding_set import EmbeddingSet
from talkies.retrieval.index.vector_index import VectorIndex
from talkies.retrieval.search.candidates import collect_candidates
from talkies.retrieval.search.example import LIMITS, encode_file
from talkies.retrieval.search.film_curves import (
    ClipScore,
    RecurringClip,
    compute_recurrence_curve,
    compute_similarity_curve,
)
from talkies.retrieval.search.hit_selection import HitSelector, Selection
from talkies.retrieval.search.query import Example, Hit, SearchQuery, SearchResult
from talkies.retrieval.search.resolve import ResolvedQuery, check_encoded, resolve_query
from talkies.retrieval.search.set_encoder import load_encoder_of
from talkies.retrieval.search.snapshot import IndexSnapshot, SnapshotHolder
from talkies.runs.clip_encoder import ClipEncoder
from talkies.runtime import ProcessLimits

_MAX_TEXTS_KEPT = 1_000


class Searcher:
    """Searches one embedding set of a library; safe for any number of threads.

    Args:
        library: The library.
        stamp: The model whose embeddings are searched; None if the library has those of one model only.
        exact_below: The number of rows below which all rows are held in memory and compared.
        trust_code: Whether code that the set names (`python:…`) may be run to encode files and words.

    Raises:
        LibraryError: if the library has no embeddings, none of the model `stamp`, or those of several models and no
            stamp was given.
    """

    def __init__(
        self, library: Library, stamp: str | None = None, exact_below: int = EXACT_BELOW, *, trust_code: bool = False
    ) -> None:
        self.library = library
        self.entry: EmbeddingSet = VectorIndex(library).choose(stamp)
        self._snapshots = SnapshotHolder(library, self.entry, exact_below)
        self._encoder_lock = threading.Lock()
        self._encoder: ClipEncoder | None = None
        self._trust_code = trust_code
        self._text_vectors: dict[tuple[str, Modality], Float32s] = {}

    def search(self, query: SearchQuery) -> SearchResult:
        """Return the clips most similar to the query; none overlaps the query or a better hit.

        One hit per shot or film also excludes the query's own shot or film.

        Raises:
            UsageError: if the moment is outside the film, a file lacks the modality that is used, or the set lacks what
                the query needs: a modality, one space for both, or words.
            LibraryError: if there is no such film, it is not embedded, the file was encoded by another model, or the
                model that must encode a file or words is gone.
            MediaError, IsolationError: if a file cannot be read.
        """
        snapshot = self._snapshots.load()
        usable_films = {film.film_id: film for film in self.library.films() if film.usable}
        resolved = resolve_query(query, snapshot, self)
        threshold = snapshot.thresholds.compute(resolved.row_vectors, resolved.pairs)
        searched = {snapshot.find_usable_film(name).film_id for name in query.films}

        candidate_sets = collect_candidates(snapshot, query, resolved, searched)
        selector = HitSelector(
            query=query,
            query_film=resolved.film_id,
            query_seconds=(resolved.start_seconds, resolved.end_seconds),
            query_shot=resolved.shot,
            usable_films=usable_films,
            searched_films=searched or None,
        )
        selection = selector.select(candidate_sets, threshold if query.use_threshold else -np.inf)
        return SearchResult(
            query=query,
            stamp=self.entry.stamp,
            model=self.entry.name,
            compared=resolved.compared,
            hits=_build_hits(query, selection, usable_films),
            more=len(selection.index) > query.skip + query.count,
            score_threshold=threshold,
            exact=snapshot.rows is not None,
            recall=_find_recall(snapshot, resolved),
            film_id=resolved.film_id,
            source=resolved.source,
            start_seconds=resolved.start_seconds,
            end_seconds=resolved.end_seconds,
        )

    def compute_similarity_curve(self, query: SearchQuery, film: str) -> list[ClipScore]:
        """Return the score of each clip at the stride of a film, in order of time; the query's filters are ignored.

        Raises:
            UsageError, LibraryError, MediaError: as `search`.
        """
        snapshot = self._snapshots.load()
        entry = snapshot.find_usable_film(film)
        return compute_similarity_curve(snapshot, resolve_query(query, snapshot, self), entry)

    def compute_recurrence_curve(self, film: str, modality: Modality) -> list[RecurringClip]:
        """Return each clip at the stride of a film with its best match elsewhere, in order of time.

        Elsewhere is in another film, or distant in the same one; in a set too large for an exact search, only the
        latter.

        Raises:
            LibraryError: if there is no such film, or it is not embedded.
        """
        snapshot = self._snapshots.load()
        return compute_recurrence_curve(snapshot, snapshot.find_usable_film(film), modality)

    def compute_score_threshold(self, from_: Modality, to: Modality) -> float:
        """Return the least score threshold of any query; -1 in a library with too few clips to estimate chance."""
        return self._snapshots.load().thresholds.compute_general(((from_, to),))

    def encode_example(self, path: Path, name: str | None = None, limits: ProcessLimits = LIMITS) -> Example:
        """Return a file's embedding by the model that embedded the library.

        Args:
            path: A picture, a sound or a clip.
            name: What to call the file in messages; None: its file name.
            limits: The time and memory that reading it may take.

        Returns:
            An example to search by.

        Raises:
            UsageError: if it has only what the model cannot encode.
            LibraryError: as `load_encoder`.
            MediaError, IsolationError: if the file cannot be read.
        """
        entry, encoder = self.entry, self.load_encoder()
        example = encode_file(path, encoder, entry.stride_seconds, framing=entry.framing, name=name, limits=limits)
        check_encoded(example, entry)
        return example

    def encode_text(self, text: str, modality: Modality) -> Float32s:
        """Return a text's unit vector `[D]` by the model that embedded the library, for comparison with a modality.

        Raises:
            UsageError: if the model has no words for that modality.
            LibraryError: as `load_encoder`.
        """
        self.entry.check_words(modality)
        known = self._text_vectors.get((text, modality))
        if known is not None:
            return known
        encoder = self.load_encoder()
        with self._encoder_lock:
            vector_D: Float32s = encoder.encode_text([text], modality)[0]
            if len(self._text_vectors) >= _MAX_TEXTS_KEPT:
                self._text_vectors.clear()
            self._text_vectors[text, modality] = vector_D
        return vector_D

    def load_encoder(self) -> ClipEncoder:
        """Return the encoder that made the embedding set; it is loaded once.

        Raises:
            LibraryError: if its run or checkpoint is gone, or the run holds another model now.
        """
        with self._encoder_lock:
            if self._encoder is None:
                self._encoder = load_encoder_of(self.entry, self.library.profile, trust_code=self._trust_code)
            return self._encoder


def _build_hits(query: SearchQuery, selection: Selection, films: Mapping[str, FilmEntry]) -> tuple[Hit, ...]:
    """Return the page of hits that the query asks for."""
    rows, score_B = selection.candidates.rows, selection.candidates.score_B
    hits = []
    for row in selection.index[query.skip : query.skip + query.count]:
        film_id, shot = str(rows.film_B[row]), int(rows.shot_B[row])
        hits.append(
            Hit(
                film_id=film_id,
                source=films[film_id].name,
                start_seconds=float(rows.start_B[row]),
                end_seconds=float(rows.end_B[row]),
                score=float(score_B[row]),
                shot=shot if shot >= 0 else None,
            )
        )
    return tuple(hits)


def _find_recall(snapshot: IndexSnapshot, resolved: ResolvedQuery) -> float | None:
    """Return the recall of the approximate index for this query; None for an exact search."""
    if snapshot.rows is not None or snapshot.index_state is None:
        return None
    return min(snapshot.index_state.recall[modality] for modality in resolved.row_vectors)
