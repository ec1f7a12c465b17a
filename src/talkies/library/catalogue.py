"""The catalogue: films, shots and spans of all films as three Parquet tables, made of the film folders.

    films.parquet     one row a film, rejected ones too, in the order of their ids
    shots.parquet     film_id, start_frame, end_frame
    spans.parquet     film_id, kind, start_frame, end_frame: what is black, silent, still, credits or damaged

The tables follow from the film folders alone, byte for byte, whatever the order in which films came. A film folder
that is about to be replaced is marked first (`.stale-<film_id>`), so that a row that speaks of the old one is never
believed.
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

from talkies.core import FilmId, Int64s, LibraryError, Span, parse_film_id
from talkies.library.mirror import STALE
from talkies.library.record import SCHEMA_VERSION, FilmRecord, Reason, Verdict
from talkies.runtime import replace_atomically

SHOT = "shot"
Annotations = Mapping[str, Sequence[Span]]
"""Spans of one film by kind: `shot`, `black`, `silent`, `still`, `credits`, `damaged`."""

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
    ]
)
_REASONS = TypeAdapter(tuple[Reason, ...])


@dataclass(frozen=True, slots=True)
class FilmEntry:
    """A film's row in the catalogue: what lists, plans and searches need of its record."""

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

    @classmethod
    def of(cls, record: FilmRecord) -> "FilmEntry":
        """Return the row of a record."""
        values = {f.name: getattr(record, f.name) for f in fields(cls) if f.name not in ("verdict", "reasons_json")}
        reasons = _REASONS.dump_json(record.reasons).decode() if record.reasons else ""
        return cls(**values, verdict=str(record.verdict), reasons_json=reasons)

    @property
    def id(self) -> FilmId:
        """The film's id."""
        return parse_film_id(self.film_id)

    @property
    def usable(self) -> bool:
        """Whether clips can be drawn from the film."""
        return self.verdict != Verdict.REJECTED

    @property
    def name(self) -> str:
        """The source's file name."""
        return self.source.rpartition("/")[2]

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why the verdict is what it is."""
        return _REASONS.validate_json(self.reasons_json) if self.reasons_json else ()


@dataclass(frozen=True, slots=True)
class Change:
    """A film that the catalogue does not hold as it is: its row and its spans."""

    entry: FilmEntry
    marks: Annotations


class Catalogue:
    """The tables in `folder`; what is damaged or of another version counts as not there, for it can be made anew."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def lock(self) -> Path:
        """The file that a process locks while it writes the tables."""
        return self._folder / ".lock"

    def films(self) -> list[FilmEntry]:
        """Return the rows that can be believed, in the order of their ids."""
        stale = self.stale()  # before the table: another process may write it anew, and take the marks away
        table = self._read("films", _FILMS)
        if table is None:
            return []
        rows = map(FilmEntry, *(column.to_pylist() for column in table.columns))
        return [row for row in rows if row.film_id not in stale] if stale else list(rows)

    def spans(self, kinds: Iterable[str], numbers: Mapping[str, int]) -> Int64s:
        """Return film number, start and end `[R, 3]` of every span of these kinds, of the films that have a number."""
        wanted = set(kinds)
        tables = [self._read("shots", _SHOTS)] if SHOT in wanted else []
        marked = self._read("spans", _SPANS) if wanted - {SHOT} else None
        if marked is not None:
            tables.append(marked.filter(pc.is_in(marked.column("kind"), pa.array(sorted(wanted)))))
        table = pa.concat_tables([t.select(_SHOTS.names) for t in tables if t is not None] or [_SHOTS.empty_table()])
        place = pc.index_in(table.column("film_id"), pa.array(list(numbers), pa.string()))
        known = pc.is_valid(place)
        columns = [place.filter(known), *(table.column(name).filter(known) for name in ("start_frame", "end_frame"))]
        rows_R3 = np.stack([column.to_numpy().astype(np.int64) for column in columns], axis=1)
        rows_R3[:, 0] = np.array(list(numbers.values()), np.int64)[rows_R3[:, 0]]
        return rows_R3

    def stale(self) -> set[str]:
        """Return the ids of films that were replaced since the tables were written."""
        return {path.name.removeprefix(STALE) for path in self._folder.glob(f"{STALE}*")}

    def mark_stale(self, film_id: FilmId) -> Path:
        """Say that a film's row is not to be believed from now on, by a file whose path is returned."""
        self._folder.mkdir(exist_ok=True)
        mark = self._folder / f"{STALE}{film_id}"
        mark.touch()
        return mark

    def update(self, changes: Sequence[Change], keep: Iterable[str]) -> None:
        """Write the tables anew: the films of `keep` as they are, those of `changes` as told, no others."""
        stale = self.stale()
        kept = pa.array(sorted(keep), pa.string())
        shots = [(c.entry.film_id, s) for c in changes for s in c.marks.get(SHOT, ())]
        spans = [(c.entry.film_id, k, s) for c in changes for k in sorted(c.marks) if k != SHOT for s in c.marks[k]]
        self._write("shots", _SHOTS, kept, [(i, s.start_frame, s.end_frame) for i, s in shots])
        self._write("spans", _SPANS, kept, [(i, k, s.start_frame, s.end_frame) for i, k, s in spans])
        # Last, for it says which films the others hold: after a kill on the way the next update does it all again.
        self._write("films", _FILMS, kept, [tuple(getattr(c.entry, n) for n in _FILMS.names) for c in changes])
        for film_id in stale:
            (self._folder / f"{STALE}{film_id}").unlink(missing_ok=True)

    def is_complete(self) -> bool:
        """Return whether all tables are there."""
        return all(self._read(n, s) is not None for n, s in (("films", _FILMS), ("shots", _SHOTS), ("spans", _SPANS)))

    def _write(self, name: str, schema: pa.Schema, keep: pa.Array, rows: Sequence[tuple[Any, ...]]) -> None:
        new = pa.Table.from_arrays(
            [pa.array(column, f.type) for column, f in zip(_columns(rows, len(schema)), schema, strict=True)],
            schema=schema,
        )
        old = self._read(name, schema)
        if old is not None:
            new = pa.concat_tables([old.filter(pc.is_in(old.column("film_id"), keep)), new])
        order = [(column, "ascending") for column in ("film_id", "kind", "start_frame") if column in schema.names]
        _write_table(self._folder / f"{name}.parquet", new.sort_by(order).combine_chunks())

    def _read(self, name: str, schema: pa.Schema) -> pa.Table | None:
        path = self._folder / f"{name}.parquet"
        if not path.is_file():
            return None
        try:
            with pq.ParquetFile(path) as file:
                if (file.schema_arrow.metadata or {}).get(b"schema_version") != str(SCHEMA_VERSION).encode():
                    return None
                return file.read().cast(schema)
        except (pa.ArrowException, ValueError, OSError):
            return None


