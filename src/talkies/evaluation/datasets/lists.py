"""Read the publishers' lists line by line, so that an error names file and line, and index the media files."""

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from talkies.core import UsageError
from talkies.evaluation.datasets.dataset import read_text
from talkies.media import has_media_suffix


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a list: its fields, the list's path, and the line number from 1."""

    fields: tuple[str, ...]
    path: Path
    line: int

    def error(self, problem: str) -> UsageError:
        """Return an error that names this line; `problem` continues the sentence with a verb."""
        return UsageError(f"{self.path}, line {self.line}, {problem}; take the publishers' own list")

    def parse_integer(self, index: int, meaning: str) -> int:
        """Return field `index` as a whole number.

        Args:
            index: which field, from 0.
            meaning: what the field is, for the error message.

        Raises:
            UsageError: naming the line, if the field is not a whole number.
        """
        try:
            return int(self.fields[index])
        except ValueError:
            raise self.error(f"has '{self.fields[index]}' for {meaning}, which is not a whole number") from None

    def parse_seconds(self, index: int, meaning: str) -> float:
        """Return field `index` as a finite, non-negative number of seconds.

        Args:
            index: which field, from 0.
            meaning: what the field is, for the error message.

        Raises:
            UsageError: naming the line, if the field is not such a number.
        """
        try:
            value = float(self.fields[index])
        except ValueError:
            value = -1.0
        if not 0 <= value < float("inf"):
            raise self.error(f"has '{self.fields[index]}' for {meaning}, which is not a number of seconds")
        return value


@dataclass(slots=True)
class DuplicateCheck:
    """Remembers the line that first named each clip, and rejects a clip that another list names again.

    With `within_a_list`, a clip that the same list names twice is rejected too.
    """

    within_a_list: bool = True
    _first: dict[str, tuple[Path, int]] = field(default_factory=dict)

    def add(self, row: Row, clip: str) -> None:
        """Remember that a line names a clip.

        Raises:
            UsageError: naming both lines, if an earlier one named the clip.
        """
        path, line = self._first.setdefault(clip, (row.path, row.line))
        if path != row.path:
            raise row.error(f"names {clip}, which line {line} of {path.name} names too, so the lists overlap")
        if self.within_a_list and line != row.line:
            raise row.error(f"names {clip}, which line {line} names too")


def read_rows(root: Path, *names: str, form: str, separator: str | None = None) -> tuple[str, list[Row]]:
    """Return the name of the first of several lists that exists, and its non-empty lines split into fields.

    Args:
        root: the data set's folder.
        names: paths relative to `root`, the usual name first.
        form: an example of a valid line, such as `NUMBER CLASS`: every line must have as many fields.
        separator: what separates fields; white space if not given.

    Raises:
        UsageError: if no list exists, or a line has another number of fields.
    """
    name, text = read_text(root, *names)
    rows = [
        Row(tuple(part.strip() for part in line.split(separator)), root / name, number)
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip()
    ]

    field_count = len(form.split(separator))
    for row in rows:
        if len(row.fields) != field_count:
            raise row.error(f"is not of the form '{form}'")
    return name, rows


def read_csv(root: Path, *names: str, columns: Sequence[str]) -> tuple[str, Iterator[Row]]:
    """Return the name of the first of several CSV lists that exists, and its lines reduced to some columns.

    Args:
        root: the data set's folder.
        names: paths relative to `root`, the usual name first.
        columns: the header names of the fields to keep, in this order.

    Raises:
        UsageError: if no list exists or its header lacks a column; during iteration, if a line lacks a field.
    """
    name, text = read_text(root, *names)
    rows = parse_csv(root / name, text)

    header = next(rows, Row((), root / name, 1))
    for column in columns:
        if column not in header.fields:
            raise header.error(f"has no column '{column}'")
    indices = [header.fields.index(column) for column in columns]
    return name, _select_columns(rows, indices, len(header.fields))


def parse_csv(path: Path, text: str) -> Iterator[Row]:
    """Yield the lines of a CSV text that are neither empty nor comments.

    Raises:
        UsageError: naming a line with unbalanced quotes.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            fields = next(csv.reader([line.rstrip("\r")], skipinitialspace=True, strict=True))
        except csv.Error as error:
            raise Row((), path, number).error("is not valid CSV: its quotes are wrong") from error
        yield Row(tuple(part.strip() for part in fields), path, number)


def index_media_by_stem(root: Path, folders: Iterable[str]) -> dict[str, str]:
    """Return the path of each media file below some folders, relative to `root`, by its name without suffix.

    Args:
        root: the data set's folder.
        folders: folders relative to `root`; the first that has a name wins. `.` means only files directly in the root.
    """
    paths: dict[str, str] = {}
    for folder in folders:
        for name in _list_direct_files(root) if folder == "." else list_media_files(root, folder):
            paths.setdefault(PurePosixPath(name).stem, name)
    return paths


def list_media_files(root: Path, folder: str) -> list[str]:
    """Return the media files at any depth below a folder, relative to `root` and sorted, without hidden ones."""
    paths: list[str] = []
    for directory, subfolders, names in os.walk(root / folder):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        relative = Path(directory).relative_to(root)
        paths += [(relative / name).as_posix() for name in names if _is_media(name)]
    return sorted(paths)


def _list_direct_files(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.is_file() and _is_media(path.name))


def _is_media(name: str) -> bool:
    return has_media_suffix(name) and not name.startswith(".")


def _select_columns(rows: Iterator[Row], indices: Sequence[int], field_count: int) -> Iterator[Row]:
    for row in rows:
        if len(row.fields) != field_count:
            raise row.error(f"has {len(row.fields)} fields, but the header has {field_count}")
        yield Row(tuple(row.fields[index] for index in indices), row.path, row.line)
