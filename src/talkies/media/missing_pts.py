"""Presentation times for containers that store none: AVI stores only the order in which pictures are decoded.

FFmpeg guesses the missing times; where pictures are reordered (H.264 in AVI), the guesses run back and forth. The
decoder, however, returns pictures in order of presentation and names the packet that produced each one:

    packets  decoded at       0   1   2   3   4   5
    pictures returned at              a   b   c   d      the decoder holds two back
    pictures shown at         a   b   c   d
"""

from collections.abc import Sequence
from typing import Any

import av

CONTAINERS_WITHOUT_PTS = frozenset({"avi"})


class PtsFromDts:
    """Sets the presentation time of pictures from their decoding time, minus the delay of the decoder."""

    def __init__(self) -> None:
        self._first_dts: int | None = None
        self._delay: int | None = None  # in ticks of the track's time base

    def assign(self, packet: "av.Packet[Any]", frames: Sequence[av.VideoFrame]) -> None:
        """Set `pts` of the pictures decoded from a packet, or None where it is unknown.

        A picture without `pts` starts where the picture before it ends.
        """
        if self._first_dts is None:
            self._first_dts = packet.dts
        for frame in frames:
            if self._delay is None and self._first_dts is not None and frame.dts is not None:
                self._delay = frame.dts - self._first_dts
            frame.pts = None if frame.dts is None or self._delay is None else frame.dts - self._delay
