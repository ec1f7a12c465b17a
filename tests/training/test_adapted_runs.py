"""Runs that adapt public encoders, whole: killed and resumed, loaded, started from, and refused without their base."""

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_towers import save_towers

from talkies.core import ConfigError, RunError, UsageError
from talkies.export import export_run
from talkies.library import Library
from talkies.runs import InitialWeights, RunFolder, load_encoder
from talkies.training import RunConfig, pretrain
from talkies.training.metrics import read_metrics

SOAK = pytest.mark.skipif(os.environ.get("TALKIES_SOAK") != "1", reason="make soak kills a second adapted run")

Config = Callable[..., RunConfig]


@pytest.fixture(scope="module")
def towers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small public encoders."""
    folder = tmp_path_factory.mktemp("towers")
    save_towers(folder)
    return folder


def config_of(two_steps: Config, towers: Path, video: str, audio: str, *overrides: str) -> RunConfig:
    addresses = (f"model.video=hf:{towers / 'clip'}", f"model.audio=hf:{towers / 'w2v'}")
    trained = (f"adaptation.video.train={video}", f"adaptation.audio.train={audio}")
    return two_steps("model.embedding_dim=12", "model.hidden_dim=16", *addresses, *trained, *overrides)


def train_until_killed(library: Library, config: RunConfig, run: Path, lines: int) -> None:
    """Train in a process that is killed when so many steps are logged."""
    child = os.fork()
    if child == 0:
        pretrain(library.root, config, run)
        os._exit(3)
    deadline = time.monotonic() + 60
    while len(read_metrics(run / "metrics.jsonl")) < lines and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.parametrize(
    ("video", "audio", "overrides"),
    [
        ("lora", "last:1", ("training.ema_decay=0.9", "adaptation.video.distillation_weight=0.5")),
        pytest.param("all", "lora", (), marks=SOAK),  # as the first, with other encoders adapted
    ],
)
def test_a_run_that_was_killed_ends_as_one_that_was_not(
    video: str,
    audio: str,
    overrides: tuple[str, ...],
    library: Library,
    two_steps: Config,
    towers: Path,
    tmp_path: Path,
) -> None:
    steps = ("training.steps=12", "training.checkpoint_every=2", "training.log_every=1", "training.keep=20")
    config = config_of(two_steps, towers, video, audio, *steps, *overrides)
    train_until_killed(library, config, tmp_path / "killed", 3)
    last = RunFolder(tmp_path / "killed").get_checkpoint().step
    assert 2 <= last < 12
    resumed = pretrain(library.root, config, tmp_path / "killed", resume=True)
    unbroken = pretrain(library.root, config, tmp_path / "whole")
    assert resumed.stamp == unbroken.stamp
    states = [RunFolder(report.run).get_checkpoint().read_encoder_weights() for report in (resumed, unbroken)]
    torch.testing.assert_close(states[0], states[1], rtol=0, atol=0)


@pytest.fixture(scope="module")
def locked(library: Library, two_steps: Config, towers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose pictures are CLIP's own, and whose sounds are trained to meet them; read only."""
    config = config_of(two_steps, towers, "none", "head")
    return pretrain(library.root, config, tmp_path_factory.mktemp("runs") / "locked").run


@pytest.fixture(scope="module")
def moved(library: Library, two_steps: Config, towers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose pictures are trained in full, and whose sounds have adapters; read only."""
    config = config_of(two_steps, towers, "all", "lora")
    return pretrain(library.root, config, tmp_path_factory.mktemp("runs") / "moved").run


def test_words_meet_both_modalities_of_a_run_whose_tower_is_locked(locked: Path, tmp_path: Path) -> None:
    for encoder in (load_encoder(locked), load_encoder(export_run(locked, tmp_path / "exported").folder)):
        assert encoder.joint
        assert encoder.text_modalities == ("video", "audio")
        assert {space.modality for space in encoder.texts.values()} == {"video"}


def test_a_tower_that_moved_has_lost_its_words_and_says_how_they_are_kept(moved: Path) -> None:
    encoder = load_encoder(moved)
    assert encoder.text_modalities == ()
    sentence = (
        r"the pictures of \S+ cannot be searched by words: they were in one space with the words of hf:\S+, and "
        r"training moved them \(adaptation\.video\.train = all\); .* \(adaptation\.video\.train=none\)$"
    )
    with pytest.raises(UsageError, match=sentence):
        encoder.encode_text(["a train"], "video")


def test_a_run_records_its_bases_and_keeps_only_what_it_learnt(locked: Path, towers: Path) -> None:
    record = RunFolder(locked).read_record()
    assert record.bases["video"].address == f"hf:{towers / 'clip'}"
    assert "config.json" in record.bases["video"].files
    names = RunFolder(locked).get_checkpoint().read_model_weights().keys()
    assert not [name for name in names if name.startswith(("model.video", "model.audio.network"))]
    assert "model.audio_head.0.weight" in names


@pytest.fixture
def own_towers(towers: Path, tmp_path: Path) -> Path:
    """A copy of the encoders, to be changed."""
    return Path(shutil.copytree(towers, tmp_path / "towers"))


def test_a_base_of_other_weights_or_none_is_refused_and_an_export_needs_none(
    library: Library, two_steps: Config, own_towers: Path, tmp_path: Path
) -> None:
    config = config_of(two_steps, own_towers, "head", "last:1")
    run = pretrain(library.root, config, tmp_path / "run").run
    before = load_encoder(run)
    exported = export_run(run, tmp_path / "exported")
    weights = own_towers / "clip" / "model.safetensors"
    tensors = load_file(weights)
    name = next(each for each in tensors if "vision" in each and each.endswith("fc1.weight"))
    save_file(tensors | {name: tensors[name] + 1}, weights, {"format": "pt"})
    sentence = r"run keeps only what it learnt beside the weights of hf:\S+ \(\w+\), and those there now are others"
    with pytest.raises(RunError, match=sentence):
        load_encoder(run)
    with pytest.raises(RunError, match=sentence):
        pretrain(library.root, config, run, resume=True)

    shutil.rmtree(own_towers / "clip")
    with pytest.raises(
        RunError, match=r"and they are gone: .*; put the former|To load the run, put the former ones back"
    ):
        load_encoder(run)
    assert load_encoder(exported.folder).stamp == before.stamp


def test_a_run_that_trained_everything_needs_no_base(
    library: Library, two_steps: Config, own_towers: Path, tmp_path: Path
) -> None:
    config = config_of(two_steps, own_towers, "all", "all")
    run = pretrain(library.root, config, tmp_path / "run").run
    before = load_encoder(run).model.state_dict()
    shutil.rmtree(own_towers)
    torch.testing.assert_close(load_encoder(run).model.state_dict(), before, rtol=0, atol=0)


def test_an_encoder_starts_from_what_a_run_learnt(
    library: Library, two_steps: Config, towers: Path, moved: Path, tmp_path: Path
) -> None:
    config = config_of(two_steps, towers, "all", "all", "training.steps=1")
    report = pretrain(library.root, config, tmp_path / "run", init=InitialWeights(audio=moved))
    first = load_encoder(report.run, 0).model.audio.state_dict()
    exported = load_encoder(export_run(moved, tmp_path / "exported").folder).model.audio.state_dict()
    torch.testing.assert_close(first, exported, rtol=0, atol=1e-6)

    kept = config_of(two_steps, towers, "all", "lora")
    with pytest.raises(ConfigError, match=r"a run keeps only what it learns beside them .* model\.audio=hf:DIR/audio$"):
        pretrain(library.root, kept, tmp_path / "other", init=InitialWeights(audio=moved))
