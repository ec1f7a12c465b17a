"""An open file of the library, read by position; the base of the video and audio readers."""

import io
import os
import weakref
from pathlib import Path
from types import TracebackType
from typing import Self

from talkies.core import MediaError, describe_os_error

INGEST_AGAIN = "; ingest its film again"
"""The end of the readers' error messages, after the file and its problem."""


class LibraryFile:
    """A file that stays open until it is closed, or until the object is garbage-collected.

    Args:
        path: the file.
        kind: what the file should be, for error messages.

    Raises:
        MediaError: if it cannot be opened.
    """

    def __init__(self, path: Path, kind: str) -> None:
        self._path = path
        try:
            self._file: io.FileIO = path.open("rb", buffering=0)
        except OSError as error:
            cause = describe_os_error(error)
            raise MediaError("unreadable", f"{path} cannot be opened as {kind} ({cause}){INGEST_AGAIN}") from error
        self.close = weakref.finalize(self, self._file.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read_bytes(self, offset: int, count: int) -> bytes:
        """Return `count` bytes from `offset` on, or fewer at the end of the file."""
        try:
            return os.pread(self._file.fileno(), count, offset)
        except OSError as error:
            cause = describe_os_error(error)
            raise MediaError("unreadable", f"{self._path} cannot be read ({cause}){INGEST_AGAIN}") from error
