"""Replacements for decoding an uploaded file that crash, hang or exhaust memory, as a broken decoder would."""

import os
import signal
import time
from typing import Any


def crash(item: Any, report: Any) -> None:
    """Crash, as a decoder does on a malicious file."""
    os.kill(os.getpid(), signal.SIGSEGV)


def hang(item: Any, report: Any) -> None:
    """Never return."""
    while True:
        time.sleep(1)


def exhaust_memory(item: Any, report: Any) -> None:
    """Allocate more and more memory."""
    held = []
    while True:
        held.append(bytearray(50_000_000))
        time.sleep(0.05)
