"""Read only some of a checkpoint's weights: those of one part of a model that has several."""

import json
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from talkies.core import ConfigError
from talkies.models.public.checkpoint import HubCheckpoint

_SHARDS = "model.safetensors.index.json"
_WHOLE = "model.safetensors"
_MOST_NAMES = 4


def load_weights(checkpoint: HubCheckpoint, network: nn.Module, prefixes: Sequence[str]) -> None:
    """Load a part of a checkpoint's weights into a network, which must be that part, as float32.

    Args:
        checkpoint: the checkpoint.
        network: the part.
        prefixes: what precedes the names of the part's weights in the checkpoint; models that use a part twice save it
            under one of several names.

    Raises:
        ConfigError: if the weights are pickled, missing, damaged, or of another network.
    """
    from safetensors import SafetensorError, safe_open

    checkpoint.check_safe()
    wanted = network.state_dict()
    found: dict[str, Tensor] = {}
    try:
        for file, names in _list_tensors(checkpoint).items():
            with safe_open(checkpoint.folder / file, framework="pt") as tensors:
                stored = set(names if names is not None else tensors.keys())
                for name in wanted:
                    key = next((prefix + name for prefix in prefixes if prefix + name in stored), None)
                    if key is not None:
                        found[name] = tensors.get_tensor(key).to(
                            torch.float32 if wanted[name].is_floating_point() else None
                        )
        missing = sorted(set(wanted) - set(found))
        if missing:
            more = f" and {len(missing) - _MOST_NAMES} more" if len(missing) > _MOST_NAMES else ""
            raise ConfigError(
                f"{checkpoint.address} lacks weights of {type(network).__name__}: {', '.join(missing[:_MOST_NAMES])}"
                f"{more}; name a complete checkpoint"
            )
        network.load_state_dict(found)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ConfigError(
            f"{checkpoint.address} cannot be loaded ({str(error).splitlines()[0]}); name a complete checkpoint"
        ) from error


def _list_tensors(checkpoint: HubCheckpoint) -> dict[str, list[str] | None]:
    """Return the names of the weights in each file; None: all that it has."""
    index = checkpoint.folder / _SHARDS
    if not index.is_file():
        return {_WHOLE: None}
    files: dict[str, list[str] | None] = {}
    for file in json.loads(index.read_text(encoding="utf-8"))["weight_map"].values():
        files[file] = None
    return files
