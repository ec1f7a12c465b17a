"""Cut or scale pictures to the squares of clips: without the bars burnt into them, and framed as asked.

Shapes: `N` pictures, `T` frames, `P` rows of a planar YUV 4:2:0 picture, `W` columns, `Z` side of a square.
"""

from itertools import pairwise

import numpy as np

from talkies.core import (
    PADDING_CHROMA,
    PADDING_LUMA,
    Bars,
    BarSpan,
    Framing,
    Rectangle,
    Span,
    UInt8s,
    find_largest_bars,
    find_square,
    join_planes,
    picture_height,
    split_planes,
    yuv_rows,
)
from talkies.media import BarFinder, find_bars_of_picture, scale_pictures


def find_part(bars: Bars, size: tuple[int, int], framing: Framing, place: float) -> Rectangle:
    """Return the part of pictures of a size (width, height) that a clip shows."""
    picture = bars.find_picture(*size)
    if framing == "whole":
        return Rectangle(picture.top, picture.left, picture.width // 2 * 2, picture.height // 2 * 2)
    return find_square(picture, place)


def fit_square(video_TPW: UInt8s, side: int) -> UInt8s:
    """Return pictures scaled to fit into a square `[T, 3/2·Z, Z]`, in its middle; what they leave of it is grey."""
    rows, width = video_TPW.shape[-2:]
    height = picture_height(rows)
    if height == width == side:
        return video_TPW
    scale = side / max(height, width)
    scaled_width, scaled_height = (max(2, min(side, 2 * round(extent * scale / 2))) for extent in (width, height))
    scaled_TPW = scale_pictures(video_TPW, scaled_width, scaled_height)
    if scaled_width == scaled_height == side:
        return scaled_TPW

    luma_THW = np.full((len(video_TPW), side, side), PADDING_LUMA, np.uint8)
    chroma_T2HW = np.full((len(video_TPW), 2, side // 2, side // 2), PADDING_CHROMA, np.uint8)
    top, left = (side - scaled_height) // 4 * 2, (side - scaled_width) // 4 * 2
    luma, chroma = split_planes(scaled_TPW)
    luma_THW[:, top : top + scaled_height, left : left + scaled_width] = luma
    chroma_T2HW[:, :, top // 2 : (top + scaled_height) // 2, left // 2 : (left + scaled_width) // 2] = chroma
    return join_planes(luma_THW, chroma_T2HW)


def find_bars_of_pictures(video_NPW: UInt8s, fps: int) -> tuple[BarSpan, ...]:
    """Return the bars burnt into the pictures of a file that was decoded at `fps` pictures a second."""
    height = picture_height(video_NPW.shape[1])
    if len(video_NPW) == 1:
        bars = find_bars_of_picture(video_NPW[0, :height])
        return (BarSpan(0, 1, bars.top, bars.bottom, bars.left, bars.right),) if bars else ()
    finder = BarFinder(fps)
    for picture_PW in video_NPW:
        finder.push(picture_PW[:height])
    return finder.finish()


def square_pictures(
    video_NPW: UInt8s, bars: tuple[BarSpan, ...], side: int, framing: Framing = "centre", place: float = 0.5
) -> UInt8s:
    """Return the squares `[N, 3/2·Z, Z]` of decoded pictures.

    Args:
        video_NPW: the pictures.
        bars: the bars burnt into them.
        side: `Z`.
        framing: how a picture becomes a square.
        place: where along its long side, as in `ClipRequest`.
    """
    size = video_NPW.shape[2], picture_height(video_NPW.shape[1])
    changes = sorted({0, len(video_NPW), *(f for span in bars for f in (span.start_frame, span.end_frame))})
    squares = np.empty((len(video_NPW), yuv_rows(side), side), np.uint8)
    for start, end in pairwise(changes):
        part = find_part(find_largest_bars(bars, Span(start, end)), size, framing, place)
        squares[start:end] = fit_square(cut_part(video_NPW[start:end], part), side)
    return squares


def cut_part(video_NPW: UInt8s, part: Rectangle) -> UInt8s:
    """Return a part with even corners and sides of planar pictures."""
    luma, chroma = split_planes(video_NPW)
    bottom, right = part.top + part.height, part.left + part.width
    luma = luma[..., part.top : bottom, part.left : right]
    return join_planes(luma, chroma[..., part.top // 2 : bottom // 2, part.left // 2 : right // 2])
