"""Functions of all kinds for an isolated process to run: they crash, hang, fail, and use memory."""

import os
import threading
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from talkies.runtime import IsolatedProcess, ProcessLimits, ProgressCallback

LIMITS = ProcessLimits(stall_seconds=60, total_seconds=120, memory_bytes=2_000_000_000)


class UnpicklableError(Exception):
    """An exception that travels neither way."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.lock = threading.Lock()


class UnmakeableError(Exception):
    """An exception that can be pickled, but not made again."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"{code}: {sentence}")


def double(item: int, report: ProgressCallback) -> int:
    return 2 * item


def pid(_: None, report: ProgressCallback) -> int:
    return os.getpid()


def session(_: None, report: ProgressCallback) -> int:
    return os.getsid(0)


def signal_itself(number: int, report: ProgressCallback) -> None:
    os.kill(os.getpid(), number)
    time.sleep(60)


def leave(status: int, report: ProgressCallback) -> None:
    os._exit(status)


def sleep(seconds: float, report: ProgressCallback) -> str:
    time.sleep(seconds)
    return "awake"


def note_pid_and_sleep(path: Path, report: ProgressCallback) -> None:
    path.write_text(str(os.getpid()))
    time.sleep(60)


def work(seconds: float, report: ProgressCallback) -> str:
    for tenth in range(round(10 * seconds)):
        report(tenth / 10)
        time.sleep(0.1)
    return "worked"


def report_quickly(count: int, report: ProgressCallback) -> None:
    for number in range(count):
        report(number)


def eat(bytes_: int, report: ProgressCallback) -> int:
    eaten = np.ones(bytes_, np.uint8)
    time.sleep(2)
    return int(eaten[-1])


def big(bytes_: int, report: ProgressCallback) -> npt.NDArray[np.uint8]:
    return np.arange(bytes_, dtype=np.uint8)


def count_bytes(data: bytes, report: ProgressCallback) -> int:
    return len(data)


def fail(error: Exception, report: ProgressCallback) -> None:
    raise error


def fail_unpicklably(_: None, report: ProgressCallback) -> None:
    raise UnpicklableError("nobody else must have the lock")


def fail_unmakeably(_: None, report: ProgressCallback) -> None:
    raise UnmakeableError("e7", "two arguments in, one out")


def give_a_lock(_: None, report: ProgressCallback) -> object:
    return threading.Lock()


def talk(words: str, report: ProgressCallback) -> None:
    print(words, flush=True)


def relay(path: Path) -> None:
    """Be a parent whose isolated process notes its number at `path` and hangs."""
    with IsolatedProcess(LIMITS) as isolated:
        isolated.call(note_pid_and_sleep, path)
