"""How a picture in planar YUV 4:2:0 is stored in one array: the rows of Y, then those of U, then those of V.

    rows 0 … H          Y (luma), W columns
    rows H … 5/4·H      U (chroma), H/2 rows of W/2 columns, two of them in each row of the array
    rows 5/4·H … 3/2·H  V (chroma), likewise

FFmpeg calls this layout yuv420p. Height and width of a picture are even.

Shapes: `T` frames, `P` = 3/2·H rows of a planar picture, `H` rows of luma, `W` columns, `Z` side of a square.
"""

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from talkies.core.arrays import UInt8s

if TYPE_CHECKING:
    from torch import Tensor

Pictures = TypeVar("Pictures", "UInt8s", "Tensor")


def yuv_rows(height: int) -> int:
    """Return how many rows the array of a picture of `height` pixels has."""
    return height * 3 // 2


def picture_height(rows: int) -> int:
    """Return the height in pixels of a picture whose array has `rows` rows."""
    return rows * 2 // 3


def split_planes(pictures: Pictures) -> tuple[Pictures, Pictures]:
    """Return luma `[…, H, W]` and chroma `[…, 2, H/2, W/2]` (U, then V) of planar pictures `[…, P, W]`."""
    *leading, rows, width = pictures.shape
    height = picture_height(rows)
    luma = pictures[..., :height, :]
    chroma = pictures[..., height:, :].reshape(*leading, 2, height // 2, width // 2)
    return luma, chroma


def join_planes(luma: UInt8s, chroma: UInt8s) -> UInt8s:
    """Return planar pictures `[…, P, W]` of luma `[…, H, W]` and chroma `[…, 2, H/2, W/2]`."""
    *leading, height, width = luma.shape
    return np.concatenate([luma, chroma.reshape(*leading, height // 2, width)], axis=-2)


def crop_square(pictures: UInt8s, top: int, left: int, side: int) -> UInt8s:
    """Return a square `[…, 3/2·Z, Z]` of planar pictures `[…, P, W]`.

    Args:
        pictures: planar pictures.
        top: first row of luma, even because chroma has half the rows.
        left: first column of luma, even likewise.
        side: `Z`, height and width of the square in pixels, even.
    """
    luma, chroma = split_planes(pictures)
    luma = luma[..., top : top + side, left : left + side]
    chroma = chroma[..., top // 2 : (top + side) // 2, left // 2 : (left + side) // 2]
    return join_planes(luma, chroma)


def middle_offset(extent: int, side: int) -> int:
    """Return where a cut of `side` pixels in the middle of `extent` pixels starts, rounded down to an even number."""
    return (extent - side) // 4 * 2


def crop_middle_square(pictures: UInt8s) -> UInt8s:
    """Return the largest square in the middle of planar pictures: `[…, 3/2·Z, Z]` of `[…, P, W]`."""
    rows, width = pictures.shape[-2:]
    height = picture_height(rows)
    if height == width:
        return pictures
    side = min(height, width)
    return crop_square(pictures, middle_offset(height, side), middle_offset(width, side), side)


def choose_block_side(plane_HW: UInt8s) -> int:
    """Return the side of the blocks that leave 128 to 255 pixels along the shorter side of a plane, 1 for small ones.

    What looks at pictures in such blocks sees the same at any size of the library's pictures.
    """
    side: int = min(plane_HW.shape) // 128
    return min(16, max(1, side))


def average_blocks(plane_HW: UInt8s, factor: int) -> UInt8s:
    """Return a plane whose pixels are the rounded means of `factor` × `factor` pixels; what is left at its end is cut.

    Args:
        plane_HW: the plane, `[H, W]`.
        factor: the side of a block in pixels, at most 16.
    """
    if factor == 1:
        return plane_HW
    height, width = (extent // factor for extent in plane_HW.shape)
    whole_HW = plane_HW[: height * factor, : width * factor]
    sums_HW = np.full((height, width), factor**2 // 2, np.uint16)
    for row in range(factor):
        for column in range(factor):
            sums_HW += whole_HW[row::factor, column::factor]
    return (sums_HW // factor**2).astype(np.uint8)
