"""Starts trainings in their own processes, under a watchdog that ends them."""

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

WATCHDOG_SECONDS = 120
SCRIPT = str(Path(__file__).with_name("disturbed_training.py"))


def run_all(commands: Sequence[Sequence[str | Path]], folder: Path) -> list[tuple[int, str, str]]:
    """Run commands beside each other, and return the status, the output and the messages of each."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    with ExitStack() as running:
        processes = []
        for number, command in enumerate(commands):
            out, err = (running.enter_context((folder / f"{number}.{name}").open("w")) for name in ("out", "err"))
            process = subprocess.Popen(list(map(str, command)), env=environment, stdout=out, stderr=err)
            processes.append(running.enter_context(process))
            running.callback(process.kill)
        try:
            statuses = [process.wait(WATCHDOG_SECONDS) for process in processes]
        except subprocess.TimeoutExpired:
            pytest.fail(f"they hang: {[path.read_text() for path in folder.glob('*.err')]}")
    texts = [[(folder / f"{number}.{name}").read_text() for name in ("out", "err")] for number in range(len(commands))]
    return [(status, out, err) for status, (out, err) in zip(statuses, texts, strict=True)]


def run_one(command: Sequence[str | Path], folder: Path) -> tuple[int, str, str]:
    """Run one command, and return its status, its output and its messages."""
    return run_all([command], folder)[0]


def talkies(*arguments: str | Path) -> list[str | Path]:
    """The command `talkies pretrain`."""
    return [sys.executable, "-m", "talkies", "pretrain", *arguments]


def torchrun(*options: str, arguments: Sequence[str | Path]) -> list[str | Path]:
    """The same under `torchrun`, which would take `--run` for one of its own options, and `--run-folder` not."""
    return [sys.executable, "-m", "torch.distributed.run", *options, "-m", "talkies", "pretrain", *arguments]
