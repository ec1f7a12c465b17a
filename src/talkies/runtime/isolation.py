"""Run a function in a process of its own, under limits, so that a crash, a hang or a memory leak stays there.

    this process                               the isolated process
    IsolatedProcess.call(f, x) ── (f, x) ──▶   f(x, report)
                               ◀─ progress ──  report(…)          each report shows that it is not hung
                               ◀─ result ────  or the exception

The process is used for one call after another; a new one is started when it has ended. If this process dies, for
whatever reason, the isolated one notices and ends.
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
"""Called with how far the work is; the meaning of the number is up to the work."""

_POLL_SECONDS = 0.1
_STDERR = 2
_CALLS_PER_PROCESS = 200  # then a new process, so that memory leaked by a decoder is freed
_CRASHES = frozenset({"SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSYS", "SIGTRAP"})


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """The limits of a call.

    Attributes:
        stall_seconds: longest time without a progress report.
        total_seconds: longest time in all.
        memory_bytes: largest resident memory of the process.
    """

    stall_seconds: float
    total_seconds: float
    memory_bytes: int


class IsolationError(WorkError):
    """An isolated process ended before its work did; `code` is `crashed`, `timed_out`, `out_of_memory` or `killed`."""

    def __init__(self, code: str, sentence: str) -> None:
        """Store the code next to the sentence."""
        super().__init__(sentence)
        self.code = code


class IsolatedProcess:
    """A process that runs functions under `limits`; used as a context manager, it is ended on leaving."""

    def __init__(self, limits: ProcessLimits) -> None:
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection[Any, Any] | None = None
        self._calls = 0
        self._closed = threading.Event()
        self._lock = threading.Lock()  # a process is started or ended, not both at once

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process, whatever it is doing; a call that another thread waits for fails."""
        self._closed.set()
        self._end()

    def call(
        self,
        function: Callable[[Item, ProgressCallback], Result],
        item: Item,
        on_progress: ProgressCallback | None = None,
    ) -> Result:
        """Return `function(item, report)`, run in the isolated process.

        Args:
            function: the function to run; it is called with `item` and a callback for its progress, and must be
                importable in the isolated process.
            item: the function's argument, picklable.
            on_progress: called here with each progress report.

        Raises:
            IsolationError: if the process crashed, was killed, or exceeded a limit.
            WorkError: if `on_progress` raised.
            Exception: the exception that the function raised.
        """
        connection = self._connect()
        self._calls += 1
        try:
            connection.send_bytes(pickle.dumps((function, item)))
            return self._wait_for_result(connection, on_progress)  # type: ignore[no-any-return]
        except (EOFError, ConnectionError) as error:
            raise self._describe_end() from error

    def _wait_for_result(self, connection: "Connection[Any, Any]", on_progress: ProgressCallback | None) -> Any:
        started = last_report = time.monotonic()
        while True:
            if connection.poll(_POLL_SECONDS):
                kind, value = pickle.loads(connection.recv_bytes())  # noqa: S301  # from our own process
                last_report = time.monotonic()
                if kind == "done":
                    return value
                if kind == "failed":
                    raise value
                if on_progress:
                    self._report_progress(on_progress, value)
            self._check_limits(started, last_report)

    def _report_progress(self, on_progress: ProgressCallback, value: float) -> None:
        """Call the caller's callback; what it raises must not be mistaken for an error of the work."""
        try:
            on_progress(value)
        except Exception as error:
            self._end()  # the work still runs: its answer would be taken for that of the next call
            raise WorkError(f"the progress could not be shown ({type(error).__name__}: {error})") from error

    def _check_limits(self, started: float, last_report: float) -> None:
        """Check that the call is within its limits; end the process if it is not.

        Raises:
            IsolationError: if it is not.
        """
        now, limits = time.monotonic(), self._limits
        reason = None
        if now - last_report > limits.stall_seconds:
            reason = "timed_out", f"decoding made no progress for {limits.stall_seconds:g} s and was stopped"
        elif now - started > limits.total_seconds:
            reason = "timed_out", f"decoding took more than {limits.total_seconds:g} s and was stopped"
        elif (used := self._read_memory()) > limits.memory_bytes:
            reason = (
                "out_of_memory",
                f"decoding took {used / 1e6:.0f} MB of memory; the limit is {limits.memory_bytes / 1e6:.0f} MB",
            )
        if reason:
            self._end()
            raise IsolationError(*reason)

    def _read_memory(self) -> int:
        """Return the resident memory of the process in bytes, 0 if it has ended."""
        process = self._process
        try:
            return int(psutil.Process(process.pid).memory_info().rss) if process else 0
        except psutil.Error:  # it is ending: its exit status says more
            return 0

    def _connect(self) -> "Connection[Any, Any]":
        """Return a connection to a living process, started if necessary."""
        if self._calls >= _CALLS_PER_PROCESS or (self._process is not None and self._process.poll() is not None):
            self._end()
        with self._lock:
            if self._closed.is_set():
                raise IsolationError("killed", "the work was stopped")
            if self._connection is None:
                self._connection, self._calls = self._start(), 0
            return self._connection

    def _start(self) -> "Connection[Any, Any]":
        """Start a process and return the connection to it."""
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "talkies.runtime.isolated", str(theirs.fileno()), str(os.getpid())]
            # A session of its own, because Ctrl-C on the terminal is for us, and we end it. Our stdout stays clean.
            self._process = subprocess.Popen(  # noqa: S603  # this very program
                command,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=_STDERR,
                start_new_session=True,
            )
        return Connection(ours.detach())

    def _describe_end(self) -> IsolationError:
        """Return the error that says how the process ended, after its connection broke."""
        process = self._process
        if process is None:  # `close` was called meanwhile
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
        """Kill the process, if there is one, and wait until it has ended."""
        with self._lock:
            process, connection = self._process, self._connection
            self._process = self._connection = None
        if connection is not None and not self._closed.is_set():
            connection.close()
        if process is not None:
            process.kill()
            process.wait()


