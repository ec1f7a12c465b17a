"""The catalogue: the films, shots and annotated spans of a whole library as three Parquet tables.

    films.parquet     one row per film, rejected ones too, in the order of their ids
    shots.parquet     film_id, start_frame, end_frame
    spans.parquet     film_id, kind, start_frame, end_frame: black, silent, still, credits and damaged spans

The tables are built from the film folders, and their bytes do not depend on the order in which films were added. Before
a film folder is replaced, a file `.stale-<film_id>` is written, so that the row of the old folder is never used.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from talkies.core import FilmId, Int64s, LibraryError, Span, escape_controls, parse_film_id
from talkies.library.mirror import STALE
from talkies.library.record import SCHEMA_VERSION, FilmRecord, Reason, Verdict
from talkies.runtime import replace_atomically

SHOT = "shot"
Annotations = Mapping[str, Sequence[Span]]
"""The annotated spans of one film by kind: `shot`, `black`, `silent`, `still`, `credits`, `damaged`."""

_SPAN = [("start_frame", pa.int64()), ("end_frame", pa.int64())]
_FILM_SPANS = pa.schema([("kind", pa.string()), *_SPAN])
_SHOTS = pa.schema([("film_id", pa.string()), *_SPAN])
_SPANS = pa.schema([("film_id", pa.string()), ("kind", pa.string()), *_SPAN])
_FILMS = pa.schema(
    [
        ("film_id", pa.string()),
        ("source", pa.string()),
        ("verdict", pa.string()),
        ("duration_seconds", pa.float64()),
        ("frames", pa.int64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("shots", pa.int32()),
        ("stored_bytes", pa.int64()),
        ("reasons_json", pa.string()),
        ("other_sources_json", pa.string()),
    ]
)
_REASONS = TypeAdapter(tuple[Reason, ...])
_SOURCES = TypeAdapter(tuple[str, ...])


@dataclass(frozen=True, slots=True)
class FilmEntry:
    """A film's row in the catalogue: the part of its record that listings, sampling and searches need."""

    film_id: str
    source: str
    verdict: str
    duration_seconds: float
    frames: int
    width: int
    height: int
    shots: int
    stored_bytes: int
    reasons_json: str
    other_sources_json: str = ""

    @classmethod
    def of(cls, record: FilmRecord) -> "FilmEntry":
        """Return the row of a record."""
        converted = ("verdict", "reasons_json", "other_sources_json")
        values = {f.name: getattr(record, f.name) for f in fields(cls) if f.name not in converted}
        reasons = _REASONS.dump_json(record.reasons).decode() if record.reasons else ""
        others = _SOURCES.dump_json(record.other_sources).decode() if record.other_sources else ""
        return cls(**values, verdict=str(record.verdict), reasons_json=reasons, other_sources_json=others)

    @property
    def id(self) -> FilmId:
        """The film's id."""
        return parse_film_id(self.film_id)

    @property
    def usable(self) -> bool:
        """Whether clips can be sampled from the film."""
        return self.verdict != Verdict.REJECTED

    @property
    def name(self) -> str:
        """The source's file name."""
        return self.source.rpartition("/")[2]

    @property
    def other_names(self) -> tuple[str, ...]:
        """The file names of the other sources, each once."""
        names = dict.fromkeys(source.rpartition("/")[2] for source in self.other_sources)
        return tuple(name for name in names if name != self.name)

    @property
    def printable_name(self) -> str:
        """The source's file name without control characters, for messages."""
        return escape_controls(self.name)

    @property
    def other_sources(self) -> tuple[str, ...]:
        """The other paths and URLs at which the film was found, such as the names before a renaming."""
        return _SOURCES.validate_json(self.other_sources_json) if self.other_sources_json else ()

    @property
    def sources(self) -> tuple[str, ...]:
        """All paths and URLs at which the film was found, the present one first."""
        return (self.source, *self.other_sources)

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """The reasons for the verdict."""
        return _REASONS.validate_json(self.reasons_json) if self.reasons_json else ()


@dataclass(frozen=True, slots=True)
class Change:
    """A film whose row is missing or out of date: its new row and its annotated spans."""

    entry: FilmEntry
    annotations: Annotations


