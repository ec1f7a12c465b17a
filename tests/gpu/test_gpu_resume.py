"""A run on the device that is killed goes on from its newest checkpoint, with the losses of one that was not."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from talkies.config import to_yaml
from talkies.library import Library
from talkies.runs import RunFolder
from talkies.training import Progress, RunConfig, pretrain, resolve
from talkies.training.metrics import read_metrics

pytestmark = [pytest.mark.gpu, pytest.mark.kills]

KILLED_AT, NEWEST, STEPS = 5, 4, 8


def train_until_killed(library: str, recipe: str, run: str) -> None:
    """Train, and die by SIGKILL at a step between two checkpoints."""

    def kill(step: int) -> None:
        if step == KILLED_AT:
            os.kill(os.getpid(), signal.SIGKILL)

    pretrain(library, resolve(recipe), run, progress=Progress(on_step=kill))


def test_a_killed_run_goes_on(device: str, library: Library, small: Callable[..., RunConfig], tmp_path: Path) -> None:
    config = small(f"training.steps={STEPS}", "training.checkpoint_every=2", "training.keep=20")
    (tmp_path / "recipe.yaml").write_text(to_yaml(config))
    run = tmp_path / "killed"
    method = "spawn" if device == "cuda" else "fork"  # CUDA does not work in a process forked off one that uses it
    arguments = (str(library.root), str(tmp_path / "recipe.yaml"), str(run))
    process = multiprocessing.get_context(method).Process(target=train_until_killed, args=arguments)
    process.start()
    process.join(300)
    assert process.exitcode == -signal.SIGKILL
    assert RunFolder(run).get_checkpoint().step == NEWEST

    assert pretrain(library.root, config, run, resume=True).steps == STEPS
    whole = pretrain(library.root, config, tmp_path / "whole")
    resumed, unbroken = (
        {line["step"]: line["loss"] for line in read_metrics(each / "metrics.jsonl")} for each in (run, whole.run)
    )
    assert list(resumed) == list(range(1, STEPS + 1))
    # Sums on a GPU come in another order each time, and steps enlarge the differences.
    first, later = (0.05, 0.25) if device == "cuda" else (1e-4, 1e-3)
    assert resumed[NEWEST + 1] == pytest.approx(unbroken[NEWEST + 1], rel=first)
    assert resumed[STEPS] == pytest.approx(unbroken[STEPS], rel=later)
