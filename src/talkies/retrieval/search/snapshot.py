"""One version of an embedding set, held in memory for searching, and the holder that keeps it up to date."""

import threading
from dataclasses import dataclass
from typing import Any

from talkies.core import LibraryError, evenly_spaced
from talkies.library import FilmEntry, Library
from talkies.retrieval.index.ann import IndexState, read_index_state, sample_rows
from talkies.retrieval.index.embedding_set import EmbeddingSet
from talkies.retrieval.index.rows import IndexRows
from talkies.retrieval.index.vector_index import VectorIndex
from talkies.retrieval.search.score_threshold import SAMPLE_ROWS, ScoreThresholds


@dataclass(frozen=True, slots=True)
class IndexSnapshot:
    """One version of an embedding set.

    Args:
        library: The library that the set belongs to.
        entry: The description of the set.
        version: LanceDB's version of the table.
        table: The LanceDB table, pinned to that version.
        rows: All rows of a small set, which is searched exactly; None for a large one.
        thresholds: The score thresholds of the set.
        index_state: The state of the set's approximate index, if it has one.
    """

    library: Library
    entry: EmbeddingSet
    version: int
    table: Any
    rows: IndexRows | None
    thresholds: ScoreThresholds
    index_state: IndexState | None

    def find_usable_film(self, name: str) -> FilmEntry:
        """Return the film of that id, prefix of an id, or file name.

        Raises:
            LibraryError: if there is no such film, or it was rejected at ingest.
        """
        film = self.library.find(name)
        if not film.usable:
            raise LibraryError(
                f"{film.printable_name} was rejected at ingest ({film.reasons[0].text}); name an accepted film"
            )
        return film

    def read_film_clips(self, film: FilmEntry, near_seconds: float | None = None) -> IndexRows:
        """Return the clips of a film that are one stride apart, in order of time.

        Args:
            film: The film.
            near_seconds: If given, a large set reads only the clips that may be nearest to this moment.

        Returns:
            At least one row.

        Raises:
            LibraryError: if the film is not embedded.
        """
        if self.rows is not None:
            rows = self.rows[self.rows.film_B == film.film_id]
        else:
            reach = self.entry.clip_seconds + self.entry.stride_seconds
            span = None if near_seconds is None else (near_seconds - reach, near_seconds + reach)
            rows = VectorIndex(self.library).read_rows(self.entry.stamp, film.id, span)
        rows = rows[~rows.of_shot_B]
        if not len(rows):
            raise LibraryError(
                f"{film.printable_name} is not embedded; run: "
                f"talkies embed --library {self.library.location} {self.entry.embed_option}"
            )
        return rows


class SnapshotHolder:
    """Holds the newest snapshot of one embedding set, and loads it again when the set has changed; safe for threads.

    Args:
        library: The library.
        entry: The embedding set.
        exact_below: The number of rows below which all rows are held in memory.
    """

    def __init__(self, library: Library, entry: EmbeddingSet, exact_below: int) -> None:
        self._library, self._entry, self._exact_below = library, entry, exact_below
        self._index = VectorIndex(library)
        self._lock = threading.Lock()
        self._live_table: Any = None
        self._snapshot: IndexSnapshot | None = None

    def load(self) -> IndexSnapshot:
        """Return a snapshot of the set's newest version, with what other processes have added.

        Raises:
            LibraryError: if the set's rows are gone.
        """
        with self._lock:
            if self._live_table is None:
                self._live_table = self._index.open_table(self._entry.stamp)
            if self._snapshot is None or self._snapshot.version != int(self._live_table.version):
                self._snapshot = self._read_snapshot()
            return self._snapshot

    def _read_snapshot(self) -> IndexSnapshot:
        table = self._index.open_table(self._entry.stamp, pinned=True)
        version, count = int(table.version), table.count_rows()
        rows = IndexRows.from_table(table.to_arrow()) if count < self._exact_below else None
        sample = sample_rows(table, SAMPLE_ROWS) if rows is None else _take_evenly(rows, SAMPLE_ROWS)
        return IndexSnapshot(
            library=self._library,
            entry=self._entry,
            version=version,
            table=table,
            rows=rows,
            thresholds=ScoreThresholds(sample, count, self._entry.clip_seconds),
            index_state=read_index_state(self._index, self._entry.stamp),
        )


def _take_evenly(rows: IndexRows, count: int) -> IndexRows:
    """Return at most `count` rows, spread evenly."""
    return rows[evenly_spaced(len(rows), count)]
