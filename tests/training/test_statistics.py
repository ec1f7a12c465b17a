"""The running statistics of batch norms in a checkpoint: measured with its weights, of no consequence to training."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from measured_statistics import Weights, measured_directly, running_of
from safetensors.torch import load_file

from talkies.clips import open_training_clips
from talkies.library import Library
from talkies.runs import RunFolder
from talkies.training import PretrainReport, Progress, RunConfig, pretrain
from talkies.training.ema import ExponentialMovingAverage
from talkies.training.metrics import read_metrics
from talkies.training.step import Stepper
from talkies.training.train_state import build_system

pytestmark = pytest.mark.slow

Config = Callable[..., RunConfig]
TIMED = ("clips_per_second", "times_real_time", "data_wait_share")
MEASURED = ("training.steps=3", "training.checkpoint_every=2", "training.recalibration_batches=3")


class StopError(Exception):
    """What stops a run in these tests."""


def learnt(run: Path) -> list[dict[str, float]]:
    lines = read_metrics(run / "metrics.jsonl")
    return [{name: value for name, value in line.items() if name not in TIMED} for line in lines]


def weights_of(run: Path, step: int | None = None) -> Weights:
    return RunFolder(run).get_checkpoint(step).read_model_weights()


@pytest.mark.parametrize(
    "more", [(), ("training.chunk_clips=4", "transforms.video.brightness=0.4")], ids=["whole batches", "chunks"]
)
def test_a_checkpoints_statistics_are_those_of_the_next_batches_with_its_weights(
    more: tuple[str, ...], library: Library, small: Config, tmp_path: Path
) -> None:
    config = small(*MEASURED, *more)
    run = pretrain(library.root, config, tmp_path / "run").run
    for step in (2, 3):
        weights = weights_of(run, step)
        expected = measured_directly(library, config, weights, step)
        assert running_of(weights).keys() == expected.keys()
        torch.testing.assert_close(running_of(weights), expected, rtol=1e-4, atol=1e-6)


def test_the_averaged_weights_have_statistics_of_their_own(library: Library, small: Config, tmp_path: Path) -> None:
    config = small(*MEASURED, "training.ema_decay=0.9")
    run = pretrain(library.root, config, tmp_path / "run").run
    average = load_file(RunFolder(run).get_checkpoint().folder / "ema.safetensors")
    expected = measured_directly(library, config, average, 3)
    torch.testing.assert_close(running_of(average), expected, rtol=1e-4, atol=1e-6)
    own = running_of(weights_of(run))
    torch.testing.assert_close(own, measured_directly(library, config, weights_of(run), 3), rtol=1e-4, atol=1e-6)
    assert not torch.equal(own["model.video.block1.1.running_mean"], average["model.video.block1.1.running_mean"])


def test_measuring_changes_no_loss_no_weight_and_no_counter(
    whole_run: PretrainReport, library: Library, small: Config, tmp_path: Path
) -> None:
    without = pretrain(library.root, small("training.recalibration_batches=0"), tmp_path / "run").run
    assert learnt(without) == learnt(whole_run.run)
    one, other = weights_of(without), weights_of(whole_run.run)
    assert {name for name in one if not torch.equal(one[name], other[name])} == set(running_of(one))


def test_the_statistics_do_not_depend_on_the_checkpoints_before(
    whole_run: PretrainReport, library: Library, small: Config, tmp_path: Path
) -> None:
    other = pretrain(library.root, small("training.checkpoint_every=3"), tmp_path / "run")
    assert other.stamp == whole_run.stamp


def test_without_measuring_they_are_what_training_left_behind(library: Library, small: Config, tmp_path: Path) -> None:
    config = small("training.steps=1", "training.recalibration_batches=0")
    run = pretrain(library.root, config, tmp_path / "run").run
    system = build_system(config, library.profile.fps, library.profile.audio_rate_hz).train()
    training_clips = open_training_clips(library.root, config.clip, config.sampling, config.training.seed)
    batch = training_clips.source.read_batch(training_clips.plan.draw_batch(0))
    stepper = Stepper(SimpleNamespace(global_rank=0, world_size=1), None, system, None)  # type: ignore[arg-type]
    system.encode(batch, stepper.draw_augmentations(batch, 0, 0))
    torch.testing.assert_close(running_of(weights_of(run)), running_of(dict(system.state_dict())), rtol=1e-5, atol=1e-7)


def test_the_first_checkpoint_has_the_statistics_that_the_model_was_given(
    whole_run: PretrainReport, small: Config
) -> None:
    first = running_of(weights_of(whole_run.run, 0))
    assert all(torch.equal(tensor, torch.full_like(tensor, float("var" in name))) for name, tensor in first.items())


def test_a_run_may_be_resumed_with_other_settings_of_its_statistics_and_writes_the_same_losses(
    whole_run: PretrainReport, library: Library, small: Config, tmp_path: Path
) -> None:
    def stop(step: int) -> None:
        if step == 4:
            raise StopError

    first = small("training.recalibration_batches=0", "training.sync_batch_norm=false")
    with pytest.raises(StopError):
        pretrain(library.root, first, tmp_path / "run", progress=Progress(on_step=stop))
    resumed = pretrain(library.root, small(), tmp_path / "run", resume=True)
    assert resumed.stamp == whole_run.stamp
    assert learnt(resumed.run) == learnt(whole_run.run)


def test_a_model_and_its_average_swap_their_states_and_swap_them_back() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    average = ExponentialMovingAverage(model, 0.5)
    averaged = {name: tensor.clone() for name, tensor in average.state_dict().items()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    own = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with average.swap_with_model():
        torch.testing.assert_close(dict(model.state_dict()), averaged, rtol=0, atol=0)
        torch.testing.assert_close(dict(average.state_dict()), own, rtol=0, atol=0)
        model[1].running_mean.fill_(7)
    torch.testing.assert_close(dict(model.state_dict()), own, rtol=0, atol=0)
    assert average.state_dict()["1.running_mean"].tolist() == [7, 7, 7]
