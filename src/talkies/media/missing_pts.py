"""Times for pictures of a container that has none: AVI tells in which order its pictures are decoded, and no more.

FFmpeg guesses when a picture is shown; where pictures are reordered (H.264 in AVI) the guesses run back and forth. A
decoder, though, gives pictures in the order in which they are shown, and tells which packet made it give each:

    packets  decoded at     0   1   2   3   4   5
    pictures, as they come          a   b   c   d      the decoder holds two back
    pictures, shown at      a   b   c   d
"""

from collections.abc import Sequence
from typing import Any

import av

UNDATED = frozenset({"avi"})


class DecodingTimes:
    """Dates pictures by their decoding, less the time by which the decoder lags behind."""

    def __init__(self) -> None:
        self._first: int | None = None
        self._lag: int | None = None

    def date(self, packet: "av.Packet[Any]", frames: Sequence[av.VideoFrame]) -> None:
        """Set the times of the pictures that a packet gave; one that cannot be dated goes on where the last ended."""
        if self._first is None:
            self._first = packet.dts
        for frame in frames:
            if self._lag is None and self._first is not None and frame.dts is not None:
                self._lag = frame.dts - self._first
            frame.pts = None if frame.dts is None or self._lag is None else frame.dts - self._lag
