"""The clip requests of a batch, kept as arrays until they are read one by one.

Shapes: `N` clips.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from talkies.core import ClipRequest, FilmId, Float64s, Int64s, Span


@dataclass(frozen=True, slots=True, eq=False)
class BatchRequests(Sequence[ClipRequest]):
    """The clip requests of a batch, or of a part of it: film by film, each film's clips in the order of time.

    Attributes:
        film_ids: all films of the plan, by number.
        film_N: the film number of each clip.
        start_N: the first frame of each clip's window.
        shift_N: how many frames after its video a clip's audio is.
        window_frames: the length of the windows, in frames.
        place_N: where along the long side of its pictures each clip's square is, from 0 to 1; None for the middle.
    """

    film_ids: tuple[FilmId, ...]
    film_N: Int64s
    start_N: Int64s
    shift_N: Int64s
    window_frames: int
    place_N: Float64s | None = None

    def __len__(self) -> int:
        return len(self.film_N)

    def __repr__(self) -> str:
        return f"BatchRequests({len(self)} clips of {len(np.unique(self.film_N))} films)"

    @overload
    def __getitem__(self, place: int) -> ClipRequest: ...
    @overload
    def __getitem__(self, place: slice) -> "BatchRequests": ...
    def __getitem__(self, place: int | slice) -> "ClipRequest | BatchRequests":
        if isinstance(place, slice):
            parts = (self.film_N[place], self.start_N[place], self.shift_N[place])
            place_N = None if self.place_N is None else self.place_N[place]
            return BatchRequests(self.film_ids, *parts, self.window_frames, place_N)
        start = int(self.start_N[place])
        window = Span(start, start + self.window_frames)
        along = 0.5 if self.place_N is None else float(self.place_N[place])
        return ClipRequest(self.film_ids[self.film_N[place]], window, int(self.shift_N[place]), along)

    def __iter__(self) -> Iterator[ClipRequest]:
        return (self[place] for place in range(len(self)))

    def select_rank(self, rank: int, world_size: int) -> "BatchRequests":
        """Return one rank's share of the batch.

        The shares are disjoint, together the whole batch, and equal within one clip. They are contiguous, so a film's
        clips are split between two ranks only where the number of ranks does not divide the number of films.
        """
        return self[rank * len(self) // world_size : (rank + 1) * len(self) // world_size]

    def split_by_film(self, most_clips: int) -> Iterator["BatchRequests"]:
        """Yield runs of whole films, of at most `most_clips` clips unless one film has more."""
        edges = [0, *(np.flatnonzero(np.diff(self.film_N)) + 1).tolist(), len(self)]
        begin = 0
        for end, next_end in zip(edges[1:], [*edges[2:], None], strict=True):
            if next_end is None or next_end - begin > most_clips:
                yield self[begin:end]
                begin = end
