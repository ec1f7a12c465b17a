"""What a run would take: extrapolated from trials, and what to change if it does not fit."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from small_towers import save_towers

from talkies.clips import open_training_clips
from talkies.core import ConfigError, PlanError
from talkies.library import Library
from talkies.training import Cost, RunConfig, estimate_cost, pretrain, resolve
from talkies.training.cost import Stretch
from talkies.training.cost.advice import add_advice
from talkies.training.cost.estimate import plan_trials
from talkies.training.profile_step import LinearFit, StepProfiler, Trial

pytestmark = pytest.mark.slow

Config = Callable[..., RunConfig]
GIB = 1 << 30
FOUND = Cost(
    device="a device",
    processes=8,
    steps=1000,
    clips=128,
    clip_seconds=2.0,
    trials=(Trial(64, 1.0, 8 * GIB), Trial(128, 2.0, 16 * GIB)),
    step_seconds=2.0,
    memory_bytes=16 * GIB,
    available_memory_bytes=24 * GIB,
    loader_workers=4,
    loader_clips_per_second=256.0,
    shared_cores=0,
    disk_bytes=GIB,
    available_disk_bytes=2 * GIB,
    advice=(),
)
MEMORY = LinearFit(0.0, GIB / 8)


def test_hours_follow_from_what_is_slower_learning_or_loading() -> None:
    assert FOUND.compute_clips_per_second == 512
    assert FOUND.clips_per_second == 256
    assert FOUND.waiting_share == 0.5
    assert FOUND.hours == pytest.approx(1000 * 1024 / 256 / 3600)
    assert FOUND.device_hours == 8 * FOUND.hours
    fed = replace(FOUND, loader_clips_per_second=1e6)
    assert (fed.clips_per_second, fed.waiting_share) == (512, 0)


def test_on_a_cpu_reading_takes_its_part_of_the_cores() -> None:
    one = replace(FOUND, processes=1, clips=100, step_seconds=1.0, loader_workers=1, shared_cores=2)
    # 1/100 s of both cores to learn a clip, and 1/256 s of one of them to read it.
    assert one.clips_per_second == pytest.approx(1 / (1 / 100 + 1 / 256 / 2))


def test_a_stretch_of_training_says_how_much_slower_steps_are_beside_a_loader() -> None:
    stretch = Stretch(128, 10, 2.5, 7.0, 20.0, 5.0, GIB, GIB)
    one = replace(FOUND, processes=1, stretch=stretch, checkpoints=4, feature_seconds=100.0)
    assert one.compute_clips_per_second == 64
    assert one.clips_per_second == pytest.approx(128 / 2.5)
    assert one.waiting_share == pytest.approx(0.2)
    # The start, features, all steps, four checkpoints, and the first one, which is only written.
    assert one.hours * 3600 == pytest.approx(7 + 100 + 1000 * 2.5 + 4 * 20 + 5)
    half = replace(one, trials=(Trial(64, 1.0, GIB),), stretch=replace(stretch, clips=64, step_seconds=1.25))
    assert half.clips_per_second == pytest.approx(one.clips_per_second), "what is extrapolated is as much slower"
    assert replace(one, stretch=replace(stretch, step_seconds=1.9)).waiting_share == 0, "as fast: nothing waits"
    eight = replace(one, processes=8)
    assert eight.clips_per_second == 256, "the readers of all processes share the machine"


@pytest.mark.parametrize(
    ("points", "clips", "value"),
    [
        ([(2, 4.0), (4, 6.0)], 10, 12.0),
        ([(1, 9.0), (2, 4.0), (4, 6.0)], 10, 12.0),
        ([(4, 6.0)], 10, 15.0),
        ([(2, 1.0), (4, 6.0)], 10, 15.0),  # a line that would begin under zero goes through the origin
        ([(2, 6.0), (4, 5.0)], 10, 5.0),  # and none falls
    ],
)
def test_a_line_goes_through_the_last_two_points(points: list[tuple[int, float]], clips: int, value: float) -> None:
    assert LinearFit.from_points(points).predict(clips) == pytest.approx(value)


def test_trials_grow_to_a_share_of_the_batch() -> None:
    assert plan_trials(128, None) == [2, 4, 8, 16, 32, 64, 128]
    assert plan_trials(24, None) == [2, 4, 8, 16, 24]
    assert plan_trials(2, None) == [2]
    assert plan_trials(256, 64) == [128, 192]
    assert plan_trials(100, 64) == [100]
    assert plan_trials(32, 64) == [2, 4, 8, 16, 32]


def test_a_run_that_fits_needs_no_advice(small: Config) -> None:
    assert add_advice(replace(FOUND, loader_clips_per_second=1e6), MEMORY, small()).advice == ()


def test_what_does_not_fit_is_told_with_what_to_change(small: Config) -> None:
    slim = replace(FOUND, available_memory_bytes=8 * GIB, available_disk_bytes=GIB // 2)
    memory, or_else, waiting, disk = _advise(slim, small())
    assert "--set training.chunk_clips=32" in memory  # 7.2 GiB hold 57 clips: the power of two below
    assert "training.activation_checkpointing=true" in or_else
    assert "waits for clips 50% of the time" in waiting
    assert "lower training.keep" in disk


def test_chunks_that_do_not_fit_are_made_smaller_before_all_else(small: Config) -> None:
    slim = replace(FOUND, available_memory_bytes=GIB, loader_clips_per_second=1e6)
    first, *_ = _advise(slim, small("training.chunk_clips=64"))
    assert "--set training.chunk_clips=4" in first
    tight = replace(slim, available_memory_bytes=GIB // 16)
    assert "activation_checkpointing" in _advise(tight, small())[0]
    assert "make clip.frames" in _advise(tight, small("training.activation_checkpointing=true"))[0]


def _advise(found: Cost, config: RunConfig) -> tuple[str, ...]:
    return add_advice(found, MEMORY, config).advice


def test_a_cost_is_measured_and_leaves_nothing_behind(library: Library, small: Config) -> None:
    before = sorted(library.root.rglob("*"))
    estimate = estimate_cost(library.root, small(), seconds=8.0)
    assert sorted(library.root.rglob("*")) == before
    assert estimate.is_measured
    assert [trial.clips for trial in estimate.trials] == [2, 4, 8]
    assert (estimate.steps, estimate.clips, estimate.processes) == (6, 8, 1)
    assert 0 < estimate.step_seconds < 10
    assert 0 < estimate.memory_bytes < estimate.available_memory_bytes
    stretch = estimate.stretch
    assert stretch is not None
    assert (stretch.clips, estimate.checkpoints, estimate.feature_seconds) == (8, 3, 0)
    assert 0 < stretch.write_seconds < stretch.checkpoint_seconds
    steps_seconds = 6 * 8 / estimate.clips_per_second
    expected = stretch.start_seconds + steps_seconds + 3 * stretch.checkpoint_seconds + stretch.write_seconds
    assert estimate.hours * 3600 == pytest.approx(expected)


def test_a_run_on_features_counts_those_that_are_missing(library: Library, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    video, audio = save_towers(tmp_path)
    small = ("sampling.films_per_batch=2", "sampling.clips_per_film=3", "training.steps=5", "training.device=cpu")
    named = (f"model.video={video}", f"model.audio={audio}", "clip.auto=false", "clip.frames=2", "clip.fps=2")
    config = resolve("adapt-heads", [*named, "clip.audio_seconds=1.0", *small, "loader.workers=0"])
    before = sorted(library.root.rglob("*"))
    estimate = estimate_cost(library.root, config, seconds=1.0)
    assert sorted(library.root.rglob("*")) == before
    assert estimate.feature_seconds > 0
    assert estimate.is_measured
    assert estimate.hours * 3600 > estimate.feature_seconds


def test_a_run_on_more_devices_is_reckoned_from_one(library: Library, small: Config) -> None:
    estimate = estimate_cost(library.root, small("training.devices=4"), seconds=2.0)
    assert (estimate.processes, estimate.clips) == (4, 2)


def test_the_disk_that_is_told_holds_the_run(
    library: Library, small: Config, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = small("training.ema_decay=0.9", "training.checkpoint_every=1", "training.keep=2")
    run = tmp_path_factory.mktemp("run") / "run"
    pretrain(library.root, config, run)
    kept = sum(file.stat().st_size for file in run.rglob("*") if file.is_file())
    estimated = estimate_cost(library.root, config, seconds=2.0).disk_bytes
    assert kept <= estimated <= 2.5 * kept


def test_memory_grows_with_the_clips_that_are_tried(library: Library) -> None:
    # In a process of its own: one that has freed much takes nothing new from the system.
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    small = ["sampling.films_per_batch=2", "sampling.clips_per_film=6", "transforms.video.size=48"]
    sets = [*small, "loader.workers=0", "training.steps=2"]
    command = [
        sys.executable,
        "-m",
        "talkies",
        "cost",
        "--library",
        str(library.root),
        "--recipe",
        "tiny",
        "--seconds",
        "12",
        "--json",
    ]
    command += [part for each in sets for part in ("--set", each)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, env=one_thread)
    trials = json.loads(done.stdout)["trials"]
    assert trials[-1]["clips"] == 12
    assert trials[-1]["peak_bytes"] > trials[0]["peak_bytes"] + (1 << 20)


def test_what_would_not_fit_is_not_tried(library: Library, small: Config) -> None:
    config = small()
    profiler = StepProfiler(config, open_training_clips(library.root, config.clip, config.sampling, 0))
    assert [trial.clips for trial in profiler.run_trials([2, 8], 20.0, 1)] == [2]


def test_a_wrong_recipe_is_refused_as_training_refuses_it(library: Library, small: Config) -> None:
    with pytest.raises(PlanError, match="a batch takes 9 films and the library has 3"):
        estimate_cost(library.root, small("sampling.films_per_batch=9"), seconds=1.0)
    with pytest.raises(ConfigError, match=r"training\.precision is tf32"):
        estimate_cost(library.root, small("training.precision=tf32"), seconds=1.0)
