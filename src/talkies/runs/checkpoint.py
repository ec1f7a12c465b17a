"""One checkpoint of a run: its tensors and its state, in a folder of the run.

step-00000100/
  model.safetensors        the model, and what is trained with it
  optimiser.safetensors    the optimiser's state
  ema.safetensors          the moving average of the model's weights, if one is kept
  film_queue.safetensors   the momentum encoder and the keys of each film, if there is a queue
  state.json               steps done, stamp, score

With sharded training (FSDP) on several processes, each of the first three is sharded: see `talkies.runs.saved_tensors`.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from talkies.config import Config, read_document
from talkies.core import RunError, WorkError
from talkies.runs.saved_tensors import SavedTensors, find_tensors, get_shard_path, open_tensors, save_shard, write_index

SCHEMA_VERSION = 2  # 2: the optimiser's state by the names of the weights
SHARDED_VERSION = 3  # 3: weights and states in shards
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
            path, CheckpointState, "the state of a checkpoint", SHARDED_VERSION, RunError, remedy=remedy
        )

    def read_model_weights(self) -> dict[str, Tensor]:
        """Return the model's tensors by name, on the CPU."""
        return self._read_tensors(MODEL_FILE)

    def read_average_weights(self) -> dict[str, Tensor] | None:
        """Return the moving average of the model's tensors by name, on the CPU; None if it was not kept."""
        return self._read_tensors(AVERAGE_FILE) if self._has(AVERAGE_FILE) else None

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
        return self._read_tensors(_KEYS_FILE) if self._has(_KEYS_FILE) else None

    def open_model_weights(self) -> SavedTensors:
        """Return the model's tensors by name, each read when it is asked for."""
        return open_tensors(find_tensors(self.folder, MODEL_FILE))

    def open_average_weights(self) -> SavedTensors | None:
        """Return the moving average of the model's tensors, each read when it is asked for; None if it was not kept."""
        return open_tensors(find_tensors(self.folder, AVERAGE_FILE)) if self._has(AVERAGE_FILE) else None

    def open_optimiser_weights(self) -> SavedTensors:
        """Return the optimiser's tensors by name, each read when it is asked for."""
        return open_tensors(find_tensors(self.folder, _OPTIMISER_FILE))

    def find_encoder_file(self) -> Path:
        """Return the file, or the index of the files, of the average of the weights, or else of the model's."""
        return find_tensors(self.folder, AVERAGE_FILE if self._has(AVERAGE_FILE) else MODEL_FILE)

    def _has(self, name: str) -> bool:
        return find_tensors(self.folder, name).exists()

    def _read_tensors(self, name: str) -> dict[str, Tensor]:
        path = find_tensors(self.folder, name)
        if path.name != name:
            return dict(open_tensors(path))
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise RunError(f"{path} is missing or damaged; remove {self.folder} to use the one before") from error


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
    partial = _get_partial(folder)
    try:
        with _explain_unwritable(folder):
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            save_file(_copy_to_cpu(model), partial / MODEL_FILE)
            save_file(_copy_to_cpu(optimiser), partial / _OPTIMISER_FILE)
            if average is not None:
                save_file(_copy_to_cpu(average), partial / AVERAGE_FILE)
            if keys is not None:
                save_file(_copy_to_cpu(keys), partial / _KEYS_FILE)
            _finish(folder, state)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Checkpoint(folder)


class ShardedCheckpoint:
    """A checkpoint that several processes write together, each its shard of every file, and that appears at once.

    All ranks must call these methods in this order, and wait for each other after `begin` and before `finish`.
    """

    def __init__(self, folder: Path, shard: int, shards: int) -> None:
        """Prepare the checkpoint `folder`, as writer `shard` (from 0) of `shards`."""
        self._folder, self._shard, self._shards = folder, shard, shards
        self._partial = _get_partial(folder)
        self._names: list[str] = []

    def begin(self) -> None:
        """Make room for the shards; only the first rank does."""
        if self._shard == 0:
            with _explain_unwritable(self._folder):
                shutil.rmtree(self._partial, ignore_errors=True)
                self._partial.mkdir(parents=True)

    def write_model(self, tensors: Mapping[str, Tensor]) -> None:
        """Write this rank's shard of the model's tensors, which are on the CPU."""
        self._write(MODEL_FILE, tensors)

    def write_average(self, tensors: Mapping[str, Tensor]) -> None:
        """Write this rank's shard of the moving average."""
        self._write(AVERAGE_FILE, tensors)

    def write_optimiser(self, tensors: Mapping[str, Tensor]) -> None:
        """Write this rank's shard of the optimiser's tensors."""
        self._write(_OPTIMISER_FILE, tensors)

    def finish(self, state: CheckpointState) -> None:
        """Put the checkpoint in its place when all shards are there; only the first rank does.

        Raises:
            WorkError: if it cannot be written, or the shard of another rank cannot be seen from here.
        """
        if self._shard != 0:
            return
        try:
            paths = [self._partial / name for name in self._names]
            for path in paths:
                self._check_all_there(path)
            with _explain_unwritable(self._folder):
                for path in paths:
                    write_index(path, self._shards)
                _finish(self._folder, state.model_copy(update={"schema_version": SHARDED_VERSION}))
        finally:
            shutil.rmtree(self._partial, ignore_errors=True)

    def _write(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        self._names.append(name)
        with _explain_unwritable(self._folder):
            save_shard(tensors, self._partial / name, self._shard, self._shards)

    def _check_all_there(self, path: Path) -> None:
        for shard in range(self._shards):
            if not get_shard_path(path, shard, self._shards).is_file():
                raise WorkError(
                    f"checkpoint {self._folder} lacks what process {shard + 1} of {self._shards} wrote; put the run on "
                    f"a file system that all machines share, under the same path"
                )


def _get_partial(folder: Path) -> Path:
    return folder.with_name(f".partial-{folder.name}")


def _finish(folder: Path, state: CheckpointState) -> None:
    """Write the state of a checkpoint whose other files are there, flush them, and put it in its place."""
    partial = _get_partial(folder)
    (partial / _STATE_FILE).write_text(state.model_dump_json(indent=1), encoding="utf-8")
    for path in partial.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


@contextmanager
def _explain_unwritable(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise WorkError(
            f"checkpoint {folder} cannot be written ({error}); free disk space and continue with --resume"
        ) from error


def select_model_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the two-tower model's tensors among those of a checkpoint, under the model's own names."""
    return {
        name.removeprefix(_MODEL_PREFIX): tensor for name, tensor in weights.items() if name.startswith(_MODEL_PREFIX)
    }


def _copy_to_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
