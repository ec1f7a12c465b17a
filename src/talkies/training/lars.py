"""The LARS optimiser, for batches of thousands of clips (You, Gitman & Ginsburg 2017, arXiv:1708.03888)."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

_TRUST_COEFFICIENT = 0.001


class Lars(Optimizer):
    """SGD with momentum in which the step of each matrix is proportional to the norm of its weights.

    With g the gradient and w the weights, d = g + decay · w and v ← momentum · v + λ d, with λ = 0.001 ‖w‖ / ‖d‖ (1
    where either norm is zero); a step subtracts `lr` · v. Vectors and scalars (biases, norms) are neither decayed nor
    scaled.

    This follows MoCo v3 and Barlow Twins, and differs from the paper in two points: the paper divides by
    ‖g‖ + decay · ‖w‖, and has `lr` inside v. Without decay and at a constant rate both are the same.

    With a `found_inf` of 1 on the weights' device, as PyTorch's fused optimisers have it, a step changes nothing.
    """

    found_inf: Tensor | None = None

    def __init__(self, params: Iterable[Any], lr: float, momentum: float = 0.9, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step, and return the loss of `closure`, which recomputes it, if one is given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)
        return loss

    def _update(self, weights: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        if weights.ndim > 1:
            gradient = gradient.add(weights, alpha=group["weight_decay"])
            weights_norm, gradient_norm = weights.norm(), gradient.norm()
            are_positive = (weights_norm > 0) & (gradient_norm > 0)
            trusted_ratio = _TRUST_COEFFICIENT * weights_norm / gradient_norm
            ratio = torch.where(are_positive, trusted_ratio, torch.ones_like(weights_norm))
            gradient = gradient * ratio

        state = self.state[weights]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(weights)
        velocity = state["momentum_buffer"]
        if self.found_inf is None:
            velocity.mul_(group["momentum"]).add_(gradient)
            weights.sub_(velocity, alpha=group["lr"])
            return
        is_good = self.found_inf == 0
        velocity.copy_(torch.where(is_good, velocity * group["momentum"] + gradient, velocity))
        weights.sub_(torch.where(is_good, velocity * group["lr"], 0.0))
