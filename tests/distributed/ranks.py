"""Groups of processes that work together: started from one test, watched, and what they left read."""

import importlib
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from forked_ranks import run_forked

PATIENCE = timedelta(seconds=30)  # of a rank that waits for the others

Gradients = dict[str, torch.Tensor]


def run_ranks(module: str, sizes: tuple[int, ...], folder: Path) -> dict[int, list[dict[str, Any]]]:
    """What each rank of each group left after the `main` of a module, by the size of the group."""
    main = importlib.import_module(module).main
    for size in sizes:
        run_forked(partial(main, size=size, folder=folder), size, folder)
    return {size: [torch.load(folder / f"{rank}_of_{size}.pt") for rank in range(size)] for size in sizes}


def close(got: Gradients, expected: Gradients, relative: float) -> None:
    """Fail unless these are the same gradients, each of some length."""
    assert got.keys() == expected.keys()
    for name, gradient in expected.items():
        assert gradient.norm() > 1e-4, f"{name} proves nothing"
        assert (got[name] - gradient).norm() < relative * gradient.norm(), name


def meet(rank: int, size: int, folder: Path) -> None:
    """Join the group."""
    meeting = f"file://{folder}/meeting_of_{size}"
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=size, timeout=PATIENCE)