def read_peak_memory() -> int:
    """Return the largest resident memory that this process has had, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # On Linux `getrusage` includes the memory of the process that started this one.
        values = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return 1024 * int(values["VmHWM"].split()[0])
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def serve(descriptor: int, parent: int) -> None:
    """Run the functions that the parent sends, until it closes the socket: the isolated process's main loop.

    Args:
        descriptor: file descriptor of the socket to the parent.
        parent: process id of the parent.
    """
    _exit_with_parent(parent)
    connection: Connection[Any, Any] = Connection(descriptor)
    while True:
        try:
            function, item = pickle.loads(connection.recv_bytes())  # noqa: S301  # from our own process
        except (EOFError, ConnectionError):
            return

        last_report = [0.0]

        def report(value: float, last_report: list[float] = last_report) -> None:
            if time.monotonic() - last_report[0] >= _POLL_SECONDS:
                last_report[0] = time.monotonic()
                connection.send_bytes(pickle.dumps(("progress", value)))

        try:
            answer = "done", function(item, report)
        except Exception as error:  # noqa: BLE001  # sent to the caller
            answer = "failed", error
        try:
            connection.send_bytes(_pickle_answer(answer))
        except ConnectionError:
            return


def _pickle_answer(answer: tuple[str, Any]) -> bytes:
    """Return an answer as bytes; an exception that cannot be pickled is replaced by its text."""
    try:
        data = pickle.dumps(answer)
        pickle.loads(data)  # noqa: S301  # some exceptions can be pickled, but not unpickled
    except (pickle.PickleError, TypeError, AttributeError):  # what pickle raises for such objects
        return pickle.dumps(("failed", RuntimeError(f"{type(answer[1]).__name__}: {answer[1]}")))
    return data


def _exit_with_parent(parent: int) -> None:
    """End this process as soon as its parent has ended, even before this call, and even during decoding."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_POLL_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
