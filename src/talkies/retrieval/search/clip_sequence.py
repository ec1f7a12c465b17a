"""Match a file longer than one clip by the order of its clips, not only by their mean.

The mean of a file's clips says what the file is like; the order of its clips says where it was taken from. A film's
clips are one stride apart; a file's clips are a fraction of a stride apart, because the file may start between two
clips of the film:

    film      |····|····|····|····|····|        rows, one stride apart
    file        a b a b a b                     windows, half a stride apart: two phases
    phase a     ·   ·   ·                       compared with three consecutive rows, starting at each row

Shapes: `W` windows of the file, `B` rows of films, `D` embedding.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from talkies.core import Float32s, Float64s, Int64s, Modality
from talkies.retrieval.index.rows import IndexRows

MAX_WINDOWS = 16
_MAX_WINDOWS_PER_STRIDE = 4
_TIME_TOLERANCE_SECONDS = 1e-6
_PHASES_PER_STRIDE = 10_000  # the resolution at which windows are grouped by phase


@dataclass(frozen=True, slots=True, eq=False)
class ClipSequence:
    """A file as a sequence of clips; vectors are None for a modality that the file lacks.

    Args:
        stride_seconds: The stride of the films' rows that the windows were placed for.
        start_W: The start of each window in the file, in seconds.
        video_WD: Unit rows.
        audio_WD: Unit rows.
    """

    stride_seconds: float
    start_W: Float64s
    video_WD: Float32s | None
    audio_WD: Float32s | None

    def get_vectors(self, modality: Modality) -> Float32s | None:
        """Return the vectors `[W, D]` of one modality."""
        return self.video_WD if modality == "video" else self.audio_WD


def place_windows(frames: int, window_frames: int, stride_frames: int) -> Int64s:
    """Return the start frames of the windows of a file, in step with rows that are `stride_frames` apart.

    Windows are a quarter, a half or one stride apart, as close as `MAX_WINDOWS` allows; in a long file, several
    strides apart.

    Args:
        frames: The number of frames in the file.
        window_frames: The length of a window.
        stride_frames: The stride of the films' rows.

    Returns:
        Start frames, ascending from 0.
    """
    last = max(0, frames - window_frames)
    for parts in (_MAX_WINDOWS_PER_STRIDE, 2, 1):
        if stride_frames % parts == 0 and last // (stride_frames // parts) < MAX_WINDOWS:
            return np.arange(0, last + 1, stride_frames // parts)
    strides_apart = -(-(last // stride_frames) // (MAX_WINDOWS - 1))
    return np.arange(0, last + 1, strides_apart * stride_frames)


def score_sequence(rows: IndexRows, sequence: ClipSequence, pairs: Sequence[tuple[Modality, Modality]]) -> Float32s:
    """Return how well the sequence matches the film from each row on: the mean score over its windows.

    Args:
        rows: Rows of films, in the order of films and times.
        sequence: The file's clips.
        pairs: The modality of the file and of the rows in each comparison.

    Returns:
        Scores `[B]`; −inf for the clip of a shot, and where the film ends before the sequence.
    """
    index = np.flatnonzero(~rows.of_shot_B)
    best_B = np.full(len(rows), -np.inf, np.float32)
    if len(index):
        at_stride = rows[index]
        score_WB = _score_windows(at_stride, sequence, pairs)
        phase_scores = [
            _score_phase(at_stride, sequence, score_WB, windows) for windows in _group_by_phase(sequence).values()
        ]
        best_B[index] = np.max(phase_scores, axis=0)
    return best_B


def _group_by_phase(sequence: ClipSequence) -> dict[int, list[int]]:
    """Return the numbers of the windows that are whole strides apart, by phase."""
    phases: dict[int, list[int]] = defaultdict(list)
    for number, start in enumerate(sequence.start_W.tolist()):
        phases[round(start / sequence.stride_seconds * _PHASES_PER_STRIDE) % _PHASES_PER_STRIDE].append(number)
    return phases


def _score_windows(rows: IndexRows, sequence: ClipSequence, pairs: Sequence[tuple[Modality, Modality]]) -> Float32s:
    """Return the mean score over the pairs of each window with each row `[W, B]`."""
    score_WB: Float32s = np.zeros((len(sequence.start_W), len(rows)), np.float32)
    for own, other in pairs:
        vectors_WD = sequence.get_vectors(own)
        assert vectors_WD is not None, "a query uses only the modalities that its file has"
        score_WB += vectors_WD @ rows.get_vectors(other).T / np.float32(len(pairs))
    return score_WB


def _score_phase(rows: IndexRows, sequence: ClipSequence, score_WB: Float32s, windows: Sequence[int]) -> Float32s:
    """Return the mean score of windows that are whole strides apart, from each row on `[B]`."""
    total_B, complete_B = np.zeros(len(rows), np.float32), np.ones(len(rows), np.bool_)
    for window in windows:
        seconds = float(sequence.start_W[window] - sequence.start_W[windows[0]])
        step = min(round(seconds / sequence.stride_seconds), len(rows))
        count = len(rows) - step
        total_B[:count] += score_WB[window, step:]

        # The row `step` later must be of the same film and exactly that much later.
        later_seconds = rows.start_B[step:] - rows.start_B[:count]
        same_film = rows.film_B[step:] == rows.film_B[:count]
        complete_B[:count] &= same_film & (np.abs(later_seconds - seconds) < _TIME_TOLERANCE_SECONDS)
        complete_B[count:] = False
    mean_B: Float32s = np.where(complete_B, total_B / np.float32(len(windows)), np.float32(-np.inf)).astype(np.float32)
    return mean_B
