"""The catalogue's tables: films, shots and spans as Parquet."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from talkies.core import FilmId, LibraryError, Span, replace_atomically
from talkies.library.record import SCHEMA_VERSION, FilmRecord

_SPANS = pa.schema([("film_id", pa.string()), ("start_frame", pa.int64()), ("end_frame", pa.int64())])
_FILMS = pa.schema(
    [("film_id", pa.string()), ("verdict", pa.string()), ("duration_seconds", pa.float64()), ("record", pa.string())]
)


def write(folder: Path, records: Sequence[FilmRecord], shots: Mapping[str, Sequence[Span]]) -> None:
    """Write the three tables; `shots` are those of the usable films, by film id."""
    folder.mkdir(exist_ok=True)
    films = [
        {
            "film_id": r.film_id,
            "verdict": str(r.verdict),
            "duration_seconds": r.duration_seconds,
            "record": r.model_dump_json(),
        }
        for r in records
    ]
    whole = {record.film_id: [Span(0, record.frames)] for record in records if record.usable}
    _write(folder / "films.parquet", films, _FILMS)
    _write(folder / "shots.parquet", _rows(shots), _SPANS)
    _write(folder / "spans.parquet", _rows(whole), _SPANS)


def read_films(folder: Path, film_ids: Sequence[FilmId]) -> list[FilmRecord] | None:
    """Return the records in the catalogue, or nothing if it is damaged or does not hold exactly `film_ids`."""
    path = folder / "films.parquet"
    if not path.is_file():
        return None
    try:
        table = pq.read_table(path, schema=_FILMS)
        if table.column("film_id").to_pylist() != list(film_ids):
            return None
        return [FilmRecord.model_validate_json(text) for text in table.column("record").to_pylist()]
    except (ValidationError, pa.ArrowException, OSError):
        return None


def write_shots(path: Path, shots: Sequence[Span]) -> None:
    """Write one film's shots."""
    rows = [{"start_frame": shot.start_frame, "end_frame": shot.end_frame} for shot in shots]
    _write(path, rows, pa.schema([_SPANS.field("start_frame"), _SPANS.field("end_frame")]))


def read_shots(path: Path) -> list[Span]:
    """Return one film's shots in order.

    Raises:
        LibraryError: if the table is missing or damaged.
    """
    try:
        return [Span(row["start_frame"], row["end_frame"]) for row in pq.read_table(path).to_pylist()]
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise LibraryError(f"{path} is missing or damaged; ingest its film again to repair it") from error


def _rows(spans: Mapping[str, Sequence[Span]]) -> list[dict[str, Any]]:
    return [
        {"film_id": film_id, "start_frame": span.start_frame, "end_frame": span.end_frame}
        for film_id in sorted(spans)
        for span in spans[film_id]
    ]


def _write(path: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    table = pa.Table.from_pylist(rows, schema.with_metadata({"schema_version": str(SCHEMA_VERSION)}))
    with replace_atomically(path) as temporary:
        pq.write_table(table, temporary)
