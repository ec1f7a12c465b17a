"""Where else the numbers of a run go, by name: TensorBoard, Weights & Biases, MLflow."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from importlib.util import find_spec
from typing import Any, Protocol

from talkies.core import ConfigError
from talkies.models import RunFolder

_EXTRAS = ("wandb", "mlflow")


@dataclass(frozen=True, slots=True)
class Begun:
    """What a tracker begins with: the run, the step that it goes on after (0: none yet), and the run's config."""

    run: RunFolder
    after_step: int
    config: Mapping[str, Any]

    @property
    def name(self) -> str:
        """A name for the run that another folder of the same name does not have."""
        root = self.run.root
        return f"{root.name}-{blake2b(str(root.absolute()).encode(), digest_size=4).hexdigest()}"


class Tracker(Protocol):
    """Is told the numbers of a step."""

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        """Keep the numbers of a step."""

    def close(self) -> None:
        """Keep no more."""


class _TensorBoard:
    def __init__(self, begun: Begun) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TensorBoard's own imports warn of their own future
            from torch.utils.tensorboard.writer import SummaryWriter
        self._board = SummaryWriter(str(begun.run.tensorboard_path), purge_step=begun.after_step + 1)

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        for name, value in numbers.items():
            self._board.add_scalar(name, value, step)

    def close(self) -> None:
        self._board.close()


class _WeightsAndBiases:
    """One run of the project `talkies`, named after the folder; the settings are W&B's own (`WANDB_MODE` and so on)."""

    def __init__(self, begun: Begun) -> None:
        import wandb

        self._run = wandb.init(
            project="talkies",
            name=begun.run.root.name,
            id=begun.name,
            dir=begun.run.root,
            config=dict(begun.config),
            resume="allow",
        )

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        self._run.log(dict(numbers), step=step)

    def close(self) -> None:
        self._run.finish()


class _MlFlow:
    """One run of the experiment `talkies`, named after the folder; it goes where `MLFLOW_TRACKING_URI` says."""

    def __init__(self, begun: Begun) -> None:
        import mlflow

        self._client = mlflow.MlflowClient()
        experiment = self._client.get_experiment_by_name("talkies")
        number = experiment.experiment_id if experiment else self._client.create_experiment("talkies")
        before = self._client.search_runs([number], f"tags.talkies_run = '{begun.name}'", max_results=1)
        found = before[0] if before else self._client.create_run(number, run_name=begun.run.root.name)
        self._run_id = found.info.run_id
        self._client.set_tag(self._run_id, "talkies_run", begun.name)
        if not before:
            for key, value in _flat(begun.config).items():
                self._client.log_param(self._run_id, key, value)

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        for name, value in numbers.items():
            self._client.log_metric(self._run_id, name, value, step=step)

    def close(self) -> None:
        self._client.set_terminated(self._run_id)


TRACKERS: dict[str, Callable[[Begun], Tracker]] = {
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


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
