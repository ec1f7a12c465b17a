"""Write a strip of thumbnails that shows what a film looks like, for reports and pages."""

from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from talkies.core import MediaError, UInt8s
from talkies.media import MediaInfo, read_first_picture

PICTURES = 5
_HEIGHT = 72
_QUALITY = 80


class ThumbnailStrip:
    """Keeps pictures spread evenly over a film of about `frames` frames."""

    def __init__(self, frames: int) -> None:
        self._indices = sorted({int(frames * (2 * i + 1) / (2 * PICTURES)) for i in range(PICTURES)})
        self._pictures: list[UInt8s] = []

    def push(self, index: int, bgr_HWC: UInt8s) -> None:
        """Take frame number `index`, uint8 `[H, W, 3]` in blue, green, red; keep it if it belongs to the strip."""
        if index in self._indices:
            self._pictures.append(bgr_HWC[:, :, ::-1])

    def save(self, path: Path) -> None:
        """Write the strip, if there is a picture."""
        if self._pictures:
            _write_strip(path, self._pictures)


def save_first_picture(source: Path, info: MediaInfo, path: Path, short_side: int) -> None:
    """Write the first picture of a film that is not converted, if one can be decoded.

    Args:
        source: The film's file.
        info: Its probe.
        path: The image to write.
        short_side: The shorter side of the decoded picture, in pixels.
    """
    if info.video is None or not info.video.decodes:
        return
    with suppress(MediaError):
        video = info.video
        rgb_HWC = read_first_picture(source, video.index, Fraction(video.pixel_aspect), short_side, video.crop)
        if rgb_HWC is not None:
            _write_strip(path, [rgb_HWC])


def _write_strip(path: Path, pictures: list[UInt8s]) -> None:
    """Write pictures, RGB `[H, W, 3]`, side by side at the same height."""
    images = [Image.fromarray(np.ascontiguousarray(picture)) for picture in pictures]
    thumbnails = [image.resize((max(1, round(image.width * _HEIGHT / image.height)), _HEIGHT)) for image in images]
    strip = Image.new("RGB", (sum(image.width for image in thumbnails), _HEIGHT))
    left = 0
    for image in thumbnails:
        strip.paste(image, (left, 0))
        left += image.width
    strip.save(path, quality=_QUALITY)
