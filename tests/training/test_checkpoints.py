"""Which checkpoints are kept, what they restore, and which are refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric
from safetensors.torch import load_file, save_file
from torch import Tensor

from talkies.core import RunError
from talkies.library import Library
from talkies.runs import RunFolder
from talkies.training import PretrainReport, RunConfig, pretrain
from talkies.training.checkpoints import Checkpoints
from talkies.training.metrics import read_metrics
from talkies.training.train_state import TrainState, build_system

Config = Callable[..., RunConfig]
NEWEST = Path("checkpoints") / "step-00000006"


def state_of(config: RunConfig) -> TrainState:
    return TrainState(Fabric(accelerator="cpu"), build_system(config, 16, 16_000), config)


def checkpoints_of(state: TrainState, config: RunConfig, run: Path) -> Checkpoints:
    return Checkpoints(RunFolder(run), state.system, state.optimiser, state.average, config.training)


def step(state: TrainState, number: int) -> None:
    """A step on gradients that are drawn, the same for the same number."""
    generator = torch.Generator().manual_seed(number)
    for parameter in state.system.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator) if parameter.requires_grad else None
    state.wrapped_optimiser.step()
    state.update_average(number)


@pytest.mark.parametrize("best_by", ["accuracy_within_film", "accuracy_which_film", "loss", "cross_entropy"])
def test_a_checkpoints_score_is_its_number_averaged_since_the_one_before_the_higher_the_better(
    best_by: str, library: Library, small: Config, tmp_path: Path
) -> None:
    config = small(f"training.best_by={best_by}", "training.keep=9")
    report = pretrain(library.root, config, tmp_path / "run")
    lines = read_metrics(report.run / "metrics.jsonl")
    sign = 1 if best_by.startswith("accuracy") else -1
    expected = {done: sign * (lines[done - 2][best_by] + lines[done - 1][best_by]) / 2 for done in (2, 4, 6)}
    scores = {checkpoint.step: checkpoint.read_state().score for checkpoint in RunFolder(report.run).list_checkpoints()}
    assert scores == pytest.approx({0: None, **expected})
    assert report.best_step == max(expected, key=lambda done: (expected[done], -done))


def test_by_last_the_best_checkpoint_is_always_the_newest(small: Config, tmp_path: Path) -> None:
    config = small("training.best_by=last", "training.keep=1")
    state = state_of(config)
    checkpoints, run = checkpoints_of(state, config, tmp_path), RunFolder(tmp_path)
    checkpoints.save(0, {}, writes=True)
    assert run.find_best() is None, "an untrained model is not the best"
    for done in (2, 4, 6):
        checkpoints.save(done, {"loss": float(done), "accuracy_within_film": 1 / done}, writes=True)
        best = run.find_best()
        assert best is not None
        assert best.step == done
    assert [checkpoint.step for checkpoint in run.list_checkpoints()] == [0, 6]


def test_the_first_the_best_and_the_last_checkpoints_of_a_run_stay(
    library: Library, small: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = {1: 0.1, 2: 0.8, 3: 0.3, 4: 0.4, 5: 0.5, 6: 0.6}

    def score(self: Checkpoints, means: dict[str, float]) -> float | None:
        return scores[round(means["done"])] if "done" in means else None

    save = Checkpoints.save

    def saved(self: Checkpoints, done: int, means: dict[str, float], writes: bool) -> None:
        save(self, done, {**means, **({"done": done} if done else {})}, writes=writes)

    monkeypatch.setattr(Checkpoints, "_compute_score", score)
    monkeypatch.setattr(Checkpoints, "save", saved)
    report = pretrain(library.root, small("training.checkpoint_every=1"), tmp_path / "run")
    assert [checkpoint.step for checkpoint in RunFolder(report.run).list_checkpoints()] == [0, 2, 5, 6]
    assert report.best_step == 2
    again = pretrain(library.root, small("training.checkpoint_every=1"), tmp_path / "run", resume=True)
    assert again.best_step == 2


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("optimiser.kind=sgd",),
        ("optimiser.kind=sgd", "optimiser.momentum=0"),
        ("optimiser.kind=lars", "objective.learn_temperature=true"),
        ("training.ema_decay=0.5", "training.channels_last=false"),
    ],
    ids=lambda overrides: ", ".join(overrides),
)
def test_a_restored_learner_takes_the_same_next_steps(
    overrides: tuple[str, ...], small: Config, tmp_path: Path
) -> None:
    config = small(*overrides)
    first = state_of(config)
    for number in (1, 2, 3):
        step(first, number)
    before = checkpoints_of(first, config, tmp_path)
    before.save(3, {}, writes=True)
    second = state_of(config.model_copy(update={"training": config.training.model_copy(update={"seed": 1})}))
    after = checkpoints_of(second, config, tmp_path)
    assert after.compute_stamp() != before.compute_stamp()
    assert after.restore(RunFolder(tmp_path).list_checkpoints()[-1]) == 3
    assert after.compute_stamp() == before.compute_stamp()
    for number in (4, 5):
        step(first, number)
        step(second, number)
    assert after.compute_stamp() == before.compute_stamp()
    weights = second.system.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in first.system.state_dict().items())


def test_the_restored_state_lies_in_memory_as_the_weights_do(small: Config, tmp_path: Path) -> None:
    """Else each step after a resume would copy it to and fro."""
    state = state_of(small())
    step(state, 1)
    checkpoints = checkpoints_of(state, small(), tmp_path)
    checkpoints.save(1, {}, writes=True)
    again = state_of(small())
    checkpoints_of(again, small(), tmp_path).restore(RunFolder(tmp_path).list_checkpoints()[-1])
    kernel = again.system.model.video.get_parameter("block1.0.weight")
    assert kernel.is_contiguous(memory_format=torch.channels_last_3d)
    assert not kernel.is_contiguous()
    assert again.optimiser.state[kernel]["exp_avg"].stride() == kernel.stride()


def test_nothing_is_written_by_a_process_that_does_not_write(small: Config, tmp_path: Path) -> None:
    checkpoints_of(state_of(small()), small(), tmp_path).save(1, {}, writes=False)
    assert list(tmp_path.iterdir()) == []


def spoilt(run: Path, name: str, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    path = run / NEWEST / name
    save_file(change(load_file(path)), path)


def without_one(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return dict(list(tensors.items())[1:])


def with_one_more(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {**tensors, "model.video.block9.weight": torch.zeros(1)}


def of_one_number(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A shape that would be stretched over the weights without a word."""
    return {**tensors, "model.video.block1.1.weight": torch.ones(1)}


