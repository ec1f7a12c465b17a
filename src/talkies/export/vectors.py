"""Embeddings of a library as plain tables: Parquet, or arrays for NumPy with a list of their rows.

Shapes: `B` clips, `D` embedding.
"""

import csv
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from talkies.core import (
    Float32s,
    LibraryError,
    UsageError,
    WorkError,
    describe_os_error,
    parse_film_id,
    suggest_nearest,
)
from talkies.export.folder import check_folder, written_whole
from talkies.library import Library
from talkies.retrieval.index import EmbeddingSet, IndexRows, VectorIndex
from talkies.runs.exported_model import read_stamp
from talkies.runtime import replace_atomically

VECTOR_FORMATS = ("parquet", "npy")
_SET, _PARQUET, _OF_FILES = "set.json", "embeddings.parquet", {".parquet", ".npy", ".npz", ".csv"}
_ARRAYS = ("video.npy", "audio.npy", "rows.csv")
_COLUMNS = ("film_id", "source", "start_seconds", "end_seconds", "shot", "of_shot")


@dataclass(frozen=True, slots=True)
class ExportedVectors:
    """Files with one set of a library's embeddings, and how many clips of how many films they hold."""

    files: tuple[Path, ...]
    format: str
    entry: EmbeddingSet
    clips: int
    films: int


def export_vectors(library: str | Path, to: Path, format: str, run: Path | None = None) -> ExportedVectors:  # noqa: A002
    """Write the embeddings of a library, film by film and in the order of time.

    `parquet` is one file, `to` itself or `embeddings.parquet` in it. `npy` is a folder: `video.npy` and `audio.npy`
    `[B, D]`, `rows.csv` with a line for each of their rows, and `set.json`, which says what the set is of. With `run`
    (or an exported model) the embeddings are that model's; without it there must be one set alone.

    Raises:
        UsageError: if there is no such format, or `to` does not fit it.
        LibraryError: if there is no such library, it has no embeddings, or another model's.
        WorkError: if something cannot be written.
    """
    if format not in VECTOR_FORMATS:
        known = ", ".join(VECTOR_FORMATS)
        raise UsageError(
            f"embeddings have no format '{format}'{suggest_nearest(format, VECTOR_FORMATS)}; there are: {known}"
        )
    opened = Library.open(library)
    index = VectorIndex(opened)
    entry = index.choose(read_stamp(run) if run else None)
    if format == "npy":
        if to.suffix in _OF_FILES:
            raise UsageError(f"npy is a folder of arrays, got the file {to}; name a folder with --to")
        check_folder(to)
        _check_ours(to)
        return _as_arrays(opened, index, entry, to)
    return _as_parquet(opened, index, entry, to if to.suffix == ".parquet" else to / _PARQUET)


def _films(library: Library, index: VectorIndex, stamp: str) -> Iterator[tuple[str, IndexRows]]:
    """Yield each film's source and rows; one film at a time is in memory.

    A film that has left the library since it was embedded has no source.
    """
    sources = {film.film_id: film.name for film in library.films()}
    for film_id in sorted(index.list_films(stamp)):
        rows = index.read_rows(stamp, parse_film_id(film_id))
        if len(rows):  # else another process has taken it out meanwhile
            yield sources.get(film_id, ""), rows


def _as_parquet(library: Library, index: VectorIndex, entry: EmbeddingSet, to: Path) -> ExportedVectors:
    clips = films = 0
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        with replace_atomically(to) as temporary, ExitStack() as stack:
            writer = None
            for source, rows in _films(library, index, entry.stamp):
                table = _with_source(rows, source).replace_schema_metadata({"talkies": _told(entry)})
                writer = writer or stack.enter_context(pq.ParquetWriter(temporary, table.schema))
                writer.write_table(table)
                clips, films = clips + len(rows), films + 1
            _check_some(clips, library)
    except OSError as error:
        raise WorkError(f"{to} cannot be written ({describe_os_error(error)}); name another place with --to") from error
    return ExportedVectors((to,), "parquet", entry, clips, films)


def _with_source(rows: IndexRows, source: str) -> pa.Table:
    return rows.to_table().add_column(1, "source", pa.array([source] * len(rows), pa.string()))


def _as_arrays(library: Library, index: VectorIndex, entry: EmbeddingSet, to: Path) -> ExportedVectors:
    clips = films = 0
    with written_whole(to, last=_SET) as folder, ExitStack() as stack:
        arrays = {side: _Array(stack.enter_context((folder / f"{side}.npy").open("wb"))) for side in ("video", "audio")}
        told = csv.writer(stack.enter_context((folder / "rows.csv").open("w", encoding="utf-8", newline="")))
        told.writerow(("row", *_COLUMNS))
        for source, rows in _films(library, index, entry.stamp):
            arrays["video"].add(rows.video_BD)
            arrays["audio"].add(rows.audio_BD)
            of_shot = np.where(rows.of_shot_B, "true", "false")
            columns = rows.film_B, [source] * len(rows), rows.start_B, rows.end_B, rows.shot_B, of_shot
            told.writerows(zip(range(clips, clips + len(rows)), *columns, strict=True))
            clips, films = clips + len(rows), films + 1
        _check_some(clips, library)
        for array in arrays.values():
            array.finish()
        (folder / _SET).write_text(_told(entry) + "\n", encoding="utf-8")
        written = tuple(to / path.name for path in sorted(folder.iterdir()))
    return ExportedVectors(written, "npy", entry, clips, films)


class _Array:
    """An array `[B, D]` in a file for NumPy, of which B is known at the end."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._rows, self._dim = file, 0, 0

    def add(self, rows_BD: Float32s) -> None:
        if not self._rows:
            self._dim = rows_BD.shape[1]
            self._head()
        self._file.write(np.ascontiguousarray(rows_BD, "<f4").tobytes())
        self._rows += len(rows_BD)

    def finish(self) -> None:
        """Tell at the file's beginning how many rows there are: NumPy leaves room for the number."""
        self._file.seek(0)
        self._head()

    def _head(self) -> None:
        about = {"descr": "<f4", "fortran_order": False, "shape": (self._rows, self._dim)}
        np.lib.format.write_array_header_1_0(self._file, about)


def _told(entry: EmbeddingSet) -> str:
    """Return what the set is of as JSON: of its run the name, and not where it lay on the machine."""
    return entry.model_copy(update={"run": Path(entry.run).name}).model_dump_json(indent=1)


def _check_ours(to: Path) -> None:
    """Raise UsageError if a folder has files by the names of ours that no export wrote."""
    there = [name for name in (*_ARRAYS, _SET) if (to / name).exists()]
    if there and not _is_set(to / _SET):
        raise UsageError(f"{to} holds a {there[0]} that no export wrote; name a new folder")


def _is_set(path: Path) -> bool:
    try:
        EmbeddingSet.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return False
    return True


def _check_some(clips: int, library: Library) -> None:
    if not clips:
        raise LibraryError(f"{library.location} has a set of embeddings without a clip; embed its films again")
