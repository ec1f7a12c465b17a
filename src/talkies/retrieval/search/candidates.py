"""Collect candidates: rows that may be hits, with their scores, as growing sets until enough hits are found.

A small set is searched exactly: its only candidate set is all rows. A large set is asked for its nearest rows by its
approximate index, then for four times as many, and so on.

Shapes: `B` rows.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from math import ceil, isfinite

import numpy as np

from talkies.core import Float32s
from talkies.retrieval.index.ann import find_nearest
from talkies.retrieval.index.rows import IndexRows
from talkies.retrieval.index.vector_index import build_film_condition
from talkies.retrieval.search.modality_pairs import score_rows
from talkies.retrieval.search.query import SearchQuery
from talkies.retrieval.search.resolve import ResolvedQuery
from talkies.retrieval.search.snapshot import IndexSnapshot

_MAX_ROWS = 16_384
_GROWTH = 4
_SEQUENCE_SEEDS = 24  # the best rows around which a file's sequence of clips is looked for


@dataclass(frozen=True, slots=True)
class Candidates:
    """Rows with their scores; `complete` if no larger candidate set follows."""

    rows: IndexRows
    score_B: Float32s
    complete: bool


def collect_candidates(
    snapshot: IndexSnapshot, query: SearchQuery, resolved: ResolvedQuery, film_ids: Collection[str]
) -> Iterator[Candidates]:
    """Yield growing sets of candidates; the first is usually enough.

    Args:
        snapshot: The set that is searched.
        query: The query, with its filters.
        resolved: Its vectors.
        film_ids: The films to search; empty: all.

    Yields:
        Candidates; the last one is complete.
    """
    if snapshot.rows is not None:
        yield Candidates(snapshot.rows, resolved.score(snapshot.rows), True)
        return
    condition = _build_condition(query, film_ids)
    count = _estimate_rows_needed(snapshot, query)
    one_comparison = len(resolved.row_vectors) == 1 and resolved.sequence is None
    while True:
        if one_comparison:
            candidates = _find_by_one_modality(snapshot, resolved, count, condition)
        else:
            candidates = _find_by_all_modalities(snapshot, resolved, count, condition)
        yield candidates
        count = min(_GROWTH * count, _MAX_ROWS)


def _find_by_one_modality(snapshot: IndexSnapshot, resolved: ResolvedQuery, count: int, condition: str) -> Candidates:
    """Return the `count` nearest rows; the index's own cosines are their scores, so no vectors are read."""
    ((modality, vector_D),) = resolved.row_vectors.items()
    rows, cosine_B = find_nearest(snapshot.table, vector_D, modality, count, condition, with_vectors=False)
    score_B = cosine_B * np.float32(np.linalg.norm(vector_D))
    return Candidates(rows, score_B, len(rows) < count or count >= _MAX_ROWS)


def _find_by_all_modalities(snapshot: IndexSnapshot, resolved: ResolvedQuery, count: int, condition: str) -> Candidates:
    """Return the `count` nearest rows by each modality, and the rows around the best for a sequence of clips."""
    parts = [
        find_nearest(snapshot.table, vector_D, modality, count, condition)[0]
        for modality, vector_D in resolved.row_vectors.items()
    ]
    rows = IndexRows.concatenate(parts)
    if resolved.sequence:
        rows = _add_surrounding_rows(snapshot, rows, resolved, condition)
    rows = rows.deduplicate()
    return Candidates(rows, resolved.score(rows), min(map(len, parts)) < count or count >= _MAX_ROWS)


def _estimate_rows_needed(snapshot: IndexSnapshot, query: SearchQuery) -> int:
    """Return how many nearest rows usually contain the hits: each hit may be followed by all that overlap it."""
    overlapping = 2 * ceil(snapshot.entry.clip_seconds / snapshot.entry.stride_seconds)  # twice: the clips of shots too
    return min((query.skip + query.count + 1) * overlapping, _MAX_ROWS)


def _build_condition(query: SearchQuery, film_ids: Collection[str]) -> str:
    """Return the query's filters as a condition of LanceDB."""
    parts = [build_film_condition(sorted(film_ids))] if film_ids else []
    if query.span_seconds:
        start, end = query.span_seconds
        parts.append(f"start_seconds >= {start}" + (f" AND end_seconds <= {end}" if isfinite(end) else ""))
    return " AND ".join(parts)


def _add_surrounding_rows(
    snapshot: IndexSnapshot, rows: IndexRows, resolved: ResolvedQuery, condition: str
) -> IndexRows:
    """Return the rows, and all rows around the best ones where the file's sequence of clips could be."""
    best = rows[np.argsort(-score_rows(rows, resolved.row_vectors))[:_SEQUENCE_SEEDS]]
    surroundings = " OR ".join(
        f"(film_id = '{film}' AND start_seconds >= {start - resolved.end_seconds} AND "
        f"end_seconds <= {end + resolved.end_seconds})"
        for film, start, end in zip(best.film_B, best.start_B.tolist(), best.end_B.tolist(), strict=True)
    )
    where = f"({surroundings}) AND {condition}" if condition else surroundings
    surrounding = snapshot.table.search().where(where).limit(_MAX_ROWS).to_arrow()
    return IndexRows.concatenate([rows, IndexRows.from_table(surrounding)])
