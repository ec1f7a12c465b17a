"""The waveform that the timeline draws: the peak level of equal parts of a film's audio."""

from itertools import pairwise
from pathlib import Path

from talkies.core import Grid, Int16s, Span
from talkies.media import AudioReader

MAX_PARTS = 800
_FULL_SCALE = 32768


def compute_peaks(path: Path, grid: Grid) -> list[float]:
    """Return the peak level of at most `MAX_PARTS` equal parts of a film's audio.

    Args:
        path: Training audio of the film, a WAV file; it is read part by part.
        grid: Frame grid of the library.

    Returns:
        One level in [0, 1] for each part, in order.

    Raises:
        MediaError: If the file is not the training audio that ingest wrote.
    """
    samples_per_frame = grid.samples_per_frame
    with AudioReader(path) as audio:
        frames = len(audio) // samples_per_frame
        parts = min(frames, MAX_PARTS)
        edges = [frames * part // parts for part in range(parts + 1)] if parts else []
        spans = [Span(start, end) for start, end in pairwise(edges)]
        return [_compute_peak(audio.read(span, samples_per_frame)) for span in spans]


def _compute_peak(samples_S: Int16s) -> float:
    peak = max(int(samples_S.max()), -int(samples_S.min()))
    return round(peak / _FULL_SCALE, 4)
