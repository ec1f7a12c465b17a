"""Heads trained on features that are computed once: the losses of running the towers, whatever happens in between."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from small_towers import WIDTH, save_towers

from forked_ranks import run_forked
from talkies.core import ConfigError, PlanError
from talkies.library import Library
from talkies.runs import RunFolder
from talkies.training import Progress, RunConfig, pretrain, resolve
from talkies.training.features.compute import FeatureComputer
from talkies.training.metrics import read_metrics
from talkies.training.system import ContrastiveSystem

pytest.importorskip("transformers")

STEPS = 8
SMALL = (
    f"training.steps={STEPS}",
    "training.log_every=1",
    "training.checkpoint_every=3",
    "training.recalibration_batches=2",
    "training.trackers=[]",
    "training.device=cpu",
    "training.ema_decay=0.9",
    "sampling.films_per_batch=2",
    "sampling.clips_per_film=4",
    "sampling.start_grid_seconds=0.5",
    "model.embedding_dim=12",
    "model.hidden_dim=16",
    "optimiser.warmup_steps=2",
    "loader.workers=0",
    "transforms.video.brightness=0.4",
)
TIMED = ("clips_per_second", "times_real_time", "data_wait_share")
Config = Callable[..., RunConfig]


@pytest.fixture(scope="module")
def towers(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    return save_towers(tmp_path_factory.mktemp("towers"))


@pytest.fixture(scope="module")
def heads(towers: tuple[str, str]) -> Config:
    """A function from overrides to the config of a small run on heads."""
    named = (f"model.video={towers[0]}", f"model.audio={towers[1]}")
    return lambda *overrides: resolve("adapt-heads", [*SMALL, *named, *overrides])


@pytest.fixture
def own_library(library: Library, tmp_path: Path) -> Path:
    """A copy of the library, without features."""
    return Path(shutil.copytree(library.root, tmp_path / "lib"))


def learnt(run: Path) -> list[dict[str, float]]:
    lines = read_metrics(run / "metrics.jsonl")
    return [{name: value for name, value in line.items() if name not in TIMED} for line in lines]


def expect_equal(cached: Path, running: Path) -> None:
    """Check that two runs logged the same numbers at each step, and ended with the same statistics of batch norms."""
    lines, others = learnt(cached), learnt(running)
    assert len(lines) == len(others) == STEPS
    for line, other in zip(lines, others, strict=True):
        assert line == pytest.approx(other, rel=1e-5, abs=1e-5)
    weights, expected = (RunFolder(run).get_checkpoint().read_model_weights() for run in (cached, running))
    for name in expected:
        assert weights[name].numpy() == pytest.approx(expected[name].numpy(), rel=1e-3, abs=1e-4), name


CASES = {
    "heads on both": (),
    "without augmentation": ("adaptation.views=0",),
    "the video tower's own embedding": ("adaptation.video.train=none", f"model.embedding_dim={WIDTH}"),
    "a learned pool over frames": ("model.frame_pool=attention",),
    "two views at each step": ("objective.within_modal_weight=0.5", "adaptation.views=3"),
    "in chunks": ("training.chunk_clips=4",),
    "against queues of keys": ("objective.queue_clips_per_film=6", "objective.momentum=0.5"),
    "sound of another moment": ("sampling.positives_within_seconds=2.0",),
    "encoders of talkies": (
        *("model.video=tiny", "model.audio=tiny", "clip.auto=false"),
        *("clip.frames=4", "clip.fps=8", "clip.audio_seconds=0.5", "transforms.video.size=32"),
    ),
}


@pytest.mark.parametrize("overrides", CASES.values(), ids=CASES.keys())
def test_heads_learn_from_the_cache_what_they_learn_from_running_towers(
    overrides: tuple[str, ...], heads: Config, own_library: Path, tmp_path: Path
) -> None:
    cached = pretrain(own_library, heads(*overrides), tmp_path / "cached").run
    assert (own_library / "features").is_dir()
    running = pretrain(own_library, heads(*overrides, "adaptation.cache=false"), tmp_path / "running").run
    expect_equal(cached, running)


def test_a_second_run_with_these_towers_computes_nothing(
    heads: Config, own_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []
    progress = Progress(on_note=notes.append)
    pretrain(own_library, heads("training.steps=4"), tmp_path / "first", progress=progress)
    [note] = notes
    assert "are computed once" in note
    assert f"rm -r {own_library / 'features'}" in note

    monkeypatch.setattr(ContrastiveSystem, "extract", None)  # a call would fail
    settings = ("training.steps=4", "optimiser.learning_rate=0.1", "model.hidden_dim=8")
    pretrain(own_library, heads(*settings), tmp_path / "second", progress=progress)
    assert notes == [note]


def test_what_is_missing_is_computed_and_nothing_else(
    heads: Config, own_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[set[object]] = []
    compute = FeatureComputer.compute

    def record(self: FeatureComputer, needed: dict[object, object], *rest: object) -> None:
        computed.append(set(needed))
        compute(self, needed, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(FeatureComputer, "compute", record)
    pretrain(own_library, heads("training.steps=1", "adaptation.views=0"), tmp_path / "short")
    pretrain(own_library, heads("adaptation.views=0"), tmp_path / "long")
    short, rest = computed
    assert rest
    assert not short & rest

    # A part that is damaged is computed again.
    part = next(path for path in (own_library / "features").rglob("*.npy") if ".keys" not in path.name)
    part.write_bytes(part.read_bytes()[:-4])
    pretrain(own_library, heads("adaptation.views=0"), tmp_path / "again")
    expect_equal(tmp_path / "again", tmp_path / "long")


@pytest.mark.parametrize(
    "change",
    ["adaptation.views=0", "transforms.video.flip=0.1", "clip.auto=false"],
    ids=["views", "augmentation", "clip"],
)
def test_other_inputs_have_features_of_their_own(change: str, heads: Config, own_library: Path, tmp_path: Path) -> None:
    pretrain(own_library, heads("training.steps=1"), tmp_path / "first")
    before = {path.name for path in (own_library / "features").iterdir()}
    assert len(before) == 2
    clip = ("clip.frames=2", "clip.fps=4", "clip.audio_seconds=0.5") if "clip" in change else ()
    pretrain(own_library, heads("training.steps=1", change, *clip), tmp_path / "second")
    assert len({path.name for path in (own_library / "features").iterdir()} - before) >= 1


def test_a_film_that_was_ingested_again_is_encoded_again(heads: Config, own_library: Path, tmp_path: Path) -> None:
    pretrain(own_library, heads("training.steps=1"), tmp_path / "first")
    records = sorted((own_library / "films").glob("*/film.json"))
    records[0].write_text(records[0].read_text() + "\n")
    notes: list[str] = []
    pretrain(own_library, heads("training.steps=1"), tmp_path / "second", progress=Progress(on_note=notes.append))
    assert len(notes) == 1


def test_a_run_that_was_interrupted_goes_on_from_the_cache(heads: Config, own_library: Path, tmp_path: Path) -> None:
    def stop(line: dict[str, float]) -> None:
        if line["step"] == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pretrain(own_library, heads(), tmp_path / "cached", progress=Progress(on_log=stop))
    pretrain(own_library, heads(), tmp_path / "cached", resume=True)
    pretrain(own_library, heads("adaptation.cache=false"), tmp_path / "running")
    expect_equal(tmp_path / "cached", tmp_path / "running")


@pytest.mark.kills
def test_what_was_computed_before_a_kill_is_kept(heads: Config, own_library: Path, tmp_path: Path) -> None:
    config, seen = heads("adaptation.views=0"), []

    def die(done: int, _all: int) -> None:  # with the second film, when the features of the first are written
        if done > 25:
            os.kill(os.getpid(), signal.SIGKILL)

    if not (child := os.fork()):
        pretrain(own_library, config, tmp_path / "killed", progress=Progress(on_features=die))
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    kept = len(list((own_library / "features").rglob("*.keys.npy")))
    assert kept >= 2

    pretrain(
        own_library, config, tmp_path / "killed", resume=True, progress=Progress(on_features=lambda *n: seen.append(n))
    )
    total = seen[-1][1]
    assert seen[-1] == (total, total)
    fresh: list[tuple[int, int]] = []
    shutil.rmtree(own_library / "features")
    pretrain(own_library, config, tmp_path / "whole", progress=Progress(on_features=lambda *n: fresh.append(n)))
    assert fresh[-1][1] > total
    expect_equal(tmp_path / "killed", tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.ranks
def test_two_processes_share_the_work_and_learn_what_one_learns(
    heads: Config, own_library: Path, tmp_path: Path
) -> None:
    config = heads("training.devices=2", "training.steps=4", "training.ema_decay=null")
    run_forked(lambda _: pretrain(own_library, config, tmp_path / "two"), 2, tmp_path)

    notes: list[str] = []
    one = heads("training.steps=4", "training.ema_decay=null")
    pretrain(own_library, one, tmp_path / "one", progress=Progress(on_note=notes.append))
    assert not notes  # the two had computed all of it
    of_each = ("uniformity_video", "uniformity_audio")  # means over processes of what each has
    for line, other in zip(learnt(tmp_path / "one"), learnt(tmp_path / "two"), strict=True):
        expected = {name: value for name, value in line.items() if name not in of_each}
        assert {name: other[name] for name in expected} == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_a_tower_that_is_trained_runs_and_the_user_is_told(heads: Config, own_library: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    config = heads("adaptation.video.train=all", "training.steps=1")
    pretrain(own_library, config, tmp_path / "run", progress=Progress(on_note=notes.append))
    [note] = notes
    assert note.startswith("the video tower is trained, so the towers run at every step and adaptation.cache has no")
    assert not (own_library / "features").exists()


def test_the_clip_that_the_encoders_take_is_written_into_the_run(
    heads: Config, own_library: Path, tmp_path: Path
) -> None:
    pretrain(own_library, heads("training.steps=1"), tmp_path / "run")
    text = (tmp_path / "run" / "config.yaml").read_text()
    assert "frames: 4\n  fps: 2\n  audio_seconds: 2.0" in text
    assert "auto" not in text.partition("sampling")[0]
    pretrain(own_library, heads("training.steps=2"), tmp_path / "run", resume=True)


def test_a_batch_takes_all_films_of_a_small_library(heads: Config, own_library: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    config = heads("training.steps=2", "sampling.films_per_batch=8", "sampling.clips_per_film=3")
    pretrain(own_library, config, tmp_path / "run", progress=Progress(on_note=notes.append))
    assert notes[0] == "the library has 3 films long enough for 3 clips, so a batch takes 3 and not 8"
    saved = (tmp_path / "run" / "config.yaml").read_text()
    assert "films_per_batch: 3" in saved
    assert [line["negatives"] for line in learnt(tmp_path / "run")] == [8, 8]
    pretrain(own_library, config, tmp_path / "run", resume=True)
    with pytest.raises(PlanError, match="a batch takes 8 films and the library has 3"):
        pretrain(own_library, heads("sampling.few_films=refuse", "sampling.films_per_batch=8"), tmp_path / "other")


def test_encoders_that_are_not_named_are_asked_for() -> None:
    sentence = (
        r"^recipe adapt-heads trains with encoders that you name; add --set model\.video=hf:FOLDER_OR_ID "
        r"--set model\.audio=hf:FOLDER_OR_ID$"
    )
    with pytest.raises(ConfigError, match=sentence):
        resolve("adapt-heads")
    with pytest.raises(ConfigError, match=r"that you name; add --set model\.audio=hf:FOLDER_OR_ID$"):
        resolve("adapt-heads", ["model.video=tiny"])


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (("adaptation.views=null",), r"adaptation: cache keeps the features of fixed views.*set adaptation\.views"),
        (("objective.within_modal_weight=1", "adaptation.views=1"), r"contrasts 2 views of each clip.*is 1; set it to"),
        (("clip.frames=3",), r"clip: with auto the encoders decide on frames; leave it out, or set clip\.auto=false"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(overrides: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        resolve("adapt-heads", ["model.video=tiny", "model.audio=tiny", *overrides])


def test_encoders_of_talkies_have_no_usual_clip(own_library: Path, tmp_path: Path) -> None:
    config = resolve("adapt-heads", ["model.video=tiny", "model.audio=tiny"])
    with pytest.raises(ConfigError, match=r"tiny and tiny are encoders of talkies; set clip\.auto=false and give"):
        pretrain(own_library, config, tmp_path / "run")


def test_a_grid_that_leaves_too_few_starts_names_the_films(heads: Config, own_library: Path, tmp_path: Path) -> None:
    settings = ("sampling.start_grid_seconds=10.0", "sampling.short_films=refuse")
    with pytest.raises(PlanError, match="cannot give 4 clips a batch"):
        pretrain(own_library, heads(*settings), tmp_path / "run")
