"""The command in any locale: all paths can be used, any text can be written, and a closed pipe ends no work."""

import io
import os
import sys
from typing import Any


class _PipeFile(io.FileIO):
    """A raw output file that drops what is written after the other end of its pipe was closed, as by `| head`."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data) or 0
        except BrokenPipeError:
            return memoryview(data).nbytes


def use_utf8_paths() -> None:
    """Start the command again in Python's UTF-8 mode if the locale has another encoding for paths.

    The databases and loggers that talkies uses take paths as UTF-8 in every locale. The output keeps its encoding.
    """
    if sys.getfilesystemencoding() == "utf-8":
        return
    encoding = os.environ.get("PYTHONIOENCODING") or getattr(sys.stdout, "encoding", None) or "utf-8"
    environment = {**os.environ, "PYTHONUTF8": "1", "PYTHONIOENCODING": encoding}
    # -P: a folder `talkies` in the current folder is not imported.
    os.execve(sys.executable, [sys.executable, "-P", "-m", "talkies", *sys.argv[1:]], environment)  # noqa: S606  # this very program


def prepare_streams() -> None:
    """Make stdout and stderr accept any text in any locale, and outlive their readers."""
    sys.stdout, sys.stderr = _prepare(sys.stdout, sys.__stdout__), _prepare(sys.stderr, sys.__stderr__)


def _prepare(stream: Any, original: Any) -> Any:
    """Return the stream to use in place of `stream`, which is not a file if a program has replaced it."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.reconfigure(errors="replace")
    if stream is not original:
        return stream

    stream.flush()
    raw = _PipeFile(stream.fileno(), "wb", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors="replace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