class Catalogue:
    """The tables in `folder`; one that is damaged or of another version is treated as missing, as it can be rebuilt."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def lock(self) -> Path:
        """The file that a process locks while it writes the tables."""
        return self._folder / ".lock"

    def read_films(self) -> list[FilmEntry]:
        """Return the rows that are up to date, in the order of their ids."""
        stale = self.list_stale()  # before the table: another process may rewrite it and remove the stale files
        table = self._read("films", _FILMS)
        if table is None:
            return []
        rows = map(FilmEntry, *(column.to_pylist() for column in table.columns))
        return [row for row in rows if row.film_id not in stale] if stale else list(rows)

    def read_spans(self, kinds: Iterable[str], numbers: Mapping[str, int]) -> Int64s:
        """Return film number, start frame and end frame `[R, 3]` of the spans of these kinds.

        Args:
            kinds: The kinds of spans, `SHOT` included.
            numbers: The number of each film, by its id; the spans of other films are left out.
        """
        kinds = set(kinds)
        tables = []
        if SHOT in kinds and (shots := self._read("shots", _SHOTS)) is not None:
            tables.append(shots)
        if kinds - {SHOT} and (spans := self._read("spans", _SPANS)) is not None:
            chosen = spans.filter(pc.is_in(spans.column("kind"), pa.array(sorted(kinds))))
            tables.append(chosen.select(_SHOTS.names))
        table = pa.concat_tables(tables or [_SHOTS.empty_table()])

        # Replace the ids by the films' numbers, and leave out films without one.
        place = pc.index_in(table.column("film_id"), pa.array(list(numbers), pa.string()))
        known = pc.is_valid(place)
        columns = [place.filter(known), *(table.column(name).filter(known) for name in ("start_frame", "end_frame"))]
        rows_R3 = np.stack([column.to_numpy().astype(np.int64) for column in columns], axis=1)
        rows_R3[:, 0] = np.array(list(numbers.values()), np.int64)[rows_R3[:, 0]]
        return rows_R3

    def list_stale(self) -> set[str]:
        """Return the ids of films that were replaced since the tables were written."""
        return {path.name.removeprefix(STALE) for path in self._folder.glob(f"{STALE}*")}

    def mark_stale(self, film_id: FilmId) -> Path:
        """Declare a film's row out of date, by a file whose path is returned."""
        self._folder.mkdir(exist_ok=True)
        path = self._folder / f"{STALE}{film_id}"
        path.touch()
        return path

    def update(self, changes: Sequence[Change], keep: Iterable[str]) -> None:
        """Rewrite the tables with the present rows of the films `keep` and the new rows of `changes`, and no others."""
        stale = self.list_stale()
        kept = pa.array(sorted(keep), pa.string())

        shot_rows: list[tuple[Any, ...]] = []
        span_rows: list[tuple[Any, ...]] = []
        for change in changes:
            film_id = change.entry.film_id
            for kind, spans in sorted(change.annotations.items()):
                for span in spans:
                    if kind == SHOT:
                        shot_rows.append((film_id, span.start_frame, span.end_frame))
                    else:
                        span_rows.append((film_id, kind, span.start_frame, span.end_frame))
        film_rows = [tuple(getattr(change.entry, name) for name in _FILMS.names) for change in changes]

        self._write("shots", _SHOTS, kept, shot_rows)
        self._write("spans", _SPANS, kept, span_rows)
        # The films come last, as they say which films the other tables hold: if the process is killed before this, the
        # next update writes everything again.
        self._write("films", _FILMS, kept, film_rows)
        for film_id in stale:
            (self._folder / f"{STALE}{film_id}").unlink(missing_ok=True)

    def is_complete(self) -> bool:
        """Return whether all tables can be read."""
        return all(self._read(n, s) is not None for n, s in (("films", _FILMS), ("shots", _SHOTS), ("spans", _SPANS)))

    def _write(self, name: str, schema: pa.Schema, keep: pa.Array, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write a table: the present rows of the films `keep`, and the new rows."""
        table = _build_table(rows, schema)
        present = self._read(name, schema)
        if present is not None:
            table = pa.concat_tables([present.filter(pc.is_in(present.column("film_id"), keep)), table])
        order = [(column, "ascending") for column in ("film_id", "kind", "start_frame") if column in schema.names]
        _write_table(self._folder / f"{name}.parquet", table.sort_by(order).combine_chunks())

    def _read(self, name: str, schema: pa.Schema) -> pa.Table | None:
        """Return a table, or None if it is missing, damaged or of another version."""
        path = self._folder / f"{name}.parquet"
        if not path.is_file():
            return None
        try:
            # Opened here, because pyarrow takes no path that is not UTF-8.
            with path.open("rb") as stream, pq.ParquetFile(stream) as file:
                if (file.schema_arrow.metadata or {}).get(b"schema_version") != str(SCHEMA_VERSION).encode():
                    return None
                return file.read().cast(schema)
        except (pa.ArrowException, ValueError, OSError):
            return None


def write_annotations(path: Path, annotations: Annotations) -> None:
    """Write one film's shots and annotated spans as a Parquet table."""
    rows = [(kind, span.start_frame, span.end_frame) for kind in sorted(annotations) for span in annotations[kind]]
    _write_table(path, _build_table(rows, _FILM_SPANS))


def read_annotations(path: Path) -> dict[str, list[Span]]:
    """Return one film's spans by kind, each in order.

    Raises:
        LibraryError: if the table is missing or damaged.
    """
    try:
        with path.open("rb") as stream, pq.ParquetFile(stream) as file:
            table = file.read(use_threads=False)  # starting threads takes longer than reading so few rows
        kinds, starts, ends = (column.to_pylist() for column in table.cast(_FILM_SPANS).columns)
        annotations: dict[str, list[Span]] = {}
        for kind, start, end in zip(kinds, starts, ends, strict=True):
            annotations.setdefault(kind, []).append(Span(start, end))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise LibraryError(f"{path} is missing or damaged; ingest its film again to repair it") from error
    return annotations


def _build_table(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    arrays = [pa.array([row[column] for row in rows], field.type) for column, field in enumerate(schema)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _write_table(path: Path, table: pa.Table) -> None:
    with replace_atomically(path) as temporary, temporary.open("wb") as stream:
        pq.write_table(table.replace_schema_metadata({"schema_version": str(SCHEMA_VERSION)}), stream)
