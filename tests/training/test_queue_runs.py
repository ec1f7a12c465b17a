"""Runs with a queue of keys for each film: what they store, that they resume exactly, and what is refused."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from talkies.clips import open_training_clips
from talkies.core import ConfigError, RunError
from talkies.library import Library
from talkies.runs import RunFolder
from talkies.training import PretrainReport, Progress, RunConfig, devices, pretrain, resolve
from talkies.training.ema import ExponentialMovingAverage
from talkies.training.metrics import read_metrics
from talkies.training.momentum import compute_queue_bytes

pytestmark = pytest.mark.slow

Config = Callable[..., RunConfig]
LENGTH, MOMENTUM = 7, 0.75
QUEUE = (
    f"objective.queue_clips_per_film={LENGTH}",
    f"objective.momentum={MOMENTUM}",
    "training.checkpoint_every=1",
    "training.keep=9",
    "training.recalibration_batches=1",
)
FORMS = (
    *QUEUE,
    "training.chunk_clips=4",
    "objective.block_clips=5",
    "training.ema_decay=0.5",
    "training.checkpoint_every=2",
)
TIMED = ("clips_per_second", "times_real_time", "data_wait_share")


@pytest.fixture(scope="module")
def queued(library: Library, small: Config, tmp_path_factory: pytest.TempPathFactory) -> PretrainReport:
    """Six steps with a queue, with a checkpoint of each; read only."""
    return pretrain(library.root, small(*QUEUE), tmp_path_factory.mktemp("queued") / "run")


def learnt(run: Path) -> list[dict[str, float]]:
    lines = read_metrics(run / "metrics.jsonl")
    return [{name: value for name, value in line.items() if name not in TIMED} for line in lines]


def test_a_checkpoint_has_the_newest_keys_of_each_film(queued: PretrainReport, library: Library, small: Config) -> None:
    config = small(*QUEUE)
    plan = open_training_clips(library.root, config.clip, config.sampling, config.training.seed).plan
    expected: dict[int, list[int]] = {}
    for checkpoint in RunFolder(queued.run).list_checkpoints():
        if checkpoint.step:
            for request in plan.draw_batch(checkpoint.step - 1):
                film = plan.films.film_ids.index(request.film_id)
                expected[film] = [*expected.get(film, []), request.window.start_frame][-LENGTH:]
        keys = load_file(checkpoint.folder / "film_queue.safetensors")
        films = sorted(expected)
        if not films:
            assert not any(name.startswith("queue.") for name in keys)
            continue
        assert keys["queue.film"].tolist() == [film for film in films for _ in expected[film]]
        assert keys["queue.start"].tolist() == [start for film in films for start in expected[film]]
        for modality in ("video", "audio"):
            torch.testing.assert_close(keys[f"queue.{modality}"].norm(dim=1), torch.ones(len(keys["queue.film"])))
    assert max(map(len, expected.values())) == LENGTH


def test_the_momentum_encoder_follows_the_weights_with_its_momentum_alone(queued: PretrainReport) -> None:
    checkpoints = RunFolder(queued.run).list_checkpoints()
    average = dict(checkpoints[0].read_model_weights())
    for checkpoint in checkpoints:
        weights, keys = checkpoint.read_model_weights(), checkpoint.read_keys()
        assert keys is not None
        assert {name for name in keys if name.startswith("model.")} == {n for n in weights if n.startswith("model.")}
        for name in ("model.video_head.0.weight", "model.audio_head.3.bias"):
            average[name] = MOMENTUM * average[name] + (1 - MOMENTUM) * weights[name]
            torch.testing.assert_close(keys[name], average[name], rtol=1e-5, atol=1e-7)
    assert (average["model.video_head.0.weight"] - weights["model.video_head.0.weight"]).abs().max() > 1e-4


def test_an_average_that_does_not_ramp_has_its_decay_from_the_first_step_on() -> None:
    model = torch.nn.Linear(2, 1)
    average, before = ExponentialMovingAverage(model, 0.9, ramps=False), model.weight.detach().clone()
    with torch.no_grad():
        model.weight.add_(1)
    average.update(1)
    torch.testing.assert_close(average.state_dict()["weight"], before + 0.1)


def test_queries_get_negatives_from_the_queue(queued: PretrainReport, whole_run: PretrainReport) -> None:
    with_queue, without = ([line["negatives"] for line in learnt(run.run)] for run in (queued, whole_run))
    assert with_queue[0] == without[0] == 7
    assert max(with_queue) > 10
    assert all(7 <= count <= 7 + LENGTH for count in with_queue)
    assert learnt(queued.run)[-1]["within_film_share"] > learnt(whole_run.run)[-1]["within_film_share"]


def test_without_a_queue_there_is_no_file_of_it(whole_run: PretrainReport) -> None:
    assert list(whole_run.run.rglob("film_queue*")) == []
    assert RunFolder(whole_run.run).get_checkpoint().read_keys() is None


@pytest.mark.kills
@pytest.mark.parametrize("overrides", [QUEUE, FORMS], ids=["at once", "in chunks and blocks"])
def test_a_run_that_was_killed_ends_where_the_unbroken_one_does(
    overrides: tuple[str, ...], library: Library, small: Config, queued: PretrainReport, tmp_path: Path
) -> None:
    config = small(*overrides)
    unbroken = queued.run if overrides == QUEUE else pretrain(library.root, config, tmp_path / "unbroken").run

    def die(step: int) -> None:
        if step == 5:
            os.kill(os.getpid(), signal.SIGKILL)

    if not (child := os.fork()):
        pretrain(library.root, config, tmp_path / "run", progress=Progress(on_step=die))
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert RunFolder(tmp_path / "run").list_checkpoints()[-1].step == 4

    resumed = pretrain(library.root, config, tmp_path / "run", resume=True).run
    assert learnt(resumed) == learnt(unbroken)
    files = {path.name for path in (unbroken / "checkpoints" / "step-00000006").iterdir()}
    assert "film_queue.safetensors" in files
    for name in files:
        last = Path("checkpoints", "step-00000006", name)
        assert (resumed / last).read_bytes() == (unbroken / last).read_bytes(), name


def test_a_run_whose_queue_is_lost_is_not_resumed(
    queued: PretrainReport, library: Library, small: Config, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(queued.run, tmp_path / "run"))
    (run / "checkpoints" / "step-00000006" / "film_queue.safetensors").unlink()
    sentence = r"step-00000006 does not hold the state that this run's config needs \(it lacks audio\."
    with pytest.raises(RunError, match=sentence):
        pretrain(library.root, small(*QUEUE, "training.steps=7"), run, resume=True)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("objective.queue_clips_per_film=8", r"started with objective\.queue_clips_per_film = 7, not 8"),
        ("objective.queue_clips_per_film=null", r"started with objective\.queue_clips_per_film = 7, not None"),
        ("objective.momentum=0.5", r"started with objective\.momentum = 0\.75, not 0\.5"),
    ],
)
def test_a_run_is_not_resumed_with_another_queue(
    override: str, sentence: str, queued: PretrainReport, library: Library, small: Config
) -> None:
    with pytest.raises(RunError, match=sentence):
        pretrain(library.root, small(*QUEUE, override), queued.run, resume=True)


def test_with_one_clip_of_a_film_all_negatives_within_films_are_keys(
    library: Library, small: Config, tmp_path: Path
) -> None:
    one = ("sampling.clips_per_film=1", "objective.cross_film_weight=0")
    run = pretrain(library.root, small(*QUEUE, *one), tmp_path / "run").run
    lines = learnt(run)
    assert lines[0]["loss"] == 0
    assert lines[0]["within_film_share"] == 0
    assert lines[-1]["loss"] > 0
    with pytest.raises(ConfigError, match=r"with sampling\.clips_per_film = 1 there are no within-film negatives"):
        small(*one)


def test_negatives_of_a_queue_can_be_weighed_where_batches_have_one_clip_of_a_film(small: Config) -> None:
    one = ("sampling.clips_per_film=1", "objective.time_weighting=farther")
    assert small(*QUEUE, *one).objective.time_weighting == "farther"
    with pytest.raises(ConfigError, match=r"objective\.time_weighting weighs negatives within films"):
        small(*one)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("training.strategy=fsdp", r"a second encoder on each device, and training\.strategy is fsdp; set it to ddp"),
        (
            "sampling.positives_within_seconds=1",
            r"with sampling\.positives_within_seconds a clip's sound is of another moment, so which keys of objective",
        ),
        ("objective.momentum=1", r"objective\.momentum.* less than 1"),
        ("objective.queue_clips_per_film=0", r"objective\.queue_clips_per_film.* greater than or equal to 1"),
    ],
)
def test_what_a_queue_does_not_support_is_refused(override: str, sentence: str, small: Config) -> None:
    with pytest.raises(ConfigError, match=sentence):
        small(*QUEUE, override)


def test_queues_larger_than_the_memory_are_refused_before_any_work(
    library: Library, small: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "measure_available_memory", lambda training: 64 << 30)
    sentence = (
        r"^objective\.queue_clips_per_film=30000000 keeps [\d.]+ GiB of keys for 3 films, and this machine has 64\.0 "
        r"GiB for them; lower it, or model\.embedding_dim$"
    )
    with pytest.raises(ConfigError, match=sentence):
        pretrain(library.root, small("objective.queue_clips_per_film=30000000"), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_the_size_of_full_queues_is_that_of_their_keys(queued: PretrainReport, small: Config) -> None:
    keys = RunFolder(queued.run).get_checkpoint().read_keys()
    assert keys is not None
    entries = {name: tensor for name, tensor in keys.items() if name.startswith("queue.")}
    assert len(entries["queue.film"]) == 3 * LENGTH
    assert sum(tensor.nbytes for tensor in entries.values()) == compute_queue_bytes(small(*QUEUE), 3)
    assert compute_queue_bytes(resolve("tiny"), 3) == 0