def of_other_names(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{number}.exp_avg": tensor for number, tensor in enumerate(tensors.values())}


@pytest.mark.parametrize(
    ("name", "change", "what"),
    [
        ("model.safetensors", without_one, r"it lacks model\.audio\.\S+"),
        ("model.safetensors", with_one_more, r"it also has model\.video\.block9\.weight"),
        ("model.safetensors", of_one_number, r"model\.video\.block1\.1\.weight is \[1\], not \[48\]"),
        ("optimiser.safetensors", of_other_names, r"its optimiser also has \d+\.exp_avg"),
    ],
)
def test_a_checkpoint_of_another_model_is_refused_in_a_sentence(
    name: str,
    change: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    what: str,
    whole_run: PretrainReport,
    library: Library,
    small: Config,
    tmp_path: Path,
) -> None:
    run = Path(shutil.copytree(whole_run.run, tmp_path / "run"))
    spoilt(run, name, change)
    with pytest.raises(
        RunError, match=rf"step-00000006 does not hold the state that this run's config needs \({what}\)"
    ):
        pretrain(library.root, small("training.steps=7"), run, resume=True)


@pytest.mark.parametrize("name", ["model.safetensors", "optimiser.safetensors", "state.json"])
def test_a_damaged_checkpoint_is_refused_with_the_remedy_which_works(
    name: str, whole_run: PretrainReport, library: Library, small: Config, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(whole_run.run, tmp_path / "run"))
    path = run / NEWEST / name
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(RunError, match=r"damaged; remove .*step-00000006 to use the one before"):
        pretrain(library.root, small(), run, resume=True)
    shutil.rmtree(run / NEWEST)
    assert pretrain(library.root, small(), run, resume=True).stamp == whole_run.stamp


def test_the_state_of_the_optimiser_is_kept_by_the_names_of_the_weights(whole_run: PretrainReport) -> None:
    folder = RunFolder(whole_run.run).get_checkpoint().folder
    weights, state = load_file(folder / "model.safetensors"), load_file(folder / "optimiser.safetensors")
    kinds = {"exp_avg", "exp_avg_sq", "step"}
    assert {name.rpartition(":")[2] for name in state} == kinds
    for name in {name.rpartition(":")[0] for name in state}:
        assert state[f"{name}:exp_avg"].shape == weights[name].shape
        assert state[f"{name}:step"] == 6
    assert json.loads((folder / "state.json").read_text()).keys() == {"schema_version", "step", "stamp", "score"}
