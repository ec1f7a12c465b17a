"""Stand in for the reading of an uploaded file, in its own process: what a decoder at its worst may do."""

import os
import signal
import time
from typing import Any


def crash(item: Any, report: Any) -> None:
    """Die as a decoder does that a file has broken."""
    os.kill(os.getpid(), signal.SIGSEGV)


def hang(item: Any, report: Any) -> None:
    """Never come back."""
    while True:
        time.sleep(1)


def eat(item: Any, report: Any) -> None:
    """Take ever more memory."""
    held = []
    while True:
        held.append(bytearray(50_000_000))
        time.sleep(0.05)
