"""Laws of the matrix that crops and resizes along one axis."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from talkies.transforms.video import resize_matrix

sizes = st.integers(1, 200)
extents = st.floats(0.01, 1)
places = st.floats(0, 1)


def matrix_of(extent: float, place: float, length: int, size: int) -> Tensor:
    """The matrix of a crop that begins at `place` of the room that its extent leaves."""
    begin = place * (1 - extent)
    return resize_matrix(torch.tensor([begin]), torch.tensor([extent]), length, size)[0]


@given(extents, places, sizes, sizes)
def test_every_output_pixel_is_a_mean_of_input_pixels(extent: float, place: float, length: int, size: int) -> None:
    matrix_ZL = matrix_of(extent, place, length, size)
    assert matrix_ZL.shape == (size, length)
    assert matrix_ZL.min() >= 0
    torch.testing.assert_close(matrix_ZL.sum(1), torch.ones(size), rtol=0, atol=1e-5)


@given(extents, places, sizes, sizes)
def test_no_output_pixel_reads_further_from_its_centre_than_its_filter_is_wide(
    extent: float, place: float, length: int, size: int
) -> None:
    matrix_ZL = matrix_of(extent, place, length, size)
    scale = extent * length / size
    centre_Z1 = place * (1 - extent) * length + (torch.arange(size)[:, None] + 0.5) * scale
    distance_ZL = (torch.arange(length) + 0.5 - centre_Z1).abs()
    assert not matrix_ZL[distance_ZL > max(scale, 1) + 1e-3].any()


@given(extents, sizes, sizes)
def test_a_crop_in_the_middle_treats_left_and_right_alike(extent: float, length: int, size: int) -> None:
    matrix_ZL = matrix_of(extent, 0.5, length, size)
    torch.testing.assert_close(matrix_ZL, matrix_ZL.flip(0, 1), rtol=0, atol=1e-3)


@given(sizes)
def test_the_whole_at_its_own_size_is_left_as_it_is(length: int) -> None:
    assert torch.equal(matrix_of(1.0, 0.0, length, length), torch.eye(length))
