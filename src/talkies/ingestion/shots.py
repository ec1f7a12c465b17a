"""Find a film's shots, frame by frame, while the film is converted.

Small pictures without flashes go to TransNet V2, or to PySceneDetect's adaptive detector, which proposes cuts where a
picture differs from the last one much more than its neighbours do. A proposal is a cut if the pictures before and after
it have little in common. Dissolves and fades are found on their own.
"""

from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scenedetect.common import FrameTimecode
from scenedetect.detectors import AdaptiveDetector

from talkies.core import Span, UInt8s
from talkies.ingestion.dissolves import DissolveFinder
from talkies.ingestion.small_pictures import FlashRemover, SmallPicture, correlate, find_content, shrink

if TYPE_CHECKING:
    from talkies.ingestion.transnet import TransNetFinder

SHORTEST_SHOT_SECONDS = 0.125

_LEAST_RATIO, _CLEAR_RATIO = 2.0, 4.0  # of a cut's change to the mean of its neighbours
_MOST_ALIKE, _MOST_ALIKE_IF_CLEAR = 0.42, 0.6  # correlation of the pictures before and after a cut
_BACKGROUND, _BACKGROUND_CHANGE = 0.75, 0.2  # a share of the picture; its change, as a share of the whole picture's
_LEAST_STRUCTURE = 3.0
_BACKGROUND_TRIM = 0.1  # the share of the background's darkest and brightest parts that is not looked at
_LEAST_CHANGE = 1.0  # the mean over luma and both chroma planes, of 255
_LEAST_CHANGE_FROM_BLANK = 3.0
_NEIGHBOURS = 2  # changes on either side that a change is compared with
_MOST_REPEATS_SECONDS = 0.1875
_BLANK = 1.0


class ShotFinder:
    """Takes a film's frames in order, and finds its shots.

    Args:
        fps: frames per second.
        detector: `adaptive` or `transnetv2`.
        threads: how many threads TransNet V2 may use.
    """

    def __init__(self, fps: int, detector: str = "adaptive", threads: int = 1) -> None:
        self._frames = 0
        self._shortest = max(1, round(SHORTEST_SHOT_SECONDS * fps))
        self._last: SmallPicture | None = None
        self._flashes = FlashRemover(fps)
        self._finder = TransitionFinder(fps) if detector == "adaptive" else _make_transnet_finder(threads)

    def push(self, bgr_HWC: UInt8s) -> None:
        """Take the next frame, uint8 `[H, W, 3]` in blue, green, red."""
        self._last = shrink(self._frames, bgr_HWC, self._last)
        self._frames += 1
        for picture in self._flashes.push(self._last):
            self._finder.push(picture)

    def finish(self) -> list[Span]:
        """Return the shots: half-open spans of frames that together cover the film."""
        for picture in self._flashes.finish():
            self._finder.push(picture)
        bounds = [0]
        for cut in sorted(self._finder.finish()):
            if cut - bounds[-1] >= self._shortest and cut < self._frames:
                bounds.append(cut)
        return [Span(start, end) for start, end in pairwise([*bounds, self._frames])]


class TransitionFinder:
    """Finds cuts, dissolves and fades."""

    def __init__(self, fps: int) -> None:
        self._cuts, self._dissolves = CutFinder(fps), DissolveFinder(fps)

    def push(self, picture: SmallPicture) -> None:
        """Take the next picture."""
        self._cuts.push(picture)
        self._dissolves.push(picture)

    def finish(self) -> list[int]:
        """Return the first frame of each shot but the film's first."""
        cuts = self._cuts.finish()
        return [*cuts, *self._dissolves.finish(cuts)]


