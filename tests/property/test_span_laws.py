"""Laws of spans, grids and clip shapes."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from talkies.core import ClipShape, Grid, Span

spans = st.builds(lambda start, frames: Span(start, start + frames), st.integers(0, 30), st.integers(1, 20))
shapes = st.builds(ClipShape, frames=st.integers(1, 40), stride=st.integers(1, 9), audio_frames=st.integers(1, 200))


@given(spans, spans)
def test_overlap_is_symmetric_and_means_a_shared_frame(one: Span, other: Span) -> None:
    shared = any(frame in other for frame in range(one.start_frame, one.end_frame))
    assert one.overlaps(other) == other.overlaps(one) == shared


@given(spans, spans)
def test_the_gap_is_symmetric_and_counts_the_frames_strictly_between(one: Span, other: Span) -> None:
    first, second = sorted((one, other))
    between = [frame for frame in range(80) if first.end_frame <= frame < second.start_frame]
    assert one.gap_to(other) == other.gap_to(one) == len(between)


@given(spans, spans)
def test_the_gap_is_zero_exactly_where_spans_touch_or_overlap(one: Span, other: Span) -> None:
    touch = one.end_frame == other.start_frame or other.end_frame == one.start_frame
    assert (one.gap_to(other) == 0) == (touch or one.overlaps(other))


@given(spans, spans)
def test_a_span_holds_another_exactly_when_it_has_all_its_frames(one: Span, other: Span) -> None:
    assert one.covers(other) == all(frame in one for frame in range(other.start_frame, other.end_frame))


@given(spans)
def test_a_span_has_as_many_frames_as_its_length(span: Span) -> None:
    assert sum(frame in span for frame in range(80)) == len(span)


@given(shapes, st.integers(0, 500))
def test_picture_and_sound_lie_inside_the_window_and_share_its_middle(shape: ClipShape, start: int) -> None:
    window = Span(start, start + shape.window_frames)
    pictures, sound = shape.select_video_frames(window), shape.select_audio_span(window)
    covered = Span(pictures[0], pictures[-1] + shape.stride)
    assert window in (covered, sound)
    for part in (covered, sound):
        assert window.covers(part)
        before, after = part.start_frame - window.start_frame, window.end_frame - part.end_frame
        assert after - before in (0, 1)


@given(shapes, st.integers(0, 500))
def test_a_clip_has_all_its_pictures_at_its_stride_and_all_its_sound(shape: ClipShape, start: int) -> None:
    window = Span(start, start + shape.window_frames)
    pictures = shape.select_video_frames(window)
    assert len(pictures) == shape.frames
    assert all(later - earlier == shape.stride for earlier, later in pairwise(pictures))
    assert len(shape.select_audio_span(window)) == shape.audio_frames


@given(fps=st.integers(1, 120), frame=st.integers(0, 10_000_000))
def test_a_frame_is_on_screen_at_its_own_time(fps: int, frame: int) -> None:
    grid = Grid(fps, fps * 100)
    assert grid.seconds_to_frame(grid.frame_to_seconds(frame)) == frame


@given(fps=st.integers(1, 240), per_frame=st.integers(1, 4000))
def test_a_grid_has_as_many_samples_a_frame_as_its_rate_was_made_of(fps: int, per_frame: int) -> None:
    assert Grid(fps, fps * per_frame).samples_per_frame == per_frame
