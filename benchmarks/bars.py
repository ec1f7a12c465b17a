"""How exactly bars are found: real films are framed with bars of known heights, scaled down, and looked at.

    python benchmarks/bars.py FILM…

Prints, for each film and kind of bars, the largest error in per cent of the height, and the time of a picture.
"""

import sys
import time
from pathlib import Path

import numpy as np

from talkies.core import Bars, Grid, UInt8s, join_planes, split_planes
from talkies.media import BarFinder, FilmResampler, ResampledFrame, probe, scale_pictures

FPS, SHORT, LARGE = 16, 128, 384  # pictures get their bars at three times the size
MOST_FRAMES = 960
SHARES = (0.02, 0.035, 0.05, 0.08, 0.11, 0.128, 0.16, 0.2, 0.26, 0.32)
KINDS = ("letterbox", "pillarbox", "windowbox")
BLACK, NEUTRAL = 16, 128


def read_pictures(path: Path) -> list[UInt8s]:
    """Return the first minute of a film, large."""
    pictures: list[UInt8s] = []
    for part in FilmResampler(path, probe(path), Grid(FPS, 16_000), LARGE, video_only=True):
        if isinstance(part, ResampledFrame):
            pictures.append(part.to_yuv())
        if len(pictures) == MOST_FRAMES:
            break
    return pictures


def add_bars(picture_PW: UInt8s, bars: Bars) -> UInt8s:
    """Return a picture squeezed into what bars leave of it, as small as a proxy's."""
    luma_HW, chroma_2HW = (plane.copy() for plane in split_planes(picture_PW))
    height, width = luma_HW.shape
    inside_height, inside_width = height - bars.top - bars.bottom, width - bars.left - bars.right
    inner, inner_chroma = split_planes(scale_pictures(picture_PW[None], inside_width, inside_height)[0])
    luma_HW[:], chroma_2HW[:] = BLACK, NEUTRAL
    luma_HW[bars.top : height - bars.bottom, bars.left : width - bars.right] = inner
    down, right = bars.top // 2, bars.left // 2
    chroma_2HW[:, down : down + inside_height // 2, right : right + inside_width // 2] = inner_chroma
    scale = SHORT / min(height, width)
    small = scale_pictures(
        join_planes(luma_HW, chroma_2HW)[None], 2 * round(width * scale / 2), 2 * round(height * scale / 2)
    )
    return split_planes(small[0])[0]


def measure(pictures: list[UInt8s], bars: Bars) -> tuple[float, float]:
    """Return the largest error of any bar as a share of the height, and the microseconds a picture takes."""
    small = [add_bars(picture, bars) for picture in pictures]
    finder, start = BarFinder(4), time.perf_counter()
    for luma_HW in small:
        finder.push(luma_HW)
    spans = finder.finish()
    microseconds = (time.perf_counter() - start) / len(small) * 1e6

    scale = small[0].shape[0] / split_planes(pictures[0])[0].shape[0]
    error = 0.0
    for frame in range(len(small)):
        found = next((span.bars for span in spans if span.start_frame <= frame < span.end_frame), Bars())
        pairs = ((getattr(found, side), getattr(bars, side)) for side in ("top", "bottom", "left", "right"))
        error = max(error, *(abs(pixels - wanted * scale) / SHORT for pixels, wanted in pairs))
    return error, microseconds


def main() -> None:
    """Print a table."""
    for path in map(Path, sys.argv[1:]):
        pictures = read_pictures(path)[::4]  # what a finder looks at
        height, width = split_planes(pictures[0])[0].shape
        print(f"{path.name}: {len(pictures)} pictures")
        for kind in KINDS:
            row = []
            for share in SHARES:
                across, beside = (2 * round(share * extent / 2) for extent in (height, width))
                bars = Bars(
                    *((across, across) if kind != "pillarbox" else (0, 0)),
                    *((beside, beside) if kind != "letterbox" else (0, 0)),
                )
                row.append(measure(pictures, bars))
            errors = " ".join(f"{100 * error:5.2f}" for error, _ in row)
            mean = np.mean([microseconds for _, microseconds in row])
            print(f"  {kind:10} errors in %: {errors}   {mean:.0f} µs a picture")


if __name__ == "__main__":
    main()
