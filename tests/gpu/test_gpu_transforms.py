"""Transforms give on the device what they give on the processor, whatever the precision of matrix products."""

from collections.abc import Callable, Iterator

import pytest
import torch

from talkies.core import ClipBatch
from talkies.training import resolve
from talkies.transforms import ClipTransform

pytestmark = pytest.mark.gpu

PICTURES = 1e-3  # of normalised colours, which are between −3 and 3: sums in another order
SOUNDS = 5e-3  # of natural logarithms: a transform in float32 has a larger error where a bin holds little


@pytest.fixture(params=["highest", "high"])
def _products(request: pytest.FixtureRequest) -> Iterator[None]:
    """With TF32 in matrix products, as a run with that precision leaves it, and without."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(request.param)
    yield
    torch.set_float32_matmul_precision(before)


@pytest.mark.usefixtures("_products")
@pytest.mark.parametrize("recipe", ["tiny", "r2plus1d18", "vit-s"])
def test_augmented_clips_are_those_of_the_processor(
    recipe: str, device: str, make_batch: Callable[..., ClipBatch]
) -> None:
    clips = make_batch() if device == "cuda" else make_batch(frames=2)
    transform = ClipTransform(resolve(recipe).transforms, 16_000)
    here = transform(clips, torch.Generator().manual_seed(1))
    there = transform.to(device)(clips.to(device), torch.Generator().manual_seed(1))
    torch.testing.assert_close(there.video_BCTHW.cpu(), here.video_BCTHW, atol=PICTURES, rtol=PICTURES)
    torch.testing.assert_close(there.audio_B1FL.cpu(), here.audio_B1FL, atol=SOUNDS, rtol=SOUNDS)


def test_clips_as_they_are_encoded_are_those_of_the_processor(
    device: str, make_batch: Callable[..., ClipBatch]
) -> None:
    clips, transform = make_batch(frames=2), ClipTransform(resolve("r2plus1d18").transforms, 16_000)
    here = transform(clips)
    there = transform.to(device)(clips.to(device))
    torch.testing.assert_close(there.video_BCTHW.cpu(), here.video_BCTHW, atol=PICTURES, rtol=PICTURES)
    torch.testing.assert_close(there.audio_B1FL.cpu(), here.audio_B1FL, atol=SOUNDS, rtol=SOUNDS)
