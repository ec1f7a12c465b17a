"""A process that is told to end lives a moment longer, so that its threads can report why."""

import signal
import subprocess
import sys
import time

import pytest

SCRIPT = """
import threading, time
from talkies.runtime import DelayedTermination
ending = DelayedTermination()
{then}
print("ready", flush=True)
lock = threading.Lock()
lock.acquire()
lock.acquire()  # as in a library, from which Python's own handlers would never be called
"""


@pytest.mark.parametrize(
    ("then", "least", "most"), [("", 0.9, 5.0), ("ending.close()", 0.0, 0.9)], ids=["set", "closed"]
)
def test_a_process_that_waits_in_a_library_ends_after_a_moment(then: str, least: float, most: float) -> None:
    command = [sys.executable, "-c", SCRIPT.format(then=then)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        told = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait(10)
    assert least <= time.monotonic() - told < most
    assert process.returncode in (128 + signal.SIGTERM, -signal.SIGTERM)
