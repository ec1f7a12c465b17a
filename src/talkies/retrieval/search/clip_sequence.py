"""A file that lasts longer than a clip, as a row of clips, found where the same row runs through a film.

The mean of a file's clips tells what it is like; their order in time tells where it is from. The clips of a film lie at
a stride, those of a file at a part of it, for the file may begin between two clips of the film:

    film      |····|····|····|····|····|        rows, each a stride after the one before
    file        a b a b a b                     windows, half a stride apart: two phases
    phase a     ·   ·   ·                       compared with three rows one after the other, from each row on

Shapes: `W` windows of the file, `B` rows of films.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from talkies.core import Float32s, Float64s, Int64s, Modality
from talkies.retrieval.index.rows import IndexRows

MOST_WINDOWS = 16
_FINEST = 4
_EXACT_SECONDS = 1e-6
_PHASES = 10_000  # parts of a stride that are told apart

Pairs = Sequence[tuple[Modality, Modality]]


@dataclass(frozen=True, slots=True, eq=False)
class Passage:
    """Windows of a file at `start_W` seconds, as the rows of a film are laid `stride_seconds` apart; the vectors of a
    side that the file lacks are None.
    """

    stride_seconds: float
    start_W: Float64s
    video_WD: Float32s | None
    audio_WD: Float32s | None


def window_starts(frames: int, window: int, stride: int) -> Int64s:
    """Return where windows of so many frames begin in a file of `frames`, for rows each `stride` frames.

    As near to each other as a quarter of the stride, where that are not too many; of a long file some strides apart.
    """
    last = max(0, frames - window)
    for parts in (_FINEST, 2, 1):
        if stride % parts == 0 and last // (stride // parts) < MOST_WINDOWS:
            return np.arange(0, last + 1, stride // parts)
    apart = -(-(last // stride) // (MOST_WINDOWS - 1)) * stride
    return np.arange(0, last + 1, apart)


def passage_scores(rows: IndexRows, passage: Passage, pairs: Pairs) -> Float32s:
    """Return for each row how alike the passage is to the film from there on, the mean over its windows; else −inf.

    A passage does not begin at a clip of a shot, nor where the film ends before it.
    """
    places = np.flatnonzero(~rows.of_shot_B)
    best_B = np.full(len(rows), -np.inf, np.float32)
    if len(places):
        laid = rows[places]
        score_WB = _scores(laid, passage, pairs)
        phases: dict[int, list[int]] = defaultdict(list)
        for number, start in enumerate(passage.start_W.tolist()):
            phases[round(start / passage.stride_seconds * _PHASES) % _PHASES].append(number)
        every = [_of_phase(laid, passage, score_WB, windows) for windows in phases.values()]
        best_B[places] = np.max(every, axis=0)
    return best_B


def _scores(rows: IndexRows, passage: Passage, pairs: Pairs) -> Float32s:
    mine = {"video": passage.video_WD, "audio": passage.audio_WD}
    theirs = {"video": rows.video_BD, "audio": rows.audio_BD}
    score_WB: Float32s = np.zeros((len(passage.start_W), len(rows)), np.float32)
    for one, other in pairs:
        vectors_WD = mine[one]
        assert vectors_WD is not None, "the sides that a file lacks are not asked with"
        score_WB += vectors_WD @ theirs[other].T / np.float32(len(pairs))
    return score_WB


def _of_phase(rows: IndexRows, passage: Passage, score_WB: Float32s, windows: Sequence[int]) -> Float32s:
    """Return the mean score of windows that are whole strides apart, from each row on."""
    total_B, whole_B = np.zeros(len(rows), np.float32), np.ones(len(rows), np.bool_)
    for window in windows:
        seconds = float(passage.start_W[window] - passage.start_W[windows[0]])
        step = round(seconds / passage.stride_seconds)
        there = min(step, len(rows))
        kept = len(rows) - there
        total_B[:kept] += score_WB[window, there:]
        later = rows.start_B[there:] - rows.start_B[:kept]
        whole_B[:kept] &= (rows.film_B[there:] == rows.film_B[:kept]) & (np.abs(later - seconds) < _EXACT_SECONDS)
        whole_B[kept:] = False
    mean_B: Float32s = np.where(whole_B, total_B / np.float32(len(windows)), np.float32(-np.inf)).astype(np.float32)
    return mean_B
