"""A run's folder: where its config, its record, its metrics and its checkpoints are stored.

RUN/
  config.yaml                     the resolved config
  run.json                        schema version, library, profile, films, tool versions
  metrics.jsonl                   one line per log step
  tensorboard/                    the same for TensorBoard
  checkpoints/step-00000100/      see `talkies.runs.checkpoint`; each is written atomically
  not_finite.json                 the batch that stopped the run, if one did
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field
from torch import Tensor

from talkies.config import Config, read_document
from talkies.core import Modality, RunError, describe_os_error
from talkies.models.public import PublicBase
from talkies.runs.checkpoint import (
    SCHEMA_VERSION,
    STEP_PREFIX,
    Checkpoint,
    CheckpointState,
    ShardedCheckpoint,
    write_checkpoint,
)
from talkies.runtime import write_atomically


class RunRecord(Config):
    """What `run.json` holds: where the clips came from, and which tools were used.

    `profile` is the library's; `plan_digest` identifies the spans that the batches were drawn from; `init` holds, for
    each tower that was given initial weights, their file and their stamp; `bases` holds where the weights of each
    public encoder came from, because a run keeps only what it learnt beside them; `recurrences_digest` identifies the
    passages that come back and are no negatives.
    """

    schema_version: int = SCHEMA_VERSION
    library: str
    profile: dict[str, int]
    films: tuple[str, ...]
    plan_digest: str = ""
    init: dict[str, str] = Field(default_factory=dict)
    bases: dict[Modality, PublicBase] = Field(default_factory=dict)
    recurrences_digest: str = ""
    tools: dict[str, str]


class RunFolder:
    """A run on disk."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config_path, self.metrics_path = root / "config.yaml", root / "metrics.jsonl"
        self.record_path = root / "run.json"
        self.tensorboard_path, self.not_finite_path = root / "tensorboard", root / "not_finite.json"

    def exists(self) -> bool:
        """Return whether a run was started here."""
        return self.config_path.is_file()

    def create(self, config_yaml: str, record: RunRecord) -> None:
        """Create the folder, with the run's config and its record.

        Raises:
            RunError: if it cannot be written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            write_atomically(self.record_path, record.model_dump_json(indent=1))
            write_atomically(self.config_path, config_yaml)
        except OSError as error:
            raise RunError(
                f"cannot create the run folder {self.root} ({describe_os_error(error)}); name one you may write to"
            ) from error

    def read_record(self) -> RunRecord:
        """Return the run's record.

        Raises:
            RunError: if there is no such run, or its record is damaged or newer than this talkies.
        """
        self.check_exists()
        path = self.record_path
        return read_document(
            path, RunRecord, "the record of a run", SCHEMA_VERSION, RunError, remedy="; name another run"
        )

    def check_exists(self) -> None:
        """Check that there is a run here.

        Raises:
            RunError: if there is none.
        """
        if not self.exists():
            what = "is not a run (it has no config.yaml)" if self.root.exists() else "does not exist"
            raise RunError(f"{self.root} {what}; make a run with: talkies pretrain --run {self.root} …")

    def list_checkpoints(self) -> list[Checkpoint]:
        """Return the checkpoints in the order of their steps."""
        folders = (self.root / "checkpoints").glob(f"{STEP_PREFIX}{'[0-9]' * 8}")
        return sorted((Checkpoint(folder) for folder in folders), key=lambda checkpoint: checkpoint.step)

    def get_checkpoint(self, step: int | None = None) -> Checkpoint:
        """Return the checkpoint of one step, or the newest.

        Raises:
            RunError: if there is no run here, or no such checkpoint.
        """
        self.check_exists()
        checkpoints = self.list_checkpoints()
        if not checkpoints:
            raise RunError(f"{self.root} has no checkpoint; train it: talkies pretrain --run {self.root} --resume …")
        if step is None:
            return checkpoints[-1]
        for checkpoint in checkpoints:
            if checkpoint.step == step:
                return checkpoint
        steps = ", ".join(str(checkpoint.step) for checkpoint in checkpoints)
        raise RunError(f"{self.root} has no checkpoint of step {step}; there are: {steps}")

    def find_best(self) -> Checkpoint | None:
        """Return the checkpoint of the highest score, the earlier of two equal ones; None if none has a score."""
        best, best_score = None, float("-inf")
        for checkpoint in self.list_checkpoints():
            score = checkpoint.read_state().score
            if score is not None and (best is None or score > best_score):
                best, best_score = checkpoint, score
        return best

    def save(
        self,
        state: CheckpointState,
        model: Mapping[str, Tensor],
        optimiser: Mapping[str, Tensor],
        average: Mapping[str, Tensor] | None = None,
        keys: Mapping[str, Tensor] | None = None,
    ) -> Checkpoint:
        """Write a checkpoint, atomically.

        Args:
            state: The step, and the stamp and score of its weights.
            model: The model's tensors by name, and those trained with it.
            optimiser: The optimiser's tensors by name.
            average: The moving average of the model's tensors, if one is kept.
            keys: The tensors of the momentum encoder and of its keys, if there is a queue.

        Raises:
            WorkError: if it cannot be written.
        """
        return write_checkpoint(
            self._locate(state.step), state, model=model, optimiser=optimiser, average=average, keys=keys
        )

    def start_sharded(self, step: int, shard: int, shards: int) -> ShardedCheckpoint:
        """Return the checkpoint of a step, to be written by `shards` processes, of which this one is `shard`."""
        return ShardedCheckpoint(self._locate(step), shard, shards)

    def _locate(self, step: int) -> Path:
        return self.root / "checkpoints" / f"{STEP_PREFIX}{step:08d}"

    def remove_old(self, newest: int) -> None:
        """Remove all checkpoints except the first (the untrained model), the `newest` last ones, and the best."""
        best = self.find_best()
        for checkpoint in self.list_checkpoints()[1:-newest]:
            if best is None or checkpoint.step != best.step:
                shutil.rmtree(checkpoint.folder, ignore_errors=True)
