"""Times of a film that could not be decoded as stored, as spans of frames."""

import math
from fractions import Fraction

from talkies.core import Span


class DamagedTimes:
    """Collects half-open times in seconds of the source and converts them to spans of frames."""

    def __init__(self) -> None:
        self._times: list[tuple[Fraction, Fraction]] = []

    def add(self, start: Fraction, end: Fraction) -> None:
        """Add the time `[start, end)`, merged with the last one if they touch."""
        if self._times:
            last_start, last_end = self._times[-1]
            if last_start <= start <= last_end:
                self._times[-1] = last_start, max(last_end, end)
                return
        self._times.append((start, end))

    def to_spans(self, origin: Fraction, fps: int, frames: int) -> list[Span]:
        """Return the frames that the times touch, as spans in order that neither touch nor overlap.

        Args:
            origin: the time of frame 0 in seconds of the source.
            fps: frames per second.
            frames: the number of frames in the film; later times are cut.
        """
        touched = sorted(
            (math.floor((start - origin) * fps), math.ceil((end - origin) * fps)) for start, end in self._times
        )
        spans: list[Span] = []
        for touched_start, touched_end in touched:
            start, end = max(0, touched_start), min(frames, touched_end)
            if start >= end:
                continue
            if spans and start <= spans[-1].end_frame:
                spans[-1] = Span(spans[-1].start_frame, max(end, spans[-1].end_frame))
            else:
                spans.append(Span(start, end))
        return spans
