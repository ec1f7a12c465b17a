"""A run's folder: where its config, its record and its weights lie.

RUN/
  config.yaml                     the resolved config
  run.json                        schema version, library, profile, films, tool versions
  metrics.jsonl                   one line a log step
  tensorboard/                    the same for TensorBoard
  checkpoints/step-00000100/      model.safetensors, optimiser.safetensors, state.json, and where weights are averaged
                                  ema.safetensors: there whole or not at all
  not_finite.json                 the batch that stopped it, if one did
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from talkies.config import Config, read_document
from talkies.core import RunError, WorkError, describe_os_error
from talkies.runtime import write_atomically

SCHEMA_VERSION = 2  # 2: the optimiser's state by the names of the weights
_STEP = "step-"


class RunRecord(Config):
    """What `run.json` holds: where the clips came from (`profile` is the library's), and which tools were used.

    `init` says which weights each tower began with, where it was given some: the file, and the stamp of what was read.

    `plan_digest` tells whether the films' spans are still those that the batches were drawn from.
    """

    schema_version: int = SCHEMA_VERSION
    library: str
    profile: dict[str, int]
    films: tuple[str, ...]
    plan_digest: str = ""
    init: dict[str, str] = Field(default_factory=dict)
    tools: dict[str, str]


class CheckpointState(Config):
    """What `state.json` holds: steps done, the stamp of the weights that encode films, and how good they seemed.

    `score` is what the best checkpoint is known by, the higher the better; the first has none.
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
        return int(self.folder.name.removeprefix(_STEP))

    def state(self) -> CheckpointState:
        """Return its state.

        Raises:
            RunError: if it is damaged, or was written by a newer version.
        """
        path, remedy = self.folder / "state.json", f"; remove {self.folder} to use the one before"
        return read_document(path, CheckpointState, "the state of a checkpoint", SCHEMA_VERSION, RunError, remedy=remedy)

    def read_model_weights(self) -> dict[str, Tensor]:
        """Return the model's tensors by name, on the CPU."""
        return self._load("model.safetensors")

    def read_average_weights(self) -> dict[str, Tensor] | None:
        """Return the moving average of the model's tensors by name, on the CPU, if one was kept."""
        return self._load("ema.safetensors") if (self.folder / "ema.safetensors").exists() else None

    def encoder_weights(self) -> dict[str, Tensor]:
        """Return what encodes films, by name, on the CPU: the average where one was kept, or the model's tensors."""
        return self.read_average_weights() or self.read_model_weights()

    def read_optimiser_weights(self) -> dict[str, Tensor]:
        """Return the optimiser's tensors by name, on the CPU."""
        return self._load("optimiser.safetensors")

    def _load(self, name: str) -> dict[str, Tensor]:
        try:
            return load_file(self.folder / name)
        except (OSError, SafetensorError) as error:
            raise RunError(
                f"{self.folder / name} is missing or damaged; remove {self.folder} to use the one before"
            ) from error


class RunFolder:
    """A run on disk."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config_path, self.metrics_path = root / "config.yaml", root / "metrics.jsonl"
        self.tensorboard_path, self.not_finite_path = root / "tensorboard", root / "not_finite.json"

    def exists(self) -> bool:
        """Return whether a run was begun here."""
        return self.config_path.is_file()

    def begin(self, config_yaml: str, record: RunRecord) -> None:
        """Make the folder, with its config and its record.

        Raises:
            RunError: if it cannot be written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            write_atomically(self.root / "run.json", record.model_dump_json(indent=1))
            write_atomically(self.config_path, config_yaml)
        except OSError as error:
            raise RunError(
                f"{self.root} cannot be made a run's folder ({describe_os_error(error)}); name one you may write"
            ) from error

    def record(self) -> RunRecord:
        """Return the run's record.

        Raises:
            RunError: if there is no such run, or its record is damaged or newer than this talkies.
        """
        self.check_exists()
        path, remedy = self.root / "run.json", "; name another run"
        return read_document(path, RunRecord, "the record of a run", SCHEMA_VERSION, RunError, remedy=remedy)

    def check_exists(self) -> None:
        """Do nothing if there is a run here.

        Raises:
            RunError: if there is none.
        """
        if not self.exists():
            what = "is not a run (it has no config.yaml)" if self.root.exists() else "does not exist"
            raise RunError(f"{self.root} {what}; make a run with: talkies pretrain --run {self.root} …")

    def checkpoints(self) -> list[Checkpoint]:
        """Return the checkpoints in the order of their steps."""
        folder = self.root / "checkpoints"
        return sorted(
            (Checkpoint(path) for path in folder.glob(f"{_STEP}{'[0-9]' * 8}")), key=lambda checkpoint: checkpoint.step
        )

    def checkpoint(self, step: int | None = None) -> Checkpoint:
        """Return the checkpoint of one step, or the newest.

        Raises:
            RunError: if there is no run here, or no such checkpoint.
        """
        self.check_exists()
        found = self.list_checkpoints()
        if not found:
            raise RunError(f"{self.root} has no checkpoint; train it: talkies pretrain --run {self.root} --resume …")
        if step is None:
            return found[-1]
        for checkpoint in found:
            if checkpoint.step == step:
                return checkpoint
        steps = ", ".join(str(checkpoint.step) for checkpoint in found)
        raise RunError(f"{self.root} has no checkpoint of step {step}; there are: {steps}")

    def best(self) -> Checkpoint | None:
        """Return the checkpoint of the highest score, the earlier of two alike, if any has one."""
        scores = [
            (state.score, -each.step, each) for each in self.list_checkpoints() if (state := each.read_state()).score is not None
        ]
        return max(scores)[2] if scores else None

    def save(
        self,
        state: CheckpointState,
        model: Mapping[str, Tensor],
        optimiser: Mapping[str, Tensor],
        average: Mapping[str, Tensor] | None = None,
    ) -> Checkpoint:
        """Write a checkpoint; it is there whole or not at all."""
        folder = self.root / "checkpoints" / f"{_STEP}{state.step:08d}"
        partial = folder.with_name(f".partial-{folder.name}")
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            save_file(_plain(model), partial / "model.safetensors")
            save_file(_plain(optimiser), partial / "optimiser.safetensors")
            if average is not None:
                save_file(_plain(average), partial / "ema.safetensors")
            (partial / "state.json").write_text(state.model_dump_json(indent=1), encoding="utf-8")
            for file in partial.iterdir():
                with file.open("rb") as opened:
                    os.fsync(opened.fileno())
            shutil.rmtree(folder, ignore_errors=True)
            partial.rename(folder)
        except (OSError, SafetensorError) as error:
            raise WorkError(
                f"checkpoint {folder} cannot be written ({error}); make room and go on with --resume"
            ) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return Checkpoint(folder)

    def keep(self, newest: int) -> None:
        """Remove all checkpoints but the first (the untrained model), the `newest` last ones, and the best."""
        best = self.find_best()
        for checkpoint in self.list_checkpoints()[1:-newest]:
            if best is None or checkpoint.step != best.step:
                shutil.rmtree(checkpoint.folder, ignore_errors=True)


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
