"""Spans of many films in arrays, for a hundred thousand films have millions of them.

Shapes: `F` films, `R` spans of all films one after the other, `X` questions asked at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from talkies.core.arrays import Int64s
from talkies.core.time import Span

_FILM_BITS = 40  # a film and a frame of it as one number: a film has fewer than 2^40 frames


@dataclass(frozen=True, slots=True, eq=False)
class SpanTable:
    """Half-open spans of frames: those of film *i* are rows `offset_F1[i]` to `offset_F1[i + 1]`, ordered and apart.

    Raises:
        ValueError: if the arrays do not belong together, or the spans of a film are empty, out of order or overlap.
    """

    offset_F1: Int64s
    start_R: Int64s
    end_R: Int64s

    def __post_init__(self) -> None:
        if len(self.start_R) != len(self.end_R) or self.offset_F1[0] != 0 or self.offset_F1[-1] != len(self.start_R):
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
        """Return the table of the films' spans."""
        rows = [span for film in spans for span in film]
        offset_F1 = np.cumsum([0, *(len(film) for film in spans)], dtype=np.int64)
        bounds_R2 = np.array([(s.start_frame, s.end_frame) for s in rows], np.int64).reshape(-1, 2)
        return cls(offset_F1, bounds_R2[:, 0].copy(), bounds_R2[:, 1].copy())

    @classmethod
    def from_bounds(cls, start_F: Int64s, end_F: Int64s) -> "SpanTable":
        """Return the table of one span a film; a film whose end is not after its start has none."""
        some_F = end_F > start_F
        offset_F1 = np.concatenate([[0], np.cumsum(some_F)]).astype(np.int64)
        return cls(offset_F1, start_F[some_F].astype(np.int64), end_F[some_F].astype(np.int64))

    @classmethod
    def from_rows(cls, films: int, film_R: Int64s, start_R: Int64s, end_R: Int64s) -> "SpanTable":
        """Return the table of `films` films whose spans come in any order and may overlap: joined where they do."""
        order = np.lexsort((start_R, film_R))
        base = film_line(film_R[order])
        start, end = base + start_R[order], np.maximum.accumulate(base + end_R[order])
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
        return [Span(int(s), int(e)) for s, e in zip(self.start_R[rows], self.end_R[rows], strict=True)]

    def take(self, film_X: Int64s) -> "SpanTable":
        """Return the table of these films alone, in that order."""
        count_X = np.diff(self.offset_F1)[film_X]
        offset_X1 = np.concatenate([[0], np.cumsum(count_X)]).astype(np.int64)
        rows = np.repeat(self.offset_F1[film_X] - offset_X1[:-1], count_X) + np.arange(offset_X1[-1])
        return SpanTable(offset_X1, self.start_R[rows], self.end_R[rows])

    def subtract(self, other: "SpanTable") -> "SpanTable":
        """Return what of these spans lies outside of all spans of `other`, a table of the same films."""
        points = [film_line(t.film_R) + edge for t in (self, other) for edge in (t.start_R, t.end_R)]
        sizes = [len(part) for part in points]
        at, place = np.unique(np.concatenate(points), return_inverse=True)
        inside, outside = (np.zeros(len(at) + 1, np.int64) for _ in range(2))
        starts, ends, holes, hole_ends = np.split(place, np.cumsum(sizes)[:-1])
        for count, begin, end in ((inside, starts, ends), (outside, holes, hole_ends)):
            np.add.at(count, begin, 1)
            np.add.at(count, end, -1)
        kept = np.flatnonzero((np.cumsum(inside)[:-1] > 0) & (np.cumsum(outside)[:-1] == 0))
        film = at[kept] >> _FILM_BITS
        offset_F1 = np.searchsorted(film, np.arange(len(self) + 1)).astype(np.int64)
        return SpanTable(offset_F1, at[kept] - film_line(film), at[kept + 1] - film_line(film))


def film_line(film_X: Int64s) -> Int64s:
    """Return where these films begin on one long line, on which all films lie one after the other, frame by frame."""
    return np.left_shift(film_X, _FILM_BITS, dtype=np.int64)
