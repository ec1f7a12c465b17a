"""Trackers that also receive the numbers of a run, by name: TensorBoard, Weights & Biases, MLflow."""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from importlib.util import find_spec
from typing import Any, Protocol

from talkies.core import ConfigError, WorkError
from talkies.runs import RunFolder

_EXTRAS = ("wandb", "mlflow")


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """What a tracker starts from: the run, the number of steps already done, and the run's config."""

    run: RunFolder
    after_step: int
    config: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return self.run.root.absolute().name

    @property
    def identifier(self) -> str:
        """Sixteen hexadecimal digits that identify the run's folder, so that a resumed run keeps them."""
        return blake2b(str(self.run.root.absolute()).encode(), digest_size=8).hexdigest()


class Tracker(Protocol):
    """Receives the numbers of each logged step."""

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        """Record the numbers of a step."""

    def close(self, failed: bool) -> None:
        """Finish: the run is done, or has `failed`."""


class _TensorBoard:
    """Event files in the run's folder."""

    def __init__(self, tracked: TrackedRun) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TensorBoard's own imports emit deprecation warnings
            from torch.utils.tensorboard.writer import SummaryWriter
        self._board = SummaryWriter(str(tracked.run.tensorboard_path), purge_step=tracked.after_step + 1)

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        for name, value in numbers.items():
            self._board.add_scalar(name, value, step)

    def close(self, failed: bool) -> None:  # noqa: ARG002
        self._board.close()


class _WeightsAndBiases:
    """One run of the W&B project `talkies`, named after the folder; set W&B up with `WANDB_MODE` and so on."""

    def __init__(self, tracked: TrackedRun) -> None:
        import wandb

        with _explain_failure("W&B", wandb.Error):
            self._run = wandb.init(
                project="talkies",
                name=tracked.name,
                id=tracked.identifier,
                dir=str(tracked.run.root),
                config=dict(tracked.config),
                resume="allow",
            )

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        self._run.log(dict(numbers), step=step)

    def close(self, failed: bool) -> None:
        self._run.finish(exit_code=int(failed))


class _MlFlow:
    """One run of the MLflow experiment `talkies`, named after the folder, at `MLFLOW_TRACKING_URI`."""

    def __init__(self, tracked: TrackedRun) -> None:
        from mlflow.exceptions import MlflowException

        self._errors = (MlflowException, ImportError)  # ImportError: packages that a local store such as SQLite needs
        with _explain_failure("MLflow", *self._errors):
            self._open_run(tracked)

    def _open_run(self, tracked: TrackedRun) -> None:
        import mlflow

        self._client = mlflow.MlflowClient()
        experiment = self._client.get_experiment_by_name("talkies")
        experiment_id = experiment.experiment_id if experiment else self._client.create_experiment("talkies")

        # Continue the run of this folder if MLflow has it.
        query = f"tags.talkies_run = '{tracked.identifier}'"
        existing = self._client.search_runs([experiment_id], query, max_results=1)
        if existing:
            self._run_id = existing[0].info.run_id
            self._client.update_run(self._run_id, status="RUNNING")
            return

        # Otherwise create one with the config as its parameters.
        tags = {"talkies_run": tracked.identifier}
        self._run_id = self._client.create_run(experiment_id, tags=tags, run_name=tracked.name).info.run_id
        for key, value in _flatten(tracked.config).items():
            self._client.log_param(self._run_id, key, value)

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now_ms = round(time.time() * 1000)
        metrics = [Metric(name, value, now_ms, step) for name, value in numbers.items()]
        with _explain_failure("MLflow", *self._errors):
            self._client.log_batch(self._run_id, metrics)  # one request, because a server may be far away

    def close(self, failed: bool) -> None:
        with _explain_failure("MLflow", *self._errors):
            self._client.set_terminated(self._run_id, "FAILED" if failed else "FINISHED")


TRACKERS: dict[str, Callable[[TrackedRun], Tracker]] = {
    "tensorboard": _TensorBoard,
    "wandb": _WeightsAndBiases,
    "mlflow": _MlFlow,
}


def check_trackers(names: tuple[str, ...]) -> None:
    """Check that all these trackers are installed.

    Raises:
        ConfigError: if one is not.
    """
    for name in names:
        if name in _EXTRAS and find_spec(name) is None:
            raise ConfigError(
                f"training.trackers has {name}, which is not installed; pip install 'talkies[{name}]', or leave it out"
            )


@contextmanager
def _explain_failure(tracker: str, *errors: type[Exception]) -> Iterator[None]:
    """Within the block, raise a WorkError with the cause for any of a tracker's own `errors`."""
    try:
        yield
    except errors as error:
        cause = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise WorkError(
            f"{tracker} failed to log this run ({cause}); correct its settings and continue with --resume, or leave it "
            f"out of training.trackers"
        ) from error


def _flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of a nested config by their dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        flat |= _flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
