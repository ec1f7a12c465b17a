"""Ranks that fail: all end within seconds with one sentence, and the run goes on as one that nothing disturbed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import torch
from rank_groups import Ended, Groups, Job

from talkies.config import to_yaml
from talkies.library import Library
from talkies.models import build_model
from talkies.runs import RunFolder, load_encoder_weights, load_run_model
from talkies.training import RunConfig
from talkies.training.metrics import read_metrics

pytestmark = [pytest.mark.slow, pytest.mark.ranks, pytest.mark.kills]

SOAK = os.environ.get("TALKIES_SOAK") == "1"
FEW_BATCHES = "training.recalibration_batches=1"
AT_MOST_SECONDS = 10.0
TIMED = ("clips_per_second", "times_real_time", "data_wait_share")

# Each continues the run that the one before left: which rank, before which step, what happens, and what is said.
FAULTS = [
    ("proxy", 1, 1, "cannot be opened as a proxy"),
    ("killed", 0, 3, "process 1 of 2 was killed (by hand, or for lack of memory), and the others were stopped"),
    ("disk", 0, 4, "/checkpoints/step-00000004 cannot be written (Error while serializing: I/O error: File too large"),
    ("loss", 1, 4, "the loss of step 4 is not a finite number"),
]
MORE_FAULTS = [("killed", 1, 3, "process 2 of 2 was killed"), ("proxy", 0, 3, "; repair it with: talkies ingest")]


def learnt(run: Path) -> list[dict[str, float]]:
    lines = read_metrics(run / "metrics.jsonl")
    return [{name: value for name, value in line.items() if name not in TIMED} for line in lines]


def weights_of(run: Path) -> dict[str, bytes]:
    folder = RunFolder(run).get_checkpoint().folder
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Trials:
    """Runs of groups, each with a folder and a library of its own."""

    def __init__(self, groups: Groups, library: Path, folder: Path) -> None:
        self._groups, self._library, self._folder = groups, library, folder
        self.run = folder / "run"

    def go(self, recipe: Path, fault: str = "", rank: int = 0, step: int = 0, *, ranks: int = 2, restarts: int = 0):
        number = len(list(self._folder.glob("*.errors")))
        copy = self._folder / f"library {number}"
        library = shutil.copytree(self._library, copy) if fault == "proxy" else self._library
        arguments = ["pretrain", "--library", library, "--recipe", recipe, "--run", self.run, "--auto-resume"]
        errors = str(self._folder / f"{number}.errors")
        return self._groups.run(Job(list(map(str, arguments)), errors, ranks, restarts, fault, rank, step))


@pytest.fixture(scope="module")
def groups() -> Iterator[Groups]:
    groups = Groups()
    yield groups
    groups.close()


@pytest.fixture(scope="module")
def recipes(small: Callable[..., RunConfig], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("recipes")
    settings = {
        "ddp": (),
        "fsdp": ("training.strategy=fsdp", "training.ema_decay=0.9"),
        "long": ("training.steps=200",),
    }
    for name, more in settings.items():
        devices = ("training.devices=2",) if name == "long" else ()
        (folder / f"{name}.yaml").write_text(to_yaml(small(FEW_BATCHES, *more, *devices)))
    return {name: folder / f"{name}.yaml" for name in settings}


@pytest.fixture(scope="module")
def undisturbed(
    groups: Groups, library: Library, recipes: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Six steps of two ranks; read only."""
    trials = Trials(groups, library.root, tmp_path_factory.mktemp("undisturbed"))
    ended = trials.go(recipes["ddp"])
    assert (ended.status, ended.said) == (0, []), ended.messages
    return trials.run


def check_one_sentence(ended: Ended, sentence: str) -> None:
    assert ended.status == 1, ended.messages
    assert len(ended.said) == 1, ended.messages
    assert sentence in ended.said[0]
    assert ended.seconds < AT_MOST_SECONDS
    assert "Traceback" not in ended.messages


def test_a_rank_that_fails_ends_all_and_restarted_workers_end_the_run_as_if_nothing_had_happened(
    groups: Groups, library: Library, recipes: dict[str, Path], undisturbed: Path, tmp_path: Path
) -> None:
    trials = Trials(groups, library.root, tmp_path)
    for fault, rank, step, sentence in FAULTS:
        check_one_sentence(trials.go(recipes["ddp"], fault, rank, step), sentence)
    ended = trials.go(recipes["ddp"], "killed", 1, 5, restarts=1)
    assert ended.status == 0, ended.messages
    assert [line.partition(" (")[0] for line in ended.said] == ["talkies: process 2 of 2 was killed"]
    assert learnt(trials.run) == learnt(undisturbed)
    assert weights_of(trials.run) == weights_of(undisturbed)


