"""The optimiser, its schedule, and its state as plain tensors."""

import math

import torch
from torch import Tensor, nn

from talkies.training.config import OptimiserConfig


def build_optimiser(system: nn.Module, config: OptimiserConfig) -> torch.optim.AdamW:
    """Return AdamW over the parameters that learn; vectors and scalars (biases, norms, temperature) do not decay."""
    learning = [parameter for parameter in system.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in learning if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in learning if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=config.learning_rate)


def learning_rate_at(step: int, steps: int, config: OptimiserConfig) -> float:
    """Return the learning rate of one step: linear warm-up, then half a cosine down to zero at `steps`."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, steps - config.warmup_steps)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every group."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> tuple[dict[str, Tensor], tuple[int, ...]]:
    """Return the moments by `index.name`, and the step counter of each parameter in order."""
    tensors: dict[str, Tensor] = {}
    steps: list[int] = []
    for index, state in sorted(optimiser.state_dict()["state"].items()):
        steps.append(int(state["step"]))
        tensors |= {f"{index}.{name}": state[name] for name in ("exp_avg", "exp_avg_sq")}
    return tensors, tuple(steps)


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor], steps: tuple[int, ...]) -> None:
    """Set the state that `optimiser_tensors` gave."""
    state = {
        index: {
            "step": torch.tensor(float(step)),
            "exp_avg": tensors[f"{index}.exp_avg"],
            "exp_avg_sq": tensors[f"{index}.exp_avg_sq"],
        }
        for index, step in enumerate(steps)
    }
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
