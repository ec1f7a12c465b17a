"""Where clips may start: the starts of all films, numbered.

Shapes: `F` films, `R` runs of starts (one for each span that is long enough), `M` ranges of starts, `X` starts asked
for at once.
"""

from dataclasses import dataclass

import numpy as np

from talkies.core import Float64s, Int64s, SpanTable


class Starts:
    """Every frame at which a window of `window_frames` fits into one eligible span, numbered over all films.

    The starts of film *f* have the numbers `bound_F1[f]` to `bound_F1[f + 1]`, without gaps. Frames have gaps, where
    films have holes: how far apart two starts are is known only from their frames.
    """

    def __init__(self, spans: SpanTable, window_frames: int) -> None:
        """Number the starts of all films.

        Args:
            spans: the eligible spans of each film.
            window_frames: the length of a clip's window, in frames.
        """
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
        """Return the films that these starts belong to."""
        return np.searchsorted(self.bound_F1, number_X, side="right") - 1

    def find_runs(self, number_X: Int64s, film_X: Int64s) -> Int64s:
        """Return the runs that these starts belong to, given their films."""
        return self._find_runs(self.offset_R1, film_X, number_X)

    def find_frames(self, number_X: Int64s, film_X: Int64s | None = None) -> Int64s:
        """Return the frames of these starts; passing their films, if known, saves finding them."""
        run_X = self.find_runs(number_X, self.find_films(number_X) if film_X is None else film_X)
        return self.first_R[run_X] + number_X - self.offset_R1[run_X]

    def find_first_at(self, film_X: Int64s, frame_X: Int64s) -> Int64s:
        """Return the number of a film's first start at or after a frame; without one, the next film's first."""
        if not len(self.first_R):
            return self.bound_F1[film_X]
        run_X = self._find_runs(self.first_R, film_X, frame_X)
        in_film_X = run_X >= self.run_F1[film_X]
        run_X = np.maximum(run_X, 0)
        in_run_X = self.offset_R1[run_X] + frame_X - self.first_R[run_X]
        number_X = np.where(in_film_X, np.minimum(in_run_X, self.offset_R1[run_X + 1]), self.bound_F1[film_X])
        return number_X.astype(np.int64)

    def find_last_at(self, film_X: Int64s, frame_X: Int64s) -> Int64s:
        """Return the number of a film's last start at or before a frame; without one, the previous film's last."""
        return self.find_first_at(film_X, frame_X + 1) - 1

    def _find_runs(self, value_R: Int64s, film_X: Int64s, wanted_X: Int64s) -> Int64s:
        """Return each film's last run whose `value_R` is at most `wanted_X`, or the run before the film's first."""
        return search_last_at_most(value_R, self.run_F1[film_X] - 1, self.run_F1[film_X + 1] - 1, wanted_X)


@dataclass(frozen=True, slots=True, eq=False)
class StartRanges:
    """Ranges of starts, none of them empty, each in one film.

    Attributes:
        low_M: the number of each range's first start.
        high_M: the number after its last start.
        first_run_M: the run of the first start.
        last_run_M: the run of the last start.
    """

    low_M: Int64s
    high_M: Int64s
    first_run_M: Int64s
    last_run_M: Int64s

    def __len__(self) -> int:
        return len(self.low_M)

    @classmethod
    def of_films(cls, starts: Starts, film_M: Int64s) -> "StartRanges":
        """Return all starts of these films."""
        next_M = film_M + 1
        bounds = starts.bound_F1[film_M], starts.bound_F1[next_M]
        return cls(*bounds, starts.run_F1[film_M], starts.run_F1[next_M] - 1)

    @classmethod
    def between(cls, starts: Starts, film_M: Int64s, low_M: Int64s, high_M: Int64s) -> "StartRanges":
        """Return the starts of these films from number `low_M` to the one before `high_M`."""
        return cls(low_M, high_M, starts.find_runs(low_M, film_M), starts.find_runs(high_M - 1, film_M))

    def take(self, row_X: Int64s) -> "StartRanges":
        """Return some of the ranges."""
        return StartRanges(self.low_M[row_X], self.high_M[row_X], self.first_run_M[row_X], self.last_run_M[row_X])


def search_last_at_most(
    value_R: Int64s | Float64s, low_X: Int64s, high_X: Int64s, wanted_X: Int64s | Float64s
) -> Int64s:
    """Return the last place in `(low_X, high_X]` whose value is at most `wanted_X`, or `low_X`.

    This is a binary search in many short stretches at once. One search in a whole array of millions would miss the
    cache at each step.

    Args:
        value_R: values that increase within each stretch.
        low_X: the place before each stretch.
        high_X: the last place of each stretch.
        wanted_X: the value to search for in each stretch.
    """
    for bit in reversed(range(int((high_X - low_X).max(initial=0)).bit_length())):
        place_X = np.minimum(low_X + (1 << bit), high_X)
        low_X = np.where(value_R[place_X] <= wanted_X, place_X, low_X)
    return low_X
