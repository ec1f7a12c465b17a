"""Files elsewhere: anything that fsspec knows by a URL (`s3://…`, `gs://…`, `memory://…`)."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec

from talkies.core.errors import UsageError


def is_remote(location: str | Path) -> bool:
    """Return whether a location is a URL rather than a path."""
    return "://" in str(location)


def open_filesystem(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it.

    Raises:
        UsageError: if fsspec does not know the URL's kind, or lacks the package for it.
    """
    try:
        system, path = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError) as error:
        raise UsageError(f"{url} cannot be reached ({error}); name a path, or a URL that fsspec knows") from error
    return system, path


def list_files(url: str) -> dict[str, int]:
    """Return the sizes in bytes of a file, or of all files in a folder all through, by URL, without hidden ones."""
    system, path = open_filesystem(url)
    scheme = url.partition("://")[0]
    if not system.exists(path):
        return {}
    details = system.find(path, detail=True)
    inside = {name: name.removeprefix(path).split("/") for name in details}
    return {
        f"{scheme}://{name if scheme == 'file' else name.lstrip('/')}": int(details[name]["size"] or 0)
        for name, parts in inside.items()
        if not any(part.startswith(".") for part in parts)
    }


@contextmanager
def download(url: str) -> Iterator[Path]:
    """Yield a copy of a remote file on this machine, under its own name; it is removed at the end.

    Raises:
        OSError: if it is not there, or cannot be fetched.
    """
    system, path = open_filesystem(url)
    folder = Path(tempfile.mkdtemp(prefix="talkies-"))
    try:
        local = folder / path.rpartition("/")[2]
        system.get_file(path, str(local))
        yield local
    finally:
        shutil.rmtree(folder, ignore_errors=True)
