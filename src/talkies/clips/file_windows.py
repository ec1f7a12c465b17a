"""Windows of a media file, each as long as a clip; a file may hold video, audio or both.

Shapes: `B` windows, `N` pictures of the file, `T` frames, `P` rows of planar YUV 4:2:0 pictures, `W` columns,
`S` samples.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Self

import numpy as np

from talkies.clips.file_clips import read_file_clips
from talkies.clips.framing import find_bars_of_pictures, square_pictures
from talkies.core import (
    BarSpan,
    ClipShape,
    Framing,
    Grid,
    Int16s,
    Int64s,
    MediaError,
    Modality,
    Span,
    UInt8s,
    UsageError,
    format_path,
    parse_film_id,
    picture_height,
)
from talkies.library import Profile
from talkies.media import MAX_QUERY_BYTES, DecodedFile, decode_file, probe

_NO_FILM = parse_film_id("0" * 16)


@dataclass(frozen=True, slots=True, eq=False)
class FileWindows:
    """Windows of a file by the frames at which they start; the array of a modality that the file lacks is None."""

    start_B: Int64s
    video_BTPW: UInt8s | None
    audio_BS: Int16s | None

    def __len__(self) -> int:
        return len(self.start_B)

    def __getitem__(self, windows: slice) -> Self:
        """Return some of the windows, without a copy."""
        video_BTPW = None if self.video_BTPW is None else self.video_BTPW[windows]
        audio_BS = None if self.audio_BS is None else self.audio_BS[windows]
        return type(self)(self.start_B[windows], video_BTPW, audio_BS)


def read_file_windows(
    path: Path, profile: Profile, shape: ClipShape, *, stride_seconds: float | None, most: int
) -> Iterator[FileWindows]:
    """Yield the windows of a file in order, up to `most` at a time.

    A file with video and audio is streamed; one with a single modality is read whole, and may last up to five minutes.

    Args:
        path: The media file.
        profile: The grid and the size that the file is resampled to.
        shape: What a window is made of.
        stride_seconds: The distance between the starts of two windows; None puts them end to end.
        most: The largest number of windows at a time.

    Raises:
        MediaError: if the file cannot be read, or is shorter than a window.
        UsageError: if the stride is shorter than a frame.
    """
    stride_frames = shape.window_frames if stride_seconds is None else round(stride_seconds * profile.fps)
    if stride_frames < 1:
        raise UsageError(f"the stride must be at least one frame (1/{profile.fps} s), got {stride_seconds:g} s")
    info = probe(path)
    if info.video and info.audio:
        parts = _stream_windows(path, profile, shape, stride_frames, most)
    else:
        modality: Modality = "video" if info.video else "audio"  # a file with neither: decoding it says so
        media = decode_file(path, modality, profile.grid, profile.short_side, max_picture_bytes=MAX_QUERY_BYTES)
        windows = _cut_fitting_windows(media, profile.grid, shape, stride_frames)
        parts = (windows[first : first + most] for first in range(0, len(windows), most))

    is_empty = True
    for part in parts:
        yield part
        is_empty = False
    if is_empty:
        seconds = shape.window_frames / profile.fps
        raise MediaError(
            "too_short", f"{format_path(path.name)} is shorter than a clip ({seconds:g} s); name a longer file"
        )


def cut_file_windows(
    media: DecodedFile,
    grid: Grid,
    shape: ClipShape,
    start_B: Int64s,
    *,
    bars: tuple[BarSpan, ...] = (),
    framing: Framing = "centre",
    place: float = 0.5,
) -> FileWindows:
    """Return windows of a decoded file, cut to squares; past its end the file starts again.

    Args:
        media: The file's pictures, samples or both.
        grid: The grid that the file was decoded on.
        shape: What a window is made of.
        start_B: The frames of the grid at which the windows start.
        bars: The bars burnt into the pictures.
        framing: How a picture becomes a square.
        place: Where along a picture's long side the square is, as in `ClipRequest`.
    """
    first = Span(0, shape.window_frames)
    video_BTPW = audio_BS = None
    if media.video_NPW is not None:
        start_frame_B = start_B + shape.select_video_frames(first).start
        side = min(media.video_NPW.shape[2], picture_height(media.video_NPW.shape[1]))
        video_NPW = square_pictures(media.video_NPW, bars, side, framing, place)
        video_BTPW = cut_video_windows(video_NPW, start_frame_B, shape.frames, shape.stride)
    if media.audio_S is not None:
        samples = grid.samples_per_frame
        start_sample_B = (start_B + shape.select_audio_span(first).start_frame) * samples
        audio_BS = cut_audio_windows(media.audio_S, start_sample_B, shape.audio_frames * samples)
    return FileWindows(start_B, video_BTPW, audio_BS)


def cut_video_windows(video_NPW: UInt8s, start_B: Int64s, frames: int, stride: int = 1) -> UInt8s:
    """Return windows `[B, T, P, W]` of pictures; past their end they start again.

    Args:
        video_NPW: The pictures.
        start_B: The picture at which each window starts.
        frames: `T`, the number of pictures in a window.
        stride: The distance between two of them.
    """
    return np.take(video_NPW, (start_B[:, None] + np.arange(frames) * stride) % len(video_NPW), axis=0)


def cut_audio_windows(audio_S: Int16s, start_B: Int64s, samples: int) -> Int16s:
    """Return windows of `samples` samples each, from samples `start_B` on; past its end the audio starts again."""
    return np.take(audio_S, (start_B[:, None] + np.arange(samples)) % len(audio_S))


def _stream_windows(
    path: Path, profile: Profile, shape: ClipShape, stride_frames: int, most: int
) -> Iterator[FileWindows]:
    """Yield the windows of a file that has video and audio."""
    clips = read_file_clips(path, _NO_FILM, profile, shape, stride_frames)
    while part := list(islice(clips, most)):
        start_B = np.array([clip.request.window.start_frame for clip in part], np.int64)
        video_BTPW, audio_BS = np.stack([clip.video_TPW for clip in part]), np.stack([clip.audio_S for clip in part])
        yield FileWindows(start_B, video_BTPW, audio_BS)


def _cut_fitting_windows(media: DecodedFile, grid: Grid, shape: ClipShape, stride_frames: int) -> FileWindows:
    """Return every window that fits into a file of one modality."""
    if media.video_NPW is not None:
        frames = len(media.video_NPW)
    else:
        assert media.audio_S is not None, "what was decoded has video or audio"
        frames = len(media.audio_S) // grid.samples_per_frame
    start_B = np.arange(0, frames - shape.window_frames + 1, stride_frames, dtype=np.int64)
    bars = find_bars_of_pictures(media.video_NPW, grid.fps) if media.video_NPW is not None else ()
    return cut_file_windows(media, grid, shape, start_B, bars=bars)
