"""The optimiser that a config describes: its groups of weights, and the schedule of its learning rate."""

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from lightning_fabric.wrappers import _FabricOptimizer
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from talkies.core import MODALITIES
from talkies.models import AdaptationConfig, FrameEncoder, TwoTower, measure_heights
from talkies.training.config import OptimiserConfig
from talkies.training.lars import Lars

# The names that public encoders give to positions, and to tokens that are learnt.
_NO_DECAY = re.compile(
    r"(^|\.)(?:\w*(?:position|pos_embed|rel_pos_[hwt]|time_embed|temporal_embed|rel_attn_embed|class_embed|cls_token|"
    r"class_token|mask_token|masked_spec_embed|distillation_token|dist_token|register_tokens|reg_token|query_tokens)"
    r"\w*)(\.|$)"
)


def build_optimiser(
    system: nn.Module, config: OptimiserConfig, scales: Mapping[str, float] | None = None
) -> torch.optim.Optimizer:
    """Return the optimiser of all trained parameters.

    Only the weights of linear layers and convolutions decay, and other matrices of public encoders. Biases, norms,
    gains, other vectors and scalars (temperature), tables of embeddings, positions and learnt tokens do not: decay
    draws them to zero, where they do not mean less, but something else. Each group has a `scale`, its share of the
    learning rate. On a GPU it is one that `take_step` can hold back.

    Args:
        system: the module that is trained, on its device.
        config: the optimiser and its learning rate.
        scales: the share of parameters by their names; 1 for all others.
    """
    scales = scales or {}
    groups: dict[tuple[float, bool], dict[str, Any]] = {}
    for name, parameter in system.named_parameters():
        if parameter.requires_grad:
            decays, scale = _decays(system, name, parameter), scales.get(name, 1.0)
            weight_decay = config.weight_decay if decays else 0.0
            group = {"params": [], "weight_decay": weight_decay, "scale": scale, "lr": config.learning_rate * scale}
            groups.setdefault((scale, decays), group)["params"].append(parameter)

    # The full rate comes first, and what decays before what does not.
    ordered = [groups[key] for key in sorted(groups, reverse=True)]
    fused = True if ordered[0]["params"][0].device.type != "cpu" else None
    match config.kind:
        case "adamw":
            return torch.optim.AdamW(ordered, lr=config.learning_rate, betas=(0.9, config.beta2), fused=fused)
        case "sgd":
            return torch.optim.SGD(ordered, lr=config.learning_rate, momentum=config.momentum, fused=fused)
        case "lars":
            return Lars(ordered, lr=config.learning_rate, momentum=config.momentum)


def take_step(optimiser: torch.optim.Optimizer | _FabricOptimizer, is_bad: Tensor | None = None) -> None:
    """Take a step; with `is_bad` of 1 (float32, on the device) weights and the optimiser's state stay as they are.

    This is how PyTorch's gradient scaler holds its fused optimisers back: the device decides, and nothing waits for it.
    """
    inner = optimiser.optimizer if isinstance(optimiser, _FabricOptimizer) else optimiser
    inner.found_inf = is_bad  # type: ignore[attr-defined]
    optimiser.step()


def _decays(system: nn.Module, name: str, parameter: nn.Parameter) -> bool:
    """Return whether a parameter of the system, by its name, decays."""
    path, _, own_name = name.rpartition(".")
    owner = system.get_submodule(path)
    if isinstance(owner, nn.Embedding) or "Norm" in type(owner).__name__:  # norms of public encoders have many classes
        return False
    if own_name.endswith("bias") or _NO_DECAY.search(name):
        return False
    if isinstance(owner, (nn.Linear, _ConvNd)):
        return parameter.ndim > 1
    # Of other modules, a gain of shape [1, C, 1] or a token of shape [1, 1, D] is still a vector.
    return sum(side > 1 for side in parameter.shape) > 1


def measure_scales(model: TwoTower, adaptation: AdaptationConfig) -> dict[str, float]:
    """Return the share of the learning rate of each parameter of the encoders, by its name in the model.

    It is `learning_rate_multiplier` · `layer_decay` ^ h, where h is 0 after the last block, 1 in the last block, and
    one more than there are blocks in the stem (Bao et al. 2022, arXiv:2106.08254). Heads and learned pools are not
    listed: they have the rate itself.
    """
    scales: dict[str, float] = {}
    for modality in MODALITIES:
        encoder, chosen = model.video if modality == "video" else model.audio, adaptation.of(modality)
        new = "pool." if isinstance(encoder, FrameEncoder) else None
        for name, height in measure_heights(encoder).items():
            if new is None or not name.startswith(new):
                scales[f"{modality}.{name}"] = chosen.learning_rate_multiplier * chosen.layer_decay**height
    return scales


def compute_learning_rate(step: int, steps: int, config: OptimiserConfig) -> float:
    """Return the learning rate of `step` (from 0): a linear warm-up, then half a cosine down to zero at `steps`."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, steps - config.warmup_steps)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def set_learning_rate(optimiser: torch.optim.Optimizer | _FabricOptimizer, rate: float) -> None:
    """Set the learning rate of every parameter group to its share of a rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group.get("scale", 1.0)