@pytest.mark.skipif(not SOAK, reason="make soak")
@pytest.mark.parametrize(("fault", "rank", "step", "sentence"), [*FAULTS, *MORE_FAULTS])
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_each_fault_alone_is_survived(
    strategy: str,
    fault: str,
    rank: int,
    step: int,
    sentence: str,
    groups: Groups,
    library: Library,
    recipes: dict[str, Path],
    undisturbed: Path,
    tmp_path: Path,
) -> None:
    trials = Trials(groups, library.root, tmp_path)
    check_one_sentence(trials.go(recipes[strategy], fault, rank, step), sentence)
    assert trials.go(recipes[strategy]).status == 0
    for line, other in zip(learnt(trials.run), learnt(undisturbed), strict=True):
        assert line == pytest.approx(other, rel=1e-4, abs=1e-5)


def test_a_sharded_run_is_written_in_shards_and_goes_on_in_one_process(
    groups: Groups, library: Library, recipes: dict[str, Path], undisturbed: Path, tmp_path: Path
) -> None:
    trials = Trials(groups, library.root, tmp_path)
    check_one_sentence(trials.go(recipes["fsdp"], "killed", 1, 4), "process 2 of 2 was killed")
    sharded = RunFolder(trials.run).get_checkpoint(2)
    for name in ("model", "ema", "optimiser"):
        sizes = [path.stat().st_size for path in sorted(sharded.folder.glob(f"{name}-0000?-of-00002.safetensors"))]
        assert len(sizes) == 2
        assert max(sizes) < 0.6 * sum(sizes)

    # Every reader of a run reads it: the encoder, and another run that begins with its weights.
    model = load_run_model(trials.run, 2).model
    average = sharded.read_average_weights()
    assert average is not None
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, average[f"model.{name}"], rtol=0, atol=0)
    other = build_model(load_run_model(trials.run, 2).config)
    loaded = load_encoder_weights(other.audio, trials.run)
    assert loaded.path.name == "ema.safetensors.index.json"
    torch.testing.assert_close(other.audio.state_dict(), model.audio.state_dict(), rtol=0, atol=0)

    assert trials.go(recipes["fsdp"], ranks=1).status == 0
    assert sorted(path.name for path in RunFolder(trials.run).get_checkpoint(6).folder.glob("model*")) == [
        "model.safetensors"
    ]
    of_each = {"uniformity_video", "uniformity_audio"}  # means over processes of what each has
    for line, other_line in zip(learnt(trials.run), learnt(undisturbed), strict=True):
        expected = {name: value for name, value in other_line.items() if name not in of_each}
        assert {name: line[name] for name in expected} == pytest.approx(expected, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("victim", [1, pytest.param(0, marks=pytest.mark.skipif(not SOAK, reason="make soak"))])
def test_a_killed_process_ends_those_that_talkies_launched(
    victim: int, library: Library, recipes: dict[str, Path], tmp_path: Path
) -> None:
    run, errors = tmp_path / "run", tmp_path / "errors"
    command = [sys.executable, "-m", "talkies", "pretrain", "--library", library.root, "--recipe", recipes["long"]]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with errors.open("w") as file:
        first = subprocess.Popen([*map(str, command), "--run", str(run)], stderr=file, stdout=file, env=environment)
    try:
        deadline = time.monotonic() + 120
        while not read_metrics(run / "metrics.jsonl"):
            assert first.poll() is None, errors.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        children = psutil.Process(first.pid).children(recursive=True)
        (second,) = (child for child in children if "pretrain" in child.cmdline())
        killed = time.monotonic()
        os.kill((first.pid, second.pid)[victim], signal.SIGKILL)
        _, left = psutil.wait_procs(children, timeout=AT_MOST_SECONDS)
        status = first.wait(AT_MOST_SECONDS)
    finally:
        first.kill()
    assert not left
    assert time.monotonic() - killed < AT_MOST_SECONDS
    assert status == (-signal.SIGKILL, 1)[victim]
    said = [line for line in errors.read_text().splitlines() if line.startswith("talkies: ")]
    assert said == [
        f"talkies: process {victim + 1} of 2 was killed (by hand, or for lack of memory), and the others were stopped; "
        f"continue with --resume"
    ]
