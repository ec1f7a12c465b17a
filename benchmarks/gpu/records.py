"""What a part reports while it runs: rows and notes, each a line of a file, so that none is lost if it is stopped."""

import json
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from talkies.core import TalkiesError

Row = dict[str, Any]

FAILURES = (RuntimeError, OSError, ImportError, TalkiesError, subprocess.SubprocessError)
"""What one row of a table may fail with while the others go on; running out of memory is among them."""

_MOST_CHARACTERS = 240


class Record:
    """The file of one part's rows and notes, and the time at which the part must have ended."""

    def __init__(self, path: Path, deadline: float) -> None:
        """Open the record.

        Args:
            path: the file.
            deadline: seconds of `time.time()`.
        """
        self._path, self._deadline = path, deadline

    @property
    def seconds_left(self) -> float:
        """The seconds until this part is stopped."""
        return self._deadline - time.time()

    def add(self, **row: object) -> None:
        """Add a row; a row with `reason` could not be measured."""
        self._write({"row": row})

    def note(self, sentence: str) -> None:
        """Add a sentence for below the table."""
        self._write({"note": sentence})

    def _write(self, line: dict[str, object]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


@dataclass
class Recorded:
    """The rows and the notes of a part."""

    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> "Recorded":
        """Return what a record holds; a last line that was cut off is left out."""
        recorded = cls()
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else ():
            if line.endswith("\n"):
                document = json.loads(line)
                recorded.rows += [document["row"]] if "row" in document else []
                recorded.notes += [document["note"]] if "note" in document else []
        return recorded


def describe_error(error: BaseException) -> str:
    """Return the sentence of an error that says most: of a compiler's long text the line that names what is missing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "compiler" in line.lower() or "not found" in line.lower()]
    return shorten_text((telling or lines or [type(error).__name__])[0])


def shorten_text(text: str) -> str:
    """Return a text of at most 240 characters."""
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 1]}…"
