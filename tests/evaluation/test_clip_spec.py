"""The input of an encoder: which windows and crops of a clip it gets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from talkies.clips import cut_audio_windows, cut_video_windows
from talkies.clips.clip_spec import (
    ClipSpec,
    crop_square_at,
    cut_square_crops,
    spread_window_starts,
)
from talkies.core import crop_middle_square


@given(st.integers(1, 500), st.integers(1, 100), st.integers(1, 20))
def test_windows_are_even_and_within_the_clip(length: int, window: int, count: int) -> None:
    starts = spread_window_starts(length, window, count)
    space = max(0, length - window)
    assert len(starts) == count
    assert starts.min() >= 0
    assert starts.max() <= space
    if count > 1:
        assert starts[0] == 0
        assert starts[-1] == space
        assert np.ptp(np.diff(starts)) <= 1
        assert np.abs(starts + starts[::-1] - space).max() <= 1  # alike from either end
    else:
        assert abs(2 * int(starts[0]) - space) <= 1


def test_a_short_clip_is_repeated() -> None:
    pictures = np.arange(3, dtype=np.uint8)[:, None, None]
    windows = cut_video_windows(pictures, np.array([0]), 7)
    assert windows[0, :, 0, 0].tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert cut_audio_windows(np.arange(3, dtype=np.int16), np.array([0]), 5).tolist() == [[0, 1, 2, 0, 1]]


@given(st.integers(4, 12), st.integers(4, 12))
def test_the_middle_crop_is_that_of_training(half_height: int, half_width: int) -> None:
    height, width = 4 * half_height, 4 * half_width
    video = np.random.default_rng(0).integers(0, 256, (2, height * 3 // 2, width)).astype(np.uint8)
    np.testing.assert_array_equal(crop_square_at(video, 0.5), crop_middle_square(video))


def test_three_crops_are_both_ends_and_the_middle() -> None:
    height, width = 8, 16
    luma = np.tile(np.arange(width, dtype=np.uint8), (height, 1))
    chroma = np.concatenate([np.tile(np.arange(width // 2, dtype=np.uint8), (height // 2, 1)).reshape(-1)] * 2)
    video = np.concatenate([luma.reshape(-1), chroma]).reshape(1, 1, height * 3 // 2, width)
    crops = cut_square_crops(video, 3)
    assert crops.shape == (1, 3, 1, 12, 8)
    assert [crop[0, 0, 0] for crop in crops[0]] == [0, 4, 8]
    assert [crop[0, 8].tolist() for crop in crops[0]] == [[0, 1, 2, 3] * 2, [2, 3, 4, 5] * 2, [4, 5, 6, 7] * 2]


def test_a_clip_spec_must_be_positive_and_on_a_grid() -> None:
    with pytest.raises(ValueError, match="must be positive"):
        ClipSpec(0, 16, 128, 112, 2.0, 16_000)
    with pytest.raises(ValueError, match="multiple of the frame rate"):
        ClipSpec(16, 7, 128, 112, 2.0, 16_000)
