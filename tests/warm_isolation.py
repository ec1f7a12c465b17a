"""Isolated processes of the tests, forked off one that has imported what decoding needs: that takes a second of each.

They are as any others, but for how they begin: with limits, in a session of their own, ended with whoever began them.
Tests that kill, and those of isolation itself, begin theirs as users do.
"""

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest.mock import patch

from talkies.runtime import IsolatedProcess
from talkies.runtime.isolation import serve

IMPORTED = ("talkies.ingestion.film", "talkies.media")
_LONGEST_MESSAGE = 1 << 20
_START = IsolatedProcess._start


class WarmProcess:
    """What `subprocess.Popen` would be: a process that the nursery began."""

    def __init__(self, nursery: "WarmNursery", pid: int) -> None:
        self.pid, self._nursery, self._status = pid, nursery, None

    def poll(self) -> int | None:
        if self._status is None:
            self._status = self._nursery.ask({"status_of": self.pid})
        return self._status

    def wait(self, timeout: float | None = None) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("an isolated process", timeout or 0)
            time.sleep(0.002)
        return status

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


class WarmNursery:
    """Begins isolated processes; its own process is begun with the first of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    def begin(self, isolated: IsolatedProcess) -> "Connection[Any, Any]":
        """Do what `IsolatedProcess._start` does."""
        ours, theirs = socket.socketpair()
        with theirs:
            place = {"cwd": str(Path.cwd()), "environment": dict(os.environ)}
            isolated._process = WarmProcess(self, self.ask(place, theirs.fileno(), 2))  # type: ignore[assignment]
        return Connection(ours.detach())

    def ask(self, question: dict[str, Any], *descriptors: int) -> Any:
        with self._lock:
            if self._socket is None:
                self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                with theirs:
                    command = [sys.executable, __file__, str(theirs.fileno())]
                    self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
            socket.send_fds(self._socket, [json.dumps(question).encode()], list(descriptors))
            return json.loads(self._socket.recv(_LONGEST_MESSAGE))

    def close(self) -> None:
        if self._socket is not None and self._process is not None:
            self._socket.close()
            self._process.wait()

    def install(self) -> Any:
        """Return the patch by which all isolated processes of this process begin here."""
        return patch.object(IsolatedProcess, "_start", lambda isolated: self.begin(isolated))

    def uninstall(self) -> Any:
        """Return the patch by which they begin as they do outside the tests."""
        return patch.object(IsolatedProcess, "_start", _START)


def begin_child(question: dict[str, Any], connection: int, messages: int) -> None:
    """Be an isolated process, in the place and the environment of who asked for it."""
    os.setsid()
    for stream in (1, 2):
        os.dup2(messages, stream)
    os.chdir(question["cwd"])
    os.environ.clear()
    os.environ.update(question["environment"])
    more = [question["cwd"], *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    sys.path[:0] = [folder for folder in more if folder not in sys.path]
    serve(connection, os.getppid())


def main(control: socket.socket) -> None:
    """Begin a process for each question with descriptors, and say how those that are asked after have ended."""
    for module in IMPORTED:
        importlib.import_module(module)
    while True:
        text, descriptors, _, _ = socket.recv_fds(control, _LONGEST_MESSAGE, 2)
        if not text:
            return
        question = json.loads(text)
        if pid := question.get("status_of"):
            ended, status = os.waitpid(pid, os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if ended else None
        elif (answer := os.fork()) == 0:
            control.close()
            begin_child(question, *descriptors)
            sys.stdout.flush()
            os._exit(0)
        control.send(json.dumps(answer).encode())
        for descriptor in descriptors:
            os.close(descriptor)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
