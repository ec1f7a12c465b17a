"""An interrupted run resumes exactly where it stopped."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from talkies.core import LibraryError, RunError
from talkies.ingestion import ingest
from talkies.library import Library
from talkies.runs import RunFolder
from talkies.synth import SynthConfig, render_films
from talkies.training import PretrainReport, Progress, RunConfig, pretrain
from talkies.training.metrics import read_metrics

pytestmark = pytest.mark.slow

Config = Callable[..., RunConfig]
Files = Callable[[Path], dict[str, bytes]]
TIMED = ("clips_per_second", "times_real_time", "data_wait_share")


class StopError(Exception):
    """What stops a run in these tests."""


def stopping_after(step: int) -> Progress:
    def on_step(done: int) -> None:
        if done == step:
            raise StopError

    return Progress(on_step=on_step)


def learnt(run: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in TIMED} for line in lines]


@pytest.fixture(scope="module")
def stopped(library: Library, small: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run stopped in its fourth step of six, with a checkpoint of the second; read only."""
    run = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.raises(StopError):
        pretrain(library.root, small(), run, progress=stopping_after(4))
    return run


@pytest.fixture
def interrupted(stopped: Path, tmp_path: Path) -> Path:
    """A copy of the stopped run, to go on with."""
    return Path(shutil.copytree(stopped, tmp_path / "run"))


def test_what_was_done_before_the_interruption_is_there(stopped: Path) -> None:
    assert [checkpoint.step for checkpoint in RunFolder(stopped).list_checkpoints()] == [0, 2]
    assert [line["step"] for line in read_metrics(stopped / "metrics.jsonl")] == [1, 2, 3]


def test_a_resumed_run_ends_where_the_unbroken_one_does(
    library: Library, small: Config, interrupted: Path, whole_run: PretrainReport
) -> None:
    taken: list[int] = []
    report = pretrain(library.root, small(), interrupted, resume=True, progress=Progress(on_step=taken.append))
    assert taken == [3, 4, 5, 6]
    assert report.stamp == whole_run.stamp
    assert [line["step"] for line in learnt(interrupted)] == [1, 2, 3, 4, 5, 6]
    assert learnt(interrupted) == learnt(whole_run.run)


@pytest.mark.parametrize(
    "overrides",
    [
        ("optimiser.kind=sgd",),
        ("optimiser.kind=lars", "optimiser.learning_rate=1.0", "objective.learn_temperature=true"),
        (
            "optimiser.kind=sgd",
            "optimiser.momentum=0",
            "optimiser.max_grad_norm=0.5",
            "training.channels_last=false",
        ),
        (
            "training.chunk_clips=3",
            "training.ema_decay=0.5",
            "objective.within_modal_weight=0.5",
            "objective.loss=sigmoid",
            "objective.cross_film_weighs=negatives",
        ),
    ],
    ids=lambda overrides: ", ".join(overrides),
)
def test_whatever_it_learns_with_a_resumed_run_ends_where_the_unbroken_one_does(
    overrides: tuple[str, ...], library: Library, small: Config, tmp_path: Path
) -> None:
    config = small(*overrides)
    unbroken = pretrain(library.root, config, tmp_path / "unbroken")
    with pytest.raises(StopError):
        pretrain(library.root, config, tmp_path / "stopped", progress=stopping_after(4))
    resumed = pretrain(library.root, config, tmp_path / "stopped", resume=True)
    assert resumed.stamp == unbroken.stamp
    assert learnt(resumed.run) == learnt(unbroken.run)
    for path in (unbroken.run / "checkpoints" / "step-00000006").iterdir():
        assert path.read_bytes() == (resumed.run / "checkpoints" / path.parent.name / path.name).read_bytes(), path.name


def test_a_run_interrupted_twice_ends_there_too(
    library: Library, small: Config, interrupted: Path, whole_run: PretrainReport
) -> None:
    with pytest.raises(StopError):
        pretrain(library.root, small(), interrupted, resume=True, progress=stopping_after(5))
    report = pretrain(library.root, small(), interrupted, resume=True)
    assert report.stamp == whole_run.stamp
    assert learnt(interrupted) == learnt(whole_run.run)


def test_a_run_that_was_stopped_before_its_first_checkpoint_begins_anew(
    library: Library, small: Config, interrupted: Path, whole_run: PretrainReport
) -> None:
    shutil.rmtree(interrupted / "checkpoints")
    assert pretrain(library.root, small(), interrupted, resume=True).stamp == whole_run.stamp
    assert learnt(interrupted) == learnt(whole_run.run)


