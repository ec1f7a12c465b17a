"""One recipe computed in several ways: in chunks, with less memory, in other formats and precisions."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from disturbed_training import Disturbance, disturbed

from talkies.library import Library
from talkies.runs import RunFolder
from talkies.training import PretrainReport, RunConfig, devices, pretrain
from talkies.training.metrics import read_metrics

pytestmark = pytest.mark.slow

Config = Callable[..., RunConfig]
TIMED = ("clips_per_second", "times_real_time", "data_wait_share")


def learnt(run: Path) -> list[dict[str, float]]:
    lines = read_metrics(run / "metrics.jsonl")
    return [{name: value for name, value in line.items() if name not in TIMED} for line in lines]


def losses(run: Path) -> list[float]:
    return [line["loss"] for line in learnt(run)]


@pytest.fixture(scope="module")
def fixed_norms_run(library: Library, small: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six steps in one pass, with batch norms that do not see who else is in the batch; read only."""
    run = tmp_path_factory.mktemp("still") / "run"
    disturbed(library.root, small(), run, Disturbance(fixed_batch_norms=True))
    return run


@pytest.mark.parametrize("clips", [2, 3, 4])
def test_chunk_by_chunk_it_learns_the_same_where_norms_see_the_same(
    clips: int, fixed_norms_run: Path, library: Library, small: Config, tmp_path: Path
) -> None:
    config = small(f"training.chunk_clips={clips}")
    disturbed(library.root, config, tmp_path / "run", Disturbance(fixed_batch_norms=True))
    assert losses(tmp_path / "run") == pytest.approx(losses(fixed_norms_run), rel=1e-3)
    first, expected = learnt(tmp_path / "run")[0], learnt(fixed_norms_run)[0]
    assert first == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_a_chunk_of_the_whole_share_is_the_one_pass_run(
    whole_run: PretrainReport, library: Library, small: Config, tmp_path: Path
) -> None:
    report = pretrain(library.root, small("training.chunk_clips=8"), tmp_path / "run")
    assert report.stamp == whole_run.stamp
    assert learnt(report.run) == learnt(whole_run.run)


def test_a_run_in_chunks_logs_what_others_log_and_its_norms_see_chunks(
    whole_run: PretrainReport, library: Library, small: Config, tmp_path: Path
) -> None:
    report = pretrain(library.root, small("training.chunk_clips=4"), tmp_path / "run")
    assert [line.keys() for line in learnt(report.run)] == [line.keys() for line in learnt(whole_run.run)]
    assert losses(report.run)[0] != pytest.approx(losses(whole_run.run)[0], rel=1e-4)
    seen = [
        RunFolder(run).get_checkpoint(6).read_model_weights()["model.video.stem.1.num_batches_tracked"]
        for run in (whole_run.run, report.run)
    ]
    assert seen == [6, 12]


def test_with_activation_checkpointing_every_number_and_every_weight_is_the_same(
    whole_run: PretrainReport, library: Library, small: Config, tmp_path: Path
) -> None:
    report = pretrain(library.root, small("training.activation_checkpointing=true"), tmp_path / "run")
    assert report.stamp == whole_run.stamp
    assert learnt(report.run) == learnt(whole_run.run)


def test_activation_checkpointing_computes_each_block_again(
    library: Library, small: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []
    for wanted in ("false", "true"):
        calls = 0

        def counted(norm: torch.nn.BatchNorm3d, x: torch.Tensor) -> None:
            nonlocal calls
            calls += 1

        with monkeypatch.context() as patch:
            patch.setattr(torch.nn.BatchNorm3d, "_check_input_dim", counted)
            once = ("training.steps=1", "training.recalibration_batches=0")
            config = small(*once, f"training.activation_checkpointing={wanted}")
            pretrain(library.root, config, tmp_path / wanted)
        counts.append(calls)
    assert counts == [4, 8]


@pytest.mark.parametrize("override", ["training.channels_last=false", "objective.block_clips=3"])
def test_in_another_layout_or_block_by_block_the_losses_are_the_same_but_for_rounding(
    override: str, whole_run: PretrainReport, library: Library, small: Config, tmp_path: Path
) -> None:
    report = pretrain(library.root, small(override, "training.steps=6"), tmp_path / "run")
    assert losses(report.run)[:2] == pytest.approx(losses(whole_run.run)[:2], rel=1e-4)
    assert losses(report.run) == pytest.approx(losses(whole_run.run), rel=2e-2)


def test_without_channels_last_the_kernels_lie_as_pytorch_makes_them(small: Config) -> None:
    from talkies.training.train_state import build_system

    for wanted in (True, False):
        system = build_system(small(f"training.channels_last={wanted}".lower()), 16, 16_000)
        video, audio = system.model.video.get_parameter("block1.0.weight"), system.model.audio.blocks[1][0].weight
        assert video.is_contiguous(memory_format=torch.channels_last_3d) == wanted
        assert audio.is_contiguous(memory_format=torch.channels_last) == wanted


def test_under_autocast_to_bf16_the_losses_are_near_those_of_float32(
    whole_run: PretrainReport, library: Library, small: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The arithmetic is done in software here, which is slow, so training refuses it; its numbers are the same."""
    monkeypatch.setattr(devices, "_check_precision", lambda training: None)
    report = pretrain(library.root, small("training.precision=bf16-mixed"), tmp_path / "run")
    assert losses(report.run) != losses(whole_run.run)
    assert losses(report.run)[:2] == pytest.approx(losses(whole_run.run)[:2], abs=0.05)
    weights = RunFolder(report.run).get_checkpoint().read_model_weights()
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32, torch.int64}
