"""The spans of many films as arrays, because a hundred thousand films have millions of spans.

Shapes: `F` films, `R` spans of all films one after the other, `X` films asked for at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from talkies.core.arrays import Int64s
from talkies.core.time import Span

_FILM_BITS = 40  # a film number and a frame number fit into one integer: a film has fewer than 2^40 frames


@dataclass(frozen=True, slots=True, eq=False)
class SpanTable:
    """Half-open spans of frames of many films, `[start_R, end_R)`, ordered and disjoint within each film.

    Attributes:
        offset_F1: the spans of film *i* are rows `offset_F1[i]` to `offset_F1[i + 1]`, `[F + 1]`.
        start_R: the first frame of each span.
        end_R: the frame after the last of each span.

    Raises:
        ValueError: if the arrays do not belong together, or the spans of a film are empty, out of order or overlap.
    """

    offset_F1: Int64s
    start_R: Int64s
    end_R: Int64s

    def __post_init__(self) -> None:
        rows = len(self.start_R)
        if len(self.end_R) != rows or self.offset_F1[0] != 0 or self.offset_F1[-1] != rows:
            raise ValueError(f"the parts of a span table do not belong together: {self!r}")

        wrong = (self.start_R < 0) | (self.start_R >= self.end_R)
        same_film = np.diff(self.film_R) == 0
        wrong[1:] |= same_film & (self.end_R[:-1] > self.start_R[1:])
        if wrong.any():
            row = int(wrong.argmax())
            raise ValueError(
                f"a film's spans must be in order and apart, got [{self.start_R[row]}, {self.end_R[row]}) "
                f"in film number {self.film_R[row]}"
            )

    def __repr__(self) -> str:
        return f"SpanTable({len(self)} films, {len(self.start_R)} spans)"

    def __len__(self) -> int:
        return len(self.offset_F1) - 1

    @classmethod
    def of(cls, spans: Sequence[Sequence[Span]]) -> "SpanTable":
        """Return the table of each film's spans."""
        rows = [span for film in spans for span in film]
        offset_F1 = np.cumsum([0, *(len(film) for film in spans)], dtype=np.int64)
        bounds_R2 = np.array([(span.start_frame, span.end_frame) for span in rows], np.int64).reshape(-1, 2)
        return cls(offset_F1, bounds_R2[:, 0].copy(), bounds_R2[:, 1].copy())

    @classmethod
    def from_bounds(cls, start_F: Int64s, end_F: Int64s) -> "SpanTable":
        """Return the table of one span `[start, end)` a film; a film whose end is not after its start has no span."""
        has_span_F = end_F > start_F
        offset_F1 = np.concatenate([[0], np.cumsum(has_span_F)]).astype(np.int64)
        return cls(offset_F1, start_F[has_span_F].astype(np.int64), end_F[has_span_F].astype(np.int64))

    @classmethod
    def from_rows(cls, films: int, film_R: Int64s, start_R: Int64s, end_R: Int64s) -> "SpanTable":
        """Return the table of spans in any order; spans of a film that overlap are joined.

        Args:
            films: how many films the table has.
            film_R: the film number of each span.
            start_R: the first frame of each span.
            end_R: the frame after the last of each span.
        """
        # Put all films on one number line, so that one pass finds the overlaps of all of them.
        order = np.lexsort((start_R, film_R))
        base = locate_film_starts(film_R[order])
        start, end = base + start_R[order], np.maximum.accumulate(base + end_R[order])

        # A joined span starts where no earlier one reaches, and ends before the next such start.
        first = np.ones(len(start), bool)
        first[1:] = start[1:] >= end[:-1]
        last = np.append(first[1:], True)[: len(first)]

        film = film_R[order][first]
        offset_F1 = np.searchsorted(film, np.arange(films + 1)).astype(np.int64)
        return cls(offset_F1, start[first] - base[first], end[last] - base[first])

    @property
    def film_R(self) -> Int64s:
        """The film number of each row."""
        return np.repeat(np.arange(len(self)), np.diff(self.offset_F1)).astype(np.int64)

    @property
    def frames_F(self) -> Int64s:
        """How many frames the spans of each film cover."""
        total_R1 = np.concatenate([[0], np.cumsum(self.end_R - self.start_R)])
        return np.diff(total_R1[self.offset_F1]).astype(np.int64)

    def list_spans(self, film: int) -> list[Span]:
        """Return the spans of one film."""
        rows = slice(int(self.offset_F1[film]), int(self.offset_F1[film + 1]))
        return [Span(int(start), int(end)) for start, end in zip(self.start_R[rows], self.end_R[rows], strict=True)]

    def take(self, film_X: Int64s) -> "SpanTable":
        """Return the table of some films, in the order of `film_X`."""
        count_X = np.diff(self.offset_F1)[film_X]
        offset_X1 = np.concatenate([[0], np.cumsum(count_X)]).astype(np.int64)
        rows = np.repeat(self.offset_F1[film_X] - offset_X1[:-1], count_X) + np.arange(offset_X1[-1])
        return SpanTable(offset_X1, self.start_R[rows], self.end_R[rows])

    def subtract(self, other: "SpanTable") -> "SpanTable":
        """Return the parts of these spans that are outside all spans of `other`, a table of the same films."""
        # Put the starts and ends of both tables on one number line, each position once.
        points = []
        for table in (self, other):
            base = locate_film_starts(table.film_R)
            points += [base + table.start_R, base + table.end_R]
        sizes = [len(part) for part in points]
        position, place = np.unique(np.concatenate(points), return_inverse=True)
        own_starts, own_ends, other_starts, other_ends = np.split(place, np.cumsum(sizes)[:-1])

        # Count how many spans of each table cover the stretch after each position.
        own, others = (np.zeros(len(position) + 1, np.int64) for _ in range(2))
        for count, starts, ends in ((own, own_starts, own_ends), (others, other_starts, other_ends)):
            np.add.at(count, starts, 1)
            np.add.at(count, ends, -1)

        kept = np.flatnonzero((np.cumsum(own)[:-1] > 0) & (np.cumsum(others)[:-1] == 0))
        film = position[kept] >> _FILM_BITS
        offset_F1 = np.searchsorted(film, np.arange(len(self) + 1)).astype(np.int64)
        kept_base = locate_film_starts(film)
        return SpanTable(offset_F1, position[kept] - kept_base, position[kept + 1] - kept_base)


def locate_film_starts(film_X: Int64s) -> Int64s:
    """Return where films start on a number line that holds the frames of all films, one film after the other."""
    return np.left_shift(film_X, _FILM_BITS, dtype=np.int64)
