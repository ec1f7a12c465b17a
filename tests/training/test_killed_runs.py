"""Exact resume, end to end: a run killed at a random step resumes with the batches and losses of one never killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from talkies.config import to_yaml
from talkies.library import Library
from talkies.training import RunConfig
from talkies.training.metrics import read_metrics

pytestmark = pytest.mark.kills

STEPS = 30
TIMED = ("clips_per_second", "times_real_time", "data_wait_share")
Batches = dict[int, list[list[object]]]

# Ten by `make soak`; each takes a quarter of a minute.
TRIALS = range(10) if os.environ.get("TALKIES_SOAK") == "1" else (0, 3, 8)


class Nursery:
    """Begins processes that train, one at a time, forked off one that has imported all that they need."""

    def __init__(self, errors: Path) -> None:
        self.errors = errors
        with errors.open("w") as file:
            command = [sys.executable, str(Path(__file__).with_name("recorded_training.py"))]
            self._parent = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, text=True
            )

    def begin(self, *arguments: object) -> psutil.Process:
        assert self._parent.stdin
        self._parent.stdin.write(json.dumps(arguments) + "\n")
        self._parent.stdin.flush()
        return psutil.Process(self._answer())

    def status_of(self, process: psutil.Process) -> int:
        """Return the exit status of the process that was begun last, below zero if a signal ended it."""
        _, left = psutil.wait_procs([process], timeout=120)
        assert not left, "the run does not end"
        return self._answer()

    def close(self) -> None:
        self._parent.communicate(timeout=120)

    def _answer(self) -> int:
        assert self._parent.stdout
        return int(self._parent.stdout.readline())


class Trial:
    """One run of thirty steps in processes of its own."""

    def __init__(self, nursery: Nursery, library: Path, recipe: Path, folder: Path) -> None:
        self.run, self._ids = folder / "run", folder / "ids.jsonl"
        self._nursery, self._arguments = nursery, [str(library), str(recipe), str(self.run), str(self._ids)]

    def start(self, resume: bool = False) -> psutil.Process:
        return self._nursery.begin(*self._arguments, resume)

    def finish(self, resume: bool = False) -> None:
        assert self._nursery.status_of(self.start(resume)) == 0, self._nursery.errors.read_text()

    def kill_after(self, step: int) -> None:
        process = self.start()
        deadline = time.monotonic() + 120
        while len(read_metrics(self.run / "metrics.jsonl")) < step:
            assert process.is_running(), self._nursery.errors.read_text()
            assert time.monotonic() < deadline, "the run does not get on"
            time.sleep(0.002)
        others = process.children(recursive=True)
        process.send_signal(signal.SIGKILL)
        assert self._nursery.status_of(process) == -signal.SIGKILL
        _, left = psutil.wait_procs(others, timeout=30)
        assert not left, f"processes of the killed run live on: {left}"

    @property
    def losses(self) -> list[dict[str, float]]:
        lines = read_metrics(self.run / "metrics.jsonl")
        return [{name: value for name, value in line.items() if name not in TIMED} for line in lines]

    @property
    def batches(self) -> list[tuple[int, list[list[object]]]]:
        """Every batch taken, in the order in which they were: a step that was done twice is there twice."""
        taken = []
        for line in self._ids.read_text().splitlines():
            if line.endswith("]]"):  # else it was cut off
                step, clips = json.loads(line)
                taken.append((step, clips))
        return taken


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """What begins all these runs."""
    nursery = Nursery(tmp_path_factory.mktemp("nursery") / "errors.txt")
    yield nursery
    nursery.close()


@pytest.fixture(scope="module")
def recipes(small: Callable[..., RunConfig], tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Recipes of thirty steps by their number of loader processes."""
    folder = tmp_path_factory.mktemp("recipes")
    return {workers: _written(folder / f"{workers}.yaml", small, workers) for workers in (0, 1)}


def _written(path: Path, small: Callable[..., RunConfig], workers: int) -> Path:
    length = (f"training.steps={STEPS}", "training.checkpoint_every=7", "sampling.clips_per_film=2")
    path.write_text(to_yaml(small(*length, f"loader.workers={workers}")))
    return path


@pytest.fixture(scope="module")
def unbroken(
    nursery: Nursery, library: Library, recipes: dict[int, Path], tmp_path_factory: pytest.TempPathFactory
) -> Trial:
    """Thirty steps that nothing disturbed."""
    trial = Trial(nursery, library.root, recipes[0], tmp_path_factory.mktemp("unbroken"))
    trial.finish()
    return trial


def test_the_unbroken_run_takes_thirty_different_batches(unbroken: Trial) -> None:
    assert [step for step, _ in unbroken.batches] == list(range(1, STEPS + 1))
    assert len({json.dumps(clips) for _, clips in unbroken.batches}) == STEPS
    assert len({line["loss"] for line in unbroken.losses}) == STEPS


@pytest.mark.slow
@pytest.mark.parametrize(("trial", "workers"), [(trial, int(trial > 7)) for trial in TRIALS])
def test_a_run_killed_at_a_random_step_takes_the_same_batches_and_has_the_same_losses(
    trial: int,
    workers: int,
    nursery: Nursery,
    library: Library,
    recipes: dict[int, Path],
    unbroken: Trial,
    tmp_path: Path,
) -> None:
    step = random.Random(os.urandom(8)).randint(1, STEPS - 2)
    killed = Trial(nursery, library.root, recipes[workers], tmp_path)
    killed.kill_after(step)
    assert len(killed.losses) < STEPS, f"killed after step {step}, it was done already"
    killed.finish(resume=True)
    expected = dict(unbroken.batches)
    assert all(clips == expected[number] for number, clips in killed.batches), f"killed after step {step}"
    assert {number for number, _ in killed.batches} == set(expected)
    assert killed.losses == unbroken.losses, f"killed after step {step}"
