"""An exponential moving average of the weights.

The sources are Polyak & Juditsky 1992 and, for the decay, *Mean teachers*, arXiv:1703.01780.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from talkies.training.tensors import copy_into


class ExponentialMovingAverage:
    """The moving average of a model's state: after step t (from 1), average ← d · average + (1 − d) · weights.

    With d = min(decay, (1 + t) / (10 + t)) it follows the weights closely at first. Integers, such as the counters of
    batch norms, are copied.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay, self._model = decay, model
        self._average = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    @torch.no_grad()
    def update(self, steps_done: int) -> None:
        """Update the average from the model after `steps_done` steps."""
        weight = 1 - min(self._decay, (1 + steps_done) / (10 + steps_done))
        for name, tensor in self._model.state_dict().items():
            average = self._average[name]
            if average.is_floating_point():
                average.lerp_(tensor, weight)
            else:
                average.copy_(tensor)

    @contextmanager
    def swap_with_model(self) -> Iterator[None]:
        """Within the block the model has the averaged state, and the average holds the model's."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, tensor in self._model.state_dict().items():
            average, own = self._average[name], tensor.clone()
            tensor.copy_(average)
            average.copy_(own)

    def state_dict(self) -> Mapping[str, Tensor]:
        """Return the averaged tensors by the names of the model's state."""
        return self._average

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore the averaged tensors that `state_dict` returned."""
        copy_into(self._average, tensors)
