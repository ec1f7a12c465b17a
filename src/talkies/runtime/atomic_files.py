"""Files that are there whole or not at all."""

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
    """Yield a temporary path beside `path` to write to; on success it is flushed and takes `path`'s place.

    If the block raises, the temporary file is removed and `path` is as it was. What a killed process leaves of it is
    told by its lock, and removed by `remove_abandoned`.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{_TEMPORARY}")
    try:
        with temporary.open("wb") as held:
            with suppress(OSError):  # not every file system has locks
                fcntl.flock(held, fcntl.LOCK_EX)
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_abandoned(folder: Path) -> None:
    """Remove what killed processes left in `folder` of files that they were about to replace."""
    for temporary in folder.glob(f".*{_TEMPORARY}"):
        with suppress(OSError), temporary.open("r+b") as file:  # its owner lives, or has just finished
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            temporary.unlink()


def write_atomically(path: Path, text: str) -> None:
    """Write `text` (UTF-8) to `path` so that a reader sees the old file or the new one, never a part."""
    with replace_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
