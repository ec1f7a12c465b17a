"""Distillation: the distance of features from the public encoder's, its weight, and its gradient in chunks."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from trained_towers import SmallTower, save_checkpoint

from talkies.models import EncoderAddress
from talkies.models.public import open_tower
from talkies.training.train_state import TrainState


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> SmallTower:
    return SmallTower("video", save_checkpoint(tmp_path_factory.mktemp("checkpoints") / "clip", "clip"))


def trained(tower: SmallTower, train: str, *overrides: str) -> TrainState:
    """A state whose encoder has moved, so that there is a distance."""
    state = tower.start(tower.config(train, "adaptation.video.distillation_weight=0.7", *overrides))
    tower.train(state, range(2))
    for module in (state.system.model.video_head, state.system.model.audio_head, state.system.model.audio):
        module.eval()  # batch norms of fixed statistics: chunks are normalised as the whole batch is
    return state


@pytest.mark.parametrize("train", ["lora", "last:1", "all"])
def test_the_distance_is_one_minus_the_cosine_with_the_public_encoder_by_a_loop(clip: SmallTower, train: str) -> None:
    state, batch = trained(clip, train), clip.batch(3)
    augmentations = state.stepper.draw_augmentations(batch, 0, 3)
    numbers = state.stepper.backward(batch, augmentations, 3)

    public = open_tower(EncoderAddress.parse(clip.address), "video").encoder
    pictures = state.system.transform.prepare(batch, augmentations[0]).video_BCTHW
    with torch.no_grad():
        own_BE, public_BE = (encoder(pictures).double() for encoder in (state.system.model.video, public))
    distances = []
    for own_E, public_E in zip(own_BE.tolist(), public_BE.tolist(), strict=True):
        dot = sum(a * b for a, b in zip(own_E, public_E, strict=True))
        lengths = math.sqrt(sum(a * a for a in own_E)) * math.sqrt(sum(b * b for b in public_E))
        distances.append(1 - dot / lengths)
    expected = sum(distances) / len(distances)
    assert expected > 1e-4
    assert float(numbers["distance_video"]) == pytest.approx(expected, rel=1e-3)
    assert float(numbers["loss_distillation_video"]) == pytest.approx(0.7 * expected, rel=1e-3)

    # Without it, the loss is smaller by that term.
    state.system.distillation.weights.clear()
    without = state.stepper.backward(batch, augmentations, 3)
    assert float(numbers["loss"] - without["loss"]) == pytest.approx(0.7 * expected, rel=1e-3)


@pytest.mark.parametrize("train", ["lora", "all"])
def test_in_chunks_the_gradient_and_the_numbers_are_those_of_the_whole_batch(clip: SmallTower, train: str) -> None:
    whole, chunks = trained(clip, train), trained(clip, train)
    chunks.stepper._chunk_clips = 2
    batch = clip.batch(3)
    results: list[tuple[dict[str, Tensor], dict[str, Tensor]]] = []
    for state in (whole, chunks):
        state.wrapped_optimiser.zero_grad()
        numbers = state.stepper.backward(batch, state.stepper.draw_augmentations(batch, 0, 3), 3)
        gradients = {name: p.grad for name, p in state.system.named_parameters() if p.grad is not None}
        results.append((gradients, numbers))
    torch.testing.assert_close(results[0], results[1], rtol=1e-3, atol=1e-5)


def test_the_teacher_is_neither_trained_nor_saved(clip: SmallTower, tmp_path: Path) -> None:
    config = clip.config("all", "adaptation.video.distillation_weight=0.7")
    state = clip.start(config)
    before = {name: tensor.clone() for name, tensor in state.system.distillation.state_dict().items()}
    clip.train(state, range(2))
    assert before
    torch.testing.assert_close(before, dict(state.system.distillation.state_dict()), rtol=0, atol=0)
    clip.save(state, config, tmp_path / "run", 2)
    assert not [name for name in (tmp_path / "run").rglob("*") if "teacher" in name.name]
