"""Audio augmentation: gain, and masks over time and frequency."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from talkies.config import check
from talkies.core import ConfigError
from talkies.transforms import AudioTransformConfig, LogMel
from talkies.transforms.audio import draw_masks

RATE_HZ, MEAN_DB, SD_DB = 16_000, -40, 28
MASKS = {"time_masks": 2, "time_mask_frames": 15, "frequency_masks": 3, "frequency_mask_bins": 9}
FRAMES, BINS = 51, 40


def noise(clips: int, amplitude: float = 2000) -> Tensor:
    return (torch.randn(clips, 8000) * amplitude).clamp(-32768, 32767).to(torch.int16)


def log_mel(**settings: float) -> LogMel:
    return LogMel(AudioTransformConfig(mels=BINS, scale="db", **settings), RATE_HZ)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def slow_masks(generator: torch.Generator, clips: int, masks: int, length: int, widest: int) -> Tensor:
    """Which places are masked, mask by mask: all widths are drawn before all places."""
    wide, place = torch.rand(2, clips, masks, generator=generator).tolist()
    masked = torch.zeros(clips, length, dtype=torch.bool)
    for clip in range(clips):
        for mask in range(masks):
            width = int(wide[clip][mask] * (widest + 1))
            begin = int(place[clip][mask] * (length - width + 1))
            masked[clip, begin : begin + width] = True
    return masked


def test_gain_raises_every_level_by_the_decibels_drawn_for_its_clip() -> None:
    audio_BS = noise(6)
    plain, louder = log_mel()(audio_BS), log_mel(gain_db=9.0)(audio_BS, seeded(4))
    gain_B = torch.empty(6).uniform_(-9, 9, generator=seeded(4))
    assert gain_B.abs().max() > 3
    expected = gain_B[:, None, None, None].expand_as(plain)
    torch.testing.assert_close((louder - plain) * SD_DB, expected, rtol=0, atol=1e-4)


def test_gain_is_that_of_louder_samples() -> None:
    audio_BS = noise(2, amplitude=500)
    by_power = log_mel().compute_levels(audio_BS, torch.full((2,), 20 * torch.tensor(4.0).log10()))
    torch.testing.assert_close(by_power, log_mel().compute_levels(audio_BS * 4), rtol=0, atol=1e-4)


def test_gain_leaves_silence_at_the_floor() -> None:
    levels = log_mel().compute_levels(torch.zeros(2, 4000, dtype=torch.int16), torch.tensor([20.0, -20.0]))
    torch.testing.assert_close(levels, torch.full_like(levels, -100))


def test_masks_lie_where_the_drawn_numbers_say_and_are_the_mean_and_all_else_is_left() -> None:
    audio_BS, generator = noise(5), seeded(8)
    plain, masked = log_mel()(audio_BS), log_mel(**MASKS)(audio_BS, seeded(8))
    in_time_BL = slow_masks(generator, 5, 2, FRAMES, 15)
    in_frequency_BF = slow_masks(generator, 5, 3, BINS, 9)
    hidden_B1FL = (in_time_BL[:, None] | in_frequency_BF[:, :, None])[:, None]
    assert 0.1 < hidden_B1FL.float().mean() < 0.9
    assert torch.equal(masked, torch.where(hidden_B1FL, 0, plain))
    assert (log_mel().compute_levels(audio_BS)[:, None] == MEAN_DB).sum() == 0  # no zero is there by chance


def test_gain_is_drawn_before_masks() -> None:
    audio_BS, generator = noise(3), seeded(2)
    both = log_mel(gain_db=6.0, **MASKS)(audio_BS, seeded(2))
    gain_B = torch.empty(3).uniform_(-6, 6, generator=generator)
    louder = (log_mel().compute_levels(audio_BS, gain_B)[:, None] - MEAN_DB) / SD_DB
    in_time_BL, in_frequency_BF = slow_masks(generator, 3, 2, FRAMES, 15), slow_masks(generator, 3, 3, BINS, 9)
    hidden_B1FL = (in_time_BL[:, None] | in_frequency_BF[:, :, None])[:, None]
    torch.testing.assert_close(both, torch.where(hidden_B1FL, 0, louder), rtol=0, atol=1e-6)


@given(st.integers(1, 60), st.integers(0, 80), st.integers(0, 2**31))
def test_one_mask_is_one_stretch_no_wider_than_asked_for(length: int, widest: int, seed: int) -> None:
    masked_BL = draw_masks((8, 1), length, widest, seeded(seed))
    assert masked_BL.shape == (8, length)
    assert masked_BL.sum(1).max() <= min(widest, length)
    edges_B = torch.nn.functional.pad(masked_BL.int(), (1, 1)).diff(dim=1).abs().sum(1)
    assert set(edges_B.tolist()) <= {0, 2}


def test_widths_and_places_of_masks_are_drawn_evenly() -> None:
    masked_BL = draw_masks((20_000, 1), 10, 4, seeded(0))
    width_B = masked_BL.sum(1)
    assert (width_B.bincount() / 20_000).tolist() == pytest.approx([1 / 5] * 5, abs=0.02)
    begin_B = masked_BL[width_B == 3].int().argmax(1)
    assert (begin_B.bincount() / len(begin_B)).tolist() == pytest.approx([1 / 8] * 8, abs=0.03)


def test_without_a_generator_nothing_is_augmented() -> None:
    audio_BS = noise(2)
    assert torch.equal(log_mel(gain_db=9.0, **MASKS)(audio_BS), log_mel()(audio_BS))


def test_with_augmentation_off_nothing_is_drawn() -> None:
    audio_BS, generator = noise(2), seeded(3)
    assert torch.equal(log_mel()(audio_BS, generator), log_mel()(audio_BS))
    assert torch.equal(generator.get_state(), seeded(3).get_state())


def test_the_same_generator_gives_the_same_bits_and_others_give_others() -> None:
    audio_BS, augmented = noise(3), log_mel(gain_db=6.0, **MASKS)
    first = augmented(audio_BS, seeded(3))
    torch.manual_seed(99)
    assert torch.equal(augmented(audio_BS, seeded(3)), first)
    assert not torch.equal(augmented(audio_BS, seeded(4)), first)


def test_clips_of_one_sound_are_augmented_each_in_its_own_way() -> None:
    for settings in ({"gain_db": 6.0}, MASKS):
        output_B1FL = log_mel(**settings)(noise(1).expand(4, -1), seeded(5))
        assert all(not torch.equal(output_B1FL[0], other) for other in output_B1FL[1:])


def test_what_a_clip_becomes_does_not_depend_on_what_the_others_hold() -> None:
    audio_BS, augmented = noise(4), log_mel(gain_db=6.0, **MASKS)
    changed_BS = torch.cat([audio_BS[:2], noise(2, amplitude=50)])
    assert torch.equal(augmented(changed_BS, seeded(1))[:2], augmented(audio_BS, seeded(1))[:2])


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"gain_db": -1.0}, "'gain_db' got -1.0: input should be greater than or equal to 0"),
        ({"time_masks": 2}, "time_masks and time_mask_frames are set together, or neither is"),
        ({"frequency_mask_bins": 8}, "frequency_masks and frequency_mask_bins are set together, or neither is"),
        (
            {"mels": 20, "frequency_masks": 1, "frequency_mask_bins": 21},
            "frequency_mask_bins must not exceed mels, got 21 and 20",
        ),
    ],
)
def test_augmentations_that_cannot_be_are_refused(values: dict[str, float], sentence: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        check(AudioTransformConfig, values, "recipe x")
