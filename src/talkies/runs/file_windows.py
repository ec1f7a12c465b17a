"""Windows of a media file, each as long as a clip, some at a time.

Shapes: `B` windows, `N` pictures, `T` frames, `P` rows of planar YUV 4:2:0 pictures, `W` columns, `S` samples.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, Self

import numpy as np

from talkies.clips import clips_of_file
from talkies.core import ClipShape, Int16s, MediaError, Span, UInt8s, UsageError, crop_middle_square, format_path, parse_film_id
from talkies.library import Profile
from talkies.media import decode_file, probe

_NO_FILM = parse_film_id("0" * 16)


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of a file, which begin at its frames `starts`: their pictures and their sound, or one of them."""

    starts: tuple[int, ...]
    video_BTPW: UInt8s | None
    audio_BS: Int16s | None

    def __getitem__(self, which: slice) -> Self:
        """Return some of the windows, without a copy."""
        video_BTPW = None if self.video_BTPW is None else self.video_BTPW[which]
        audio_BS = None if self.audio_BS is None else self.audio_BS[which]
        return type(self)(self.starts[which], video_BTPW, audio_BS)


def windows_of_file(
    path: Path, profile: Profile, shape: ClipShape, stride_seconds: float | None, most: int
) -> Iterator[Windows]:
    """Yield the windows of a file in order, up to `most` at a time: one each `stride_seconds`, or end to end.

    Raises:
        MediaError: if the file cannot be read, or is shorter than a window.
        UsageError: if the stride is shorter than a frame.
    """
    stride_frames = shape.window_frames if stride_seconds is None else round(stride_seconds * profile.fps)
    if stride_frames < 1:
        raise UsageError(f"the stride must be at least one frame (1/{profile.fps} s), got {stride_seconds:g} s")
    info, none = probe(path), True
    if info.video and info.audio:
        found = _of_both(path, profile, shape, stride_frames, most)
    else:
        found = _of_one_side(path, "video" if info.video else "audio", profile, shape, stride_frames)
    for windows in found:
        for first in range(0, len(windows.starts), most):
            yield windows[first : first + most]
        none = none and not windows.starts
    if none:
        seconds = shape.window_frames / profile.fps
        raise MediaError(
            "too_short", f"{format_path(path.name)} is shorter than a clip ({seconds:g} s); name a longer file"
        )


def _of_both(path: Path, profile: Profile, shape: ClipShape, stride_frames: int, most: int) -> Iterator[Windows]:
    clips = clips_of_file(path, _NO_FILM, profile, shape, stride_frames)
    while some := list(islice(clips, most)):
        starts = tuple(clip.request.window.start_frame for clip in some)
        yield Windows(starts, np.stack([c.video_TPW for c in some]), np.stack([c.audio_S for c in some]))


def _of_one_side(
    path: Path, side: Literal["video", "audio"], profile: Profile, shape: ClipShape, stride_frames: int
) -> Iterator[Windows]:
    """Yield all windows of a file that has pictures or sound alone, or neither, which its reader tells."""
    media, samples = decode_file(path, side, profile.grid, profile.short_side), profile.grid.samples_per_frame
    if media.video_NPW is not None:
        square_NPW = crop_middle_square(media.video_NPW)
        spans = _spans(len(square_NPW), shape, stride_frames)
        picture_BT = np.array([shape.select_video_frames(span) for span in spans], np.int64).reshape(-1, shape.frames)
        yield Windows(tuple(span.start_frame for span in spans), square_NPW[picture_BT], None)
    if media.audio_S is not None:
        spans = _spans(len(media.audio_S) // samples, shape, stride_frames)
        begin_B = np.array([shape.select_audio_span(span).start_frame * samples for span in spans], np.int64)
        sample_BS = begin_B[:, None] + np.arange(shape.audio_frames * samples)
        yield Windows(tuple(span.start_frame for span in spans), None, media.audio_S[sample_BS])


def _spans(frames: int, shape: ClipShape, stride_frames: int) -> list[Span]:
    starts = range(0, frames - shape.window_frames + 1, stride_frames)
    return [Span(start, start + shape.window_frames) for start in starts]
