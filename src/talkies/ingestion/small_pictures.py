"""Small pictures for finding shots: how they are made, how alike two of them are, and a film without its flashes.

Shapes: `H W` 18 × 32; the last axis holds luma and both chroma planes, from 0 to 255. Averages of that many pixels
leave little of grain, and motion shifts them little. A black-and-white film's chroma does not change, so its luma
alone decides; hue and saturation would be noise in it, as they are in every dark picture.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from talkies.core import Float32s, UInt8s

_BGR_SIZE = (48, 27)
_SIZE = (32, 18)

_FLASH_SECONDS = 0.75
_FLASH_AT_CUT_SECONDS = 0.3
_LEAST_LIGHT_AT_CUT = 30.0
_LEAST_LIGHT = 4.0  # how much brighter or darker a flash makes the picture, of 255
_LEAST_AGREEMENT = 0.9  # the share of a flash's changes that go the same way
_BLANK = 10.0  # the standard deviation of a picture that a flash has turned white, or a strobe black
_BLACK, _WHITE = 40.0, 190.0
_SAME = 0.6  # the least correlation of two pictures of one shot
_DIFFERENT, _DIFFERENT_AT_CUT = 0.5, 0.4
_BAR_RANGE = 8.0
_BLACK_BAR, _BLACK_BAR_RANGE = 6.0, 4.0
_MOST_TEXT_BAR, _BLACK_SHARE = 0.3, 0.3  # of the picture, a bar with text in it; of its row, what the text leaves black


@dataclass(frozen=True, slots=True)
class SmallPicture:
    """Frame `index` of a film, small: `bgr_HWC` uint8 `[27, 48, 3]`, and luma and chroma `planes_HWC`.

    `repeated`: it equals the frame before. `flash`: it was a flash, and shows the picture before the flash instead.
    """

    index: int
    bgr_HWC: UInt8s
    planes_HWC: Float32s
    repeated: bool = False
    flash: bool = False

    @property
    def luma_HW(self) -> Float32s:
        """The brightness."""
        return self.planes_HWC[..., 0]


def shrink(index: int, bgr_HWC: UInt8s, before: SmallPicture | None) -> SmallPicture:
    """Return a frame, uint8 `[H, W, 3]` in blue, green, red, as a small picture; `before` is that of the last frame."""
    height, width = bgr_HWC.shape[:2]
    if height % 2 == 0 and width % 2 == 0 and height >= 4 * _BGR_SIZE[1]:  # halving first is twice as fast
        bgr_HWC = cv2.resize(bgr_HWC, (width // 2, height // 2), interpolation=cv2.INTER_AREA).astype(
            np.uint8, copy=False
        )
    small_HWC = cv2.resize(bgr_HWC, _BGR_SIZE, interpolation=cv2.INTER_AREA)
    if before is not None and np.array_equal(small_HWC, before.bgr_HWC):
        return replace(before, index=index, repeated=True)
    planes_HWC = cv2.cvtColor(cv2.resize(small_HWC, _SIZE, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2YCrCb)
    return SmallPicture(index, small_HWC.astype(np.uint8, copy=False), planes_HWC.astype(np.float32))


def correlate(a_HW: Float32s, b_HW: Float32s) -> float:
    """Return the correlation of two pictures' luma, −1 to 1, without bars that both have; near 0 if one is flat."""
    rows, columns = find_content(a_HW, b_HW)
    a_HW, b_HW = a_HW[rows, columns], b_HW[rows, columns]
    size = a_HW.size  # one is added to each variance for noise
    a_HW, b_HW = a_HW - a_HW.sum() / size, b_HW - b_HW.sum() / size
    norms = (float(np.vdot(a_HW, a_HW)) + size) * (float(np.vdot(b_HW, b_HW)) + size)
    return float(np.vdot(a_HW, b_HW)) / math.sqrt(norms)


def find_content(a_HW: Float32s, b_HW: Float32s) -> tuple[slice, slice]:
    """Return the rows and columns between the bars that two pictures both have at their edges, text in them or not."""
    rows, columns = slice(0, len(a_HW)), slice(0, a_HW.shape[1])
    for is_bar, most in ((_is_flat_bar, 1.0), (_is_bar_with_text, _MOST_TEXT_BAR)):  # plain ones first: text is in one
        rows = _find_between_bars(a_HW[:, columns], b_HW[:, columns], rows, is_bar, most)
        columns = _find_between_bars(a_HW[rows].T, b_HW[rows].T, columns, is_bar, most)
    return rows, columns


def _find_between_bars(
    a_HW: Float32s, b_HW: Float32s, rows: slice, is_bar: Callable[[list[float], list[float]], bool], most: float
) -> slice:
    """Return the part of some rows that lies between bars, each of at most the share `most` of the picture.

    The rows are so short that NumPy would take several times as long for them as Python.
    """
    first, last, deepest = rows.start, rows.stop - 1, round(most * len(a_HW))
    while first < min(last, rows.start + deepest) and is_bar(a_HW[first].tolist(), b_HW[first].tolist()):
        first += 1
    while last > max(first, rows.stop - 1 - deepest) and is_bar(a_HW[last].tolist(), b_HW[last].tolist()):
        last -= 1
    if most < 1.0:  # a bar ends at the picture: what goes on is a title on black
        first = rows.start if first == rows.start + deepest else first
        last = rows.stop - 1 if last == rows.stop - 1 - deepest else last
    first += 1 if rows.start < first < last - 2 else 0  # the row at a bar's edge is part bar, part picture
    last -= 1 if first + 2 < last < rows.stop - 1 else 0
    return slice(first, last + 1)


