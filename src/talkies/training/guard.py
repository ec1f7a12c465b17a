"""What a training step computes, kept on its device: numbers to log, and whether all of them are finite.

Reading a number from a GPU waits until the GPU has finished, and so it would stand idle at every step. Everything here
stays on the device until it is logged or saved.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from talkies.distributed import average_over_ranks


class FiniteGuard:
    """Finds the first step whose loss or gradient is not a finite number, without waiting for the device.

    The norm of the gradient says so of both, and on every rank: a loss that is not finite has a gradient that is not
    (`talkies.training.system.sum_losses`), and gradients are averaged over ranks.
    """

    def __init__(self, device: torch.device) -> None:
        self._first = torch.zeros((), dtype=torch.int64, device=device)  # 0: all steps were finite
        self._loss = torch.zeros((), dtype=torch.float64, device=device)

    def judge(self, loss: Tensor, norm: Tensor, step: int) -> Tensor:
        """Return whether this step or one before was not finite: float32, 1 or 0, on the device.

        Args:
            loss: the loss of this rank.
            norm: the norm of the gradient.
            step: the number of the step, from 1.
        """
        is_first = ~norm.detach().isfinite() & (self._first == 0)
        self._first = torch.where(is_first, step, self._first)
        self._loss = torch.where(is_first, loss.detach().double(), self._loss)
        return (self._first > 0).float()

    def find(self) -> tuple[str, int] | None:
        """Return what was not finite first (`loss` or `gradient`), and its step; None if all was. Waits for the device.

        All ranks must call it.
        """
        step = int(self._first)
        if not step:
            return None
        is_finite = average_over_ranks({"loss": float(self._loss.isfinite())})["loss"] == 1
        return "gradient" if is_finite else "loss", step


class Numbers:
    """The numbers that each step reports, and their means since these were last taken."""

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()
        self._last: Tensor | None = None
        self._sums: Tensor | None = None
        self._count = 0

    def add(self, scalars: Mapping[str, Tensor]) -> None:
        """Take the numbers of a step; every step has the same ones, all on one device."""
        self._names = tuple(scalars)
        self._last = torch.stack([value.detach().double().reshape(()) for value in scalars.values()])
        self._sums = self._last if self._sums is None else self._sums + self._last
        self._count += 1

    def read_last(self) -> dict[str, float]:
        """Return the numbers of the last step, averaged over ranks; all ranks must call it. Waits for the device."""
        return self._read(self._last)

    def take_means(self) -> dict[str, float]:
        """Return the means over steps and ranks, and start again; all ranks must call it. Waits for the device."""
        means = {name: total / self._count for name, total in self._read(self._sums).items()}
        self._sums, self._count = None, 0
        return means

    def _read(self, values: Tensor | None) -> dict[str, float]:
        if values is None:
            return {}
        return average_over_ranks(dict(zip(self._names, values.tolist(), strict=True)))
