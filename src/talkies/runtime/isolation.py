"""Run a function in a process of its own, under limits: what crashes, hangs or eats memory there costs nothing here.

    this process                        the isolated one
    Isolated.call(f, x) ── (f, x) ──▶   f(x, report)
                        ◀─ progress ──  report(…)          each tells that it is not hung
                        ◀─ result ────  or the exception

The process is used for one call after another, and a new one is started when it is gone. If this process dies, by
whatever means, the other notices and ends.
"""

import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self, TypeVar

import psutil

from talkies.core.errors import WorkError

Item = TypeVar("Item")
Result = TypeVar("Result")
ProgressCallback = Callable[[float], None]

_POLL_SECONDS = 0.1
_STDERR = 2
_CALLS_PER_PROCESS = 200  # then a fresh one: what a decoder leaks is given back
_CRASHES = frozenset({"SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSYS", "SIGTRAP"})


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """What a call may take: seconds without a report, seconds in all, and bytes of memory."""

    stall_seconds: float
    total_seconds: float
    memory_bytes: int


class IsolationError(WorkError):
    """An isolated process ended before its work did; `code` is `crashed`, `timed_out`, `out_of_memory` or `killed`."""

    def __init__(self, code: str, sentence: str) -> None:
        """Keep the code beside the sentence."""
        super().__init__(sentence)
        self.code = code


class Isolated:
    """A process that runs functions under `limits`; used as a context, it is ended at the end."""

    def __init__(self, limits: ProcessLimits) -> None:
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection[Any, Any] | None = None
        self._calls = 0
        self._closed = threading.Event()
        self._changing = threading.Lock()  # a process is started or ended, not both at once

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process, whatever it does; a call that another thread waits for fails."""
        self._closed.set()
        self._end()

    def call(self, function: Callable[[Item, ProgressCallback], Result], item: Item, on_progress: ProgressCallback | None = None) -> Result:
        """Return `function(item, report)`, run in the isolated process; both must be importable and picklable there.

        Raises:
            IsolationError: if the process crashed, was killed, or went over a limit.
            Exception: what the function raised.
        """
        connection = self._connected()
        self._calls += 1
        try:
            connection.send_bytes(pickle.dumps((function, item)))
            return self._awaited(connection, on_progress)  # type: ignore[no-any-return]
        except (EOFError, ConnectionError) as error:
            raise self._death() from error

    def _awaited(self, connection: "Connection[Any, Any]", on_progress: ProgressCallback | None) -> Any:
        begun = heard = time.monotonic()
        while True:
            if connection.poll(_POLL_SECONDS):
                kind, value = pickle.loads(connection.recv_bytes())  # noqa: S301  # from our own process
                heard = time.monotonic()
                if kind == "done":
                    return value
                if kind == "failed":
                    raise value
                if on_progress:
                    self._tell(on_progress, value)
            self._check(begun, heard)

    def _tell(self, on_progress: ProgressCallback, value: float) -> None:
        """Tell a caller's own callback; what it raises is the caller's fault, and must not be taken for the work's."""
        try:
            on_progress(value)
        except Exception as error:
            self._end()  # it works on, and its answer would be taken for that of the next call
            raise WorkError(f"the progress could not be shown ({type(error).__name__}: {error})") from error

    def _check(self, begun: float, heard: float) -> None:
        now, limits = time.monotonic(), self._limits
        fault = None
        if now - heard > limits.stall_seconds:
            fault = "timed_out", f"decoding made no progress for {limits.stall_seconds:g} s and was stopped"
        elif now - begun > limits.total_seconds:
            fault = "timed_out", f"decoding took more than {limits.total_seconds:g} s and was stopped"
        elif (used := self._memory()) > limits.memory_bytes:
            fault = (
                "out_of_memory",
                f"decoding took {used / 1e6:.0f} MB of memory; the limit is {limits.memory_bytes / 1e6:.0f} MB",
            )
        if fault:
            self._end()
            raise IsolationError(*fault)

    def _memory(self) -> int:
        process = self._process
        try:
            return int(psutil.Process(process.pid).memory_info().rss) if process else 0
        except psutil.Error:  # it is ending: what it leaves tells more
            return 0

    def _connected(self) -> "Connection[Any, Any]":
        if self._calls >= _CALLS_PER_PROCESS or (self._process is not None and self._process.poll() is not None):
            self._end()
        with self._changing:
            if self._closed.is_set():
                raise IsolationError("killed", "the work was stopped")
            if self._connection is None:
                self._connection, self._calls = self._started(), 0
            return self._connection

    def _started(self) -> "Connection[Any, Any]":
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "talkies.runtime.isolated", str(theirs.fileno()), str(os.getpid())]
            # A session of its own: Ctrl-C on the terminal is for us, and we end it. Stdout is for our own words.
            self._process = subprocess.Popen(  # noqa: S603  # this very program
                command,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=_STDERR,
                start_new_session=True,
            )
        return Connection(ours.detach())

    def _death(self) -> IsolationError:
        """Return what ended the process, whose connection is broken."""
        process = self._process
        if process is None:  # `close` was quicker
            return IsolationError("killed", "the work was stopped")
        try:
            status = process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            status = -signal.SIGKILL
        self._end()
        name = signal.Signals(-status).name if status < 0 else f"status {status}"
        if name in _CRASHES:
            return IsolationError("crashed", f"the decoder crashed ({name})")
        return IsolationError("killed", f"the worker process was killed ({name})")

    def _end(self) -> None:
        with self._changing:
            process, connection = self._process, self._connection
            self._process = self._connection = None
        if connection is not None and not self._closed.is_set():
            connection.close()
        if process is not None:
            process.kill()
            process.wait()


def peak_memory_bytes() -> int:
    """Return the most memory that this process has held."""
    status = Path("/proc/self/status")
    if status.exists():
        # What `getrusage` tells on Linux includes the memory of the process that started this one.
        told = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return 1024 * int(told["VmHWM"].split()[0])
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def serve(descriptor: int, parent: int) -> None:
    """Be the isolated process of `parent`: run what comes over the socket `descriptor` until it is closed."""
    _end_with(parent)
    connection: Connection[Any, Any] = Connection(descriptor)
    while True:
        try:
            function, item = pickle.loads(connection.recv_bytes())  # noqa: S301  # from our own process
        except (EOFError, ConnectionError):
            return
        reported = [0.0]

        def report(value: float, reported: list[float] = reported) -> None:
            if time.monotonic() - reported[0] >= _POLL_SECONDS:
                reported[0] = time.monotonic()
                connection.send_bytes(pickle.dumps(("progress", value)))

        try:
            answer = "done", function(item, report)
        except Exception as error:  # noqa: BLE001  # it goes to who called
            answer = "failed", error
        try:
            connection.send_bytes(_pickled(answer))
        except ConnectionError:
            return


def _pickled(answer: tuple[str, Any]) -> bytes:
    """Return an answer as bytes; an exception that cannot travel goes as its words."""
    try:
        data = pickle.dumps(answer)
        pickle.loads(data)  # noqa: S301  # some exceptions are pickled, but cannot be made again
    except (pickle.PickleError, TypeError, AttributeError):  # what pickle raises for what cannot travel
        return pickle.dumps(("failed", RuntimeError(f"{type(answer[1]).__name__}: {answer[1]}")))
    return data


def _end_with(parent: int) -> None:
    """End this process when its parent has ended, be it before this very moment, even in the midst of decoding."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_POLL_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
