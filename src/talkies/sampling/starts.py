"""Where clips may begin: the starts of all films, numbered.

Shapes: `F` films, `R` runs of starts (spans that are long enough), `X` questions asked at once.
"""

import numpy as np

from talkies.core import Int64s, SpanTable


class Starts:
    """Every frame at which a window of `window_frames` fits into one eligible span, numbered on over all films.

    Those of film *f* have the numbers `bound_F1[f]` to `bound_F1[f + 1]`, without holes. Two starts of one film are at
    least as far apart in frames as in number, for holes between the spans only add to the distance.
    """

    def __init__(self, spans: SpanTable, window_frames: int) -> None:
        fits_R = spans.end_R - spans.start_R >= window_frames
        film_R = spans.film_R[fits_R]
        self.first_R = spans.start_R[fits_R]
        count_R = spans.end_R[fits_R] - self.first_R - window_frames + 1
        self.offset_R1 = np.concatenate([[0], np.cumsum(count_R)]).astype(np.int64)
        self.run_F1 = np.searchsorted(film_R, np.arange(len(spans) + 1))
        self.bound_F1 = self.offset_R1[self.run_F1]
        self.window_frames = window_frames

    @property
    def count_F(self) -> Int64s:
        """How many starts each film has."""
        return np.diff(self.bound_F1)

    def find_films(self, number_X: Int64s) -> Int64s:
        """Return the films of these starts."""
        return np.searchsorted(self.bound_F1, number_X, side="right") - 1

    def find_frames(self, number_X: Int64s, film_X: Int64s | None = None) -> Int64s:
        """Return the frames of these starts; to tell their films as well saves looking for them."""
        run_X = self._run(self.offset_R1, self.find_films(number_X) if film_X is None else film_X, number_X)
        return self.first_R[run_X] + number_X - self.offset_R1[run_X]

    def find_first_at(self, film_X: Int64s, frame_X: Int64s) -> Int64s:
        """Return the number of the first start of a film at or after a frame; the next film's first if none is."""
        if not len(self.first_R):
            return self.bound_F1[film_X]
        run_X = self._run(self.first_R, film_X, frame_X)
        here_X = run_X >= self.run_F1[film_X]
        run_X = np.maximum(run_X, 0)
        after_X = self.offset_R1[run_X] + frame_X - self.first_R[run_X]
        number_X = np.where(here_X, np.minimum(after_X, self.offset_R1[run_X + 1]), self.bound_F1[film_X])
        return number_X.astype(np.int64)

    def _run(self, value_R: Int64s, film_X: Int64s, wanted_X: Int64s) -> Int64s:
        """Return the last run of each film whose `value_R` is at most what is wanted, or the one before its first."""
        return last_at_most(value_R, self.run_F1[film_X] - 1, self.run_F1[film_X + 1] - 1, wanted_X)


def last_at_most(value_R: Int64s, low_X: Int64s, high_X: Int64s, wanted_X: Int64s) -> Int64s:
    """Return the last of the places after `low_X` up to `high_X` whose value is at most what is wanted, or `low_X`.

    The values rise between these places. To look among so few is what makes it fast: in one array of millions each step
    of the search would miss the cache.
    """
    for _ in range(int((high_X - low_X).max(initial=0)).bit_length()):
        middle_X = (low_X + high_X + 1) >> 1
        beyond_X = value_R[middle_X] > wanted_X
        low_X, high_X = np.where(beyond_X, low_X, middle_X), np.where(beyond_X, middle_X - 1, high_X)
    return low_X
