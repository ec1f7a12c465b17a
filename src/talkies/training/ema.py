"""A moving average of the weights (Polyak & Juditsky 1992; as *Mean teachers*, arXiv:1703.01780, decays it)."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from talkies.training.tensors import copy_into


class ExponentialMovingAverage:
    """After step t (from 1) each number is its average of before, drawn to the weights' by 1 − d.

    With d = min(decay, (1 + t) / (10 + t)) it follows closely at first. What is no fraction, such as a count of
    batches, is taken over as it is.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay, self._model = decay, model
        self._average = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    @torch.no_grad()
    def update(self, done: int) -> None:
        """Follow the model, of which `done` steps are done."""
        weight = 1 - min(self._decay, (1 + done) / (10 + done))
        for name, tensor in self._model.state_dict().items():
            average = self._average[name]
            if average.is_floating_point():
                average.lerp_(tensor, weight)
            else:
                average.copy_(tensor)

    def tensors(self) -> Mapping[str, Tensor]:
        """Return the average, by the names of the model's state."""
        return self._average

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Set what `tensors` gave."""
        copy_into(self._average, tensors)
