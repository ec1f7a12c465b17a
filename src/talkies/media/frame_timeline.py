"""Picture frames at a constant rate: frame *i* is the source picture on screen at *i*/fps seconds."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from talkies.core import UInt8s
from talkies.media.frames import FrameNormaliser


@dataclass(frozen=True, slots=True)
class ResampledFrame:
    """Frame number `index` on the library's grid: scaled, in YUV 4:2:0 (BT.601, limited range).

    `repeated` is true if it shows the same source picture as the frame before it.
    """

    index: int
    frame: av.VideoFrame
    repeated: bool
    reformatter: VideoReformatter

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.frame.width, self.frame.height

    def to_yuv(self) -> UInt8s:
        """Return the planar picture `[P, W]`: luma rows, then the rows of both chroma planes."""
        return self.frame.to_ndarray().astype(np.uint8, copy=False)

    def to_bgr(self) -> UInt8s:
        """Return the picture as blue, green, red `[H, W, 3]`, the channel order of OpenCV."""
        frame = self.reformatter.reformat(self.frame, format="bgr24", threads=1)
        return frame.to_ndarray().astype(np.uint8, copy=False)


class FrameTimeline:
    """Turns decoded pictures, pushed in order of presentation, into frames at a constant rate.

    Args:
        fps: the rate of the result.
        normaliser: converts the pictures.
        last_picture_seconds: how long the last picture lasts, None where only its own duration says it.
    """

    def __init__(self, fps: int, normaliser: FrameNormaliser, last_picture_seconds: Fraction | None = None) -> None:
        self._fps = fps
        self._last_picture_seconds = last_picture_seconds
        self._normaliser = normaliser
        self._reformatter = VideoReformatter()

        # The source picture on screen, and when it appears and disappears in seconds of the source.
        self._current: av.VideoFrame | None = None
        self._current_start = Fraction(0)
        self._current_end = Fraction(0)

        self._shortest_step: Fraction | None = None  # the shortest time from one picture to the next
        self._next_index = 0
        self.origin: Fraction | None = None
        """The time of the first picture in seconds of the source, once it is known."""
        self.finished = False

    def push(self, frame: av.VideoFrame) -> Iterator[ResampledFrame]:
        """Take the next decoded picture; yield the frames that end before it appears."""
        if frame.pts is None or frame.time_base is None:
            start = self._current_end
        else:
            start = Fraction(frame.pts * frame.time_base)
        if self.origin is None:
            self.origin = start

        yield from self._emit_until(start)

        if self._current is not None and start > self._current_start:
            step = start - self._current_start
            self._shortest_step = min(step, self._shortest_step or step)
        self._current = frame
        self._current_start = start
        self._current_end = start + self._estimate_duration(frame)

    def flush(self) -> Iterator[ResampledFrame]:
        """Yield the frames up to the end of the last picture."""
        yield from self._emit_until(self._current_end)
        self.finished = True

    def _estimate_duration(self, frame: av.VideoFrame) -> Fraction:
        """Return how long a picture lasts if it is the last one, in seconds: at least as long as the shortest other."""
        stated = self._last_picture_seconds
        if stated is None:
            stated = (frame.duration or 0) * frame.time_base if frame.time_base else Fraction(0)
        return max(self._shortest_step or stated or Fraction(1, self._fps), stated)

    def _emit_until(self, end: Fraction) -> Iterator[ResampledFrame]:
        """Yield the frames that show the current picture, up to a time in seconds of the source."""
        if self._current is None or self.origin is None:
            return

        end_index = math.ceil((end - self.origin) * self._fps)
        normalised: av.VideoFrame | None = None
        while self._next_index < end_index:
            repeated = normalised is not None
            if normalised is None:
                normalised = self._normaliser.normalise(self._current)
            yield ResampledFrame(self._next_index, normalised, repeated, self._reformatter)
            self._next_index += 1
