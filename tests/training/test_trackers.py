"""What trackers receive from a run: TensorBoard itself, and the others through modules that record their calls."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from disturbed_training import Disturbance, disturbed

from talkies.core import WorkError
from talkies.library import Library
from talkies.runs import RunFolder
from talkies.training import RunConfig, pretrain
from talkies.training.metrics import read_metrics
from talkies.training.trackers import TRACKERS, TrackedRun

Config = Callable[..., RunConfig]


class RefusalError(Exception):
    """What these modules raise."""


@dataclass
class Heard:
    """All that a module was told, in order."""

    begun: list[dict[str, Any]] = field(default_factory=list)
    lines: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    ended: list[Any] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)
    refuses: bool = False


def module(name: str, **contents: Any) -> ModuleType:
    made = ModuleType(name)
    made.__spec__ = ModuleSpec(name, None)
    vars(made).update(contents)
    return made


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> Heard:
    heard = Heard()

    def init(**values: Any) -> SimpleNamespace:
        if heard.refuses:
            raise RefusalError("no key.\nmore of it")
        heard.begun.append(values)
        return SimpleNamespace(
            log=lambda numbers, step: heard.lines.append((step, numbers)),
            finish=lambda exit_code: heard.ended.append(exit_code),
        )

    monkeypatch.setitem(sys.modules, "wandb", module("wandb", init=init, Error=RefusalError))
    return heard


class Client:
    """MLflow's, as far as it is used: one experiment and its runs."""

    heard: Heard
    names: list[str]

    def get_experiment_by_name(self, name: str) -> SimpleNamespace | None:
        if self.heard.refuses:
            raise RefusalError("no server")
        return SimpleNamespace(experiment_id="7") if name in self.names else None

    def create_experiment(self, name: str) -> str:
        self.names.append(name)
        return "7"

    def search_runs(self, experiments: Sequence[str], query: str, max_results: int) -> list[SimpleNamespace]:
        found = [run for run in self.heard.begun if query == f"tags.talkies_run = '{run['tags']['talkies_run']}'"]
        return [SimpleNamespace(info=SimpleNamespace(run_id=run["id"])) for run in found[:max_results]]

    def create_run(self, experiment: str, tags: Mapping[str, str], run_name: str) -> SimpleNamespace:
        self.heard.begun.append({"id": f"run {len(self.heard.begun)}", "tags": tags, "name": run_name})
        return SimpleNamespace(info=SimpleNamespace(run_id=self.heard.begun[-1]["id"]))

    def update_run(self, run_id: str, status: str) -> None:
        self.heard.ended.append((run_id, status))

    def log_param(self, run_id: str, key: str, value: Any) -> None:
        assert key not in self.heard.params, "a parameter is told once"
        self.heard.params[key] = value

    def log_batch(self, run_id: str, metrics: Sequence[tuple[str, float, int, int]]) -> None:
        assert run_id == "run 0"
        (step,) = {step for _, _, _, step in metrics}
        self.heard.lines.append((step, {name: value for name, value, _, _ in metrics}))

    def set_terminated(self, run_id: str, status: str) -> None:
        self.heard.ended.append((run_id, status))


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Heard:
    heard = Heard()
    monkeypatch.setattr(Client, "heard", heard, raising=False)
    monkeypatch.setattr(Client, "names", [], raising=False)
    modules = {
        "mlflow": module("mlflow", MlflowClient=Client),
        "mlflow.exceptions": module("mlflow.exceptions", MlflowException=RefusalError),
        "mlflow.entities": module("mlflow.entities", Metric=lambda *values: values),
    }
    for name, made in modules.items():
        monkeypatch.setitem(sys.modules, name, made)
    return heard


def numbers_of(run: Path) -> list[tuple[int, dict[str, float]]]:
    lines = read_metrics(run / "metrics.jsonl")
    return [(int(line["step"]), {name: value for name, value in line.items() if name != "step"}) for line in lines]


def test_weights_and_biases_is_told_the_config_and_every_line(
    wandb: Heard, library: Library, small: Config, tmp_path: Path
) -> None:
    config = small("training.steps=3", "training.trackers=[wandb]")
    pretrain(library.root, config, tmp_path / "run")
    (begun,) = wandb.begun
    assert begun["config"] == config.model_dump(mode="json")
    assert (begun["project"], begun["name"], begun["dir"]) == ("talkies", "run", str(tmp_path / "run"))
    assert wandb.lines == numbers_of(tmp_path / "run")
    assert [step for step, _ in wandb.lines] == [1, 2, 3]
    assert wandb.ended == [0]
    assert not (tmp_path / "run" / "tensorboard").exists()


