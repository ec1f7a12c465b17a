"""Find a film's titles and credits: text on a dark ground that goes on for a while, near the beginning or the end.

Text tells itself by its edges: a picture at night is as dark, but few of its pixels differ much from their neighbours.
"""

import numpy as np

from talkies.core import Span, UInt8s

DARK_LUMA = 40  # of 16 (black) to 235 (white)
DARK_SHARE = 0.5  # of the picture's pixels
EDGE_LUMA = 40  # between neighbours in a row
EDGE_SHARE = 0.015  # of the picture's pixels
TEXT_SHARE = 0.4  # of a run's pictures: cards fade in and out
BREAK_SECONDS = 2.0  # between two cards
OPENING, CLOSING = 0.1, 0.8  # shares of a film: credits end before the first or begin after the second


def shows_text(luma_HW: UInt8s) -> bool:
    """Return whether a picture `[H, W]` is text on a dark ground."""
    if np.count_nonzero(luma_HW <= DARK_LUMA) < DARK_SHARE * luma_HW.size:
        return False
    steps = np.abs(np.diff(luma_HW.astype(np.int16), axis=1))
    return bool(np.count_nonzero(steps >= EDGE_LUMA) >= EDGE_SHARE * luma_HW.size)


class CreditsFinder:
    """Takes every picture in turn; runs of credits are those that last `least_seconds`."""

    def __init__(self, least_seconds: float, fps: int) -> None:
        self._least, self._break = max(1, round(least_seconds * fps)), round(BREAK_SECONDS * fps)
        self._runs: list[tuple[int, int, int]] = []  # first picture, end, pictures with text
        self._frames = 0
        self._text = False

    def push(self, luma_HW: UInt8s | None) -> None:
        """Take the next picture's luma, or nothing if it is the one before, shown on."""
        if luma_HW is not None:
            self._text = shows_text(luma_HW)
        if self._text:
            start, end, count = self._runs[-1] if self._runs else (0, -self._break - 1, 0)
            if self._frames - end > self._break:
                self._runs.append((self._frames, self._frames + 1, 1))
            else:
                self._runs[-1] = start, self._frames + 1, count + 1
        self._frames += 1

    def finish(self) -> list[Span]:
        """Return the credits, after the last picture."""
        return [
            Span(start, end)
            for start, end, count in self._runs
            if end - start >= self._least and count >= TEXT_SHARE * (end - start)
            if end <= OPENING * self._frames or start >= CLOSING * self._frames
        ]
