"""Saving a run's state to its folder and restoring it, independent of the number of devices."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from talkies.core import RunError
from talkies.models import compute_learnt_stamp, list_learnt_names
from talkies.runs import Checkpoint, CheckpointState, RunFolder
from talkies.runs.checkpoint import select_model_weights
from talkies.training.config import TrainingConfig
from talkies.training.ema import ExponentialMovingAverage
from talkies.training.momentum import MomentumKeys
from talkies.training.system import ContrastiveSystem
from talkies.training.tensors import copy_into, gather_tensor, shard_like

_OBJECTIVE = "objective."


class Checkpoints:
    """Saves and restores what a run needs to resume: weights, their averages, the optimiser's state, queues of keys."""

    def __init__(
        self,
        folder: RunFolder,
        system: ContrastiveSystem,
        optimiser: torch.optim.Optimizer,
        average: ExponentialMovingAverage | None,
        training: TrainingConfig,
        *,
        keys: MomentumKeys | None = None,
    ) -> None:
        self._folder, self._system, self._optimiser = folder, system, optimiser
        self._average, self._training, self._keys = average, training, keys

    def compute_stamp(self) -> str:
        """Return the stamp of the encoders as they are now; all ranks must call it."""
        return self._stamp_encoders(*self._gather_weights())

    def save(self, step: int, means: Mapping[str, float], *, writes: bool) -> None:
        """Write a checkpoint on the rank that `writes`; all ranks must call it, because each may hold a shard.

        Args:
            step: the number of steps done.
            means: the mean logged numbers since the last checkpoint, of which one is its score.
            writes: whether this rank writes the files.
        """
        weights, average = self._gather_weights()
        optimiser = self._gather_optimiser_state()
        if writes:
            stamp = self._stamp_encoders(weights, average)
            is_last_best = self._training.best_by == "last" and step > 0
            score = float(step) if is_last_best else self._compute_score(means)
            state = CheckpointState(step=step, stamp=stamp, score=score)
            self._folder.save(state, weights, optimiser, average, self._keys.state_dict() if self._keys else None)
            self._folder.remove_old(self._training.keep)

    def restore(self, checkpoint: Checkpoint) -> int:
        """Restore a checkpoint, and return the number of steps done.

        Raises:
            RunError: if it is damaged, or of another model.
        """
        state, weights, average = (
            checkpoint.read_state(),
            checkpoint.read_model_weights(),
            checkpoint.read_average_weights(),
        )
        try:
            copy_into(select_saved(self._system), weights)
            if self._average is not None:
                self._average.load_state_dict({n.removeprefix("model."): t for n, t in (average or {}).items()})
            if self._keys is not None:
                self._keys.load_state_dict(checkpoint.read_keys() or {})
            self._restore_optimiser(checkpoint.read_optimiser_weights())
        except ValueError as error:
            raise RunError(
                f"{checkpoint.folder} does not hold the state that this run's config needs ({error}); start a new run, "
                f"or restore the config it was trained with"
            ) from error
        return state.step

    def _gather_weights(self) -> tuple[dict[str, Tensor], dict[str, Tensor] | None]:
        weights = {name: gather_tensor(tensor) for name, tensor in select_saved(self._system).items()}
        if self._average is None:
            return weights, None
        average = {f"model.{name}": gather_tensor(tensor) for name, tensor in self._average.state_dict().items()}
        return weights, average

    def _stamp_encoders(self, weights: Mapping[str, Tensor], average: Mapping[str, Tensor] | None) -> str:
        """Return the stamp of the weights that encode films: their moving average where there is one."""
        return compute_learnt_stamp(self._system.model, select_model_weights({**weights, **(average or {})}))

    def _compute_score(self, means: Mapping[str, float]) -> float | None:
        """Return the score by which the best checkpoint is chosen: higher is better."""
        value = means.get(self._training.best_by)
        if value is None:
            return None
        return value if self._training.best_by.startswith("accuracy") else -value

    def _gather_optimiser_state(self) -> dict[str, Tensor]:
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
            weights_name, _, key = name.rpartition(":")
            if weights_name not in parameters:
                raise ValueError(f"its optimiser also has {name}")
            weights = parameters[weights_name]

            # A tensor with the shape of the weights gets their device and memory format; a counter stays on the CPU.
            if tensor.shape == weights.shape and key != "step":
                tensor = torch.empty_like(weights, dtype=tensor.dtype).copy_(shard_like(weights, tensor))
            states.setdefault(weights, {})[key] = tensor
        self._optimiser.state.update(states)


def select_saved(system: ContrastiveSystem) -> dict[str, Tensor]:
    """Return the tensors that a checkpoint holds: not those that a public encoder brought and that stay as they are."""
    kept = {f"model.{name}" for name in list_learnt_names(system.model)}
    return {name: tensor for name, tensor in system.state_dict().items() if name in kept or name.startswith(_OBJECTIVE)}
