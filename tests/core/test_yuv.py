"""The planar YUV 4:2:0 layout: planes and squares, against cutting each plane by itself."""

import numpy as np
import numpy.typing as npt
import pytest
import torch

from talkies.core import (
    average_blocks,
    choose_block_side,
    crop_middle_square,
    join_planes,
    picture_height,
    split_planes,
    yuv_rows,
)

SIZES = [(32, 48), (48, 32), (32, 34), (34, 32), (32, 42), (46, 32), (36, 58), (128, 228), (228, 128), (2, 10)]
Plane = npt.NDArray[np.uint8]


def packed(luma: Plane, blue: Plane, red: Plane) -> Plane:
    """Return one picture as FFmpeg lays it out: luma, then both chroma planes, in rows as long as the luma's."""
    return np.concatenate([luma.reshape(-1), blue.reshape(-1), red.reshape(-1)]).reshape(-1, luma.shape[1])


def cut(plane: Plane, top: int, left: int, side: int) -> Plane:
    return np.array([[plane[top + row, left + column] for column in range(side)] for row in range(side)], np.uint8)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_each_plane_is_cut_in_its_middle(height: int, width: int) -> None:
    random, side = np.random.default_rng(height * width), min(height, width)
    top, left = (height - side) // 2 // 2 * 2, (width - side) // 2 // 2 * 2
    pictures, expected = [], []
    for _ in range(2):
        luma = random.integers(0, 256, (height, width)).astype(np.uint8)
        blue, red = (random.integers(0, 256, (height // 2, width // 2)).astype(np.uint8) for _ in range(2))
        pictures.append(packed(luma, blue, red))
        half = [cut(plane, top // 2, left // 2, side // 2) for plane in (blue, red)]
        expected.append(packed(cut(luma, top, left, side), *half))
    result = crop_middle_square(np.stack(pictures))
    assert result.shape == (2, side * 3 // 2, side)
    assert np.array_equal(result, np.stack(expected))


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_what_is_left_over_is_equal_on_both_sides_within_a_chroma_pixel(height: int, width: int) -> None:
    rows, columns = np.mgrid[:height, :width]
    flat = np.zeros((height // 2, width // 2), np.uint8)
    side = min(height, width)
    for position in (rows, columns):
        kept = crop_middle_square(packed(position.astype(np.uint8), flat, flat)[None])[0, :side]
        before, after = int(kept.min()), int(position.max() - kept.max())
        assert 0 <= after - before <= 2


def test_a_square_stays_whole() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (3, 48, 32)).astype(np.uint8)
    assert np.array_equal(crop_middle_square(picture), picture)


@pytest.mark.parametrize("height", [2, 32, 46, 128])
def test_rows_and_height_are_inverse(height: int) -> None:
    assert yuv_rows(height) == height + height // 2
    assert picture_height(yuv_rows(height)) == height


def test_planes_of_a_batch_are_those_of_each_picture_for_arrays_and_tensors() -> None:
    pictures = np.random.default_rng(1).integers(0, 256, (2, 3, yuv_rows(32), 48)).astype(np.uint8)
    luma, chroma = split_planes(pictures)
    assert (luma.shape, chroma.shape) == ((2, 3, 32, 48), (2, 3, 2, 16, 24))
    assert np.array_equal(join_planes(luma, chroma), pictures)
    flat = pictures[1, 2].reshape(-1)
    assert np.array_equal(chroma[1, 2, 1].reshape(-1), flat[32 * 48 + 16 * 24 :])
    tensors = split_planes(torch.from_numpy(pictures))
    assert np.array_equal(tensors[0].numpy(), luma)
    assert np.array_equal(tensors[1].numpy(), chroma)


@pytest.mark.parametrize("side", [1, 2, 3, 5, 16])
def test_blocks_have_the_rounded_mean_of_their_pixels(side: int) -> None:
    plane = np.random.default_rng(side).integers(0, 256, (37, 50)).astype(np.uint8)
    plane[:16, :16] = 255
    blocks = average_blocks(plane, side)
    assert blocks.dtype == np.uint8
    assert blocks.shape == (37 // side, 50 // side)
    for row, column in ((0, 0), (37 // side - 1, 50 // side - 1)):
        block = plane[row * side : (row + 1) * side, column * side : (column + 1) * side]
        assert blocks[row, column] == int(block.mean() + 0.5)


@pytest.mark.parametrize(
    ("short", "side"), [(16, 1), (128, 1), (255, 1), (256, 2), (383, 2), (384, 3), (1080, 8), (2160, 16), (4320, 16)]
)
def test_blocks_leave_at_least_128_pixels(short: int, side: int) -> None:
    assert choose_block_side(np.zeros((short, short + 7), np.uint8)) == side
    assert choose_block_side(np.zeros((short + 7, short), np.uint8)) == side
