"""Write the files of a folder so that they appear together, once all of them are written."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from talkies.core import UsageError, WorkError, describe_os_error


def check_folder(to: Path) -> None:
    """Check that `to` is a folder or can become one.

    Raises:
        UsageError: if it is a file.
    """
    if to.exists() and not to.is_dir():
        raise UsageError(f"{to} is a file; name a folder with --to")


@contextmanager
def write_folder(to: Path, last: str) -> Iterator[Path]:
    """Yield an empty folder to write to; if the block ends without an error, its files are moved to `to`.

    A new folder appears complete. In an existing one each file replaces that of the same name, also in folders within
    it, and other files stay. If the block raises, `to` stays as it was.

    Args:
        to: The folder that receives the files.
        last: The file that describes the others: in an existing folder it is removed first and comes last.

    Raises:
        WorkError: if something cannot be written.
    """
    exists = to.is_dir()
    partial = to / ".partial" if exists else to.with_name(f".partial-{to.name}")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial

        files = (path for path in partial.rglob("*") if path.is_file())
        paths = sorted(files, key=lambda path: (path == partial / last, path))
        for path in paths:
            path.chmod(partial.stat().st_mode & 0o666)  # the permissions of the umask; safetensors gives fewer
            with path.open("rb") as file:
                os.fsync(file.fileno())
        if exists:
            (to / last).unlink(missing_ok=True)  # it never describes files that are not all there
            for path in paths:
                final = to / path.relative_to(partial)
                final.parent.mkdir(exist_ok=True)
                path.replace(final)
        else:
            partial.rename(to)
    except (OSError, SafetensorError) as error:
        cause = describe_os_error(error) if isinstance(error, OSError) else str(error)
        raise WorkError(
            f"{to} cannot be written ({cause}); name a folder that you may write to, on a disk with free space"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
