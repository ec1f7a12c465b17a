"""The publishers' lists read line by line, so that a refusal names file and line; and an index of their files."""

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from talkies.core import UsageError
from talkies.evaluation.datasets.dataset import read_text
from talkies.media import looks_like_media


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a list: its fields, the list's path, and the line's number from 1."""

    fields: tuple[str, ...]
    path: Path
    line: int

    def refusal(self, why: str) -> UsageError:
        """Return the error that names this line and says `why` it cannot be: a verb and what follows."""
        return UsageError(f"{self.path}, line {self.line}, {why}; take the publishers' own list")

    def integer(self, number: int, what: str) -> int:
        """Return field `number` as a whole number.

        Raises:
            UsageError: naming the line, if it is none.
        """
        try:
            return int(self.fields[number])
        except ValueError:
            raise self.refusal(f"has '{self.fields[number]}' for {what}, which is no whole number") from None

    def seconds(self, number: int, what: str) -> float:
        """Return field `number` as seconds, not negative.

        Raises:
            UsageError: naming the line, if it is none.
        """
        try:
            value = float(self.fields[number])
        except ValueError:
            value = -1.0
        if not 0 <= value < float("inf"):
            raise self.refusal(f"has '{self.fields[number]}' for {what}, which is no number of seconds")
        return value


@dataclass(slots=True)
class Once:
    """Remembers where each clip was first named, and refuses one that another list names again.

    With `within_a_list`, one that the same list names again is refused too.
    """

    within_a_list: bool = True
    _first: dict[str, tuple[Path, int]] = field(default_factory=dict)

    def add(self, row: Row, clip: str) -> None:
        """Remember that a line names a clip.

        Raises:
            UsageError: naming both lines.
        """
        path, line = self._first.setdefault(clip, (row.path, row.line))
        if path != row.path:
            raise row.refusal(f"names {clip}, which line {line} of {path.name} names too, so the lists overlap")
        if self.within_a_list and line != row.line:
            raise row.refusal(f"names {clip}, which line {line} names too")


def read_rows(root: Path, *names: str, form: str, separator: str | None = None) -> tuple[str, list[Row]]:
    """Return the first of some lists that is there, and its lines that are not empty, split at `separator` or spaces.

    `form` shows a line as it should be, such as `NUMBER CLASS`: each line has as many fields.

    Raises:
        UsageError: if no list is there, or a line has another number of fields.
    """
    name, text = read_text(root, *names)
    rows = [
        Row(tuple(part.strip() for part in line.split(separator)), root / name, number)
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip()
    ]
    wanted = len(form.split(separator))
    for row in rows:
        if len(row.fields) != wanted:
            raise row.refusal(f"is not of the form '{form}'")
    return name, rows


def read_csv(root: Path, *names: str, columns: Sequence[str]) -> tuple[str, Iterator[Row]]:
    """Return the first of some CSV lists that is there, and its lines below the header, with just the `columns`.

    Raises:
        UsageError: if no list is there or its header lacks a column; while lines are drawn, if one lacks a field.
    """
    name, text = read_text(root, *names)
    rows = csv_rows(root / name, text)
    header = next(rows, Row((), root / name, 1))
    places = [header.fields.index(column) if column in header.fields else -1 for column in columns]
    if -1 in places:
        raise header.refusal(f"has no column '{columns[places.index(-1)]}'")
    return name, _columns(rows, places, len(header.fields))


def csv_rows(path: Path, text: str) -> Iterator[Row]:
    """Yield the lines of a CSV text that are neither empty nor comments.

    Raises:
        UsageError: naming a line whose quotes are wrong.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            fields = next(csv.reader([line.rstrip("\r")], skipinitialspace=True, strict=True))
        except csv.Error as error:
            raise Row((), path, number).refusal("is not CSV, for its quotes are wrong") from error
        yield Row(tuple(part.strip() for part in fields), path, number)


def files_by_stem(root: Path, folders: Iterable[str]) -> dict[str, str]:
    """Return where each media file below some folders lies, from `root`, by its name without suffix.

    Of files with one name, that of the first folder counts. Folder `.` is the root's own files only.
    """
    found: dict[str, str] = {}
    for folder in folders:
        for name in _own_files(root) if folder == "." else files_below(root, folder):
            found.setdefault(PurePosixPath(name).stem, name)
    return found


def files_below(root: Path, folder: str) -> list[str]:
    """Return the media files below a folder, from `root`, in the order of the alphabet; hidden ones do not count."""
    found: list[str] = []
    for where, inner, names in os.walk(root / folder):
        inner[:] = [name for name in inner if not name.startswith(".")]
        place = Path(where).relative_to(root)
        found += [(place / name).as_posix() for name in names if _is_media(name)]
    return sorted(found)


def _own_files(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.is_file() and _is_media(path.name))


def _is_media(name: str) -> bool:
    return looks_like_media(name) and not name.startswith(".")


def _columns(rows: Iterator[Row], places: Sequence[int], width: int) -> Iterator[Row]:
    for row in rows:
        if len(row.fields) != width:
            raise row.refusal(f"has {len(row.fields)} fields, and the header has {width}")
        yield Row(tuple(row.fields[place] for place in places), row.path, row.line)
