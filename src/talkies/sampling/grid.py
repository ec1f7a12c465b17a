"""A grid of possible starts: films and distances in units of it, so that plans need not know of it.

A clip of `window` frames may start at unit *u* of `step` frames if it fits into its span from frame *u* × step on. In
units that is a span whose starts are exactly those, for windows of ⌈window / step⌉ units; two starts are at least *d*
frames apart exactly if they are ⌈d / step⌉ units apart, and at most *d* frames if they are ⌊d / step⌋ units apart.
"""

from dataclasses import dataclass

import numpy as np

from talkies.core import Int64s, PlanError, SpanTable
from talkies.sampling.films import FilmSpans

_EXACT = 1e-6  # of a frame: seconds are floats


@dataclass(frozen=True, slots=True)
class StartGrid:
    """Clips start at multiples of `step` frames; with a step of 1 at any frame.

    Attributes:
        step: frames from one possible start to the next.
        window: the length of a clip, in frames.
    """

    step: int
    window: int

    @classmethod
    def of(cls, seconds: float | None, fps: int, window: int) -> "StartGrid":
        """Return the grid of a config.

        Args:
            seconds: from one possible start to the next; None: any frame.
            fps: frames a second of the library.
            window: the length of a clip, in frames.

        Raises:
            PlanError: if the step is not a whole number of frames.
        """
        frames = 1.0 if seconds is None else seconds * fps
        if round(frames) < 1 or abs(frames - round(frames)) > _EXACT:
            raise PlanError(
                f"sampling.start_grid_seconds must be a whole number of the library's frames (1/{fps} s), got {seconds}"
            )
        return cls(round(frames), window)

    @property
    def window_units(self) -> int:
        """The length of a clip in units, rounded up."""
        return -(-self.window // self.step)

    def convert_films(self, films: FilmSpans) -> SpanTable:
        """Return the spans in units: each has a start for every unit at which a clip fits into the span of frames."""
        table = films.spans
        if self.step == 1:
            return table
        start_R = -(-table.start_R // self.step)
        end_R = (table.end_R - self.window) // self.step + self.window_units
        return _select_filled(table.offset_F1, start_R, end_R)

    def convert_shots(self, shots: SpanTable) -> SpanTable:
        """Return shots in units: a clip belongs to the shot of its middle frame, in units as in frames.

        A shot in which no clip has its middle is left out.
        """
        if self.step == 1:
            return shots
        middle, middle_units = self.window // 2, self.window_units // 2
        edges = [
            np.maximum(-(-(frame_R - middle) // self.step), -middle_units) + middle_units
            for frame_R in (shots.start_R, shots.end_R)
        ]
        return _select_filled(shots.offset_F1, edges[0], edges[1])

    def convert_least(self, frames: int) -> int:
        """Return the distance in units that starts have which are at least so many frames apart."""
        return -(-frames // self.step)

    def convert_most(self, frames: int) -> int:
        """Return the distance in units that starts have which are at most so many frames apart."""
        return frames // self.step


def _select_filled(offset_F1: Int64s, start_R: Int64s, end_R: Int64s) -> SpanTable:
    """Return the table of the spans that are not empty."""
    filled_R = end_R > start_R
    kept_R1 = np.concatenate([[0], np.cumsum(filled_R)]).astype(np.int64)
    return SpanTable(kept_R1[offset_F1], start_R[filled_R], end_R[filled_R])
