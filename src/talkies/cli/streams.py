"""The output streams of the command: what an encoding lacks is replaced, and a reader that has gone ends no work."""

import io
import sys
from typing import Any


class _PipeFile(io.FileIO):
    """A raw output file that drops what is written after the other end of its pipe was closed, as by `| head`."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data) or 0
        except BrokenPipeError:
            return memoryview(data).nbytes


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
