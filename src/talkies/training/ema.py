"""An exponential moving average of the weights.

The sources are Polyak & Juditsky 1992 and, for the decay, *Mean teachers*, arXiv:1703.01780.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.nn.modules.batchnorm import _BatchNorm

from talkies.models import is_frozen
from talkies.training.tensors import copy_into


class ExponentialMovingAverage:
    """The moving average of what is trained: after step t (from 1), average ← d · average + (1 − d) · weights.

    With `ramps`, d = min(decay, (1 + t) / (10 + t)): it follows the weights closely at first. Otherwise d = decay.
    Integers, such as the counters of batch norms, are copied. Frozen weights, and the statistics of frozen batch norms,
    do not change and are left out.
    """

    def __init__(self, model: nn.Module, decay: float, *, ramps: bool = True) -> None:
        self._decay, self._model, self._ramps = decay, model, ramps
        frozen = _list_frozen_names(model)
        self._average = {
            name: tensor.detach().clone() for name, tensor in model.state_dict().items() if name not in frozen
        }

    @torch.no_grad()
    def update(self, steps_done: int) -> None:
        """Update the average from the model after `steps_done` steps."""
        decay = min(self._decay, (1 + steps_done) / (10 + steps_done)) if self._ramps else self._decay
        weight = 1 - decay
        floats: dict[bool, tuple[list[Tensor], list[Tensor]]] = {False: ([], []), True: ([], [])}
        integers: tuple[list[Tensor], list[Tensor]] = ([], [])
        for average, own in self._pair():
            # One call takes no mixture of sharded and other tensors.
            averages, owns = floats[isinstance(average, DTensor)] if average.is_floating_point() else integers
            averages.append(average)
            owns.append(own)

        # One kernel for many tensors: one for each would cost as much time to launch as a small step.
        for averages, owns in floats.values():
            if averages:
                torch._foreach_lerp_(averages, owns, weight)
        if integers[0]:
            torch._foreach_copy_(*integers)

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
        for average, tensor in self._pair():
            own = tensor.clone()
            tensor.copy_(average)
            average.copy_(own)

    def _pair(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield each averaged tensor with the model's own."""
        state = self._model.state_dict()
        return ((average, state[name]) for name, average in self._average.items())

    def state_dict(self) -> Mapping[str, Tensor]:
        """Return the averaged tensors by the names of the model's state."""
        return self._average

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore the averaged tensors that `state_dict` returned."""
        copy_into(self._average, tensors)


def _list_frozen_names(model: nn.Module) -> set[str]:
    """Return the names of a model's state that training does not change."""
    names = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    norms = [(name, norm) for name, norm in model.named_modules() if isinstance(norm, _BatchNorm) and is_frozen(norm)]
    return names | {f"{name}.{buffer}" for name, norm in norms for buffer, _ in norm.named_buffers()}
