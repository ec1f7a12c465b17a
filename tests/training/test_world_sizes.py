"""A run resumes with another number of processes: with the same batches, the same augmentations and the same losses.

Only batch norms depend on the number of processes, because each process sees its own share of a batch. Here they use
fixed statistics, so that only the order of sums differs.
"""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from disturbed_training import Disturbance, disturbed
from several_processes import SCRIPT, run_one

from forked_ranks import run_forked
from talkies.clips import open_training_clips
from talkies.config import to_yaml
from talkies.library import Library
from talkies.runs import RunFolder
from talkies.training import RunConfig
from talkies.training.metrics import read_metrics

pytestmark = pytest.mark.ranks

Config = Callable[..., RunConfig]
STEPS = 6
STOP_AT = 5  # then steps 1 to 3 are done, and the checkpoint is that of the second
AUGMENTED = (
    "transforms.video.brightness=0.4",
    "transforms.audio.gain_db=6",
    "transforms.audio.time_masks=1",
    "transforms.audio.time_mask_frames=20",
    "optimiser.kind=sgd",
    "optimiser.learning_rate=0.02",
)
TIMED = ("clips_per_second", "times_real_time", "data_wait_share")


class Trained(NamedTuple):
    """A run, and the folder of what its processes noted of their batches."""

    run: Path
    batches: Path


def lines_of(run: Path) -> list[dict[str, float]]:
    return read_metrics(run / "metrics.jsonl")


def in_one(library: Library, config: RunConfig, to: Trained, stop_at: int | None = None, resume: bool = False) -> None:
    to.batches.mkdir(exist_ok=True)
    disturbed(library.root, config, to.run, Disturbance(to.batches, stop_at, fixed_batch_norms=True), resume)


def in_two(library: Library, config: RunConfig, to: Trained, stop_at: int | None = None, resume: bool = False) -> None:
    to.batches.mkdir(exist_ok=True)
    disturbance = Disturbance(to.batches, stop_at, fixed_batch_norms=True)
    run_forked(lambda _: disturbed(library.root, config, to.run, disturbance, resume), 2, to.batches.parent)


def taken(batches: Path, ranks: int) -> dict[int, list[list[Any]]]:
    """The clips of each step, those of all processes in their order."""
    shares: list[dict[int, list[list[Any]]]] = [{} for _ in range(ranks)]
    for rank, share in enumerate(shares):
        for line in (batches / f"{rank}-of-{ranks}.jsonl").read_text().splitlines():
            step, clips = json.loads(line)
            share[step] = clips
    assert all(share.keys() == shares[0].keys() for share in shares)
    return {step: [clip for share in shares for clip in share[step]] for step in shares[0]}


@pytest.fixture(scope="module")
def unbroken(library: Library, small: Config, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Six steps in one process; read only."""
    folder = tmp_path_factory.mktemp("unbroken")
    in_one(library, small(*AUGMENTED), trained := Trained(folder / "run", folder / "batches"))
    return trained


@pytest.fixture(scope="module")
def stopped_in_two(library: Library, small: Config, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The same in two processes that were stopped in the fourth step; read only."""
    folder = tmp_path_factory.mktemp("two")
    trained = Trained(folder / "run", folder / "batches")
    in_two(library, small(*AUGMENTED, "training.devices=2"), trained, stop_at=STOP_AT)
    return trained


def assert_same_losses(run: Path, expected: Path) -> None:
    lines = lines_of(run)
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
    # How embeddings are spread is told of each process's own.
    passed_over = {*TIMED, "uniformity_video", "uniformity_audio"}
    for line, other in zip(lines, lines_of(expected), strict=True):
        assert line.keys() == other.keys()
        for name in line.keys() - passed_over:
            assert line[name] == pytest.approx(other[name], rel=1e-3, abs=1e-4), (name, line["step"])


@pytest.mark.slow
def test_two_processes_that_were_stopped_leave_a_whole_checkpoint_and_what_they_had_done(
    stopped_in_two: Trained, unbroken: Trained
) -> None:
    assert [checkpoint.step for checkpoint in RunFolder(stopped_in_two.run).list_checkpoints()] == [0, 2]
    assert [line["step"] for line in lines_of(stopped_in_two.run)] == [1, 2, 3]
    expected = taken(unbroken.batches, 1)
    assert taken(stopped_in_two.batches, 2) == {step: expected[step] for step in (1, 2, 3, 4)}


@pytest.mark.slow
def test_a_run_of_two_processes_goes_on_in_one_as_the_unbroken_run_of_one(
    stopped_in_two: Trained, unbroken: Trained, library: Library, small: Config, tmp_path: Path
) -> None:
    trained = Trained(Path(shutil.copytree(stopped_in_two.run, tmp_path / "run")), tmp_path / "batches")
    in_one(library, small(*AUGMENTED), trained, resume=True)
    expected = taken(unbroken.batches, 1)
    assert taken(trained.batches, 1) == {step: expected[step] for step in (3, 4, 5, 6)}
    assert_same_losses(trained.run, unbroken.run)


@pytest.mark.slow
def test_a_run_of_one_process_goes_on_in_two_as_the_unbroken_run_of_one(
    unbroken: Trained, library: Library, small: Config, tmp_path: Path
) -> None:
    trained = Trained(tmp_path / "run", tmp_path / "batches")
    in_one(library, small(*AUGMENTED), trained, stop_at=STOP_AT)
    in_two(library, small(*AUGMENTED, "training.devices=2"), trained, resume=True)
    expected = taken(unbroken.batches, 1)
    assert taken(trained.batches, 2) == {step: expected[step] for step in (3, 4, 5, 6)}
    assert_same_losses(trained.run, unbroken.run)


@pytest.mark.slow
def test_if_one_process_has_a_loss_that_is_no_number_all_stop_and_one_says_so(
    library: Library, small: Config, tmp_path: Path
) -> None:
    recipe, run, config = tmp_path / "recipe.yaml", tmp_path / "run", small("training.devices=2")
    recipe.write_text(to_yaml(config))
    status, _, messages = run_one([sys.executable, SCRIPT, library.root, recipe, run, "--broken-at", "3"], tmp_path)
    assert status == 1
    assert messages.count("the loss of step 3 is not a finite number") == 1, messages
    plan = open_training_clips(library.root, config.clip, config.sampling, config.training.seed).plan
    written = json.loads((run / "not_finite.json").read_text())["clips"]
    assert [(clip["film"], clip["start_frame"]) for clip in written] == [
        (request.film_id, request.window.start_frame) for request in plan.draw_batch(2)
    ]
    assert [line["step"] for line in lines_of(run)] == [1, 2]
    assert [checkpoint.step for checkpoint in RunFolder(run).list_checkpoints()] == [0, 2]
