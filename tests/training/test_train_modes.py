"""Every family of public encoders in every mode of training: what must change does, and nothing else, bit for bit."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from trained_towers import FAMILIES, SmallTower, list_changed, save_checkpoint, weights_of

from talkies.core import Modality
from talkies.export import export_run
from talkies.models import is_frozen
from talkies.models.public.checkpoint import silence
from talkies.runs import ClipEncoder, RunFolder, load_encoder

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:At least one mel filter"),  # of transformers, in the small checkpoints
]
MODES = ("none", "head", "last:1", "lora", "all")
CASES = pytest.mark.parametrize(("modality", "name"), FAMILIES, ids=[name for _, name in FAMILIES])
IS_SOAK = os.environ.get("TALKIES_SOAK") == "1"
FEW = {FAMILIES[0], FAMILIES[1], FAMILIES[-2], FAMILIES[-1]}
TRAINED = [
    (modality, name, train)
    for modality, name in FAMILIES
    for train in MODES
    if IS_SOAK or train not in ("none", "head") or (modality, name) in FEW  # these two do not touch the public network
]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Modality, str], SmallTower]:
    """A function from a family to its small tower, each made once."""
    made: dict[str, SmallTower] = {}

    def tower(modality: Modality, name: str) -> SmallTower:
        if name not in made:
            made[name] = SmallTower(modality, save_checkpoint(tmp_path_factory.mktemp("checkpoints") / name, name))
        return made[name]

    return tower


@pytest.mark.parametrize(("modality", "name", "train"), TRAINED, ids=[f"{name}-{mode}" for _, name, mode in TRAINED])
def test_what_is_trained_changes_and_nothing_else(
    modality: Modality, name: str, train: str, small: Callable[[Modality, str], SmallTower]
) -> None:
    tower = small(modality, name)
    state = tower.start(tower.config(train))
    encoder = getattr(state.system.model, modality)
    before = weights_of(state)
    tower.train(state, range(2))
    changed = list_changed(before, weights_of(state))

    # The tiny tower beside it and both new heads are trained in full.
    other = "audio" if modality == "video" else "video"
    head = {each for each in before if each.startswith(f"{modality}_head.")}
    beside = {each for each in before if each.startswith((f"{other}.", f"{other}_head."))}
    assert beside <= changed
    if train == "none":
        assert not changed & head
        assert is_frozen(encoder)
    else:
        assert head <= changed

    # Of the public network, only what the mode names.
    network = {each for each in changed if each.startswith(f"{modality}.network.")}
    assert not changed - network - head - beside
    if train in ("none", "head"):
        assert not network
    elif train == "lora":
        adapters = {each for each in before if re.search(r"\.lora_[AB]\.", each)}
        assert network
        assert network == adapters
    else:
        check_blocks(state.system.model.get_submodule(modality), modality, network, train)


def check_blocks(encoder: torch.nn.Module, modality: Modality, changed: set[str], train: str) -> None:
    """Check that the matrices of the blocks changed that should, and no others of the network but final norms."""
    names = {id(parameter): f"{modality}.{name}" for name, parameter in encoder.named_parameters()}
    blocks = [(stage, {names[id(p)] for p in block.parameters()}) for stage, block in encoder.named_blocks()]
    last = blocks[-1][1]
    matrices = {names[id(p)] for p in encoder.named_blocks()[-1][1].parameters() if p.ndim > 1}
    assert matrices <= changed
    if train == "all":
        stem = set().union(*(block for stage, block in blocks if stage == "stem"))
        assert stem & changed
    else:
        outside = set(names.values()).difference(*(block for _, block in blocks))
        assert changed <= last | outside
        assert all(re.search("norm|pool|head|output", name) for name in changed - last), changed - last


@CASES
def test_a_run_keeps_what_it_learnt_resumes_exactly_and_its_export_needs_nothing_else(
    modality: Modality, name: str, small: Callable[[Modality, str], SmallTower], tmp_path: Path
) -> None:
    tower = small(modality, name)
    config = tower.config("lora", "training.ema_decay=0.5")
    unbroken = tower.start(config)
    tower.train(unbroken, range(1))
    run = tmp_path / "run"
    tower.save(unbroken, config, run, 1)
    tower.train(unbroken, range(1, 2))
    tower.save(unbroken, config, run, 2)

    # The checkpoint holds nothing of the public network but the adapters.
    kept = RunFolder(run).get_checkpoint(2).read_model_weights()
    assert all("lora_" in each for each in kept if each.startswith(f"model.{modality}.network."))

    # A fresh process that restores the first checkpoint ends at the same weights.
    resumed = tower.start(config)
    tower.save(resumed, config, tmp_path / "other", 0).restore(RunFolder(run).get_checkpoint(1))
    tower.train(resumed, range(1, 2))
    assert not list_changed(weights_of(unbroken), weights_of(resumed))

    # The run, its export and the weights in training encode alike.
    exported = export_run(run, tmp_path / "exported")
    encoders = load_encoder(run), load_encoder(exported.folder)
    own, loaded = (embed(encoder, tower, modality) for encoder in encoders)
    assert encoders[0].stamp == encoders[1].stamp
    torch.testing.assert_close(own, loaded, rtol=0, atol=1e-6)

    # The classes of transformers load the folder, with the weights in it.
    if tower.tower.whole is not None:
        with silence():
            network = type(tower.tower.whole).from_pretrained(exported.folder / modality)
        weights, written = network.state_dict(), load_file(exported.folder / modality / "model.safetensors")
        own = {each.removeprefix("vision_model."): tensor for each, tensor in written.items()} | written
        assert {each for each in own if each in weights}
        assert all(torch.equal(weights[each], tensor) for each, tensor in own.items() if each in weights)
        assert (exported.folder / modality / "config.json").is_file()


def embed(encoder: ClipEncoder, tower: SmallTower, modality: Modality) -> Tensor:
    embeddings = encoder.encode(tower.batch(9)).embeddings
    return embeddings.video_BD if modality == "video" else embeddings.audio_BD
