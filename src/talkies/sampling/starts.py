"""Where clips may begin: the starts of all films, numbered.

Shapes: `F` films, `R` runs of starts (spans that are long enough), `X` questions asked at once.
"""

import numpy as np

from talkies.core import Int64s, SpanTable, film_line


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
        self._line_R = film_line(film_R) + self.first_R

    @property
    def count_F(self) -> Int64s:
        """How many starts each film has."""
        return np.diff(self.bound_F1)

    def film_of(self, number_X: Int64s) -> Int64s:
        """Return the films of these starts."""
        return np.searchsorted(self.bound_F1, number_X, side="right") - 1

    def frame(self, number_X: Int64s) -> Int64s:
        """Return the frames of these starts."""
        run_X = np.searchsorted(self.offset_R1, number_X, side="right") - 1
        return self.first_R[run_X] + number_X - self.offset_R1[run_X]

    def number_from(self, film_X: Int64s, frame_X: Int64s) -> Int64s:
        """Return the number of the first start of a film at or after a frame; the next film's first if none is."""
        if not len(self.first_R):
            return self.bound_F1[film_X]
        run_X = np.searchsorted(self._line_R, film_line(film_X) + frame_X, side="right") - 1
        here_X = run_X >= self.run_F1[film_X]
        run_X = np.maximum(run_X, 0)
        after_X = self.offset_R1[run_X] + frame_X - self.first_R[run_X]
        number_X = np.where(here_X, np.minimum(after_X, self.offset_R1[run_X + 1]), self.bound_F1[film_X])
        return number_X.astype(np.int64)
