"""Saving a run's state to its folder and restoring it, independent of the number of devices."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from talkies.core import RunError
from talkies.distributed import rank, world_size
from talkies.models import compute_learnt_stamp, list_learnt_names
from talkies.runs import Checkpoint, CheckpointState, RunFolder
from talkies.runs.checkpoint import select_model_weights
from talkies.training.config import TrainingConfig
from talkies.training.ema import ExponentialMovingAverage
from talkies.training.momentum import MomentumKeys
from talkies.training.system import ContrastiveSystem
from talkies.training.tensors import GatheredTensors, are_sharded, copy_into, shard_like

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
        wait: Callable[[], None] = lambda: None,
    ) -> None:
        """Store what is saved; `wait` returns when all ranks have called it."""
        self._wait = wait
        self._folder, self._system, self._optimiser = folder, system, optimiser
        self._average, self._training, self._keys = average, training, keys

    def compute_stamp(self) -> str:
        """Return the stamp of the encoders as they are now, of the average of their weights if there is one.

        All ranks must call it.
        """
        tensors = select_model_weights({**select_saved(self._system), **self._name_average()})
        return compute_learnt_stamp(self._system.model, GatheredTensors(tensors))

    def save(self, step: int, means: Mapping[str, float], *, writes: bool) -> None:
        """Write a checkpoint; all ranks must call it, because each may hold a shard.

        Weights that are sharded over ranks are written in shards, so that no rank holds them all.

        Args:
            step: the number of steps done.
            means: the mean logged numbers since the last checkpoint, of which one is its score.
            writes: whether this rank writes the files that only one writes.
        """
        weights = select_saved(self._system)
        if are_sharded(weights):
            self._save_shards(self._describe(step, means), weights)
        elif writes:
            self._folder.save(
                self._describe(step, means),
                GatheredTensors(weights),
                GatheredTensors(self._name_optimiser_state()),
                GatheredTensors(self._name_average()) if self._average else None,
                self._keys.state_dict() if self._keys else None,
            )
        if writes:
            self._folder.remove_old(self._training.keep)

    def _describe(self, step: int, means: Mapping[str, float]) -> CheckpointState:
        is_last_best = self._training.best_by == "last" and step > 0
        score = float(step) if is_last_best else self._compute_score(means)
        return CheckpointState(step=step, stamp=self.compute_stamp(), score=score)

    def _save_shards(self, state: CheckpointState, weights: Mapping[str, Tensor]) -> None:
        own, ranks = rank(), world_size()
        checkpoint = self._folder.start_sharded(state.step, own, ranks)
        checkpoint.begin()
        self._wait()
        checkpoint.write_model(GatheredTensors(weights).take_share(own, ranks))
        checkpoint.write_optimiser(GatheredTensors(self._name_optimiser_state()).take_share(own, ranks))
        if self._average is not None:
            checkpoint.write_average(GatheredTensors(self._name_average()).take_share(own, ranks))
        self._wait()
        checkpoint.finish(state)

    def restore(self, checkpoint: Checkpoint) -> int:
        """Restore a checkpoint, tensor by tensor, and return the number of steps done.

        Raises:
            RunError: if it is damaged, or of another model.
        """
        state, weights, average = (
            checkpoint.read_state(),
            checkpoint.open_model_weights(),
            checkpoint.open_average_weights(),
        )
        try:
            copy_into(select_saved(self._system), weights)
            if self._average is not None:
                self._average.load_state_dict(average.select_prefix("model.") if average is not None else {})
            if self._keys is not None:
                self._keys.load_state_dict(checkpoint.read_keys() or {})
            self._restore_optimiser(checkpoint.open_optimiser_weights())
        except ValueError as error:
            raise RunError(
                f"{checkpoint.folder} does not hold the state that this run's config needs ({error}); start a new run, "
                f"or restore the config it was trained with"
            ) from error
        return state.step

    def _name_average(self) -> dict[str, Tensor]:
        """Return the moving average of the weights by name; empty if none is kept."""
        if self._average is None:
            return {}
        return {f"model.{name}": tensor for name, tensor in self._average.state_dict().items()}

    def _compute_score(self, means: Mapping[str, float]) -> float | None:
        """Return the score by which the best checkpoint is chosen: higher is better."""
        value = means.get(self._training.best_by)
        if value is None:
            return None
        return value if self._training.best_by.startswith("accuracy") else -value

    def _name_optimiser_state(self) -> dict[str, Tensor]:
        """Return the optimiser's state as `name of the weights:name of the state`."""
        names: dict[Tensor, str] = {parameter: name for name, parameter in self._system.named_parameters()}
        return {
            f"{names[parameter]}:{key}": torch.as_tensor(value)
            for parameter, state in self._optimiser.state.items()
            for key, value in state.items()
            if value is not None
        }

    def _restore_optimiser(self, tensors: Mapping[str, Tensor]) -> None:
        parameters: dict[str, Tensor] = dict(self._system.named_parameters())
        states: dict[Tensor, dict[str, Any]] = {}
        for name in sorted(tensors):
            tensor = tensors[name]
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
