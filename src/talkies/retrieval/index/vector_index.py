"""Embeddings on disk: one LanceDB table per model, named by the model's stamp, so that models are never mixed.

index/
  <stamp>.json          the description of the set
  <stamp>.ann.json      of a large set, what its approximate index was built from
  clips_<stamp>.lance   its rows; one process adds to it, any number read it
  .<stamp>.lock         held by the process that adds

Shapes: `B` clips, `D` embedding.
"""

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from talkies.config import read_document
from talkies.core import FilmId, LibraryError, WorkError, format_path, parse_film_id
from talkies.library import Library, write_json
from talkies.library.staging import try_lock
from talkies.retrieval.index.embedding_set import OLDEST_VERSION, SCHEMA_VERSION, EmbeddingSet
from talkies.retrieval.index.rows import IndexRows, build_schema

_DOCUMENT_NAME = "the description of an embedding set"


class VectorIndex:
    """The embedding sets of a library."""

    def __init__(self, library: Library) -> None:
        self._library, self._folder = library, library.index_folder

    @property
    def folder(self) -> Path:
        """The folder of the sets."""
        return self._folder

    def list_stamps(self) -> list[str]:
        """Return the stamps of all sets, sorted."""
        return sorted(path.stem for path in self._folder.glob("*.json") if "." not in path.stem)

    def list_sets(self) -> list[EmbeddingSet]:
        """Return the descriptions of all sets, by stamp.

        Raises:
            LibraryError: if one is damaged, or of another version.
        """
        return [self._read_entry(stamp) for stamp in self.list_stamps()]

    def choose(self, stamp: str | None = None) -> EmbeddingSet:
        """Return the set of a model; without a stamp, the only set.

        Raises:
            LibraryError: if there is none, not that one, or several and no stamp was given; if it is damaged, or of
                another version.
        """
        if stamp is not None and stamp in self.list_stamps():
            return self._read_entry(stamp)  # even if another set is damaged
        entries, root = self.list_sets(), self._library.location
        if not entries:
            raise LibraryError(
                f"{root} has no embeddings yet; make them with: talkies embed --library {root} --run RUN"
            )
        known = ", ".join(entry.describe() for entry in entries)
        if stamp is not None:
            raise LibraryError(
                f"{root} was not embedded with the model asked for (stamp {stamp}) but with {known}; "
                f"embed it with: talkies embed --library {root} --run RUN"
            )
        if len(entries) > 1:
            raise LibraryError(
                f"{root} holds embeddings of {len(entries)} models: {known}; name one with --run RUN or --model ADDRESS"
            )
        return entries[0]

    def create_or_resume(self, entry: EmbeddingSet) -> None:
        """Create a set, or check that the model's existing set has the same clips.

        Raises:
            LibraryError: if the existing set has another stride or framing, or was made by an older talkies.
        """
        path = self._folder / f"{entry.stamp}.json"
        if path.is_file():
            existing = self._read_entry(entry.stamp)
            if (existing.stride_seconds, existing.clip_seconds) != (entry.stride_seconds, entry.clip_seconds):
                raise LibraryError(
                    f"{self._library.location} has this model's embeddings every {existing.stride_seconds:g} s, "
                    f"not every {entry.stride_seconds:g} s; use the same stride"
                )
            if existing.framing != entry.framing:
                raise LibraryError(
                    f"{self._library.location} has this model's embeddings with the framing {existing.framing}, "
                    f"not {entry.framing}; use the same framing"
                )
            if existing != entry:  # the model has moved, or an older talkies described it
                write_json(path, entry)
            return
        self._folder.mkdir(exist_ok=True)
        # What a removed set left behind: its rows, the state of its index, and its map.
        shutil.rmtree(self._folder / f"{_name_table(entry.stamp)}.lance", ignore_errors=True)
        for stale in self._folder.glob(f"{entry.stamp}.*.json"):
            stale.unlink()
        self._connect().create_table(_name_table(entry.stamp), schema=build_schema(entry.dims), exist_ok=True)
        write_json(path, entry)

    @contextmanager
    def lock_for_adding(self, stamp: str) -> Iterator[None]:
        """Make this process the only one that adds to a model's set while the block runs.

        Raises:
            WorkError: if another process adds to it.
        """
        self._folder.mkdir(exist_ok=True)
        with (self._folder / f".{stamp}.lock").open("ab") as lock:
            if not try_lock(lock):
                raise WorkError(
                    f"another process embeds {self._library.location} with this model (stamp {stamp}); wait until it "
                    "is done; what it has added can already be searched"
                )
            yield

    def list_films(self, stamp: str) -> set[str]:
        """Return the ids of the films that a set holds."""
        table = self.open_table(stamp)
        rows = table.search().select(["film_id"]).limit(max(1, table.count_rows())).to_arrow()
        return set(rows.column("film_id").unique().to_pylist())

    def count(self, stamp: str) -> int:
        """Return the number of rows of a set."""
        return int(self.open_table(stamp).count_rows())

    def add(self, stamp: str, rows: IndexRows) -> None:
        """Add rows, all or none."""
        self.open_table(stamp).add(rows.to_table())

    def remove_films(self, stamp: str, films: Collection[str]) -> None:
        """Remove films from a set."""
        for film_id in films:
            self.open_table(stamp).delete(build_film_condition([film_id]))

    def read_rows(
        self, stamp: str, film_id: FilmId | None = None, span_seconds: tuple[float, float] | None = None
    ) -> IndexRows:
        """Return a set's rows in the order of films and times.

        Args:
            stamp: The model of the set.
            film_id: The film whose rows are read; None: all.
            span_seconds: The span of that film within which rows start and end; None: all of it.
        """
        table = self.open_table(stamp)
        if film_id is None:
            return IndexRows.from_table(table.to_arrow())
        condition = build_film_condition([film_id])
        if span_seconds is not None:
            condition += f" AND start_seconds >= {span_seconds[0]} AND end_seconds <= {span_seconds[1]}"
        return IndexRows.from_table(table.search().where(condition).limit(max(1, table.count_rows())).to_arrow())

    def has_rows(self, stamp: str) -> bool:
        """Return whether a set's table exists, without opening it."""
        return (self._folder / f"{_name_table(stamp)}.lance").is_dir()

    def open_table(self, stamp: str, *, pinned: bool = False) -> Any:
        """Return a set's LanceDB table.

        Args:
            stamp: The model of the set.
            pinned: Whether the table stays at its present version; otherwise every query reads the newest one, which
                costs a look at the disk each time.

        Raises:
            LibraryError: if the table is gone.
        """
        try:
            return self._connect(pinned).open_table(_name_table(stamp))
        except (ValueError, FileNotFoundError) as error:
            root, path = self._library.location, self._folder / f"{stamp}.json"
            raise LibraryError(
                f"the embeddings of model {stamp} in {root} are gone; remove {path} and embed again: "
                f"talkies embed --library {root} --run RUN"
            ) from error

    def _read_entry(self, stamp: str) -> EmbeddingSet:
        path, root = self._folder / f"{stamp}.json", self._library.location
        remedy = f"; remove {path} and embed again: talkies embed --library {root} --run RUN"
        entry = read_document(path, EmbeddingSet, _DOCUMENT_NAME, SCHEMA_VERSION, LibraryError, remedy=remedy)
        if entry.schema_version < OLDEST_VERSION:
            raise LibraryError(f"{path} was made by an older talkies (schema version {entry.schema_version}){remedy}")
        return entry

    def _connect(self, pinned: bool = False) -> Any:
        os.environ.setdefault("LANCEDB_LOG", "error")  # otherwise it logs each step of building an index
        import lancedb  # imported here because it takes a second, and most commands do not search

        try:
            folder = os.fsencode(self._folder).decode("utf-8")  # LanceDB takes paths as UTF-8, whatever the locale
        except UnicodeDecodeError as error:
            shown = format_path(self._library.root)
            raise LibraryError(f"{shown} has a path that is not UTF-8, which embeddings need; rename it") from error
        return lancedb.connect(folder, read_consistency_interval=None if pinned else timedelta(0))


def build_film_condition(films: Collection[str]) -> str:
    """Return the LanceDB condition that a row belongs to one of these films."""
    return f"film_id IN ({', '.join(repr(str(parse_film_id(film_id))) for film_id in films)})"


def _name_table(stamp: str) -> str:
    return f"clips_{stamp}"
