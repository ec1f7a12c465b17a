"""Export a library's embeddings as plain tables: Parquet, or NumPy arrays with a list of their rows.

Shapes: `B` clips, `D` embedding.
"""

import csv
import re
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
from talkies.export.atomic_folder import check_folder, write_folder
from talkies.library import Library
from talkies.retrieval.index import EmbeddingSet, IndexRows, VectorIndex, choose_set
from talkies.runtime import replace_atomically

VECTOR_FORMATS = ("parquet", "npy")
_PARQUET_FILE, _FILE_SUFFIXES = "embeddings.parquet", {".parquet", ".npy", ".npz", ".csv"}
_SET_FILE, _ROWS_FILE = "set.json", "rows.csv"
_NPY_FILES = ("video.npy", "audio.npy", _ROWS_FILE, _SET_FILE)
_FOLDERS = re.compile(r"(\b(?:hf|onnx):)/[^,@]*/([^/,@]+)")  # an absolute path in the address of public encoders
_COLUMNS = ("film_id", "source", "start_seconds", "end_seconds", "shot", "of_shot")


@dataclass(frozen=True, slots=True)
class ExportedVectors:
    """Files with one set of a library's embeddings, and how many clips of how many films they hold."""

    files: tuple[Path, ...]
    format: str
    entry: EmbeddingSet
    clips: int
    films: int


def export_vectors(
    library: str | Path,
    to: Path,
    format: str,  # noqa: A002
    run: str | Path | None = None,
) -> ExportedVectors:
    """Write the embeddings of a library, film by film and in the order of time.

    Args:
        library: The library's folder.
        to: For `parquet` the file, or a folder that gets an `embeddings.parquet`. For `npy` a folder, which gets
            `video.npy` and `audio.npy` `[B, D]` (of the modalities that the model has), `rows.csv` with a line for each
            row, and `set.json`, which describes the set.
        format: One of `VECTOR_FORMATS`.
        run: The run, exported model or address of public encoders whose embeddings are written; None if the library has
            a single set.

    Raises:
        UsageError: if there is no such format, or `to` does not fit it.
        LibraryError: if there is no such library, it has no embeddings, or only those of other models.
        WorkError: if something cannot be written.
    """
    if format not in VECTOR_FORMATS:
        known = ", ".join(VECTOR_FORMATS)
        raise UsageError(
            f"embeddings have no format '{format}'{suggest_nearest(format, VECTOR_FORMATS)}; there are: {known}"
        )
    opened = Library.open(library)
    index = VectorIndex(opened)
    entry = choose_set(opened, run)
    if format == "parquet":
        return _write_parquet(opened, index, entry, to if to.suffix == ".parquet" else to / _PARQUET_FILE)
    if to.suffix in _FILE_SUFFIXES:
        raise UsageError(f"npy is a folder of arrays, got the file {to}; name a folder with --to")
    check_folder(to)
    _check_not_foreign(to)
    return _write_arrays(opened, index, entry, to)


def _read_films(library: Library, index: VectorIndex, stamp: str) -> Iterator[tuple[str, IndexRows]]:
    """Yield each film's source and rows; one film at a time is in memory.

    The source of a film that has left the library since it was embedded is empty.
    """
    sources = {film.film_id: film.name for film in library.films()}
    for film_id in sorted(index.list_films(stamp)):
        rows = index.read_rows(stamp, parse_film_id(film_id))
        if len(rows):  # unless another process has removed it meanwhile
            yield sources.get(film_id, ""), rows


def _write_parquet(library: Library, index: VectorIndex, entry: EmbeddingSet, to: Path) -> ExportedVectors:
    clips = films = 0
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        with replace_atomically(to) as temporary, ExitStack() as stack:
            writer = None
            for source, rows in _read_films(library, index, entry.stamp):
                table = _add_source(rows, source).replace_schema_metadata({"talkies": _describe_set(entry)})
                if writer is None:
                    stream = stack.enter_context(temporary.open("wb"))  # pyarrow takes no path that is not UTF-8
                    writer = stack.enter_context(pq.ParquetWriter(stream, table.schema))
                writer.write_table(table)
                clips, films = clips + len(rows), films + 1
            _check_not_empty(clips, library)
    except OSError as error:
        raise WorkError(f"{to} cannot be written ({describe_os_error(error)}); name another place with --to") from error
    return ExportedVectors((to,), "parquet", entry, clips, films)


def _add_source(rows: IndexRows, source: str) -> pa.Table:
    return rows.to_table().add_column(1, "source", pa.array([source] * len(rows), pa.string()))


def _write_arrays(library: Library, index: VectorIndex, entry: EmbeddingSet, to: Path) -> ExportedVectors:
    clips = films = 0
    with write_folder(to, last=_SET_FILE) as folder, ExitStack() as stack:
        arrays = {
            name: _NpyWriter(stack.enter_context((folder / f"{name}.npy").open("wb"))) for name in entry.modalities
        }
        rows_file = stack.enter_context((folder / _ROWS_FILE).open("w", encoding="utf-8", newline=""))
        lines = csv.writer(rows_file)
        lines.writerow(("row", *_COLUMNS))
        for source, rows in _read_films(library, index, entry.stamp):
            for modality, array in arrays.items():
                array.append(rows.get_vectors(modality))
            of_shot = np.where(rows.of_shot_B, "true", "false")
            columns = rows.film_B, [source] * len(rows), rows.start_B, rows.end_B, rows.shot_B, of_shot
            lines.writerows(zip(range(clips, clips + len(rows)), *columns, strict=True))
            clips, films = clips + len(rows), films + 1
        _check_not_empty(clips, library)
        for array in arrays.values():
            array.finish()
        (folder / _SET_FILE).write_text(_describe_set(entry) + "\n", encoding="utf-8")
        files = tuple(to / path.name for path in sorted(folder.iterdir()))
    return ExportedVectors(files, "npy", entry, clips, films)


class _NpyWriter:
    """Writes an array `[B, D]` to an .npy file row by row; B is known at the end."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._rows, self._dim = file, 0, 0

    def append(self, rows_BD: Float32s) -> None:
        if not self._rows:
            self._dim = rows_BD.shape[1]
            self._write_header()
        self._file.write(np.ascontiguousarray(rows_BD, "<f4").tobytes())
        self._rows += len(rows_BD)

    def finish(self) -> None:
        """Write the final number of rows to the header, in which NumPy leaves space for it."""
        self._file.seek(0)
        self._write_header()

    def _write_header(self) -> None:
        header = {"descr": "<f4", "fortran_order": False, "shape": (self._rows, self._dim)}
        np.lib.format.write_array_header_1_0(self._file, header)


def _describe_set(entry: EmbeddingSet) -> str:
    """Return the set's description as JSON, with the name of its model and not its folder on this machine."""
    return entry.model_copy(update={"run": entry.name}).model_dump_json(indent=1)


def _check_not_foreign(to: Path) -> None:
    """Check that files of our names in a folder are from an earlier export.

    Raises:
        UsageError: if one is not.
    """
    names = [name for name in _NPY_FILES if (to / name).exists()]
    if names and not _is_set_description(to / _SET_FILE):
        raise UsageError(f"{to} holds a {names[0]} that is not from an export; name a new folder")


def _is_set_description(path: Path) -> bool:
    try:
        EmbeddingSet.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return False
    return True


def _check_not_empty(clips: int, library: Library) -> None:
    if not clips:
        raise LibraryError(f"{library.location} has a set of embeddings without a clip; embed its films again")
