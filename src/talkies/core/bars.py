"""The bars burnt into a picture above, below, left and right of it, and what they leave.

┌──────────────┐
│     top      │   a letterbox has bars at top and bottom, a pillarbox at left and right,
├──────────────┤   a windowbox at all four sides
│   picture    │
├──────────────┤
│    bottom    │
└──────────────┘
"""

from collections.abc import Sequence
from dataclasses import dataclass

from talkies.core.time import Span


@dataclass(frozen=True, slots=True)
class Bars:
    """How many rows and columns of a picture are bars, in pixels."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def __post_init__(self) -> None:
        if min(self.top, self.bottom, self.left, self.right) < 0:
            raise ValueError(f"bars have 0 pixels or more, got {self}")

    def __bool__(self) -> bool:
        return bool(self.top or self.bottom or self.left or self.right)

    def find_picture(self, width: int, height: int) -> "Rectangle":
        """Return what the bars leave of a picture with even sides: a rectangle with even corners and sides.

        Where nothing useful is left, the bars are taken for none.
        """
        top, left = self.top + self.top % 2, self.left + self.left % 2  # chroma has half the rows and columns
        end_y, end_x = (height - self.bottom) // 2 * 2, (width - self.right) // 2 * 2
        if end_y - top < _MIN_SIDE or end_x - left < _MIN_SIDE:
            return Rectangle(0, 0, width, height)
        return Rectangle(top, left, end_x - left, end_y - top)


_MIN_SIDE = 8


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A part of a picture, in pixels: the row and the column of its first pixel, its width and its height."""

    top: int
    left: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class BarSpan:
    """Bars that stay the same for the frames `[start_frame, end_frame)` of a film."""

    start_frame: int
    end_frame: int
    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.start_frame < self.end_frame:
            raise ValueError(f"bars last from a frame to a later one, got {self}")

    @property
    def bars(self) -> Bars:
        """The bars."""
        return Bars(self.top, self.bottom, self.left, self.right)


def find_largest_bars(spans: Sequence[BarSpan], window: Span) -> Bars:
    """Return on each side the largest bar that any frame of a window has."""
    inside = [span for span in spans if span.start_frame < window.end_frame and span.end_frame > window.start_frame]
    sides = ("top", "bottom", "left", "right")
    return Bars(*(max((getattr(span, side) for span in inside), default=0) for side in sides))
