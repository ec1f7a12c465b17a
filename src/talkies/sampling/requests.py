"""The requests of a batch, in arrays until somebody wants them one by one.

Shapes: `N` clips.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from talkies.core import ClipRequest, FilmId, Int64s, Span


@dataclass(frozen=True, slots=True, eq=False)
class BatchRequests(Sequence[ClipRequest]):
    """The clips of a batch, or of a part of it: film by film, each film's in the order of time.

    `film_ids` are all films of the plan, by number; `shift_N` is how many frames after its pictures a clip's sound is.
    """

    film_ids: tuple[FilmId, ...]
    film_N: Int64s
    start_N: Int64s
    shift_N: Int64s
    window_frames: int

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
            return BatchRequests(self.film_ids, *parts, self.window_frames)
        start = int(self.start_N[place])
        window = Span(start, start + self.window_frames)
        return ClipRequest(self.film_ids[self.film_N[place]], window, int(self.shift_N[place]))

    def __iter__(self) -> Iterator[ClipRequest]:
        return (self[place] for place in range(len(self)))

    def select_rank(self, rank: int, world_size: int) -> "BatchRequests":
        """Return one rank's share: the shares are disjoint, together the whole, and equal within one clip.

        They are runs, so that a film's clips are split between two ranks only where films and ranks do not divide.
        """
        return self[rank * len(self) // world_size : (rank + 1) * len(self) // world_size]

    def split_by_film(self, most_clips: int) -> Iterator["BatchRequests"]:
        """Yield runs of whole films, of at most `most_clips` clips where a film has not more."""
        edges = [0, *(np.flatnonzero(np.diff(self.film_N)) + 1).tolist(), len(self)]
        begin = 0
        for end, after in zip(edges[1:], [*edges[2:], None], strict=True):
            if after is None or after - begin > most_clips:
                yield self[begin:end]
                begin = end
