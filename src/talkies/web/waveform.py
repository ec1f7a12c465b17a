"""How loud a film is along its time."""

from itertools import pairwise
from pathlib import Path

import numpy as np

from talkies.core import Grid, Span
from talkies.media import AudioReader

MOST_PARTS = 800


def peaks_of(path: Path, grid: Grid) -> list[float]:
    """Return the highest level, 0 to 1, of at most `MOST_PARTS` equal parts of training audio, read one after another.

    Raises:
        MediaError: if the file is not the training audio that was written.
    """
    per_frame = grid.samples_per_frame
    with AudioReader(path) as sound:
        frames = len(sound) // per_frame
        parts = min(frames, MOST_PARTS)
        edges = [frames * part // parts for part in range(parts + 1)] if parts else []
        spans = [Span(start, end) for start, end in pairwise(edges)]
        return [_peak(sound.read(span, per_frame)) for span in spans]


def _peak(samples_S: np.ndarray[tuple[int], np.dtype[np.int16]]) -> float:
    return round(max(int(samples_S.max()), -int(samples_S.min())) / 32768, 4)
