"""Find dissolves and fades: stretches in which one picture turns into another as their weighted sum.

Between the pictures `P` before and `Q` after a dissolve, each picture is about `(1 − w) P + w Q` with a weight `w` that
rises from 0 to 1. Pictures of motion are no such sums. And a sum of two different pictures has less contrast than
either (its variance is `(1 − w)² var P + w² var Q + 2 w (1 − w) cov`), while the pictures of a moving camera keep
theirs. A fade is a dissolve to or from a blank picture.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from talkies.core import Float32s
from talkies.ingestion.small_pictures import SmallPicture, correlate

_WINDOW_SECONDS = (0.5, 0.75, 1.125, 1.625, 2.375, 3.0)
_RETURN_SECONDS = 1.0
_LEAST_CHANGE = 4.0  # root mean square over all planes, of 255
_MOST_ALIKE = 0.5
_MOST_RESIDUAL = 0.38  # of the change from the first to the last picture
_MOST_STEP, _MOST_STEP_BACK = 0.45, 0.15  # of the weight, from one picture to the next
_MOST_CHANGING = 0.72  # the share of a window in which the weight changes: before and after it there must be rest
_MOST_CONTRAST = 0.5  # from 0, that of a sum, to 1, that of motion
_BLANK, _BLANK_SHARE = 1.0, 0.15
_BLANK_SECONDS = 2.5


@dataclass(frozen=True, slots=True)
class Dissolve:
    """A gradual transition of the frames from `start` to `end`; `middle` is the first frame of the new shot.

    `from_blank` and `to_blank` mark fades. The greater the `strength`, the more the picture changes, and the more it
    changes like a sum.
    """

    start: int
    middle: int
    end: int
    strength: float
    from_blank: bool
    to_blank: bool


class DissolveFinder:
    """Takes a film's small pictures in order, and finds its dissolves and fades."""

    def __init__(self, fps: float) -> None:
        self._windows = [max(4, round(seconds * fps)) for seconds in _WINDOW_SECONDS]
        self._around = round(_RETURN_SECONDS * fps)
        self._blank_reach = round(_BLANK_SECONDS * fps)
        self._recent: deque[Float32s] = deque(maxlen=self._windows[-1] + 2 * self._around + 1)
        self._contrasts: list[float] = []  # the standard deviation of each frame's luma
        self._found: list[Dissolve] = []

    def push(self, picture: SmallPicture) -> None:
        """Take the next picture."""
        self._recent.append(picture.planes_HWC)
        self._contrasts.append(float(picture.luma_HW.std()))
        last = len(self._recent) - 1 - self._around  # pictures after a dissolve show whether the first one returns
        for window in self._windows:
            if last >= window and (len(self._contrasts) % 2 == 0 or window == self._windows[0]):
                self._try(last - window, last)

    def finish(self, cuts: list[int]) -> list[int]:
        """Return the first frame of the new shot of each dissolve and fade; where there is a cut already, none."""
        for rest in range(self._around, 0, -1):
            last = len(self._recent) - rest
            for window in self._windows:
                if last >= window:
                    self._try(last - window, last)
        fades = self._find_fades([found for found in self._found if found.from_blank or found.to_blank], cuts)
        dissolves = [found for found in self._found if not found.from_blank and not found.to_blank]
        near = self._around // 2
        return [
            *fades,
            *(
                found.middle
                for found in dissolves
                if not any(found.start <= cut <= found.end for cut in cuts)
                and not any(found.start - near <= fade <= found.end + near for fade in fades)
            ),
        ]

    def _try(self, first: int, last: int) -> None:
        """Search a dissolve between two of the recent pictures, and keep it if none that overlaps is stronger."""
        begin_HWC, end_HWC = self._recent[first], self._recent[last]
        change_HWC = end_HWC - begin_HWC
        energy = float(np.vdot(change_HWC, change_HWC))
        if energy < _LEAST_CHANGE**2 * begin_HWC[..., 0].size:
            return
        middle_residual = _residual(self._recent[(first + last) // 2] - begin_HWC, change_HWC, energy)
        if middle_residual > _MOST_RESIDUAL:
            return
        offset = len(self._contrasts) - len(self._recent)
        from_blank, to_blank = self._are_blank(offset + first, offset + last)
        blank = from_blank or to_blank
        if (from_blank and to_blank) or (not blank and correlate(begin_HWC[..., 0], end_HWC[..., 0]) > _MOST_ALIKE):
            return

        pictures_TN = np.stack([self._recent[i] for i in range(first, last + 1)]).reshape(last - first + 1, -1)
        weights_T = _weigh(pictures_TN, energy)
        if weights_T is None:
            return
        if not blank and (_keeps_contrast(pictures_TN[:, ::3], weights_T) or self._returns(first, last)):
            return
        at = offset + first
        start, end = int(np.argmax(weights_T > 0.1)), len(weights_T) - 1 - int(np.argmax(weights_T[::-1] < 0.9))
        strength = float(np.sqrt(energy)) * (1 - middle_residual)
        middle = int(np.argmax(weights_T >= 0.5))
        self._keep(Dissolve(at + start, at + middle, at + end, strength, from_blank, to_blank))

    def _keep(self, new: Dissolve) -> None:
        """Keep the strongest of overlapping dissolves; fades to and from the same blank picture do not overlap."""
        rivals = []
        while self._found and self._found[-1].end >= new.start:
            rivals.append(self._found.pop())
        rivals = [old for old in reversed(rivals) if old.strength >= new.strength or old.start > new.end] or [new]
        self._found.extend(rivals)

    def _are_blank(self, first: int, last: int) -> tuple[bool, bool]:
        """Return whether two frames show nothing, compared with the frames between them."""
        most = max(_BLANK, _BLANK_SHARE * max(self._contrasts[first : last + 1]))
        return self._contrasts[first] < most, self._contrasts[last] < most

    def _returns(self, first: int, last: int) -> bool:
        """Return whether a picture shortly before the change is like that at its end, or the reverse."""
        begin_HW, end_HW = self._recent[first][..., 0], self._recent[last][..., 0]
        before = range(max(0, first - self._around), first, 2)
        after = range(last + 1, min(len(self._recent), last + self._around + 1), 2)
        return any(correlate(self._recent[i][..., 0], end_HW) > 0.7 for i in before) or any(
            correlate(self._recent[i][..., 0], begin_HW) > 0.7 for i in after
        )

    def _find_fades(self, fades: list[Dissolve], cuts: list[int]) -> list[int]:
        """Return the middle of each blank stretch within the film that a fade leads to or from."""
        contrasts_T = np.array(self._contrasts)
        reach = self._blank_reach
        padded_T = np.pad(contrasts_T, reach)
        around_T = np.lib.stride_tricks.sliding_window_view(padded_T, 2 * reach + 1).max(axis=1)
        blank_T = contrasts_T < np.maximum(_BLANK, _BLANK_SHARE * around_T)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], blank_T, [False]]).astype(np.int8)))
        middles = []
        for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            inside = begin > 0 and end < len(contrasts_T)
            cut = any(begin - 2 <= cut <= end + 2 for cut in cuts)
            leads = any(fade.to_blank and abs(fade.end - begin) <= reach / 5 for fade in fades)
            follows = any(fade.from_blank and abs(fade.start - end) <= reach / 5 for fade in fades)
            if inside and not cut and (leads or follows):
                middles.append((begin + end) // 2)
        return middles


def _residual(difference_HWC: Float32s, change_HWC: Float32s, energy: float) -> float:
    """Return how far a difference is from any multiple of the whole change, as a share of the change."""
    along = float(np.vdot(difference_HWC, change_HWC)) / energy
    rest = float(np.vdot(difference_HWC, difference_HWC)) / energy - along**2
    return float(np.sqrt(max(0.0, rest)))


def _weigh(pictures_TN: Float32s, energy: float) -> Float32s | None:
    """Return the weight of the last picture in each picture `[T]`, or None if they are no sums or do not dissolve."""
    differences_TN = pictures_TN - pictures_TN[0]
    weights_T: Float32s = differences_TN @ differences_TN[-1] / energy
    rests_T = np.einsum("tn,tn->t", differences_TN, differences_TN) / energy - weights_T**2
    if rests_T.max() > _MOST_RESIDUAL**2:
        return None
    steps_T = np.diff(weights_T)
    if steps_T.max() > _MOST_STEP or steps_T.min() < -_MOST_STEP_BACK:
        return None
    start, end = int(np.argmax(weights_T > 0.1)), len(weights_T) - 1 - int(np.argmax(weights_T[::-1] < 0.9))
    return weights_T if end - start <= _MOST_CHANGING * (len(weights_T) - 1) else None


def _keeps_contrast(luma_TN: Float32s, weights_T: Float32s) -> bool:
    """Return whether the pictures between have the contrast of motion and not that of sums."""
    first_N, last_N = luma_TN[0] - luma_TN[0].mean(), luma_TN[-1] - luma_TN[-1].mean()
    between_T = np.flatnonzero((weights_T > 0.25) & (weights_T < 0.75))
    if not len(between_T):
        between_T = np.array([int(np.argmax(weights_T >= 0.5))])
    w_T = weights_T[between_T]
    first, last, both = (
        float(np.vdot(a, b)) / len(a) for a, b in ((first_N, first_N), (last_N, last_N), (first_N, last_N))
    )
    of_motion = float(np.mean((1 - w_T) * first + w_T * last))
    of_sums = float(np.mean((1 - w_T) ** 2 * first + w_T**2 * last + 2 * w_T * (1 - w_T) * both))
    found = float(luma_TN[between_T].var(axis=1).mean())
    return found - of_sums > _MOST_CONTRAST * (of_motion - of_sums)
