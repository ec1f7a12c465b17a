"""The optimiser that a config describes, and the schedule of its learning rate."""

import math

import torch
from lightning_fabric.wrappers import _FabricOptimizer
from torch import nn

from talkies.training.config import OptimiserConfig
from talkies.training.lars import Lars


def build_optimiser(system: nn.Module, config: OptimiserConfig) -> torch.optim.Optimizer:
    """Return the optimiser of all trained parameters; vectors and scalars (biases, norms, temperature) do not decay."""
    trained = [parameter for parameter in system.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]

    match config.kind:
        case "adamw":
            return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, config.beta2))
        case "sgd":
            return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum)
        case "lars":
            return Lars(groups, lr=config.learning_rate, momentum=config.momentum)


def compute_learning_rate(step: int, steps: int, config: OptimiserConfig) -> float:
    """Return the learning rate of `step` (from 0): a linear warm-up, then half a cosine down to zero at `steps`."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, steps - config.warmup_steps)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def set_learning_rate(optimiser: torch.optim.Optimizer | _FabricOptimizer, rate: float) -> None:
    """Set the learning rate of every parameter group."""
    for group in optimiser.param_groups:
        group["lr"] = rate
