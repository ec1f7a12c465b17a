"""A strip of thumbnails: what a film looks like, for reports."""

from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from talkies.core import MediaError, UInt8s
from talkies.media import MediaInfo, read_first_picture

PICTURES = 5
_ROWS = 72
_QUALITY = 80


class Strip:
    """Keeps pictures spread evenly over a film of about `frames` frames."""

    def __init__(self, frames: int) -> None:
        self._wanted = sorted({int(frames * (2 * i + 1) / (2 * PICTURES)) for i in range(PICTURES)})
        self._kept: list[UInt8s] = []

    def push(self, index: int, bgr_HWC: UInt8s) -> None:
        """Take picture number `index` if it is one of those to keep."""
        if index in self._wanted:
            self._kept.append(bgr_HWC[:, :, ::-1])

    def save(self, path: Path) -> None:
        """Write the strip, if there is a picture."""
        if self._kept:
            _write(path, self._kept)


def first_picture(source: Path, info: MediaInfo, path: Path, short_side: int) -> None:
    """Write the first picture of a film that is not converted, if one can be decoded."""
    if info.video is None or not info.video.decodes:
        return
    with suppress(MediaError):
        rgb_HWC = read_first_picture(source, info.video.index, Fraction(info.video.pixel_aspect), short_side)
        if rgb_HWC is not None:
            _write(path, [rgb_HWC])


def _write(path: Path, pictures: list[UInt8s]) -> None:
    images = [Image.fromarray(np.ascontiguousarray(picture)) for picture in pictures]
    small = [image.resize((max(1, round(image.width * _ROWS / image.height)), _ROWS)) for image in images]
    strip = Image.new("RGB", (sum(image.width for image in small), _ROWS))
    left = 0
    for image in small:
        strip.paste(image, (left, 0))
        left += image.width
    strip.save(path, quality=_QUALITY)
