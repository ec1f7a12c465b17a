"""The transform of a batch: both modalities, augmentation, and slices of it."""

import pytest
import torch

from talkies.core import ClipBatch, ClipRequest, Span, parse_film_id
from talkies.transforms import (
    AudioTransformConfig,
    ClipTransform,
    LogMel,
    TransformConfig,
    VideoTransform,
    VideoTransformConfig,
)

CONFIG = TransformConfig(video=VideoTransformConfig(size=24), audio=AudioTransformConfig(mels=40))


@pytest.fixture
def batch() -> ClipBatch:
    requests = tuple(ClipRequest(parse_film_id("a" * 16), Span(start, start + 16)) for start in (0, 20))
    pictures = torch.randint(0, 256, (2, 4, 48, 32), dtype=torch.uint8)
    samples = torch.randint(-3000, 3000, (2, 8000), dtype=torch.int16)
    return ClipBatch(requests, pictures, samples, torch.zeros(2, dtype=torch.int64))


def test_a_batch_becomes_the_input_of_both_encoders(batch: ClipBatch) -> None:
    ready = ClipTransform(CONFIG, rate_hz=8000)(batch)
    assert torch.equal(ready.video_BCTHW, VideoTransform(CONFIG.video)(batch.video_BTPW))
    assert torch.equal(ready.audio_B1FL, LogMel(CONFIG.audio, rate_hz=8000)(batch.audio_BS))


def test_a_generator_alone_changes_the_pictures_and_leaves_the_sound(batch: ClipBatch) -> None:
    transform = ClipTransform(CONFIG, rate_hz=8000)
    plain, augmented = transform(batch), transform(batch, torch.Generator().manual_seed(0))
    assert not torch.equal(augmented.video_BCTHW, plain.video_BCTHW)
    assert torch.equal(augmented.audio_B1FL, plain.audio_B1FL)


def test_pictures_draw_first_and_then_sounds(batch: ClipBatch) -> None:
    config = TransformConfig(
        video=VideoTransformConfig(size=24, brightness=0.4, crop_aspect_max=1.5),
        audio=AudioTransformConfig(mels=40, gain_db=6.0, time_masks=1, time_mask_frames=9),
    )
    ready = ClipTransform(config, rate_hz=8000)(batch, torch.Generator().manual_seed(2))
    generator = torch.Generator().manual_seed(2)
    assert torch.equal(ready.video_BCTHW, VideoTransform(config.video)(batch.video_BTPW, generator))
    assert torch.equal(ready.audio_B1FL, LogMel(config.audio, rate_hz=8000)(batch.audio_BS, generator))


def test_colours_and_sounds_left_as_they_are_draw_nothing(batch: ClipBatch) -> None:
    drawn, crops_alone = torch.Generator().manual_seed(0), torch.Generator().manual_seed(0)
    ClipTransform(CONFIG, rate_hz=8000)(batch, drawn)
    for _ in range(4):  # area, top, left, mirrored
        torch.rand(2, generator=crops_alone)
    assert torch.equal(drawn.get_state(), crops_alone.get_state())


def test_half_precision_around_it_changes_no_digit(batch: ClipBatch) -> None:
    transform = ClipTransform(CONFIG, rate_hz=8000)
    with torch.autocast("cpu", torch.bfloat16):
        inside = transform(batch)
    assert torch.equal(inside.video_BCTHW, transform(batch).video_BCTHW)
    assert torch.equal(inside.audio_B1FL, transform(batch).audio_B1FL)


def test_the_transform_has_nothing_to_learn_or_to_keep() -> None:
    transform = ClipTransform(CONFIG, rate_hz=8000)
    assert list(transform.parameters()) == []
    assert transform.state_dict() == {}
