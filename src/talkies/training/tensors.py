"""Tensors between devices that hold a part of each, and files that hold them whole."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor


def gather_tensor(tensor: Tensor) -> Tensor:
    """Return a tensor that may be spread over ranks as one, detached; all ranks must ask for it."""
    tensor = tensor.detach()
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


@torch.no_grad()
def copy_into(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """Set each tensor of `own` to the whole one of its name.

    Raises:
        ValueError: if they are not of the same names and shapes; then nothing is set.
    """
    if alone := own.keys() ^ tensors.keys():
        raise ValueError(f"it {'lacks' if min(alone) in own else 'also has'} {min(alone)}")
    for name, tensor in own.items():
        if tensor.shape != tensors[name].shape:
            raise ValueError(f"{name} is {list(tensors[name].shape)}, not {list(tensor.shape)}")
    for name, tensor in own.items():
        tensor.copy_(spread_like(tensor, tensors[name]))


def spread_like(own: Tensor, tensor: Tensor) -> Tensor:
    """Return a whole tensor as `own` is: on its device, and over the ranks where `own` is spread."""
    tensor = tensor.to(own.device)
    if not isinstance(own, DTensor):
        return tensor
    return distribute_tensor(tensor, own.device_mesh, own.placements)
