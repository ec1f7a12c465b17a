"""One checkpoint of a run: its tensors and its state, in a folder of the run.

step-00000100/
  model.safetensors        the model, and what is trained with it
  optimiser.safetensors    the optimiser's state
  ema.safetensors          the moving average of the model's weights, if one is kept
  film_queue.safetensors   the momentum encoder and the keys of each film, if there is a queue
  state.json               steps done, stamp, score
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from talkies.config import Config, read_document
from talkies.core import RunError, WorkError

SCHEMA_VERSION = 2  # 2: the optimiser's state by the names of the weights
STEP_PREFIX = "step-"
MODEL_FILE, AVERAGE_FILE, _OPTIMISER_FILE = "model.safetensors", "ema.safetensors", "optimiser.safetensors"
_KEYS_FILE, _STATE_FILE = "film_queue.safetensors", "state.json"
_MODEL_PREFIX = "model."


class CheckpointState(Config):
    """What `state.json` holds: the steps done, the stamp of the weights that encode films, and their score.

    The best checkpoint is that of the highest `score`; the first has none.
    """

    schema_version: int = SCHEMA_VERSION
    step: int
    stamp: str
    score: float | None = None


class Checkpoint:
    """One checkpoint of a run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def step(self) -> int:
        """How many steps had been done."""
        return int(self.folder.name.removeprefix(STEP_PREFIX))

    def read_state(self) -> CheckpointState:
        """Return the checkpoint's state.

        Raises:
            RunError: if it is damaged, or was written by a newer version.
        """
        path, remedy = self.folder / _STATE_FILE, f"; remove {self.folder} to use the one before"
        return read_document(
            path, CheckpointState, "the state of a checkpoint", SCHEMA_VERSION, RunError, remedy=remedy
        )

    def read_model_weights(self) -> dict[str, Tensor]:
        """Return the model's tensors by name, on the CPU."""
        return self._read_tensors(MODEL_FILE)

    def read_average_weights(self) -> dict[str, Tensor] | None:
        """Return the moving average of the model's tensors by name, on the CPU; None if it was not kept."""
        return self._read_tensors(AVERAGE_FILE) if (self.folder / AVERAGE_FILE).exists() else None

    def read_encoder_weights(self) -> dict[str, Tensor]:
        """Return the tensors that encode films, by name, on the CPU: the moving average, or else the model's.

        An average has only what is trained, so the model's other tensors are with it.
        """
        average = self.read_average_weights()
        return self.read_model_weights() if average is None else self.read_model_weights() | average

    def read_optimiser_weights(self) -> dict[str, Tensor]:
        """Return the optimiser's tensors by name, on the CPU."""
        return self._read_tensors(_OPTIMISER_FILE)

    def read_keys(self) -> dict[str, Tensor] | None:
        """Return the tensors of the momentum encoder and of its keys, on the CPU; None if there was no queue."""
        return self._read_tensors(_KEYS_FILE) if (self.folder / _KEYS_FILE).exists() else None

    def _read_tensors(self, name: str) -> dict[str, Tensor]:
        try:
            return load_file(self.folder / name)
        except (OSError, SafetensorError) as error:
            raise RunError(
                f"{self.folder / name} is missing or damaged; remove {self.folder} to use the one before"
            ) from error


def write_checkpoint(
    folder: Path,
    state: CheckpointState,
    *,
    model: Mapping[str, Tensor],
    optimiser: Mapping[str, Tensor],
    average: Mapping[str, Tensor] | None,
    keys: Mapping[str, Tensor] | None = None,
) -> Checkpoint:
    """Write a checkpoint to `folder`, atomically.

    Raises:
        WorkError: if it cannot be written.
    """
    partial = folder.with_name(f".partial-{folder.name}")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        save_file(_copy_to_cpu(model), partial / MODEL_FILE)
        save_file(_copy_to_cpu(optimiser), partial / _OPTIMISER_FILE)
        if average is not None:
            save_file(_copy_to_cpu(average), partial / AVERAGE_FILE)
        if keys is not None:
            save_file(_copy_to_cpu(keys), partial / _KEYS_FILE)
        (partial / _STATE_FILE).write_text(state.model_dump_json(indent=1), encoding="utf-8")
        for path in partial.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    except (OSError, SafetensorError) as error:
        raise WorkError(
            f"checkpoint {folder} cannot be written ({error}); free disk space and continue with --resume"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Checkpoint(folder)


def select_model_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the two-tower model's tensors among those of a checkpoint, under the model's own names."""
    return {
        name.removeprefix(_MODEL_PREFIX): tensor for name, tensor in weights.items() if name.startswith(_MODEL_PREFIX)
    }


def _copy_to_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
