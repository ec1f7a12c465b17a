"""Weights drawn from a seed: the same on every machine, so that none need be kept in the repository."""

import numpy as np
import torch


def drawn_weights(shapes: dict[str, list[int]], kinds: dict[str, str], seed: int) -> dict[str, torch.Tensor]:
    """Return a tensor for each name; variances are positive, counters zero."""
    random = np.random.RandomState(seed)  # its stream never changes
    weights = {}
    for name in sorted(shapes):
        shape = tuple(shapes[name])
        if kinds[name] == "torch.int64":
            weights[name] = torch.zeros(shape, dtype=torch.int64)
            continue
        fan_in = max(1, int(np.prod(shape[1:])))
        values = random.standard_normal(shape) / np.sqrt(fan_in)
        if name.endswith("running_var"):
            values = 0.1 + 0.1 * np.abs(values)
        elif len(shape) < 2 and name.endswith("weight"):
            values = 1 + 0.1 * values
        weights[name] = torch.from_numpy(np.asarray(values, np.float32).reshape(shape))
    return weights
