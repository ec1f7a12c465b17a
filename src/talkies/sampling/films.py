"""The spans that clips may be drawn from, film by film."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from talkies.core import FilmId, Span


@dataclass(frozen=True, slots=True)
class FilmSpans:
    """Films and their eligible spans: `spans[i]`, ordered and apart from each other, are those of `film_ids[i]`.

    `names` are what films are called in messages.

    Raises:
        ValueError: if the parts do not agree, a film is there twice, or the spans of one overlap or are out of order.
    """

    film_ids: tuple[FilmId, ...]
    spans: tuple[tuple[Span, ...], ...]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if not len(self.film_ids) == len(self.spans) == len(self.names):
            raise ValueError(
                f"films, spans and names differ in number: {len(self.film_ids)}, {len(self.spans)}, {len(self.names)}"
            )
        if len(set(self.film_ids)) != len(self.film_ids):
            raise ValueError("a film is there twice")
        for spans in self.spans:
            if any(left.end_frame > right.start_frame for left, right in pairwise(spans)):
                raise ValueError(f"a film's spans must be in order and apart, got {spans}")

    @classmethod
    def of(cls, spans: Mapping[FilmId, Sequence[Span]], names: Mapping[FilmId, str] | None = None) -> "FilmSpans":
        """Return the films of a mapping, in the order of their ids."""
        ids = sorted(spans)
        return cls(tuple(ids), tuple(tuple(spans[i]) for i in ids), tuple((names or {}).get(i, i) for i in ids))

    def __len__(self) -> int:
        return len(self.film_ids)

    def starts_of(self, film: int, window_frames: int) -> "Starts":
        """Return every frame of film number `film` at which a window of that length fits inside one span."""
        fitting = [span for span in self.spans[film] if len(span) >= window_frames]
        counts = [len(span) - window_frames + 1 for span in fitting]
        return Starts(
            np.array([span.start_frame for span in fitting], np.int64),
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        )


@dataclass(frozen=True, slots=True)
class Starts:
    """The eligible starting frames of one film, numbered from 0 without holes.

    `first[j]` is the first start in span *j*, `offset[j]` its number; `offset[-1]` is how many there are. Two starts
    are at least as far apart in frames as in number, for holes only add to the distance.
    """

    first: np.ndarray[tuple[int], np.dtype[np.int64]]
    offset: np.ndarray[tuple[int], np.dtype[np.int64]]

    def __len__(self) -> int:
        return int(self.offset[-1])

    def frames(self, numbers: np.ndarray[tuple[int], np.dtype[np.int64]]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Return the frames of the starts with these numbers."""
        span = np.searchsorted(self.offset, numbers, side="right") - 1
        return self.first[span] + numbers - self.offset[span]
