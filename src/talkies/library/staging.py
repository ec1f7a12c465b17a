"""Folders in the making: each is locked by the process that fills it, so what a killed process left can be told."""

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
    """Yield a new folder in `parent`, called after `name`, that no `sweep` removes while this block runs.

    What is still there at the end is removed.
    """
    while True:
        folder = parent / f"{_PARTIAL}{name}-{secrets.token_hex(4)}"
        lock = folder.with_name(folder.name + _LOCK)
        with lock.open("xb") as opened:
            if not (try_lock(opened) and _is_still(lock, opened)):  # a sweep was quicker: take another name
                continue
            try:
                folder.mkdir()
                yield folder
            finally:
                _discard(folder)
                lock.unlink(missing_ok=True)
            return


def sweep(parent: Path) -> None:
    """Remove the folders that killed processes left; those of living ones, on this machine or another, stay."""
    for lock in parent.glob(f"{_PARTIAL}*{_LOCK}"):
        try:
            with lock.open("rb") as opened:
                if try_lock(opened):
                    _discard(lock.with_name(lock.name.removesuffix(_LOCK)))
                    lock.unlink(missing_ok=True)
        except OSError:  # its owner has just finished, or the folder is not ours to clean
            continue
    for folder in parent.glob(f"{_PARTIAL}*"):
        if folder.is_dir() and not folder.with_name(folder.name + _LOCK).exists():
            _discard(folder)


def replace_folder(staging: Path, made: Path, target: Path) -> None:
    """Put folder `made` in the place of `target`; a kill on the way leaves one of both there, now or after a sweep."""
    if target.exists():
        target.rename(staging / f"{_BEFORE}{target.name}")
    made.rename(target)


def _discard(folder: Path) -> None:
    """Remove a staging folder; what it was about to replace, and did not, goes back to its place."""
    for before in folder.glob(f"{_BEFORE}*"):
        place = folder.parent / before.name.removeprefix(_BEFORE)
        if not place.exists():
            before.rename(place)
    shutil.rmtree(folder, ignore_errors=True)


def try_lock(file: BinaryIO) -> bool:
    """Lock an open file for this process, without waiting; return whether that was possible."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Wait until no other process is in such a block with the same `path`, a file that is made if need be."""
    with path.open("ab") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield


def flush(*paths: Path) -> None:
    """Bring files, and the lists that folders are, to the disk."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _is_still(path: Path, opened: BinaryIO) -> bool:
    try:
        return path.stat().st_ino == os.fstat(opened.fileno()).st_ino
    except FileNotFoundError:
        return False
