"""Values that hold a row for each clip, such as augmentations: joined, and moved to a device, part by part."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from talkies.core import to_device


def concatenate_draws(parts: Sequence[Any]) -> Any:
    """Return values that hold a row for each clip, such as augmentations, as one value with the rows of all.

    Args:
        parts: tensors, None, or dataclasses of them; all of one kind, as one transform draws them.
    """
    first = parts[0]
    if first is None:
        return None
    if isinstance(first, Tensor):
        return torch.cat(list(parts))
    return _rebuild(first, lambda name: concatenate_draws([getattr(part, name) for part in parts]))


def move_draws(value: Any, device: torch.device) -> Any:
    """Return such a value on `device`; the copies are queued, and this process does not wait for them."""
    if value is None:
        return None
    if isinstance(value, Tensor):
        return value if value.device == device else to_device(value, device)
    return _rebuild(value, lambda name: move_draws(getattr(value, name), device))


def _rebuild(value: Any, make: Any) -> Any:
    """Return a dataclass of the kind of `value`, with what `make` returns for the name of each field."""
    assert is_dataclass(value), type(value)
    kind: Any = type(value)
    return kind(*(make(each.name) for each in fields(kind)))
