"""Activation checkpointing of networks of other libraries: less memory in training, a third more computation.

Chen et al. 2016, arXiv:1604.06174.
"""

import sys
from collections.abc import Callable, Iterator
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint


def set_checkpointing(network: nn.Module, enabled: bool) -> None:
    """Make the layers of a network keep only their outputs in training, or all their activations again.

    It concerns the layers of transformers, and networks of timm within.
    """
    for layer in _list_layers(network):
        layer.gradient_checkpointing = enabled
        layer._gradient_checkpointing_func = run_again
    for module in network.modules():
        if hasattr(module, "set_grad_checkpointing"):
            module.set_grad_checkpointing(enabled)


def wake_checkpointed_layers(network: nn.Module, training: bool) -> None:
    """Set the training mode of the layers that checkpoint, and not of the modules in them.

    They run again for their gradient in training mode only; the rest of the network stays in evaluation mode.
    """
    for layer in _list_layers(network):
        layer.training = training


def run_again(function: Callable[..., Any], *args: Any) -> Any:
    """Return what a function of a network returns, and compute it again for its gradient.

    Public networks use no random numbers, so the state of the generators need not be kept for the second run.
    """
    return checkpoint(function, *args, use_reentrant=False, preserve_rng_state=False)


def _list_layers(network: nn.Module) -> Iterator[Any]:
    layers = sys.modules.get("transformers.modeling_layers")
    if layers is not None:  # otherwise the network is not of transformers
        yield from (module for module in network.modules() if isinstance(module, layers.GradientCheckpointingLayer))
