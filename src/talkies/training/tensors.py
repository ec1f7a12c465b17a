"""Tensors that are sharded over devices: gathering them for a file, and setting them from one."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor

from talkies.runs import SavedTensors


def gather_tensor(tensor: Tensor) -> Tensor:
    """Return a tensor that may be sharded over ranks as one tensor, detached; all ranks must call it."""
    tensor = tensor.detach()
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


class GatheredTensors(Mapping[str, Tensor]):
    """Tensors that may be sharded over ranks, each gathered when it is asked for.

    All ranks must ask for the same tensors in the same order.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = tensors

    def __getitem__(self, name: str) -> Tensor:
        return gather_tensor(self._tensors[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def take_share(self, rank: int, ranks: int) -> dict[str, Tensor]:
        """Return the tensors of which this rank writes the file, on the CPU; all ranks must call it.

        Each tensor is gathered in turn and dropped by all ranks but one, so that none holds them all.
        """
        owners, share = self._choose_owners(ranks), {}
        for name, tensor in self._tensors.items():
            whole = gather_tensor(tensor)
            if owners[name] == rank:
                share[name] = whole.cpu().contiguous().clone()
        return share

    def _choose_owners(self, ranks: int) -> dict[str, int]:
        """Return the rank that writes each tensor: the largest first, always to the rank that has the least."""
        sizes, owners = [0] * ranks, {}
        for name in sorted(self._tensors, key=lambda name: -self._tensors[name].numel()):
            owners[name] = sizes.index(min(sizes))
            sizes[owners[name]] += self._tensors[name].numel() * self._tensors[name].element_size()
        return owners


def are_sharded(tensors: Mapping[str, Tensor]) -> bool:
    """Return whether some tensors are sharded over several ranks."""
    return any(isinstance(tensor, DTensor) and tensor.device_mesh.size() > 1 for tensor in tensors.values())


@torch.no_grad()
def copy_into(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor] | SavedTensors) -> None:
    """Set each tensor of `own` to the full tensor of the same name.

    Raises:
        ValueError: if their names or shapes differ; then nothing is set.
    """
    if differing := own.keys() ^ tensors.keys():
        raise ValueError(f"it {'lacks' if min(differing) in own else 'also has'} {min(differing)}")
    for name, tensor in own.items():
        shape = tensors.get_shape(name) if isinstance(tensors, SavedTensors) else tensors[name].shape
        if tuple(tensor.shape) != tuple(shape):
            raise ValueError(f"{name} is {list(shape)}, not {list(tensor.shape)}")

    for name, tensor in own.items():
        tensor.copy_(shard_like(tensor, tensors[name]))


def shard_like(own: Tensor, tensor: Tensor) -> Tensor:
    """Return a full tensor on the device of `own`, and sharded over ranks if `own` is."""
    tensor = tensor.to(own.device)
    if not isinstance(own, DTensor):
        return tensor
    return distribute_tensor(tensor, own.device_mesh, own.placements)