class CutFinder:
    """Finds hard cuts with PySceneDetect's adaptive detector, and checks each against the pictures on both sides.

    The detector compares hue, saturation and value; it is given the planes of luma and chroma side by side as one grey
    picture, so that their differences are compared. Pictures that the film shows several times in a row (a film of five
    pictures a second) are passed on once, so that they do not look like rest; those that stand longer are rest.
    """

    def __init__(self, fps: int) -> None:
        self._fps = float(fps)
        self._most_repeats = round(_MOST_REPEATS_SECONDS * fps)
        self._repeats = 0
        self._detector = AdaptiveDetector(
            adaptive_threshold=_LEAST_RATIO,
            min_scene_len=1,
            window_width=_NEIGHBOURS,
            min_content_val=_LEAST_CHANGE,
            luma_only=True,
        )
        self._recent: deque[SmallPicture] = deque(
            maxlen=2 * _NEIGHBOURS + 2
        )  # the picture that is judged, and its neighbours
        self._found: set[int] = set()

    def push(self, picture: SmallPicture) -> None:
        """Take the next picture."""
        if picture.flash:
            return
        self._repeats = self._repeats + 1 if picture.repeated else 0
        if 0 < self._repeats <= self._most_repeats:
            return
        self._recent.append(picture)
        planes_HN = np.concatenate([picture.planes_HWC[..., plane] for plane in range(3)], axis=1)
        grey_HN3 = np.repeat(planes_HN.astype(np.uint8)[..., None], 3, axis=2)
        for cut in self._detector.process_frame(FrameTimecode(picture.index, self._fps), grey_HN3):
            if self._is_cut(cut.frame_num):
                self._found.add(cut.frame_num)

    def finish(self) -> list[int]:
        """Return the first frame of each shot but the film's first."""
        return sorted(self._found)

    def _is_cut(self, index: int) -> bool:
        """Return whether the picture of a frame has little in common with the one before it."""
        pictures = list(self._recent)
        at = next(i for i, picture in enumerate(pictures) if picture.index == index)
        before, after = pictures[at - 1], pictures[at]
        changes = [_measure_change(*pair) for pair in pairwise(pictures)]
        change = changes.pop(at - 1)
        changes.remove(max(changes))  # the next cut may be near
        clear = change >= _CLEAR_RATIO * sum(changes) / len(changes)
        if min(before.luma_HW.std(), after.luma_HW.std()) < _BLANK:
            return clear and change >= _LEAST_CHANGE_FROM_BLANK
        different = correlate(before.luma_HW, after.luma_HW) < (_MOST_ALIKE_IF_CLEAR if clear else _MOST_ALIKE)
        return different and not _share_background(before, after)


def _share_background(before: SmallPicture, after: SmallPicture) -> bool:
    """Return whether the three quarters of the picture that change least stay the same: something moved in front."""
    rows, columns = find_content(before.luma_HW, after.luma_HW)
    changes_N = np.abs(after.planes_HWC - before.planes_HWC)[rows, columns].sum(axis=-1).ravel()
    least = np.argsort(changes_N)[: round(_BACKGROUND * len(changes_N))]
    # The black around two titles says nothing, nor does it with a timecode in its corner.
    luma_N = np.sort(before.luma_HW[rows, columns].ravel()[least])
    trimmed = round(_BACKGROUND_TRIM * len(luma_N))
    structured = luma_N[trimmed : len(luma_N) - trimmed].std() > _LEAST_STRUCTURE
    return bool(structured and changes_N[least].mean() < _BACKGROUND_CHANGE * changes_N.mean())


def _measure_change(before: SmallPicture, after: SmallPicture) -> float:
    return float(np.abs(after.planes_HWC - before.planes_HWC).mean())


def check_detector(detector: str) -> None:
    """Check that a shot detector can be used.

    Raises:
        UsageError: if its package is not installed.
    """
    if detector == "transnetv2":
        from talkies.ingestion.transnet import require_transnet

        require_transnet()


def _make_transnet_finder(threads: int) -> "TransNetFinder":
    from talkies.ingestion.transnet import TransNetFinder  # imports PyTorch, which takes seconds

    return TransNetFinder(threads)
