"""The input of an encoder for a labelled clip: windows spread evenly over it, each in one or three square crops.

Shapes: `N` video frames of the clip, `V` windows, `R` crops, `T` frames, `P` rows of planar YUV 4:2:0, `W` columns,
`Z` side of a square, `S` samples.
"""

from dataclasses import dataclass

import numpy as np

from talkies.core import Grid, Int64s, UInt8s, crop_square, picture_height


@dataclass(frozen=True, slots=True)
class ClipSpec:
    """The input of an encoder: `frames` video frames at `fps`, and `audio_seconds` of audio at `audio_rate_hz`.

    Video is decoded with a shorter side of `short_side` pixels, cropped to a square, and resized to `size` pixels.

    Raises:
        ValueError: if a value is not positive, or the audio rate is not a multiple of `fps`.
    """

    frames: int
    fps: int
    short_side: int
    size: int
    audio_seconds: float
    audio_rate_hz: int

    def __post_init__(self) -> None:
        if min(self.frames, self.short_side, self.size) <= 0 or self.audio_seconds <= 0:
            raise ValueError(f"an encoder's input must be positive, got {self}")
        Grid(self.fps, self.audio_rate_hz)

    @property
    def grid(self) -> Grid:
        """The grid of frames and samples that clips are decoded on."""
        return Grid(self.fps, self.audio_rate_hz)

    @property
    def samples(self) -> int:
        """The number of audio samples in a window."""
        return round(self.audio_seconds * self.audio_rate_hz)


def spread_window_starts(length: int, window: int, count: int) -> Int64s:
    """Return the starts `[V]` of windows, evenly from the first to the last that fits; a single one is in the middle.

    Args:
        length: length of the clip, in frames or samples.
        window: length of a window, in the same unit.
        count: number of windows `V`.
    """
    slack = max(0, length - window)
    share_V = np.array([0.5]) if count == 1 else np.linspace(0, 1, count)
    return np.round(share_V * slack).astype(np.int64)


def cut_square_crops(video_VTPW: UInt8s, crops: int) -> UInt8s:
    """Return crops `[V, R, T, P, Z]` of windows.

    Args:
        video_VTPW: the windows.
        crops: 1 for the middle square; 3 for the squares at both ends of the long side and in the middle.
    """
    positions = [0.5] if crops == 1 else [0.0, 0.5, 1.0]
    return np.stack([crop_square_at(video_VTPW, position) for position in positions], axis=1)


def crop_square_at(video_VTPW: UInt8s, position: float) -> UInt8s:
    """Return the largest square `[V, T, P, Z]` of windows.

    Args:
        video_VTPW: the windows.
        position: where along the long side: 0 is one end, 1 the other.
    """
    rows, width = video_VTPW.shape[-2:]
    height = picture_height(rows)
    side = min(height, width)
    top, left = (int((extent - side) * position) // 2 * 2 for extent in (height, width))  # even, as chroma needs
    return crop_square(video_VTPW, top, left, side)