def write_annotations(path: Path, marks: Annotations) -> None:
    """Write one film's shots and marked spans."""
    rows = [(kind, s.start_frame, s.end_frame) for kind in sorted(marks) for s in marks[kind]]
    columns = [pa.array(c, f.type) for c, f in zip(_columns(rows, 3), _FILM_SPANS, strict=True)]
    _write_table(path, pa.Table.from_arrays(columns, schema=_FILM_SPANS))


def read_annotations(path: Path) -> dict[str, list[Span]]:
    """Return one film's spans by kind, each in order.

    Raises:
        LibraryError: if the table is missing or damaged.
    """
    try:
        with pq.ParquetFile(path) as file:
            table = file.read(use_threads=False)  # for so few rows the threads cost more than the reading
        kinds, starts, ends = (column.to_pylist() for column in table.cast(_FILM_SPANS).columns)
        marks: dict[str, list[Span]] = {}
        for kind, start, end in zip(kinds, starts, ends, strict=True):
            marks.setdefault(kind, []).append(Span(start, end))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise LibraryError(f"{path} is missing or damaged; ingest its film again to repair it") from error
    return marks


def _columns(rows: Sequence[tuple[Any, ...]], count: int) -> list[list[Any]]:
    return [[row[column] for row in rows] for column in range(count)]


def _write_table(path: Path, table: pa.Table) -> None:
    with replace_atomically(path) as temporary:
        pq.write_table(table.replace_schema_metadata({"schema_version": str(SCHEMA_VERSION)}), temporary)
