"""Readers of clips that take turns, each in a process of its own."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

import torch

from talkies.core import ClipRequest

Take = Callable[[Sequence[ClipRequest]], object]


@dataclass(frozen=True)
class Reader:
    """Something that reads the clips of windows from a kind of file; `make` is called in a process of its own."""

    name: str
    what: str
    sound: str
    make: Callable[[], Take]


class Turns:
    """A reader in its own process, stopped while it is not its turn: some read ahead, or wait in a busy loop."""

    def __init__(self, reader: Reader) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, reader.make), daemon=True)
        self._process.start()
        self._pipe.recv()  # it is open
        os.kill(self._process.pid, signal.SIGSTOP)

    def seconds(self, windows: Sequence[ClipRequest]) -> float:
        """Return the processor time of a clip, read with others."""
        os.kill(self._process.pid, signal.SIGCONT)
        self._pipe.send(windows)
        spent: float = self._pipe.recv()
        os.kill(self._process.pid, signal.SIGSTOP)
        return spent / len(windows)

    def end(self) -> None:
        """End the process."""
        self._process.kill()


def _serve(pipe: Connection, make: Callable[[], Take]) -> None:
    torch.set_num_threads(1)
    take = make()
    pipe.send(None)
    while True:
        windows = pipe.recv()
        pipe.send(processor_seconds(lambda windows=windows: take(windows)))


def processor_seconds(work: Callable[[], object]) -> float:
    """Return the processor time that work takes this process, in all its threads."""
    begun = time.process_time()
    work()
    return time.process_time() - begun
