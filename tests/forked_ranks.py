"""Processes that train together, forked off the tests' own: they need not load PyTorch, which takes five seconds each.

Each has the environment that `torchrun` gives. That `talkies` and `torchrun` begin such processes themselves is what
tests/training/test_two_processes.py proves.
"""

import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

WATCHDOG_SECONDS = 120


def run_forked(work: Callable[[int], object], size: int, folder: Path) -> list[str]:
    """Let each rank do its work, and return their messages; the test fails if a rank does, or they hang."""
    port = find_free_port()
    children = [_fork(work, rank, size, port, folder / f"{rank}-of-{size}.messages") for rank in range(size)]
    waiting, statuses, deadline = set(children), {}, time.monotonic() + WATCHDOG_SECONDS
    try:
        while waiting and time.monotonic() < deadline and not any(statuses.values()):
            for child in list(waiting):
                ended, status = os.waitpid(child, os.WNOHANG)
                if ended:
                    waiting.remove(child)
                    statuses[child] = os.waitstatus_to_exitcode(status)
            time.sleep(0.01)
    finally:
        for child in waiting:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    messages = [(folder / f"{rank}-of-{size}.messages").read_text() for rank in range(size)]
    if waiting or any(statuses.values()):
        pytest.fail(f"ranks ended with {[statuses.get(child) for child in children]} (None: it hangs): {messages}")
    return messages


def find_free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _fork(work: Callable[[int], object], rank: int, size: int, port: int, messages: Path) -> int:
    """Begin a rank, and return the id of its process."""
    if child := os.fork():
        return child
    status = 1
    try:
        written = os.open(messages, os.O_WRONLY | os.O_CREAT)
        for stream in (1, 2):
            os.dup2(written, stream)
        sys.stdout, sys.stderr = (os.fdopen(stream, "w", closefd=False) for stream in (1, 2))
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size, "GROUP_RANK": 0}
        os.environ.update({name: str(value) for name, value in place.items()}, TORCHELASTIC_RUN_ID="test")
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), GLOO_SOCKET_IFNAME="lo")
        work(rank)
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        status = 0
    finally:
        if status:
            traceback.print_exc()
        sys.stderr.flush()
        sys.stdout.flush()
        os._exit(status)
