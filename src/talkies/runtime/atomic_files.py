"""Atomic files: a reader finds a complete file or none, even if the process that writes it is killed."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_CHUNK_BYTES = 1 << 20
_TEMPORARY = ".tmp"


def hash_file(path: Path, length: int = 16) -> str:
    """Return the first `length` hexadecimal digits of the BLAKE2b-256 digest of a file's bytes, read in chunks."""
    digest = hashlib.blake2b(digest_size=32)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()[:length]


@contextmanager
def replace_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to `path` to write to; on success it is flushed and takes the place of `path`.

    If the block raises, the temporary file is removed and `path` stays as it was. A process that is killed leaves the
    temporary file, but not its lock: `remove_abandoned` removes such files.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{_TEMPORARY}")
    try:
        with temporary.open("wb") as locked:
            with suppress(OSError):  # not every file system has locks
                fcntl.flock(locked, fcntl.LOCK_EX)
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files that killed processes left in `folder`."""
    for temporary in folder.glob(f".*{_TEMPORARY}"):
        # The lock fails if the process that writes the file is alive; the file is gone if it has just finished.
        with suppress(OSError), temporary.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            temporary.unlink()


def write_atomically(path: Path, text: str) -> None:
    """Write `text` (UTF-8) to `path` so that a reader sees the old file or the new one, never a part of it."""
    with replace_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
