"""Activation checkpointing of networks of other libraries: less memory in training, a third more computation.

Chen et al. 2016, arXiv:1604.06174.
"""

from functools import partial
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint

_SWITCH, _FUNCTION = "gradient_checkpointing", "_gradient_checkpointing_func"  # of the layers of transformers


def set_checkpointing(network: nn.Module, enabled: bool) -> None:
    """Make the layers of a network keep only their outputs in training, or all their activations again.

    It concerns layers of transformers, and networks of timm within. Public networks use no random numbers, so the
    generators' states need not be kept for the second run.
    """
    for module in network.modules():
        layer: Any = module
        if hasattr(layer, _SWITCH):
            setattr(layer, _SWITCH, enabled)
            setattr(layer, _FUNCTION, partial(checkpoint, use_reentrant=False, preserve_rng_state=False))
        elif hasattr(layer, "set_grad_checkpointing"):
            layer.set_grad_checkpointing(enabled)


def wake_checkpointed_layers(network: nn.Module, training: bool) -> None:
    """Set the training mode of the layers that checkpoint, and not of the modules in them.

    They only run again for their gradient in training mode; the rest of the network stays in evaluation mode.
    """
    for module in network.modules():
        if hasattr(module, _SWITCH):
            module.training = training
