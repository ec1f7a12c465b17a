"""Training on the device: each recipe takes steps and loses loss, in every way to train."""

import math
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric

from talkies.clips import LoaderConfig, load_batches, open_training_clips
from talkies.core import ClipBatch, TalkiesError
from talkies.library import Library
from talkies.training import RunConfig, list_recipes, pretrain, resolve
from talkies.training.devices import has_bf16_arithmetic, make_fabric
from talkies.training.metrics import read_metrics
from talkies.training.train_state import TrainState, build_system

pytestmark = pytest.mark.gpu

Config = Callable[..., RunConfig]
RECIPES = [name for name in list_recipes() if name != "adapt-heads"]  # which has encoders of others
ON_A_PROCESSOR_SMALL = (
    "transforms.video.size=32",
    "transforms.audio.mels=32",
    "training.precision=32-true",
    "model.embedding_dim=32",
    "model.hidden_dim=32",
    "clip.frames=4",
)


@pytest.fixture(autouse=True)
def _no_process_group_is_left() -> Iterator[None]:
    """FSDP begins a group of processes, of which the next run in this process knows nothing."""
    yield
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def losses_on_one_batch(config: RunConfig, batch: ClipBatch, steps: int) -> list[float]:
    """Train on the same clips, augmented in the same way, again and again: any model can learn them."""
    fabric: Fabric = make_fabric(config.training)
    fabric.launch()
    state, clips = TrainState(fabric, build_system(config, 16, 16_000), config), batch.to(fabric.device)
    losses = []
    for step in range(steps):
        state.wrapped_optimiser.zero_grad()
        scalars = state.stepper.backward(clips, state.stepper.draw_augmentations(clips, 0, 0), step)
        losses.append(float(scalars["loss"]))
        state.wrapped_optimiser.step()
    return losses


@pytest.mark.parametrize("recipe", RECIPES)
def test_each_recipe_takes_steps_and_loses_loss(recipe: str, device: str, make_batch: Callable[..., ClipBatch]) -> None:
    if device == "cpu" and recipe not in ("random", "vit-s"):
        pytest.skip("on a processor two recipes are enough")
    films, per_film = (2, 4) if resolve(recipe).sampling.clips_per_film > 1 else (8, 1)
    lines = [f"sampling.films_per_batch={films}", f"sampling.clips_per_film={per_film}", "training.devices=1"]
    lines += [f"training.device={device}", "training.compile=false", "objective.cross_film_weight=1"]
    if device == "cpu":
        towers = ("vit_tiny",) * 2 if recipe == "vit-s" else ("tiny",) * 2
        lines += [*ON_A_PROCESSOR_SMALL, f"model.video={towers[0]}", f"model.audio={towers[1]}"]
    config = resolve(recipe, lines)
    losses = losses_on_one_batch(config, make_batch(films, per_film, config.clip.frames), 20 if device == "cuda" else 6)
    assert all(map(math.isfinite, losses))
    assert min(losses[-3:]) < 0.9 * losses[0], losses


WAYS = {
    "channels-last": ("training.channels_last=true",),
    "contiguous": ("training.channels_last=false",),
    "chunks": ("training.chunk_clips=4",),
    "blocks": ("objective.block_clips=4",),
    "activation checkpointing": ("training.activation_checkpointing=true",),
    "compiled": ("training.compile=true",),
    "compiled, chunks": ("training.compile=true", "training.chunk_clips=4"),
    "compiled, activation checkpointing": ("training.compile=true", "training.activation_checkpointing=true"),
    "TF32": ("training.precision=tf32",),
    "bf16": ("training.precision=bf16-mixed",),
    "bf16, compiled, chunks": ("training.precision=bf16-mixed", "training.compile=true", "training.chunk_clips=4"),
    "FSDP on one rank": ("training.strategy=fsdp",),
    "moving average": ("training.ema_decay=0.9",),
    "queue": ("objective.queue_clips_per_film=16",),
    "sigmoid": ("objective.loss=sigmoid", "objective.cross_film_weighs=negatives", "objective.learn_temperature=true"),
    "two views": ("objective.within_modal_weight=0.5",),
}
ANOTHER_LOSS = ("queue", "sigmoid", "two views")
ON_A_PROCESSOR = ("contiguous", "compiled, chunks", "sigmoid")  # the others need CUDA, or tests/training has them


@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_train_takes_steps_that_begin_alike(
    way: str, device: str, library: Library, small: Config, short_run: Path, tmp_path: Path
) -> None:
    if device == "cpu" and way not in ON_A_PROCESSOR:
        pytest.skip("on a processor three ways are enough")
    if "bf16" in way and not has_bf16_arithmetic(device):
        pytest.skip("no bf16 arithmetic here")
    steps = 4 if device == "cuda" else 1
    report = pretrain(library.root, small(f"training.steps={steps}", *WAYS[way]), tmp_path / "run")
    losses, plain = ([line["loss"] for line in read_metrics(run / "metrics.jsonl")] for run in (report.run, short_run))
    assert len(losses) == steps
    assert all(map(math.isfinite, losses))
    if way not in ANOTHER_LOSS:
        rounding = 0.5 if "chunks" in way else 0.03  # the norms of chunks see other clips
        assert losses[0] == pytest.approx(plain[0], rel=rounding)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_run_on_the_device_loses_loss(
    precision: str, device: str, library: Library, small: Config, tmp_path: Path
) -> None:
    if device == "cpu" and precision == "bf16-mixed":
        pytest.skip("on a processor one precision is enough")
    config = small(f"training.steps={30 if device == 'cuda' else 2}", f"training.precision={precision}")
    report = pretrain(library.root, config, tmp_path / "run")
    assert math.isfinite(report.last["loss"])
    if device == "cuda":
        assert report.last["loss"] < 1.0  # chance: log(4) = 1.39


def test_loader_processes_feed_the_device(device: str, library: Library, small: Config, tmp_path: Path) -> None:
    workers = 2 if device == "cuda" else 0
    report = pretrain(library.root, small("training.steps=2", f"loader.workers={workers}"), tmp_path / "run")
    assert report.steps == 2
    assert 0 <= report.last["data_wait_share"] <= 1


@pytest.mark.parametrize("recipe", ["tiny", "r2plus1d18"])
def test_films_decoded_on_the_device_are_those_of_the_processor(recipe: str, device: str, library: Library) -> None:
    if device == "cpu" or "decoder" not in LoaderConfig.model_fields or not find_spec("torchcodec"):
        pytest.skip("it needs CUDA and torchcodec")
    config = resolve(recipe, ["sampling.films_per_batch=2", "sampling.clips_per_film=4"])
    batches = []
    for decoder in ("cpu", "cuda"):
        clips = open_training_clips(library.root, config.clip, config.sampling, seed=0)
        loader = LoaderConfig.model_validate({"workers": 0, "decoder": decoder})
        try:
            (batch,) = load_batches(clips.source, clips.plan, range(1), loader)
        except TalkiesError as error:  # a torchcodec that was built without CUDA
            pytest.skip(str(error))
        batches.append(batch)
    assert batches[0].requests == batches[1].requests
    torch.testing.assert_close(batches[1].video_BTPW.cpu(), batches[0].video_BTPW, atol=1, rtol=0)
