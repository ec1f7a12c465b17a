"""What an encoder is shown of a labelled clip: so many windows of it, spread evenly, each in so many square crops.

Shapes: `N` pictures of the clip, `V` windows, `R` crops, `T` frames, `P` rows of planar YUV 4:2:0, `Z` side of a
square, `S` samples.
"""

from dataclasses import dataclass

import numpy as np

from talkies.core import Grid, Int16s, Int64s, UInt8s, crop_square, picture_height


@dataclass(frozen=True, slots=True)
class ClipSpec:
    """`frames` pictures at `fps`, the shorter side of `short_side` pixels, resized to `size`; `audio_seconds` of sound.

    Raises:
        ValueError: if a count is not positive, or the sound's rate is no multiple of `fps`.
    """

    frames: int
    fps: int
    short_side: int
    size: int
    audio_seconds: float
    audio_rate_hz: int

    def __post_init__(self) -> None:
        if min(self.frames, self.short_side, self.size) <= 0 or self.audio_seconds <= 0:
            raise ValueError(f"what an encoder is shown must be positive, got {self}")
        Grid(self.fps, self.audio_rate_hz)

    @property
    def grid(self) -> Grid:
        """The frames and samples that clips are read on."""
        return Grid(self.fps, self.audio_rate_hz)

    @property
    def samples(self) -> int:
        """How many samples the sound of a window has."""
        return round(self.audio_seconds * self.audio_rate_hz)

    @property
    def window_seconds(self) -> float:
        """How long a window with both pictures and sound is."""
        return max(self.frames / self.fps, self.audio_seconds)


def spread_window_starts(length: int, window: int, count: int) -> Int64s:
    """Return where `count` windows begin: evenly from the first to the last that fits, one alone in the middle."""
    slack = max(0, length - window)
    share_V = np.array([0.5]) if count == 1 else np.linspace(0, 1, count)
    return np.round(share_V * slack).astype(np.int64)


def cut_video_windows(video_NPW: UInt8s, starts_V: Int64s, frames: int) -> UInt8s:
    """Return windows `[V, T, P, W]`; a clip that is shorter than a window begins again."""
    index_VT = (starts_V[:, None] + np.arange(frames)) % len(video_NPW)
    return np.take(video_NPW, index_VT, axis=0)


def cut_audio_windows(audio_S: Int16s, starts_V: Int64s, samples: int) -> Int16s:
    """Return windows `[V, S]`; a clip that is shorter than a window begins again."""
    return np.take(audio_S, (starts_V[:, None] + np.arange(samples)) % len(audio_S))


def cut_square_crops(video_VTPW: UInt8s, crops: int) -> UInt8s:
    """Return `[V, R, T, P, Z]`: the middle square, or the squares at both ends of the long side and the middle."""
    places = [0.5] if crops == 1 else [0.0, 0.5, 1.0]
    return np.stack([crop_square_at(video_VTPW, place) for place in places], axis=1)


def crop_square_at(video_VTPW: UInt8s, place: float) -> UInt8s:
    """Return the square `[V, T, P, Z]` at a place along the long side: 0 is one end, 1 the other."""
    rows, width = video_VTPW.shape[-2:]
    height = picture_height(rows)
    side = min(height, width)
    top, left = (int((extent - side) * place) // 2 * 2 for extent in (height, width))  # chroma has half the pixels
    return crop_square(video_VTPW, top, left, side)
