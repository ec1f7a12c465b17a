"""Exact time: grids, spans and clip shapes."""

import re
from itertools import permutations

import pytest

from talkies.core import ClipShape, Grid, Span

PICTURES_SHORTER_THAN_SOUND = ClipShape(frames=16, stride=1, audio_frames=32)
PICTURES_LONGER_THAN_SOUND = ClipShape(frames=8, stride=4, audio_frames=16)


def test_every_frame_of_a_grid_lasts_a_whole_number_of_samples() -> None:
    assert Grid(fps=16, audio_rate_hz=16_000).samples_per_frame == 1000
    assert Grid(fps=25, audio_rate_hz=48_000).samples_per_frame == 1920


def test_a_grid_whose_frames_begin_between_samples_is_refused() -> None:
    sentence = "each frame starts on a sample, got 16000 Hz and 30 fps"
    with pytest.raises(ValueError, match=re.escape(sentence)):
        Grid(fps=30, audio_rate_hz=16_000)


@pytest.mark.parametrize(("fps", "rate_hz"), [(0, 16_000), (-1, 16_000), (16, 0)])
def test_a_grid_with_a_rate_that_is_not_positive_is_refused(fps: int, rate_hz: int) -> None:
    with pytest.raises(ValueError, match=f"rates must be positive, got {fps} fps and {rate_hz} Hz"):
        Grid(fps, rate_hz)


@pytest.mark.parametrize("fps", [10, 16, 24, 30, 120])
def test_a_frame_is_on_screen_from_its_own_beginning_until_just_before_the_next(fps: int) -> None:
    grid = Grid(fps, 48_000)
    for frame in [*range(200), 107_892, 1_000_003]:
        assert grid.seconds_to_frame(grid.frame_to_seconds(frame)) == frame
        assert grid.seconds_to_frame(grid.frame_to_seconds(frame + 1) - 1e-6) == frame


def test_frames_are_at_their_number_over_the_frame_rate() -> None:
    assert Grid(16, 16_000).frame_to_seconds(24) == 1.5


def test_a_span_holds_its_first_frame_and_not_its_end() -> None:
    span = Span(3, 6)
    assert [frame in span for frame in (2, 3, 5, 6)] == [False, True, True, False]
    assert len(span) == 3


@pytest.mark.parametrize(("start", "end"), [(4, 4), (5, 4), (-1, 3)])
def test_a_span_that_is_empty_or_before_the_film_is_refused(start: int, end: int) -> None:
    with pytest.raises(ValueError, match=re.escape(f"a span is 0 <= start < end, got [{start}, {end})")):
        Span(start, end)


def test_spans_that_touch_share_no_frame_and_have_no_gap() -> None:
    for one, other in permutations([Span(0, 4), Span(4, 8)]):
        assert not one.overlaps(other)
        assert one.gap_to(other) == 0


def test_spans_that_share_one_frame_overlap() -> None:
    for one, other in permutations([Span(0, 5), Span(4, 8)]):
        assert one.overlaps(other)
        assert one.gap_to(other) == 0


def test_the_gap_between_spans_counts_the_frames_of_neither() -> None:
    assert Span(0, 4).gap_to(Span(7, 9)) == 3
    assert Span(7, 9).gap_to(Span(0, 4)) == 3


def test_a_span_holds_itself_and_what_lies_inside_but_nothing_that_sticks_out() -> None:
    span = Span(2, 8)
    assert span.covers(span)
    assert span.covers(Span(2, 3))
    assert not span.covers(Span(1, 4))
    assert not span.covers(Span(7, 9))


def test_spans_sort_by_their_beginning_and_then_their_end() -> None:
    assert sorted([Span(3, 4), Span(0, 9), Span(0, 2)]) == [Span(0, 2), Span(0, 9), Span(3, 4)]


def test_short_pictures_lie_in_the_middle_of_a_window_as_long_as_the_sound() -> None:
    shape, window = PICTURES_SHORTER_THAN_SOUND, Span(100, 132)
    assert shape.window_frames == 32
    assert shape.select_video_frames(window) == range(108, 124)
    assert shape.select_audio_span(window) == window


def test_short_sound_lies_in_the_middle_of_a_window_as_long_as_the_pictures() -> None:
    shape, window = PICTURES_LONGER_THAN_SOUND, Span(100, 132)
    assert shape.window_frames == 32
    assert list(shape.select_video_frames(window)) == [100, 104, 108, 112, 116, 120, 124, 128]
    assert shape.select_audio_span(window) == Span(108, 124)


@pytest.mark.parametrize("counts", [(0, 1, 1), (1, 0, 1), (1, 1, 0), (1, 1, -2)])
def test_a_clip_of_no_pictures_or_no_sound_is_refused(counts: tuple[int, int, int]) -> None:
    frames, stride, audio_frames = counts
    shown = f"ClipShape(frames={frames}, stride={stride}, audio_frames={audio_frames})"
    with pytest.raises(ValueError, match=re.escape(f"a clip's counts must be positive, got {shown}")):
        ClipShape(*counts)
