"""Communication between training processes (ranks): a gather with exact gradients, and averages of reports.

Shapes: `B` rows of this rank, `N` rows of all ranks in the order of ranks, `D` columns.
"""

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import torch
import torch.distributed as dist
from torch import Tensor

from talkies.core import WorkError

_CHECKED_ROWS: WeakKeyDictionary[dist.ProcessGroup, set[int]] = WeakKeyDictionary()


def rank() -> int:
    """Return the number of this process, 0 if training is not distributed."""
    return dist.get_rank() if _is_distributed() else 0


def world_size() -> int:
    """Return how many processes train together, 1 if training is not distributed."""
    return dist.get_world_size() if _is_distributed() else 1


def gather_rows(rows_BD: Tensor) -> Tensor:
    """Return the rows of all ranks, `[N, D]`; each rank's rows receive gradients from the losses of all ranks.

    The gradient of a row is the sum of its gradients over all ranks. So a loss that each rank divides by N has,
    summed over ranks, the gradient of the one loss over all rows.

    Args:
        rows_BD: the rows of this rank; every rank must pass the same number.

    Raises:
        WorkError: on every rank, if ranks pass different numbers of rows.
    """
    if not _is_distributed():
        return rows_BD
    _check_equal_rows(len(rows_BD), rows_BD.device)
    gathered_ND: Tensor = _Gather.apply(rows_BD)  # type: ignore[no-untyped-call]
    return gathered_ND


def average_over_ranks(report: Mapping[str, float]) -> dict[str, float]:
    """Return the mean of each number over all ranks; every rank must pass the same keys."""
    if not _is_distributed():
        return dict(report)
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"  # NCCL moves only CUDA tensors
    keys = sorted(report)
    values = torch.tensor([report[key] for key in keys], dtype=torch.float64, device=device)
    dist.all_reduce(values)
    return dict(zip(keys, (values / world_size()).tolist(), strict=True))


def sum_over_ranks(values: Tensor) -> Tensor:
    """Return the sum of a tensor over all ranks, without gradients; every rank must pass the same shape."""
    total = values.detach().clone()
    if _is_distributed():
        dist.all_reduce(total)
    return total


def _check_equal_rows(rows: int, device: torch.device) -> None:
    """Check that all ranks have the same number of rows: otherwise a gather would hang, or mix up rows.

    It waits for the device, so each number of rows is checked once: a training plan gives every rank the same at every
    step.

    Raises:
        WorkError: if they do not.
    """
    group = dist.group.WORLD
    assert group is not None
    if rows in (checked := _CHECKED_ROWS.setdefault(group, set())):
        return
    counts = [torch.zeros(1, dtype=torch.int64, device=device) for _ in range(world_size())]
    dist.all_gather(counts, torch.tensor([rows], dtype=torch.int64, device=device))
    rows_of_rank = [int(count) for count in counts]
    if len(set(rows_of_rank)) > 1:
        raise WorkError(
            f"the {len(rows_of_rank)} processes bring {', '.join(map(str, rows_of_rank))} clips to one batch, and all "
            f"must bring the same number; make the clips of a batch a multiple of the processes"
        )
    checked.add(rows)


class _Gather(torch.autograd.Function):
    """Concatenates the rows of all ranks; backward sums the gradients of all ranks and keeps this rank's rows."""

    @staticmethod
    def forward(ctx: Any, rows_BD: Tensor) -> Tensor:
        ctx.rows = len(rows_BD)
        parts = [torch.empty_like(rows_BD) for _ in range(world_size())]
        dist.all_gather(parts, rows_BD.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        grad_ND = grads[0].contiguous().clone()
        dist.all_reduce(grad_ND)
        start = rank() * ctx.rows
        return grad_ND[start : start + ctx.rows]


def _is_distributed() -> bool:
    return dist.is_available() and dist.is_initialized()