def test_a_run_that_fails_and_goes_on_is_one_run_of_weights_and_biases(
    wandb: Heard, library: Library, small: Config, tmp_path: Path
) -> None:
    config = small("training.trackers=[wandb]")
    with pytest.raises(WorkError, match="the loss of step 4"):
        disturbed(library.root, config, tmp_path / "run", Disturbance(broken_at=4))
    pretrain(library.root, config, tmp_path / "run", resume=True)
    pretrain(library.root, config, tmp_path / "elsewhere" / "run")
    first, again, other = wandb.begun
    assert first["id"] == again["id"] != other["id"]
    assert first["resume"] == again["resume"] == "allow"
    assert [step for step, _ in wandb.lines] == [1, 2, 3, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6]
    assert wandb.ended == [1, 0, 0]


def test_mlflow_is_told_the_config_and_every_line(
    mlflow: Heard, library: Library, small: Config, tmp_path: Path
) -> None:
    config = small("training.steps=3", "training.trackers=[mlflow]")
    pretrain(library.root, config, tmp_path / "run")
    assert Client.names == ["talkies"]
    assert [begun["name"] for begun in mlflow.begun] == ["run"]
    assert mlflow.params["training.steps"] == 3
    assert mlflow.params["sampling.clips_per_film"] == 4
    assert mlflow.params["transforms.video.size"] == 32
    assert mlflow.lines == numbers_of(tmp_path / "run")
    assert mlflow.ended == [("run 0", "FINISHED")]


def test_a_run_that_fails_and_goes_on_is_one_run_of_mlflow(
    mlflow: Heard, library: Library, small: Config, tmp_path: Path
) -> None:
    config = small("training.trackers=[mlflow]")
    with pytest.raises(WorkError, match="the loss of step 4"):
        disturbed(library.root, config, tmp_path / "run", Disturbance(broken_at=4))
    pretrain(library.root, config, tmp_path / "run", resume=True)
    assert len(mlflow.begun) == 1
    assert [step for step, _ in mlflow.lines] == [1, 2, 3, 3, 4, 5, 6]
    assert mlflow.ended == [("run 0", "FAILED"), ("run 0", "RUNNING"), ("run 0", "FINISHED")]


@pytest.mark.parametrize(("name", "called"), [("wandb", "W&B"), ("mlflow", "MLflow")])
def test_a_tracker_that_cannot_be_told_stops_the_run_with_a_sentence(
    name: str, called: str, request: pytest.FixtureRequest, library: Library, small: Config, tmp_path: Path
) -> None:
    request.getfixturevalue(name).refuses = True
    sentence = rf"^{called} failed to log this run \(no (key|server)\); correct its settings and continue with --resume"
    with pytest.raises(WorkError, match=sentence):
        pretrain(library.root, small("training.steps=1", f"training.trackers=[{name}]"), tmp_path / "run")


def test_all_trackers_are_told_the_same(
    wandb: Heard, mlflow: Heard, library: Library, small: Config, tmp_path: Path
) -> None:
    every = "training.trackers=[tensorboard, wandb, mlflow]"
    pretrain(library.root, small("training.steps=2", every), tmp_path / "run")
    assert wandb.lines == mlflow.lines == numbers_of(tmp_path / "run")
    (events,) = (tmp_path / "run" / "tensorboard").iterdir()
    assert events.stat().st_size > 1000


def test_without_trackers_the_metrics_are_written_all_the_same(library: Library, small: Config, tmp_path: Path) -> None:
    pretrain(library.root, small("training.steps=2", "training.trackers=[]"), tmp_path / "run")
    assert [step for step, _ in numbers_of(tmp_path / "run")] == [1, 2]
    assert not (tmp_path / "run" / "tensorboard").exists()


def test_a_runs_number_is_made_of_where_it_lies_alone_and_its_name_may_be_any(tmp_path: Path) -> None:
    def begun(root: Path, after: int) -> TrackedRun:
        return TrackedRun(RunFolder(root), after, {})

    numbers = {begun(tmp_path / name, after).identifier for name in ("it's a#b", "50% / c") for after in (0, 4)}
    assert len(numbers) == 2
    assert all(number.isalnum() and len(number) == 16 for number in numbers)
    assert begun(Path(), 0).name == Path.cwd().name
    assert set(TRACKERS) == {"tensorboard", "wandb", "mlflow"}
