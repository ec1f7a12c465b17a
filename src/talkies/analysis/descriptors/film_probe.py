"""The film-identity probe: how well a linear classifier tells the film of a clip that it was not fitted near to.

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


def film_accuracies(rows: Sequence[Float32s], starts: Sequence[Int64s], window_frames: int, fps: int) -> list[float]:
    """Return for each film the share of its clips whose film is told, from `rows` `[N, E]` of each film.

    Each film is cut into `BLOCKS` blocks of time. One block of every film is tested at a time, and the classifier is
    fitted on what is further from it than `gap_frames`. Films weigh alike, so a guess is right in 1/films.
    """
    rows_NE = np.concatenate(rows).astype(np.float64)
    film_N = np.repeat(np.arange(len(rows)), [len(each) for each in rows])
    right_N = np.zeros(len(rows_NE), np.bool_)
    for test_N, fit_N in _folds(starts, window_frames, fps):
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=5000, class_weight="balanced"))
        probe.fit(rows_NE[fit_N], film_N[fit_N])
        right_N[test_N] = probe.predict(rows_NE[test_N]) == film_N[test_N]
    return [float(right_N[film_N == film].mean()) for film in range(len(rows))]


def _folds(starts: Sequence[Int64s], window_frames: int, fps: int) -> Iterator[tuple[Bools, Bools]]:
    """Yield for each block the clips that are tested and those that are fitted, of all films one after the other."""
    for block in range(BLOCKS):
        parts = [block_masks(start_N, block, window_frames, fps) for start_N in starts]
        yield np.concatenate([test for test, _ in parts]), np.concatenate([fit for _, fit in parts])


def block_masks(start_N: Int64s, block: int, window_frames: int, fps: int) -> tuple[Bools, Bools]:
    """Return which clips of a film are in a block of time, and which are far enough from it to be fitted on."""
    test_N = np.arange(len(start_N)) * BLOCKS // len(start_N) == block
    tested = start_N[test_N]
    gap = gap_frames(start_N, window_frames, fps)
    before = start_N + window_frames + gap <= tested[0]
    after = start_N >= tested[-1] + window_frames + gap
    return test_N, before | after


def gap_frames(start_N: Int64s, window_frames: int, fps: int) -> int:
    """Return how far from a tested block fitted clips stay: a third of a block, up to 10 s, at least a clip."""
    length = int(start_N[-1]) + window_frames - int(start_N[0])
    return max(window_frames, min(round(LONGEST_GAP_SECONDS * fps), length // (3 * BLOCKS)))
