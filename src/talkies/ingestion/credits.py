"""Find a film's titles and credits: text on a dark background that lasts a while, near the start or the end.

Text is recognised by its edges: a picture at night is as dark, but few of its pixels differ much from their neighbours.
"""

import numpy as np

from talkies.core import Span, UInt8s

DARK_LUMA = 40  # luma is 16 (black) to 235 (white)
DARK_SHARE = 0.5  # of the picture's pixels
EDGE_LUMA = 40  # difference between neighbours in a row
EDGE_SHARE = 0.015  # of the picture's pixels
TEXT_SHARE = 0.4  # of a run's frames: cards fade in and out
BREAK_SECONDS = 2.0  # the longest pause between two cards
OPENING, CLOSING = 0.1, 0.8  # shares of a film: credits end before the first or start after the second


def is_text(luma_HW: UInt8s) -> bool:
    """Return whether a picture shows text on a dark background, by its luma `[H, W]`."""
    if np.count_nonzero(luma_HW <= DARK_LUMA) < DARK_SHARE * luma_HW.size:
        return False
    steps = np.abs(np.diff(luma_HW.astype(np.int16), axis=1))
    return bool(np.count_nonzero(steps >= EDGE_LUMA) >= EDGE_SHARE * luma_HW.size)


class CreditsFinder:
    """Takes a film's frames in order and finds the runs of text that last at least `min_seconds`."""

    def __init__(self, min_seconds: float, fps: int) -> None:
        self._min_frames = max(1, round(min_seconds * fps))
        self._break_frames = round(BREAK_SECONDS * fps)
        self._runs: list[tuple[int, int, int]] = []  # start frame, end frame, frames with text
        self._frames = 0
        self._shows_text = False

    def push(self, luma_HW: UInt8s | None) -> None:
        """Take the next frame's luma `[H, W]`, or None if it shows the same picture as the frame before."""
        if luma_HW is not None:
            self._shows_text = is_text(luma_HW)
        if self._shows_text:
            self._extend_runs()
        self._frames += 1

    def _extend_runs(self) -> None:
        """Add the current frame to the last run, or to a new one if the pause was too long."""
        end = self._frames + 1
        if self._runs and self._frames - self._runs[-1][1] <= self._break_frames:
            start, _, count = self._runs[-1]
            self._runs[-1] = start, end, count + 1
        else:
            self._runs.append((self._frames, end, 1))

    def finish(self) -> list[Span]:
        """Return the spans of the credits, after the last frame."""
        return [
            Span(start, end)
            for start, end, count in self._runs
            if end - start >= self._min_frames and count >= TEXT_SHARE * (end - start)
            if end <= OPENING * self._frames or start >= CLOSING * self._frames
        ]
