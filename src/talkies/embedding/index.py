"""Embeddings on disk: one LanceDB table for each model, told by its stamp, so that two are never mixed.

Shapes: `B` clips, `D` embedding.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from talkies.config import Config
from talkies.core import ClipRequest, Embeddings, FilmId, LibraryError
from talkies.library import SCHEMA_VERSION, Library, read_json, write_json

Modality = Literal["video", "audio"]
_MOST_ROWS = 1_000_000


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
        self._library = library

    def sets(self) -> list[EmbeddingSet]:
        """Return the sets that are there, by stamp."""
        paths = sorted(self._library.index_folder.glob("*.json"))
        return [read_json(path, EmbeddingSet, "the description of an embedding set") for path in paths]

    def choose(self, stamp: str | None = None) -> EmbeddingSet:
        """Return the set of a model, or the only one.

        Raises:
            LibraryError: if there is none, not that one, or several and none was named.
        """
        found, root = self.sets(), self._library.root
        if not found:
            raise LibraryError(
                f"{root} has no embeddings yet; make them with: talkies embed --library {root} --run RUN"
            )
        known = ", ".join(f"{entry.stamp} (run {entry.run}, step {entry.step})" for entry in found)
        if stamp is not None:
            for entry in found:
                if entry.stamp == stamp:
                    return entry
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
            LibraryError: if the model's set was laid with another stride.
        """
        path = self._library.index_folder / f"{entry.stamp}.json"
        if path.is_file():
            before = read_json(path, EmbeddingSet, "the description of an embedding set")
            if (before.stride_seconds, before.clip_seconds) != (entry.stride_seconds, entry.clip_seconds):
                raise LibraryError(
                    f"{self._library.root} has this model's embeddings each {before.stride_seconds:g} s, "
                    f"not {entry.stride_seconds:g} s; take the same stride"
                )
            return
        self._library.index_folder.mkdir(exist_ok=True)
        self._database().create_table(_table_name(entry.stamp), schema=_schema(entry.dim), exist_ok=True)
        write_json(path, entry)

    def films_in(self, stamp: str) -> set[str]:
        """Return the ids of the films that a set holds."""
        table = self._table(stamp)
        rows = table.search().select(["film_id"]).limit(max(1, table.count_rows())).to_arrow()
        return set(rows.column("film_id").unique().to_pylist())

    def add_film(self, stamp: str, requests: Sequence[ClipRequest], embeddings: Embeddings) -> None:
        """Add one film's clips, all or none."""
        fps, dim = self._library.profile.fps, embeddings.video_BD.shape[1]
        columns = {
            "film_id": pa.array([request.film_id for request in requests], pa.string()),
            "start_seconds": pa.array([request.window.start_frame / fps for request in requests], pa.float64()),
            "end_seconds": pa.array([request.window.end_frame / fps for request in requests], pa.float64()),
            "video": _vectors(embeddings.video_BD.numpy()),
            "audio": _vectors(embeddings.audio_BD.numpy()),
        }
        self._table(stamp).add(pa.table(columns, schema=_schema(dim)))

    def rows_of_film(self, stamp: str, film_id: FilmId) -> list[dict[str, Any]]:
        """Return a film's rows in the order of time."""
        table = self._table(stamp).search().where(f"film_id = '{film_id}'").limit(_MOST_ROWS)
        rows: list[dict[str, Any]] = table.to_list()
        return sorted(rows, key=lambda row: row["start_seconds"])

    def nearest(self, stamp: str, vector_D: npt.NDArray[np.float32], to: Modality, count: int) -> list[dict[str, Any]]:
        """Return the `count` rows whose `to` embedding is nearest to `vector_D`; `_distance` is 1 − cosine."""
        query = self._table(stamp).search(vector_D, vector_column_name=to).distance_type("cosine")
        columns = ["film_id", "start_seconds", "end_seconds", "_distance"]
        rows: list[dict[str, Any]] = query.select(columns).limit(count).to_list()
        return rows

    def _table(self, stamp: str) -> Any:
        return self._database().open_table(_table_name(stamp))

    def _database(self) -> Any:
        import lancedb  # here, for it takes a second to import, and most verbs do not search

        return lancedb.connect(str(self._library.index_folder), read_consistency_interval=timedelta(0))


def _table_name(stamp: str) -> str:
    return f"clips_{stamp}"


def _vectors(rows_BD: npt.NDArray[np.float32]) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(rows_BD.reshape(-1), pa.float32()), rows_BD.shape[1])


def _schema(dim: int) -> pa.Schema:
    vector = pa.list_(pa.float32(), dim)
    return pa.schema(
        [
            ("film_id", pa.string()),
            ("start_seconds", pa.float64()),
            ("end_seconds", pa.float64()),
            ("video", vector),
            ("audio", vector),
        ]
    )
