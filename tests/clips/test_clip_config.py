"""`ClipConfig`: the shape of a clip, and grids that do not fit it."""

import re

import pytest

from talkies.clips import ClipConfig, list_windows
from talkies.core import ClipRequest, ClipShape, ConfigError, FilmId, Span

FILM = FilmId("a" * 16)


def test_on_its_own_grid_a_clip_takes_every_frame() -> None:
    assert ClipConfig(frames=16, fps=16, audio_seconds=2.0).to_shape(16) == ClipShape(16, 1, 32)


def test_on_a_faster_grid_a_clip_takes_every_nth_frame() -> None:
    assert ClipConfig(frames=8, fps=8, audio_seconds=1.5).to_shape(24) == ClipShape(8, 3, 36)


def test_a_rate_that_does_not_divide_the_grids_is_refused_with_those_that_do() -> None:
    sentence = "clip.fps must divide the library's 16 frames a second, got 12; take one of [1, 2, 4, 8, 16]"
    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}$"):
        ClipConfig(fps=12).to_shape(16)


def test_sound_must_be_a_whole_number_of_frames() -> None:
    sentence = "clip.audio_seconds must be a whole number of the library's frames (1/16 s), got 1.03"
    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}$"):
        ClipConfig(audio_seconds=1.03).to_shape(16)


@pytest.mark.parametrize(
    ("frames", "stride", "starts"),
    [(31, 1, []), (32, 1, [0]), (33, 1, [0, 1]), (100, 32, [0, 32, 64]), (96, 32, [0, 32, 64]), (95, 32, [0, 32])],
)
def test_windows_are_all_that_fit_at_their_distance(frames: int, stride: int, starts: list[int]) -> None:
    shape = ClipConfig(frames=16, fps=16, audio_seconds=2.0).to_shape(16)
    assert list_windows(FILM, frames, shape, stride) == [ClipRequest(FILM, Span(s, s + 32)) for s in starts]
