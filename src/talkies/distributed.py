"""Ranks, and what crosses them: a gather with exact gradients, and the reduction of reports.

Shapes: `B` rows of this rank, `N` rows of all ranks in the order of ranks, `D` columns.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from talkies.core import WorkError


def rank() -> int:
    """Return this process's number, 0 where nothing is distributed."""
    return dist.get_rank() if _is_on() else 0


def world_size() -> int:
    """Return how many processes train together, 1 where nothing is distributed."""
    return dist.get_world_size() if _is_on() else 1


def gather_rows(rows_BD: Tensor) -> Tensor:
    """Return the rows of all ranks, `[N, D]`, differentiable: every rank's rows get their gradient from every rank.

    The gradient that comes back to a row is the sum of what all ranks' losses give it, so a loss that each rank
    divides by N, summed over ranks, has the gradient of the one loss over all rows.

    Raises:
        WorkError: on every rank, if they do not bring equally many rows.
    """
    if not _is_on():
        return rows_BD
    _refuse_uneven(len(rows_BD), rows_BD.device)
    gathered_ND: Tensor = _Gather.apply(rows_BD)  # type: ignore[no-untyped-call]
    return gathered_ND


def average_over_ranks(report: Mapping[str, float]) -> dict[str, float]:
    """Return the mean of each number over all ranks."""
    if not _is_on():
        return dict(report)
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"  # NCCL moves nothing else
    values = torch.tensor([report[key] for key in sorted(report)], dtype=torch.float64, device=device)
    dist.all_reduce(values)
    return dict(zip(sorted(report), (values / world_size()).tolist(), strict=True))


def _refuse_uneven(rows: int, device: torch.device) -> None:
    """Look before the gather: with uneven rows it would hang, or mix them up."""
    counts = [torch.zeros(1, dtype=torch.int64, device=device) for _ in range(world_size())]
    dist.all_gather(counts, torch.tensor([rows], dtype=torch.int64, device=device))
    each = [int(count) for count in counts]
    if len(set(each)) > 1:
        raise WorkError(
            f"the {len(each)} processes bring {', '.join(map(str, each))} clips to one batch, and all must bring "
            f"equally many; make the clips of a batch a multiple of the processes"
        )


class _Gather(torch.autograd.Function):
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


def _is_on() -> bool:
    return dist.is_available() and dist.is_initialized()
