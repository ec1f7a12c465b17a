"""Where else the numbers of a run go, by name: TensorBoard, Weights & Biases, MLflow."""

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
    """What a tracker begins with: the run, the step that it goes on after (0: none yet), and the run's config."""

    run: RunFolder
    after_step: int
    config: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return self.run.root.absolute().name

    @property
    def number(self) -> str:
        """Sixteen hexadecimal digits that stay when the run goes on, and that no other folder has."""
        return blake2b(str(self.run.root.absolute()).encode(), digest_size=8).hexdigest()


class Tracker(Protocol):
    """Is told the numbers of a step."""

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        """Keep the numbers of a step."""

    def close(self, failed: bool) -> None:
        """Keep no more; the run is done, or has `failed`."""


class _TensorBoard:
    def __init__(self, begun: TrackedRun) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TensorBoard's own imports warn of their own future
            from torch.utils.tensorboard.writer import SummaryWriter
        self._board = SummaryWriter(str(begun.run.tensorboard_path), purge_step=begun.after_step + 1)

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        for name, value in numbers.items():
            self._board.add_scalar(name, value, step)

    def close(self, failed: bool) -> None:  # noqa: ARG002
        self._board.close()


class _WeightsAndBiases:
    """One run of the project `talkies`, named after the folder; the settings are W&B's own (`WANDB_MODE` and so on)."""

    def __init__(self, begun: TrackedRun) -> None:
        import wandb

        with _failing_as("W&B", wandb.Error):
            self._run = wandb.init(
                project="talkies",
                name=begun.name,
                id=begun.number,
                dir=str(begun.run.root),
                config=dict(begun.config),
                resume="allow",
            )

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        self._run.log(dict(numbers), step=step)

    def close(self, failed: bool) -> None:
        self._run.finish(exit_code=int(failed))


class _MlFlow:
    """One run of the experiment `talkies`, named after the folder; it goes where `MLFLOW_TRACKING_URI` says."""

    def __init__(self, begun: TrackedRun) -> None:
        from mlflow.exceptions import MlflowException

        self._faults = (MlflowException, ImportError)  # ImportError: what a store of its own, as SQLite, needs
        with _failing_as("MLflow", *self._faults):
            self._begin(begun)

    def _begin(self, begun: TrackedRun) -> None:
        import mlflow

        self._client = mlflow.MlflowClient()
        experiment = self._client.get_experiment_by_name("talkies")
        number = experiment.experiment_id if experiment else self._client.create_experiment("talkies")
        before = self._client.search_runs([number], f"tags.talkies_run = '{begun.number}'", max_results=1)
        if before:
            self._run_id = before[0].info.run_id
            self._client.update_run(self._run_id, status="RUNNING")
            return
        tags = {"talkies_run": begun.number}
        self._run_id = self._client.create_run(number, tags=tags, run_name=begun.name).info.run_id
        for key, value in _flat(begun.config).items():
            self._client.log_param(self._run_id, key, value)

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = round(time.time() * 1000)  # in one request, for a server may be far away
        with _failing_as("MLflow", *self._faults):
            self._client.log_batch(self._run_id, [Metric(name, value, now, step) for name, value in numbers.items()])

    def close(self, failed: bool) -> None:
        with _failing_as("MLflow", *self._faults):
            self._client.set_terminated(self._run_id, "FAILED" if failed else "FINISHED")


TRACKERS: dict[str, Callable[[TrackedRun], Tracker]] = {
    "tensorboard": _TensorBoard,
    "wandb": _WeightsAndBiases,
    "mlflow": _MlFlow,
}


def check_trackers(names: tuple[str, ...]) -> None:
    """Do nothing if all these trackers are installed.

    Raises:
        ConfigError: if one is not.
    """
    for name in names:
        if name in _EXTRAS and find_spec(name) is None:
            raise ConfigError(
                f"training.trackers has {name}, which is not installed; pip install 'talkies[{name}]', or leave it out"
            )


@contextmanager
def _failing_as(name: str, *faults: type[Exception]) -> Iterator[None]:
    try:
        yield
    except faults as error:
        cause = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise WorkError(
            f"{name} cannot be told of this run ({cause}); see to its settings and go on with --resume, or leave it "
            f"out of training.trackers"
        ) from error


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
