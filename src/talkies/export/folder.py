"""A folder of files that belong together: they come to where they are wanted when all are written."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from talkies.core import UsageError, WorkError, describe_os_error


def check_folder(to: Path) -> None:
    """Do nothing if `to` is a folder or can become one.

    Raises:
        UsageError: if it is a file.
    """
    if to.exists() and not to.is_dir():
        raise UsageError(f"{to} is a file; name a folder with --to")


@contextmanager
def written_whole(to: Path, last: str) -> Iterator[Path]:
    """Yield an empty folder to write to; if the block ends well, its files are then in `to`.

    A folder that was not there is there whole or not at all. In one that was, each file takes the place of its
    namesake, and what else is there stays; `last`, which tells of the others, goes first and comes when all have. If
    the block raises, the folder is as it was.

    Raises:
        WorkError: if something cannot be written.
    """
    there = to.is_dir()
    partial = to / ".partial" if there else to.with_name(f".partial-{to.name}")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        written = sorted(partial.iterdir(), key=lambda path: (path.name == last, path.name))
        for path in written:
            path.chmod(partial.stat().st_mode & 0o666)  # as the system's mask has it; safetensors asks for less
            with path.open("rb") as file:
                os.fsync(file.fileno())
        if there:
            (to / last).unlink(missing_ok=True)  # it never tells of files that are not all there
            for path in written:
                path.replace(to / path.name)
        else:
            partial.rename(to)
    except (OSError, SafetensorError) as error:
        cause = describe_os_error(error) if isinstance(error, OSError) else str(error)
        raise WorkError(f"{to} cannot be written ({cause}); name a folder with room that you may write") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
