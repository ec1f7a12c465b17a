"""Layer-wise adaptive rates, for batches of thousands of clips (You, Gitman & Ginsburg 2017, arXiv:1708.03888)."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

_TRUST = 0.001


class Lars(Optimizer):
    """SGD with momentum in which each matrix's step is in proportion to its own length.

    With g the gradient and w the weights, d = g + decay · w; a step is `lr` · v, v ← momentum · v + λ d, with
    λ = 0.001 ‖w‖ / ‖d‖ (1 where either is zero). Vectors and scalars (biases, norms) neither decay nor are scaled.

    Two things are as in MoCo v3 and Barlow Twins, and not as in the paper: it divides by ‖g‖ + decay · ‖w‖, and has
    `lr` inside of v. Without decay, and at a constant rate, they are the same.
    """

    def __init__(self, params: Iterable[Any], lr: float, momentum: float = 0.9, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step; `closure` computes the loss again, where it is given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, group)
        return loss

    def _move(self, weights: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        if weights.ndim > 1:
            gradient = gradient.add(weights, alpha=group["weight_decay"])
            length, slope = weights.norm(), gradient.norm()
            ratio = torch.where((length > 0) & (slope > 0), _TRUST * length / slope, torch.ones_like(length))
            gradient = gradient * ratio
        state = self.state[weights]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(weights)
        state["momentum_buffer"].mul_(group["momentum"]).add_(gradient)
        weights.sub_(state["momentum_buffer"], alpha=group["lr"])
