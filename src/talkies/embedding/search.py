"""The verb: from a moment of a film to the moments of the library that are most like it."""

from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from talkies.core import LibraryError, UsageError
from talkies.embedding.index import EmbeddingSet, Modality, VectorIndex
from talkies.library import Library
from talkies.models import RunFolder


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A moment: the picture or the sound of film `film` at `at_seconds`, to be matched with pictures or sounds."""

    film: str
    at_seconds: float
    from_: Modality = "video"
    to: Modality = "video"
    count: int = 10


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer: a film's span in seconds, and the cosine with the query."""

    film_id: str
    source: str
    start_seconds: float
    end_seconds: float
    score: float


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The clip that the query was answered by, the model's stamp, and the hits, best first."""

    query: SearchQuery
    film_id: str
    source: str
    start_seconds: float
    end_seconds: float
    stamp: str
    hits: tuple[Hit, ...]


def search(library: str | Path, query: SearchQuery, run: Path | None = None) -> SearchResult:
    """Return the moments nearest to the query's, none of which overlaps it or a better one.

    With `run`, the embeddings must be those of its newest checkpoint; without it there must be one set alone.

    Raises:
        UsageError: if `count` is not positive or the moment is not in the film.
        LibraryError: if there is no such library or film, it has no embeddings, or they are another model's.
    """
    if query.count < 1:
        raise UsageError(f"-k must be at least 1, got {query.count}")
    opened = Library.open(library)
    index = VectorIndex(opened)
    entry = index.choose(RunFolder(run).checkpoint().state().stamp if run else None)
    film = opened.find(query.film)
    if not film.usable:
        raise LibraryError(f"{film.name} was rejected at ingest ({film.reasons[0].text}); name an accepted film")
    if not 0 <= query.at_seconds <= film.duration_seconds:
        raise UsageError(
            f"{film.name} lasts {film.duration_seconds:.2f} s, and --at is {query.at_seconds:g}; name a time inside it"
        )
    rows = index.rows_of_film(entry.stamp, film.id)
    if not rows:
        raise LibraryError(f"{film.name} is not embedded; run: talkies embed --library {library} --run {entry.run}")
    # Of two clips equally near, the later holds the moment: spans are half-open.
    here = min(reversed(rows), key=lambda row: abs((row["start_seconds"] + row["end_seconds"]) / 2 - query.at_seconds))
    vector_D = np.asarray(here[query.from_], dtype=np.float32)
    found = index.nearest(entry.stamp, vector_D, query.to, _rows_for(query.count, entry))
    names = {record.film_id: record.name for record in opened.films()}
    kept = _apart(here, [row for row in found if row["film_id"] in names])[: query.count]  # films may have left
    hits = tuple(
        Hit(row["film_id"], names[row["film_id"]], row["start_seconds"], row["end_seconds"], 1 - row["_distance"])
        for row in kept
    )
    return SearchResult(query, film.film_id, film.name, here["start_seconds"], here["end_seconds"], entry.stamp, hits)


def _rows_for(count: int, entry: EmbeddingSet) -> int:
    """Return how many of the nearest rows surely hold `count` that overlap neither the query nor each other."""
    overlapping = 2 * ceil(entry.clip_seconds / entry.stride_seconds) - 1  # a clip, and those that overlap it
    return (count + 1) * overlapping


def _apart(query: dict[str, Any], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows that overlap neither the query's clip nor a row before them."""
    kept = [query]
    for row in rows:
        if not any(_overlap(row, other) for other in kept):
            kept.append(row)
    return kept[1:]


def _overlap(left: dict[str, Any], right: dict[str, Any]) -> bool:
    return bool(
        left["film_id"] == right["film_id"]
        and left["start_seconds"] < right["end_seconds"]
        and right["start_seconds"] < left["end_seconds"]
    )
