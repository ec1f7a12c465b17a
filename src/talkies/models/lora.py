"""Low-rank adapters (LoRA; Hu et al. 2021, arXiv:2106.09685) in the blocks of an encoder, through peft.

A linear layer W x becomes W x + (α / r) B A x; only A and B are trained. B starts at zero, so that an adapted encoder
starts as the one that it adapts.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from talkies.core import ConfigError
from talkies.models.tower import Encoder

_BASE_LAYER = ".base_layer"


def add_adapters(encoder: Encoder, name: str, rank: int, alpha: float) -> None:
    """Add adapters to all linear layers in the blocks of an encoder, and freeze everything else of it.

    Args:
        encoder: the encoder, changed in place.
        name: its name or address, for messages.
        rank: r.
        alpha: α.

    Raises:
        ConfigError: if peft is not installed, or the blocks have no linear layers.
    """
    names = _list_linear_layers(encoder)
    if not names:
        raise ConfigError(
            f"adaptation.{encoder.modality}.train is lora, and the blocks of {name} have no linear layers that "
            "adapters could be added to; set it to head, last:N or all"
        )
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"adaptation.{encoder.modality}.train is lora, which needs peft, and it is not installed; install it with: "
            "pip install 'talkies[encoders]'"
        ) from error
    pattern = "|".join(re.escape(name) for name in names)
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=pattern, lora_dropout=0.0)  # type: ignore[arg-type]
    inject_adapter_in_model(config, encoder)


@contextmanager
def without_adapters(encoder: Encoder) -> Iterator[None]:
    """Within the block, the encoder computes as before adapters were added to it."""
    layers = _list_adapted_layers(encoder)
    try:
        for layer in layers:
            layer._disable_adapters = True
        yield
    finally:
        for layer in layers:
            layer._disable_adapters = False


def merge_adapters(encoder: Encoder) -> None:
    """Replace each adapted layer by a plain one with the weights W + (α / r) B A; the names are those from before."""
    for name, module in list(encoder.named_modules()):
        if _is_adapted(module):
            adapted: Any = module
            adapted.merge()
            parent, _, child = name.rpartition(".")
            setattr(encoder.get_submodule(parent), child, adapted.get_base_layer())


def remove_base_layer(name: str) -> str:
    """Return the name that a weight of an adapted encoder had before adapters were added."""
    return name.replace(_BASE_LAYER, "")


def _list_linear_layers(encoder: Encoder) -> list[str]:
    in_blocks = {id(module) for _, block in encoder.named_blocks() for module in block.modules()}
    # Only plain layers: subclasses may be used without calling them, such as those of PyTorch's attention.
    return [name for name, module in encoder.named_modules() if type(module) is nn.Linear and id(module) in in_blocks]


def _list_adapted_layers(encoder: Encoder) -> list[Any]:
    return [module for module in encoder.modules() if _is_adapted(module)]


def _is_adapted(module: nn.Module) -> bool:
    return isinstance(getattr(module, "lora_A", None), nn.ModuleDict)
