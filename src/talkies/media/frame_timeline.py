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

        # Exact times of the source in ticks, of which every timestamp is a whole number, as in `AudioTimeline`.
        self._ticks_per_second = 1
        self._current: av.VideoFrame | None = None  # the source picture on screen
        self._current_start = 0  # when it appears
        self._origin = 0  # when the first one appears
        self._shortest_step: int | None = None  # the shortest time from one picture to the next
        self._next_index = 0
        self.origin: Fraction | None = None
        """The time of the first picture in seconds of the source, once it is known."""
        self.finished = False

    def push(self, frame: av.VideoFrame) -> Iterator[ResampledFrame]:
        """Take the next decoded picture; yield the frames that end before it appears."""
        pts, time_base = frame.pts, frame.time_base
        if pts is None or time_base is None:
            start = self._find_end()
        else:
            self._divide_ticks(time_base.denominator)
            start = pts * time_base.numerator * (self._ticks_per_second // time_base.denominator)
        if self.origin is None:
            self.origin, self._origin = Fraction(start, self._ticks_per_second), start

        yield from self._emit_until(start)

        if self._current is not None and start > self._current_start:
            step = start - self._current_start
            self._shortest_step = min(step, self._shortest_step or step)
        self._current = frame
        self._current_start = start

    def flush(self) -> Iterator[ResampledFrame]:
        """Yield the frames up to the end of the last picture."""
        yield from self._emit_until(self._find_end())
        self.finished = True

    def _divide_ticks(self, parts: int) -> None:
        """Make `parts` of a second, and all times that a tick could express before, whole numbers of ticks."""
        if self._ticks_per_second % parts == 0:
            return
        factor = math.lcm(self._ticks_per_second, parts) // self._ticks_per_second
        self._ticks_per_second *= factor
        self._current_start *= factor
        self._origin *= factor
        if self._shortest_step is not None:
            self._shortest_step *= factor

    def _find_end(self) -> int:
        """Return when the picture on screen ends if it is the last one: it lasts at least as long as the shortest."""
        frame, stated = self._current, self._last_picture_seconds
        if frame is None:
            return 0
        if stated is None:
            stated = (frame.duration or 0) * frame.time_base if frame.time_base else Fraction(0)
        shortest = None if self._shortest_step is None else Fraction(self._shortest_step, self._ticks_per_second)
        seconds = max(shortest or stated or Fraction(1, self._fps), stated)
        self._divide_ticks(seconds.denominator)
        return self._current_start + seconds.numerator * (self._ticks_per_second // seconds.denominator)

    def _emit_until(self, end: int) -> Iterator[ResampledFrame]:
        """Yield the frames that show the current picture, up to a time in ticks."""
        if self._current is None:
            return

        end_index = -(-(end - self._origin) * self._fps // self._ticks_per_second)  # rounded up
        normalised: av.VideoFrame | None = None
        while self._next_index < end_index:
            repeated = normalised is not None
            if normalised is None:
                normalised = self._normaliser.normalise(self._current)
            yield ResampledFrame(self._next_index, normalised, repeated, self._reformatter)
            self._next_index += 1
