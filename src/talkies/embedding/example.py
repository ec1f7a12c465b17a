"""What a file looks and sounds like to a model: a picture, a sound or a clip, decoded in a process of its own.

Shapes: `B` windows, `N` pictures, `T` frames, `P` rows of planar YUV 4:2:0 pictures, `W` columns, `S` samples,
`D` embedding.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from talkies.clips import middle_square
from talkies.core import (
    ClipBatch,
    ClipRequest,
    ClipShape,
    Isolated,
    MediaError,
    ProcessLimits,
    Report,
    Span,
    as_film_id,
    text_of,
)
from talkies.embedding.encoder import ClipEncoder
from talkies.embedding.query import Example, Vector
from talkies.library import Profile
from talkies.media import read_any

LIMITS = ProcessLimits(stall_seconds=30.0, total_seconds=60.0, memory_bytes=1_500_000_000)
_MOST_WINDOWS = 32
_NO_FILM = as_film_id("0" * 16)


@dataclass(frozen=True, slots=True)
class FileWindows:
    """Windows of a file, each as long as a clip: pictures `[B, T, P, W]`, sound `[B, S]`, what it has of both."""

    seconds: float
    video_BTPW: npt.NDArray[np.uint8] | None
    audio_BS: npt.NDArray[np.int16] | None


def example_of(path: Path, encoder: ClipEncoder, name: str | None = None, limits: ProcessLimits = LIMITS) -> Example:
    """Return what the file at `path`, called `name`, looks and sounds like; of a longer one, on the mean.

    It is read in a process of its own: what crashes, hangs or eats memory there costs nothing here.

    Raises:
        MediaError: if it is no picture, sound or clip that can be read, or too long.
        IsolationError: if reading it crashed, or took more than `limits` allow.
    """
    with Isolated(limits) as isolated:
        windows = isolated.call(read_windows, (path, encoder.profile, encoder.shape))
    return encode_windows(windows, encoder, name or text_of(path.name))


def encode_windows(windows: FileWindows, encoder: ClipEncoder, name: str) -> Example:
    """Return what windows of a file look and sound like, on the mean."""
    profile, shape = encoder.profile, encoder.shape
    there = windows.video_BTPW if windows.video_BTPW is not None else windows.audio_BS
    assert there is not None, "a file has pictures or sound"
    video_BTPW, audio_BS = windows.video_BTPW, windows.audio_BS
    if video_BTPW is None:
        video_BTPW = np.zeros((len(there), shape.frames, profile.short_side * 3 // 2, profile.short_side), np.uint8)
    if audio_BS is None:
        audio_BS = np.zeros((len(there), shape.audio_frames * profile.grid.samples_per_frame), np.int16)
    request = ClipRequest(_NO_FILM, Span(0, shape.window_frames))
    film_B = torch.zeros(len(there), dtype=torch.int64)
    batch = ClipBatch((request,) * len(there), torch.from_numpy(video_BTPW), torch.from_numpy(audio_BS), film_B)
    embeddings = encoder.encode(batch).embeddings
    return Example(
        name,
        windows.seconds,
        encoder.stamp,
        None if windows.video_BTPW is None else _mean(embeddings.video_BD.numpy()),
        None if windows.audio_BS is None else _mean(embeddings.audio_BD.numpy()),
    )


def read_windows(item: tuple[Path, Profile, ClipShape], _: Report) -> FileWindows:
    """Return the windows of a file: one each half of a clip, spread evenly where they would be too many.

    A file that is shorter than a clip begins again at its end; a single picture stands still.
    """
    path, profile, shape = item
    media = read_any(path, profile.grid, profile.short_side)
    samples, window = profile.grid.samples_per_frame, shape.window_frames
    lengths = []
    if media.video_NPW is not None:
        lengths.append(len(media.video_NPW))
    if media.audio_S is not None:
        lengths.append(max(1, len(media.audio_S) // samples))
    if not lengths:
        raise MediaError("empty", f"{text_of(path.name)} holds no picture and no sound")
    frames = min(lengths) if min(lengths) >= window else max(lengths)
    starts = np.arange(0, max(1, frames - window + 1), max(1, window // 2))
    if len(starts) > _MOST_WINDOWS:
        starts = starts[np.linspace(0, len(starts) - 1, _MOST_WINDOWS).round().astype(int)]
    video = audio = None
    if media.video_NPW is not None:
        picture_BT = np.array([list(shape.picture_of(Span(int(start), int(start) + window))) for start in starts])
        square_NPW = middle_square(media.video_NPW, media.video_NPW.shape[1] * 2 // 3)
        video = square_NPW[picture_BT % len(square_NPW)]
    if media.audio_S is not None and len(media.audio_S):
        offset = shape.sound_of(Span(0, window)).start_frame
        sound_BS = (starts[:, None] + offset) * samples + np.arange(shape.audio_frames * samples)
        audio = media.audio_S[sound_BS % len(media.audio_S)]
    return FileWindows(max(lengths) / profile.fps, video, audio)


def _mean(rows_BD: Vector) -> Vector:
    mean_D = rows_BD.mean(0)
    unit_D: Vector = (mean_D / max(float(np.linalg.norm(mean_D)), 1e-12)).astype(np.float32)
    return unit_D
