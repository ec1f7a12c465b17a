"""Groups of processes that work together: started from one test, watched, and what they left read.

Run as: ranks.py MODULE FOLDER SIZE…, it loads a module once and lets groups of ranks, each of so many processes, call
its `main`, one group after the other. Its processes are forks, for to load PyTorch takes longer than all they do.
"""

import importlib
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

WATCHDOG_SECONDS = 60  # for a group; they take a few
PATIENCE = timedelta(seconds=30)  # of a rank that waits for the others

Gradients = dict[str, torch.Tensor]


def run_ranks(module: str, sizes: tuple[int, ...], folder: Path) -> dict[int, list[dict[str, Any]]]:
    """What each rank of each group left, by the size of the group; none outlives the watchdog."""
    command = [sys.executable, __file__, module, str(folder), *map(str, sizes)]
    alone = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    done = subprocess.run(command, env={**os.environ, **alone}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {size: [torch.load(folder / f"{rank}_of_{size}.pt") for rank in range(size)] for size in sizes}


def close(got: Gradients, expected: Gradients, relative: float) -> None:
    """Fail unless these are the same gradients, each of some length."""
    assert got.keys() == expected.keys()
    for name, gradient in expected.items():
        assert gradient.norm() > 1e-4, f"{name} proves nothing"
        assert (got[name] - gradient).norm() < relative * gradient.norm(), name


def group_of(size: int, module: str, folder: Path) -> None:
    """Run one group to its end, or end this process and all of it with a sentence on what became of it."""
    context = multiprocessing.get_context("fork")
    main = importlib.import_module(module).main
    processes = [context.Process(target=rank_of, args=(main, rank, size, folder)) for rank in range(size)]
    for process in processes:
        process.start()
    deadline = time.monotonic() + WATCHDOG_SECONDS
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
    statuses = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    if statuses != [0] * size:
        sys.exit(f"{module}: the {size} ranks ended with {statuses} (None: it hangs)")


def rank_of(main: Callable[[int, int, Path], None], rank: int, size: int, folder: Path) -> None:
    """Be one rank, in an environment as `torchrun` makes it."""
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}
    os.environ.update({name: str(value) for name, value in place.items()}, TORCHELASTIC_RUN_ID="test")
    main(rank, size, folder)
    dist.destroy_process_group()


def meet(rank: int, size: int, folder: Path) -> None:
    """Join the group."""
    meeting = f"file://{folder}/meeting_of_{size}"
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=size, timeout=PATIENCE)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for size in sys.argv[3:]:
        group_of(int(size), sys.argv[1], Path(sys.argv[2]))
