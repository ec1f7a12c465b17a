"""One run by two processes of this machine: launched, joined, and written down once."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from talkies.config import to_yaml
from talkies.library import Library
from talkies.models import RunFolder
from talkies.training import RunConfig

WATCHDOG_SECONDS = 120


@pytest.mark.slow
def test_two_processes_share_the_batches_of_one_run(
    library: Library, small: Callable[..., RunConfig], tmp_path: Path
) -> None:
    run, recipe = tmp_path / "run", tmp_path / "recipe.yaml"
    recipe.write_text(to_yaml(small("training.devices=2", "training.steps=2")))
    command = [sys.executable, "-m", "talkies", "pretrain", "--library", str(library.root), "--recipe", str(recipe)]
    command += ["--run", str(run), "--json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=WATCHDOG_SECONDS)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2]
    # Each process has one film of four clips; the negatives are those of both.
    assert [line["within_film_share"] for line in lines] == pytest.approx([3 / 7] * 2, abs=1e-6)
    for line in lines:
        assert line["loss_within_film"] + line["loss_which_film"] == pytest.approx(line["cross_entropy"], abs=1e-6)
    checkpoints = RunFolder(run).checkpoints()
    assert [checkpoint.step for checkpoint in checkpoints] == [0, 2]
    assert checkpoints[0].state().stamp != checkpoints[1].state().stamp
