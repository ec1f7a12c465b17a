"""The film probe: how well a linear classifier identifies the film of a clip, fitted only on clips far from it in time.

Shapes: `N` clips, `E` features.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from talkies.core import Bools, Float32s, Int64s

BLOCKS = 4
LONGEST_GAP_SECONDS = 10.0
C = 1.0


def measure_film_accuracies(
    rows: Sequence[Float32s], starts: Sequence[Int64s], window_frames: int, fps: int
) -> list[float]:
    """Return for each film the share of its clips whose film is identified.

    Each film is cut into `BLOCKS` blocks of time. One block of every film is tested at a time, and the classifier is
    fitted on the clips that are at least `compute_gap_frames` away from it. Films weigh the same, so a guess is right
    in 1/films of the cases.

    Args:
        rows: The features of each film's clips, `[N, E]`, in the order of time.
        starts: The frame at which each clip starts, `[N]`, for each film.
        window_frames: The length of a clip in frames.
        fps: The frames of the grid in a second.
    """
    rows_NE = np.concatenate(rows).astype(np.float64)
    film_N = np.repeat(np.arange(len(rows)), [len(film_rows) for film_rows in rows])
    right_N = np.zeros(len(rows_NE), np.bool_)
    for test_N, fit_N in _split_folds(starts, window_frames, fps):
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=5000, class_weight="balanced"))
        probe.fit(rows_NE[fit_N], film_N[fit_N])
        right_N[test_N] = probe.predict(rows_NE[test_N]) == film_N[test_N]
    return [float(right_N[film_N == film].mean()) for film in range(len(rows))]


def split_block(start_N: Int64s, block: int, window_frames: int, fps: int) -> tuple[Bools, Bools]:
    """Return which clips of a film are in a block of time, and which are far enough from it to be fitted on.

    Args:
        start_N: The frame at which each clip starts, `[N]`, ascending.
        block: The number of the block, from 0.
        window_frames: The length of a clip in frames.
        fps: The frames of the grid in a second.
    """
    test_N = np.arange(len(start_N)) * BLOCKS // len(start_N) == block
    tested = start_N[test_N]
    gap = compute_gap_frames(start_N, window_frames, fps)
    before = start_N + window_frames + gap <= tested[0]
    after = start_N >= tested[-1] + window_frames + gap
    return test_N, before | after


def compute_gap_frames(start_N: Int64s, window_frames: int, fps: int) -> int:
    """Return the least distance of fitted clips from a tested block: a third of a block, up to 10 s, at least a clip.

    Args:
        start_N: The frame at which each clip starts, `[N]`, ascending.
        window_frames: The length of a clip in frames.
        fps: The frames of the grid in a second.
    """
    length = int(start_N[-1]) + window_frames - int(start_N[0])
    return max(window_frames, min(round(LONGEST_GAP_SECONDS * fps), length // (3 * BLOCKS)))


def _split_folds(starts: Sequence[Int64s], window_frames: int, fps: int) -> Iterator[tuple[Bools, Bools]]:
    """Yield for each block which clips are tested and which are fitted on, over all films one after the other."""
    for block in range(BLOCKS):
        parts = [split_block(start_N, block, window_frames, fps) for start_N in starts]
        yield np.concatenate([test for test, _ in parts]), np.concatenate([fit for _, fit in parts])
