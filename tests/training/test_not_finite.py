"""A loss or gradient that is not finite: the weights stay, the batch is recorded, and the run can be resumed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from disturbed_training import Disturbance, disturbed

from talkies.clips import open_training_clips
from talkies.core import WorkError
from talkies.library import Library
from talkies.runs import RunFolder
from talkies.training import PretrainReport, RunConfig, pretrain
from talkies.training.metrics import read_metrics
from talkies.training.system import ContrastiveSystem

Config = Callable[..., RunConfig]
TIMED = ("clips_per_second", "times_real_time", "data_wait_share")
EACH_STEP = ("training.checkpoint_every=1", "training.keep=9")


def learnt(run: Path) -> list[dict[str, float]]:
    return [
        {name: value for name, value in line.items() if name not in TIMED}
        for line in read_metrics(run / "metrics.jsonl")
    ]


def planned(library: Library, config: RunConfig, step: int) -> list[dict[str, Any]]:
    """What the report of a step (from 1) has to hold, of the plan alone."""
    plan = open_training_clips(library.root, config.clip, config.sampling, config.training.seed).plan
    return [
        {
            "film": request.film_id,
            "start_frame": request.window.start_frame,
            "end_frame": request.window.end_frame,
            "sound_shift_frames": request.audio_shift_frames,
            "place": request.place,
        }
        for request in plan.draw_batch(step - 1)
    ]


def test_a_loss_that_is_not_a_number_stops_the_run_before_it_is_learnt_from(
    library: Library, small: Config, tmp_path: Path, whole_run: PretrainReport
) -> None:
    config, run = small(*EACH_STEP), tmp_path / "run"
    with pytest.raises(WorkError) as caught:
        disturbed(library.root, config, run, Disturbance(broken_at=3))
    clips = planned(library, config, 3)
    films = ", ".join(sorted({clip["film"] for clip in clips}))
    assert str(caught.value) == (
        f"the loss of step 3 is not a finite number (films {films}; its clips are in {run}/not_finite.json), and "
        f"the weights were not updated with it; start a new run with a lower optimiser.learning_rate or a higher "
        f"objective.temperature"
    )
    written = json.loads((run / "not_finite.json").read_text())
    assert written == {"schema_version": 1, "step": 3, "what": "loss", "clips": clips}
    assert learnt(run) == learnt(whole_run.run)[:2]
    checkpoints = RunFolder(run).list_checkpoints()
    assert [checkpoint.step for checkpoint in checkpoints] == [0, 1, 2]
    for checkpoint in checkpoints:
        assert all(tensor.isfinite().all() for tensor in checkpoint.read_model_weights().values())
    assert pretrain(library.root, config, run, resume=True).stamp == whole_run.stamp
    assert learnt(run) == learnt(whole_run.run)


def test_the_clips_that_are_written_down_tell_where_their_sound_lies(
    library: Library, small: Config, tmp_path: Path
) -> None:
    config = small("sampling.positives_within_seconds=2.0", "training.steps=1")
    with pytest.raises(WorkError, match="the loss of step 1 is not"):
        disturbed(library.root, config, tmp_path / "run", Disturbance(broken_at=1))
    clips = json.loads((tmp_path / "run" / "not_finite.json").read_text())["clips"]
    assert clips == planned(library, config, 1)
    assert any(clip["sound_shift_frames"] for clip in clips)


def test_a_gradient_that_is_not_a_number_stops_the_run_before_a_weight_moves(
    library: Library, small: Config, tmp_path: Path, whole_run: PretrainReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A finite loss may have a gradient that is not: then a step would spoil the weights, and a checkpoint of them."""
    forward, systems = ContrastiveSystem.forward, []

    def with_broken_gradient(self: ContrastiveSystem, batch: Any, augmentations: Any, step: int) -> Any:
        systems.append((self, {name: p.detach().clone() for name, p in self.named_parameters()}))
        losses, report = forward(self, batch, augmentations, step)
        zero = torch.zeros((), requires_grad=True) * next(self.parameters()).flatten()[0]
        broken = torch.sqrt(zero) if step == 2 else zero  # its value is 0, its gradient infinite times 0
        return {**losses, "broken": broken}, report

    config, run = small(*EACH_STEP), tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(ContrastiveSystem, "forward", with_broken_gradient)
        with pytest.raises(WorkError, match="the gradient of step 3 is not a finite number"):
            pretrain(library.root, config, run)
    assert json.loads((run / "not_finite.json").read_text())["what"] == "gradient"
    system, before = systems[-1]
    assert all(torch.equal(parameter, before[name]) for name, parameter in system.named_parameters())
    assert [checkpoint.step for checkpoint in RunFolder(run).list_checkpoints()] == [0, 1, 2]
    assert pretrain(library.root, config, run, resume=True).stamp == whole_run.stamp


def test_a_learning_rate_far_too_high_stops_the_run_with_its_sentence(
    library: Library, small: Config, tmp_path: Path
) -> None:
    config = small("optimiser.learning_rate=1.0e+30", "optimiser.warmup_steps=0")
    with pytest.raises(WorkError, match=r"the loss of step 2 is not a finite number .*lower optimiser\.learning_rate"):
        pretrain(library.root, config, tmp_path / "run")
    assert [checkpoint.step for checkpoint in RunFolder(tmp_path / "run").list_checkpoints()] == [0]


def test_a_run_that_nothing_disturbs_writes_no_such_report(whole_run: PretrainReport) -> None:
    assert not RunFolder(whole_run.run).not_finite_path.exists()
