"""Decoders that crash, hang or eat memory, for an isolated process that imports this module."""

import os
import signal
import time


def crash(shown: object, report: object) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def eat(shown: object, report: object) -> None:
    held = []
    while True:
        held.append(bytearray(b"x" * (1 << 26)))
        time.sleep(0.05)


def hang(shown: object, report: object) -> None:
    while True:
        pass
