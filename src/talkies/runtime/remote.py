"""Remote files: anything that fsspec can open by a URL (`s3://…`, `gs://…`, `memory://…`)."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec

from talkies.core.errors import UsageError


def is_remote(location: str | Path) -> bool:
    """Return whether a location is a URL and not a path."""
    return "://" in str(location)


def open_filesystem(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it.

    Raises:
        UsageError: if fsspec does not know the URL's scheme, or lacks the package for it.
    """
    try:
        system, path = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError) as error:
        raise UsageError(f"{url} cannot be reached ({error}); name a path, or a URL that fsspec knows") from error
    return system, path


def list_files(url: str) -> dict[str, int]:
    """Return the size in bytes of a file, or of each file in a folder and its subfolders, by URL; no hidden files."""
    system, path = open_filesystem(url)
    if not system.exists(path):
        return {}

    scheme = url.partition("://")[0]
    sizes: dict[str, int] = {}
    for name, details in system.find(path, detail=True).items():
        parts = name.removeprefix(path).split("/")
        if any(part.startswith(".") for part in parts):
            continue
        location = name if scheme == "file" else name.lstrip("/")
        sizes[f"{scheme}://{location}"] = int(details["size"] or 0)
    return sizes


@contextmanager
def download(url: str) -> Iterator[Path]:
    """Yield a local copy of a remote file, under its own name; the copy is removed when the block is left.

    Raises:
        OSError: if the file does not exist, or cannot be downloaded.
    """
    system, path = open_filesystem(url)
    folder = Path(tempfile.mkdtemp(prefix="talkies-"))
    try:
        local = folder / path.rpartition("/")[2]
        system.get_file(path, str(local))
        yield local
    finally:
        shutil.rmtree(folder, ignore_errors=True)
