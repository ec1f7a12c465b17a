"""Embeddings on disk: one LanceDB table for each model, told by its stamp, so that two are never mixed.

index/
  <stamp>.json          what the set is of
  <stamp>.ann.json      of a large one, what its index was built of
  clips_<stamp>.lance   its rows; one process adds to it, any number read
  .<stamp>.lock         held by the process that adds

Shapes: `B` clips, `D` embedding.
"""

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from talkies.config import Config, read_document
from talkies.core import FilmId, LibraryError, WorkError, parse_film_id
from talkies.library import Library, write_json
from talkies.library.staging import try_lock
from talkies.retrieval.index.rows import IndexRows, schema_of

SCHEMA_VERSION = 3  # 3: rows have shots
_WHAT = "the description of an embedding set"


class EmbeddingSet(Config):
    """What one set is of: the model's stamp, its run, and how clips were laid, in seconds."""

    schema_version: int = SCHEMA_VERSION
    stamp: str
    run: str
    step: int
    dim: Annotated[int, Field(ge=1)]
    clip_seconds: float
    stride_seconds: float


class VectorIndex:
    """The embeddings of a library."""

    def __init__(self, library: Library) -> None:
        self._library, self._folder = library, library.index_folder

    @property
    def folder(self) -> Path:
        """Where the sets lie."""
        return self._folder

    def stamps(self) -> list[str]:
        """Return the stamps of the sets that are there, in order."""
        return sorted(path.stem for path in self._folder.glob("*.json") if "." not in path.stem)

    def sets(self) -> list[EmbeddingSet]:
        """Return the sets that are there, by stamp.

        Raises:
            LibraryError: if one is damaged, or of another version.
        """
        return [self._read(stamp) for stamp in self.stamps()]

    def choose(self, stamp: str | None = None) -> EmbeddingSet:
        """Return the set of a model, or the only one.

        Raises:
            LibraryError: if there is none, not that one, or several and none was named; if it is damaged, or of
                another version.
        """
        if stamp is not None and stamp in self.stamps():
            return self._read(stamp)  # whatever the others are like
        found, root = self.sets(), self._library.location
        if not found:
            raise LibraryError(
                f"{root} has no embeddings yet; make them with: talkies embed --library {root} --run RUN"
            )
        known = ", ".join(f"{entry.stamp} (run {entry.run}, step {entry.step})" for entry in found)
        if stamp is not None:
            raise LibraryError(
                f"{root} was not embedded with the model asked for (stamp {stamp}) but with {known}; "
                f"embed it with: talkies embed --library {root} --run RUN"
            )
        if len(found) > 1:
            raise LibraryError(f"{root} holds embeddings of {len(found)} models: {known}; name one with --run RUN")
        return found[0]

    def begin(self, entry: EmbeddingSet) -> None:
        """Make a set, or go on with one of the same model and the same stride.

        Raises:
            LibraryError: if the model's set was laid with another stride, or by an older talkies.
        """
        path = self._folder / f"{entry.stamp}.json"
        if path.is_file():
            before = self._read(entry.stamp)
            if (before.stride_seconds, before.clip_seconds) != (entry.stride_seconds, entry.clip_seconds):
                raise LibraryError(
                    f"{self._library.location} has this model's embeddings each {before.stride_seconds:g} s, "
                    f"not {entry.stride_seconds:g} s; take the same stride"
                )
            return
        self._folder.mkdir(exist_ok=True)
        # What a set that was taken away left behind: its rows, what their index was built of, and its map.
        shutil.rmtree(self._folder / f"{_table_name(entry.stamp)}.lance", ignore_errors=True)
        for left in self._folder.glob(f"{entry.stamp}.*.json"):
            left.unlink()
        self._database().create_table(_table_name(entry.stamp), schema=schema_of(entry.dim), exist_ok=True)
        write_json(path, entry)

    @contextmanager
    def adding(self, stamp: str) -> Iterator[None]:
        """Let this process alone add to a model's set while the block runs.

        Raises:
            WorkError: if another one does.
        """
        self._folder.mkdir(exist_ok=True)
        with (self._folder / f".{stamp}.lock").open("ab") as lock:
            if not try_lock(lock):
                raise WorkError(
                    f"another process embeds {self._library.location} with this model (stamp {stamp}); wait until it "
                    "is done, what it adds can be searched meanwhile"
                )
            yield

    def films_in(self, stamp: str) -> set[str]:
        """Return the ids of the films that a set holds."""
        table = self.table(stamp)
        rows = table.search().select(["film_id"]).limit(max(1, table.count_rows())).to_arrow()
        return set(rows.column("film_id").unique().to_pylist())

    def count(self, stamp: str) -> int:
        """Return how many rows a set has."""
        return int(self.table(stamp).count_rows())

    def add(self, stamp: str, rows: IndexRows) -> None:
        """Add rows, all or none."""
        self.table(stamp).add(rows.to_table())

    def remove_films(self, stamp: str, films: Collection[str]) -> None:
        """Take films out of a set."""
        for film_id in films:
            self.table(stamp).delete(of_films([film_id]))

    def rows(
        self, stamp: str, film_id: FilmId | None = None, span_seconds: tuple[float, float] | None = None
    ) -> IndexRows:
        """Return a set's rows in the order of films and times: all, those of one film, or those in a span of it."""
        table = self.table(stamp)
        if film_id is None:
            return IndexRows.of_table(table.to_arrow())
        where = of_films([film_id])
        if span_seconds is not None:
            where += f" AND start_seconds >= {span_seconds[0]} AND end_seconds <= {span_seconds[1]}"
        return IndexRows.of_table(table.search().where(where).limit(max(1, table.count_rows())).to_arrow())

    def has_rows(self, stamp: str) -> bool:
        """Return whether a set's table is there; none is opened."""
        return (self._folder / f"{_table_name(stamp)}.lance").is_dir()

    def table(self, stamp: str, *, still: bool = False) -> Any:
        """Return a set's table, as LanceDB opens it; each question to it is answered by what is there then.

        With `still` by what is there now, which spares it to look each time.

        Raises:
            LibraryError: if it is not there any more.
        """
        try:
            return self._database(still).open_table(_table_name(stamp))
        except (ValueError, FileNotFoundError) as error:
            root, path = self._library.location, self._folder / f"{stamp}.json"
            raise LibraryError(
                f"the embeddings of model {stamp} in {root} are gone; remove {path} and embed again: "
                f"talkies embed --library {root} --run RUN"
            ) from error

    def _read(self, stamp: str) -> EmbeddingSet:
        path, root = self._folder / f"{stamp}.json", self._library.location
        remedy = f"; remove {path} and embed again: talkies embed --library {root} --run RUN"
        entry = read_document(path, EmbeddingSet, _WHAT, SCHEMA_VERSION, LibraryError, remedy)
        if entry.schema_version < SCHEMA_VERSION:
            raise LibraryError(f"{path} is of an older talkies (schema version {entry.schema_version}){remedy}")
        return entry

    def _database(self, still: bool = False) -> Any:
        os.environ.setdefault("LANCEDB_LOG", "error")  # it would tell how its index was built, line by line
        import lancedb  # here, for it takes a second to import, and most verbs do not search

        return lancedb.connect(str(self._folder), read_consistency_interval=None if still else timedelta(0))


def of_films(films: Collection[str]) -> str:
    """Return the condition that a row is of one of these films, as LanceDB reads it."""
    return f"film_id IN ({', '.join(repr(str(parse_film_id(film_id))) for film_id in films)})"


def _table_name(stamp: str) -> str:
    return f"clips_{stamp}"