def test_a_line_that_was_cut_off_is_written_whole_on_resuming(
    library: Library, small: Config, interrupted: Path, whole_run: PretrainReport
) -> None:
    path = interrupted / "metrics.jsonl"
    path.write_text(path.read_text() + '{"step": 4, "lo')
    pretrain(library.root, small(), interrupted, resume=True)
    assert learnt(interrupted) == learnt(whole_run.run)


def test_a_checkpoint_that_was_half_written_is_passed_over(
    library: Library, small: Config, interrupted: Path, whole_run: PretrainReport
) -> None:
    partial = interrupted / "checkpoints" / ".partial-step-00000004"
    partial.mkdir()
    (partial / "model.safetensors").write_bytes(b"half of it")
    assert pretrain(library.root, small(), interrupted, resume=True).stamp == whole_run.stamp
    assert [checkpoint.step for checkpoint in RunFolder(interrupted).list_checkpoints()] == [0, 4, 6]


def test_a_finished_run_resumed_does_nothing_more(
    library: Library, small: Config, interrupted: Path, whole_run: PretrainReport
) -> None:
    pretrain(library.root, small(), interrupted, resume=True)
    before = learnt(interrupted)
    taken: list[int] = []
    report = pretrain(library.root, small(), interrupted, resume=True, progress=Progress(on_step=taken.append))
    assert (taken, report.stamp) == ([], whole_run.stamp)
    assert learnt(interrupted) == before


def test_a_finished_run_can_be_made_longer(library: Library, small: Config, interrupted: Path) -> None:
    report = pretrain(library.root, small("training.steps=8", "training.keep=1"), interrupted, resume=True)
    assert report.steps == 8
    assert [line["step"] for line in learnt(interrupted)] == [1, 2, 3, 4, 5, 6, 7, 8]
    folder = RunFolder(interrupted)
    best = folder.find_best()
    assert best is not None
    assert [checkpoint.step for checkpoint in folder.list_checkpoints()] == sorted({0, best.step, 8})


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        (
            "training.seed=4",
            r"started with training\.seed = 0, not 4; continue without that change, or start a new run",
        ),
        ("sampling.clips_per_film=3", r"started with sampling\.clips_per_film = 4, not 3"),
        ("objective.temperature=0.5", r"started with objective\.temperature = 0\.1, not 0\.5"),
        ("clip.audio_seconds=2.0", r"started with clip\.audio_seconds = 1\.0, not 2\.0"),
        ("optimiser.kind=sgd", r"started with optimiser\.kind = adamw, not sgd"),
        ("training.ema_decay=0.9", r"started with training\.ema_decay = None, not 0\.9"),
        ("training.best_by=loss", r"started with training\.best_by = accuracy_within_film, not loss"),
        ("training.chunk_clips=2", r"started with training\.chunk_clips = None, not 2"),
    ],
)
def test_a_run_is_not_resumed_under_another_config(
    override: str, sentence: str, library: Library, small: Config, stopped: Path, files_of: Files
) -> None:
    before = files_of(stopped)
    with pytest.raises(RunError, match=sentence):
        pretrain(library.root, small(override), stopped, resume=True)
    assert files_of(stopped) == before


def test_a_run_is_not_resumed_on_a_library_that_lacks_its_films(
    small: Config, stopped: Path, films: Path, tmp_path: Path, files_of: Files
) -> None:
    other = ingest([films / "film-000.mp4", films / "film-001.mp4"], tmp_path / "lib").library
    before = files_of(stopped)
    with pytest.raises(
        LibraryError, match=r"lib lacks 1 film of this run, [0-9a-f]{16} first; ingest the removed films again"
    ):
        pretrain(other.root, small(), stopped, resume=True)
    assert files_of(stopped) == before


def test_a_run_goes_on_with_the_films_that_it_began_with(
    library: Library, small: Config, interrupted: Path, whole_run: PretrainReport, tmp_path: Path
) -> None:
    grown = shutil.copytree(library.root, tmp_path / "lib")
    render_films(tmp_path / "more", 1, SynthConfig(seconds=6.0), seed=70)
    ingest([tmp_path / "more"], grown)
    assert pretrain(grown, small(), interrupted, resume=True).stamp == whole_run.stamp
