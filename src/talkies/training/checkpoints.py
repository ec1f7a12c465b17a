"""A run's state to and from its folder, whole, however many devices it is spread over."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from talkies.core import RunError
from talkies.models import compute_weights_stamp
from talkies.runs import Checkpoint, CheckpointState, RunFolder
from talkies.training.config import TrainingConfig
from talkies.training.ema import ExponentialMovingAverage
from talkies.training.system import ContrastiveSystem
from talkies.training.tensors import copy_into, spread_like, gather_tensor

_KEPT = ("model.", "objective.")  # the transform has nothing that learns


class Checkpoints:
    """Saves and restores what a run needs to go on: weights, their average, and the optimiser's state."""

    def __init__(
        self,
        folder: RunFolder,
        system: ContrastiveSystem,
        optimiser: torch.optim.Optimizer,
        average: ExponentialMovingAverage | None,
        training: TrainingConfig,
    ) -> None:
        self._folder, self._system, self._optimiser = folder, system, optimiser
        self._average, self._training = average, training

    def stamp(self) -> str:
        """Return the stamp of what would encode films now; all ranks must ask for it."""
        return self._stamp(*self._weights())

    def save(self, step: int, means: Mapping[str, float], writes: bool) -> None:
        """Write a checkpoint, on the rank that `writes`; all ranks must come, for each may hold a part."""
        weights, average = self._weights()
        optimiser = self._optimiser_tensors()
        if writes:
            state = CheckpointState(step=step, stamp=self._stamp(weights, average), score=self._score(means))
            self._folder.save(state, weights, optimiser, average)
            self._folder.keep(self._training.keep)

    def restore(self, checkpoint: Checkpoint) -> int:
        """Go back to a checkpoint, and return how many steps had been done.

        Raises:
            RunError: if it is damaged, or of another model.
        """
        state, weights, average = checkpoint.state(), checkpoint.model_weights(), checkpoint.average_weights()
        try:
            copy_into(self._kept(), weights)
            if self._average is not None:
                self._average.restore({n.removeprefix("model."): t for n, t in (average or {}).items()})
            self._restore_optimiser(checkpoint.optimiser_weights())
        except ValueError as error:
            raise RunError(f"{checkpoint.folder} does not hold what this run's config wants ({error})") from error
        return state.step

    def _weights(self) -> tuple[dict[str, Tensor], dict[str, Tensor] | None]:
        weights = {name: gather_tensor(tensor) for name, tensor in self._kept().items()}
        if self._average is None:
            return weights, None
        return weights, {f"model.{name}": gather_tensor(tensor) for name, tensor in self._average.tensors().items()}

    def _kept(self) -> dict[str, Tensor]:
        return {name: tensor for name, tensor in self._system.state_dict().items() if name.startswith(_KEPT)}

    def _stamp(self, weights: Mapping[str, Tensor], average: Mapping[str, Tensor] | None) -> str:
        encoders = weights if average is None else average
        return compute_weights_stamp({n.removeprefix("model."): t for n, t in encoders.items() if n.startswith("model.")})

    def _score(self, means: Mapping[str, float]) -> float | None:
        value = means.get(self._training.best_by)
        if value is None:
            return None
        return value if self._training.best_by.startswith("accuracy") else -value

    def _optimiser_tensors(self) -> dict[str, Tensor]:
        """Return the optimiser's state as `name of the weights:name of the state`."""
        names: dict[Tensor, str] = {parameter: name for name, parameter in self._system.named_parameters()}
        return {
            f"{names[parameter]}:{key}": gather_tensor(torch.as_tensor(value))
            for parameter, state in self._optimiser.state.items()
            for key, value in state.items()
            if value is not None
        }

    def _restore_optimiser(self, tensors: Mapping[str, Tensor]) -> None:
        parameters: dict[str, Tensor] = dict(self._system.named_parameters())
        states: dict[Tensor, dict[str, Any]] = {}
        for name, tensor in tensors.items():
            weights, _, key = name.rpartition(":")
            if weights not in parameters:
                raise ValueError(f"its optimiser also has {name}")
            own = parameters[weights]
            # What has the weights' shape lies where and as they do; a counter of steps stays on the CPU, as it was.
            if tensor.shape == own.shape and key != "step":
                tensor = torch.empty_like(own, dtype=tensor.dtype).copy_(spread_like(own, tensor))
            states.setdefault(own, {})[key] = tensor
        self._optimiser.state.update(states)