def _is_flat_bar(a_W: list[float], b_W: list[float]) -> bool:
    """Return whether a row is flat, and the same in both pictures."""
    return max(max(a_W), max(b_W)) - min(min(a_W), min(b_W)) < _BAR_RANGE


def _is_bar_with_text(a_W: list[float], b_W: list[float]) -> bool:
    """Return whether a row is black in both pictures, but for text that leaves some of it black."""
    lowest = min(min(a_W), min(b_W))
    if lowest > _BLACK_BAR:
        return False
    least, darkest = round(_BLACK_SHARE * len(a_W)), lowest + _BLACK_BAR_RANGE
    return all(sum(luma < darkest for luma in row_W) >= least for row_W in (a_W, b_W))


class FlashRemover:
    """Replaces photo flashes, strobes and single wrong frames by the picture before them.

    A flash makes the picture brighter (or darker) nearly everywhere, leaves its structure or turns it blank, and goes:
    within 0.75 s the picture before it is back.
    """

    def __init__(self, fps: float) -> None:
        self._most, self._most_at_cut = max(2, round(_FLASH_SECONDS * fps)), max(1, round(_FLASH_AT_CUT_SECONDS * fps))
        self._waiting: deque[SmallPicture] = deque()
        self._last: SmallPicture | None = None  # the last picture that is not a flash

    def push(self, picture: SmallPicture) -> Iterator[SmallPicture]:
        """Take the next picture and yield those of which it is now known whether they are flashes."""
        self._waiting.append(picture)
        while len(self._waiting) > self._most:
            yield from self._settle_first()

    def finish(self) -> Iterator[SmallPicture]:
        """Yield the remaining pictures."""
        while self._waiting:
            yield from self._settle_first()

    def _settle_first(self) -> Iterator[SmallPicture]:
        """Yield the first waiting picture, or what replaces the flash that begins with it."""
        length, after = self._measure_flash()
        if not length or self._last is None:
            self._last = self._waiting.popleft()
            yield self._last
            return
        flash = [self._waiting.popleft() for _ in range(length)]
        kept = length if after is None else _split_flash(self._last.luma_HW, flash, after.luma_HW)
        for number, picture in enumerate(flash):
            shown = self._last if number < kept or after is None else after
            yield replace(shown, index=picture.index, repeated=False, flash=number != kept)
        self._last = after or self._last

    def _measure_flash(self) -> tuple[int, SmallPicture | None]:
        """Return of how many pictures the flash consists that begins with the first waiting one; 0 if none does.

        If the film is cut during the flash, the picture after it is returned too.
        """
        if self._last is None or self._waiting[0].repeated:
            return 0, None
        before_HW, first_HW = self._last.luma_HW, self._waiting[0].luma_HW
        strongest = float(np.abs(first_HW - before_HW).mean())
        if strongest < _LEAST_LIGHT:
            return 0, None
        lit = _is_lit(before_HW, first_HW)
        if not lit and correlate(before_HW, first_HW) > _DIFFERENT:
            return 0, None
        for length in range(1, len(self._waiting)):
            next_HW = self._waiting[length].luma_HW
            difference = float(np.abs(next_HW - before_HW).mean())
            if difference < 0.5 * strongest and correlate(before_HW, next_HW) >= _SAME:
                return length, None
            if not lit or not _is_lit(before_HW, next_HW):
                return self._measure_flash_at_cut(length) if lit and strongest > _LEAST_LIGHT_AT_CUT else (0, None)
            strongest = max(strongest, difference)
        return 0, None

    def _measure_flash_at_cut(self, lit: int) -> tuple[int, SmallPicture | None]:
        """Return the length of a flash during which the film is cut, and the picture after it.

        The first `lit` waiting pictures are the one before the flash in another light. Those that follow, if any, must
        be the one after it in another light; and that one must stay.
        """
        assert self._last is not None
        for length in range(lit, min(self._most_at_cut + 1, len(self._waiting) - 1)):
            after_HW, next_HW = self._waiting[length].luma_HW, self._waiting[length + 1].luma_HW
            stays = float(np.abs(next_HW - after_HW).mean()) < _LEAST_LIGHT and not _is_lit(
                after_HW, self._last.luma_HW
            )
            if stays and all(_is_lit(after_HW, self._waiting[i].luma_HW) for i in range(lit, length)):
                differs = correlate(self._last.luma_HW, after_HW) < _DIFFERENT_AT_CUT
                return (length, self._waiting[length]) if differs else (0, None)
        return 0, None


def _split_flash(before_HW: Float32s, flash: list[SmallPicture], after_HW: Float32s) -> int:
    """Return how many pictures of a flash belong to the shot before it: as their structure says, or half of them."""
    gains = [correlate(before_HW, picture.luma_HW) - correlate(after_HW, picture.luma_HW) for picture in flash]
    sums = np.cumsum([0.0, *gains])
    best = int(np.argmax(sums))
    return best if sums[best] > max(0.5, sums[-1] + 0.5) else len(flash) // 2


def _is_lit(before_HW: Float32s, after_HW: Float32s) -> bool:
    """Return whether the second picture is the first in another light, or so bright or dark that it shows nothing."""
    change_HW = after_HW - before_HW
    brighter, darker = float(np.maximum(change_HW, 0).sum()), float(np.maximum(-change_HW, 0).sum())
    if max(brighter, darker) < _LEAST_AGREEMENT * (brighter + darker):
        return False
    blank = after_HW.std() < _BLANK and not _BLACK < after_HW.mean() < _WHITE
    return bool(blank) or correlate(before_HW, after_HW) > _DIFFERENT
