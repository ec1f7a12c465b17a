"""Batch norms in training: synchronised over ranks, and their running statistics measured anew for a checkpoint.

In training a batch norm normalises by the clips that it sees at once: those of a batch or of a chunk, on one rank or on
all. When it encodes films, it normalises by its running statistics. Those that training leaves behind are averages over
weights that have changed since; here they are measured with the weights of the checkpoint (*precise batch norm*;
Wu & Johnson 2021, arXiv:2105.07576, section 3).

Shapes: `B` clips of this rank, `R` ranks, `C` channels.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from talkies.distributed import gather_rows, sum_over_ranks, world_size


def list_batch_norms(module: nn.Module) -> list[_BatchNorm]:
    """Return the batch norms of a module that normalise by what they receive, in the order of its parts.

    Those of frozen encoders do not: they keep the statistics that they came with.
    """
    return [part for part in module.modules() if isinstance(part, _BatchNorm) and part.training]


def list_measuring_norms(module: nn.Module) -> list[_BatchNorm]:
    """Return the batch norms whose statistics follow the clips; those of frozen and of public encoders stay."""
    return [norm for norm in list_batch_norms(module) if norm.training]


class SynchronisedBatchNorm(_BatchNorm):
    """A batch norm over the clips of all ranks, on any device: `[B, C, …]` to the same shape.

    PyTorch's `SyncBatchNorm` needs CUDA devices. Every rank must bring the same number of clips, of one shape.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the input normalised, in training by the statistics of all ranks' clips."""
        if not self.training:
            return super().forward(x)

        # Half precision is not enough for statistics.
        values = x if x.dtype == torch.float64 else x.float()
        mean_C, var_C = self._measure(values)
        self._update_running_statistics(mean_C, var_C, values.numel() // len(mean_C) * world_size())

        shape = (1, -1, *(1 for _ in range(x.ndim - 2)))
        scale_C = (var_C + self.eps).rsqrt() * self.weight
        return ((values - mean_C.view(shape)) * scale_C.view(shape) + self.bias.view(shape)).to(x.dtype)

    def _check_input_dim(self, x: Tensor) -> None:
        """Accept any shape `[B, C, …]`."""

    def _measure(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean and the variance of each channel over all ranks, with gradients to each rank's values."""
        var_C, mean_C = torch.var_mean(values, _positions(values), correction=0)
        mean_RC, var_RC = gather_rows(torch.cat((mean_C, var_C)).unsqueeze(0)).chunk(2, dim=1)
        mean_C = mean_RC.mean(0)
        return mean_C, (var_RC + (mean_RC - mean_C).square()).mean(0)

    @torch.no_grad()
    def _update_running_statistics(self, mean_C: Tensor, var_C: Tensor, count: int) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        weight = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean_C.to(self.running_mean.dtype), weight)
        self.running_var.lerp_((var_C * count / max(count - 1, 1)).to(self.running_var.dtype), weight)


def synchronise_batch_norms(module: nn.Module, device_type: str, *, is_compiled: bool = False) -> None:
    """Replace the batch norms in a module by ones over the clips of all ranks; weights and their names stay.

    Args:
        module: the module, changed in place.
        device_type: `cuda` takes PyTorch's `SyncBatchNorm`, which is faster; others take `SynchronisedBatchNorm`.
        is_compiled: whether parts of the module are compiled; the norms then run outside compiled code.
    """
    for name, child in module.named_children():
        if not isinstance(child, _BatchNorm):
            synchronise_batch_norms(child, device_type, is_compiled=is_compiled)
            continue
        kind = nn.SyncBatchNorm if device_type == "cuda" else SynchronisedBatchNorm
        norm = kind(child.num_features, child.eps, child.momentum, child.affine, child.track_running_stats)
        norm.load_state_dict(child.state_dict())
        for own, before in zip(norm.parameters(), child.parameters(), strict=True):
            own.requires_grad_(before.requires_grad)
        norm.to(next(child.parameters()))
        if is_compiled:
            norm.forward = torch.compiler.disable(norm.forward)  # type: ignore[method-assign, no-untyped-call]
        setattr(module, name, norm.train(child.training))


def average_statistics(module: nn.Module) -> None:
    """Set the running statistics of batch norms to their means over ranks; all ranks must call it."""
    running = [
        tensor
        for norm in list_measuring_norms(module)
        for tensor in (norm.running_mean, norm.running_var)
        if tensor is not None
    ]
    if not running or world_size() == 1:
        return
    sums = sum_over_ranks(torch.cat([tensor.double() for tensor in running]))
    for tensor, total in zip(running, torch.split(sums, [len(tensor) for tensor in running]), strict=True):
        tensor.copy_(total / world_size())


class StatisticsCollector:
    """Measures the mean and the variance of what each batch norm of a module receives, over several batches.

    Each batch is normalised by itself (or by its chunks), as in training, so that the input of every norm is as the
    weights were trained for. The statistics are those of all clips of all batches and ranks together.
    """

    def __init__(self, module: nn.Module) -> None:
        self._moments = {norm: _Moments(norm) for norm in list_measuring_norms(module)}

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Within the block, add what the batch norms receive."""
        handles = [
            norm.register_forward_pre_hook(lambda norm, inputs: self._moments[norm].add(inputs[0]))
            for norm in self._moments
        ]
        try:
            # Compiled code would not see the hooks.
            with torch.compiler.set_stance("force_eager"):
                yield
        finally:
            for handle in handles:
                handle.remove()

    @torch.no_grad()
    def write(self) -> None:
        """Set the running statistics to what was collected on all ranks; all ranks must call it.

        As in PyTorch's batch norms, the variance is the unbiased one.
        """
        every = list(self._moments.values())
        if not every:
            return
        sums = sum_over_ranks(torch.cat([moments.sums for moments in every]))
        sums_of_norms = torch.split(sums, [len(moments.sums) for moments in every])
        for norm, total in zip(self._moments, sums_of_norms, strict=True):
            count, (mean_C, square_C) = total[0], (total[1:] / total[0]).chunk(2)
            var_C = (square_C - mean_C.square()).clamp(min=0) * count / (count - 1)
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.running_mean.copy_(mean_C)
            norm.running_var.copy_(var_C)


class _Moments:
    """The number of values of each channel that a batch norm received, their sums, and the sums of their squares."""

    def __init__(self, norm: _BatchNorm) -> None:
        # float64, because a variance is a small difference of large sums.
        self.sums = torch.zeros(1 + 2 * norm.num_features, dtype=torch.float64, device=norm.weight.device)

    def add(self, x: Tensor) -> None:
        var_C, mean_C = torch.var_mean(x if x.dtype == torch.float64 else x.float(), _positions(x), correction=0)
        count, mean_C = x.numel() // len(mean_C), mean_C.double()
        self.sums[0] += count
        self.sums[1:] += count * torch.cat((mean_C, var_C.double() + mean_C.square()))


def _positions(x: Tensor) -> list[int]:
    """Return the dimensions of `[B, C, …]` that a batch norm averages over: all but the channels."""
    return [0, *range(2, x.ndim)]
