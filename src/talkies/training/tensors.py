"""Tensors that are sharded over devices: gathering them for a file, and setting them from one."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor


def gather_tensor(tensor: Tensor) -> Tensor:
    """Return a tensor that may be sharded over ranks as one tensor, detached; all ranks must call it."""
    tensor = tensor.detach()
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


@torch.no_grad()
def copy_into(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """Set each tensor of `own` to the full tensor of the same name.

    Raises:
        ValueError: if their names or shapes differ; then nothing is set.
    """
    if differing := own.keys() ^ tensors.keys():
        raise ValueError(f"it {'lacks' if min(differing) in own else 'also has'} {min(differing)}")
    for name, tensor in own.items():
        if tensor.shape != tensors[name].shape:
            raise ValueError(f"{name} is {list(tensors[name].shape)}, not {list(tensor.shape)}")

    for name, tensor in own.items():
        tensor.copy_(shard_like(tensor, tensors[name]))


def shard_like(own: Tensor, tensor: Tensor) -> Tensor:
    """Return a full tensor on the device of `own`, and sharded over ranks if `own` is."""
    tensor = tensor.to(own.device)
    if not isinstance(own, DTensor):
        return tensor
    return distribute_tensor(tensor, own.device_mesh, own.placements)
