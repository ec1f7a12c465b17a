"""Staging folders, which are filled and then renamed into place, and the locks that protect them.

The process that fills a staging folder locks it, so that a folder left by a killed process can be recognised.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_PARTIAL = ".partial-"
_LOCK = ".lock"
_BEFORE = "before-"


@contextmanager
def create_staging_folder(parent: Path, name: str) -> Iterator[Path]:
    """Yield a new folder in `parent`, named after `name`, that no `sweep` removes while this block runs.

    What the folder still holds at the end is removed.
    """
    while True:
        folder = parent / f"{_PARTIAL}{name}-{secrets.token_hex(4)}"
        lock = folder.with_name(folder.name + _LOCK)
        with lock.open("xb") as file:
            if not (try_lock(file) and _is_same_file(lock, file)):  # a sweep removed it meanwhile: take another name
                continue
            try:
                folder.mkdir()
                yield folder
            finally:
                _discard(folder)
                lock.unlink(missing_ok=True)
            return


def sweep(parent: Path) -> None:
    """Remove the staging folders of killed processes; those of running ones, on this machine or another, stay."""
    for lock in parent.glob(f"{_PARTIAL}*{_LOCK}"):
        try:
            with lock.open("rb") as file:
                if try_lock(file):
                    _discard(lock.with_name(lock.name.removesuffix(_LOCK)))
                    lock.unlink(missing_ok=True)
        except OSError:  # its owner has just finished, or this user may not clean the folder
            continue

    for folder in parent.glob(f"{_PARTIAL}*"):
        if folder.is_dir() and not folder.with_name(folder.name + _LOCK).exists():
            _discard(folder)


def replace_folder(staging: Path, folder: Path, target: Path) -> None:
    """Move `folder` to `target`, whose old content goes to the staging folder.

    If the process is killed in between, one of both is at `target`, at once or after a sweep.
    """
    if target.exists():
        target.rename(staging / f"{_BEFORE}{target.name}")
    folder.rename(target)


def _discard(folder: Path) -> None:
    """Remove a staging folder; content that was moved there and not replaced goes back to its place."""
    for before in folder.glob(f"{_BEFORE}*"):
        target = folder.parent / before.name.removeprefix(_BEFORE)
        if not target.exists():
            before.rename(target)
    shutil.rmtree(folder, ignore_errors=True)


def try_lock(file: BinaryIO) -> bool:
    """Lock an open file for this process, without waiting; return whether that succeeded."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Hold the lock of the file `path`, which is created if needed; wait until no other process holds it."""
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def flush(*paths: Path) -> None:
    """Flush files, and the entries of folders, to the disk."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _is_same_file(path: Path, file: BinaryIO) -> bool:
    try:
        return path.stat().st_ino == os.fstat(file.fileno()).st_ino
    except FileNotFoundError:
        return False
