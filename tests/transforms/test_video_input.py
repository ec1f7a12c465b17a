"""The video transform for public encoders: edge, middle and filter, against PIL and PyTorch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from torch.nn import functional

from talkies.core import VideoInput
from talkies.transforms import VideoTransform, VideoTransformConfig
from talkies.transforms.video import input_matrix, resize_matrix

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
Filters = pytest.mark.parametrize("filter_", FILTERS)


def gray(luma_BTHW: Tensor) -> Tensor:
    """Planar pictures of that luma, without colour."""
    batch, frames, height, width = luma_BTHW.shape
    return torch.cat([luma_BTHW, torch.full((batch, frames, height // 2, width), 128)], dim=2).to(torch.uint8)


def transform(input_: VideoInput | None, **settings_: float) -> VideoTransform:
    return VideoTransform(VideoTransformConfig(size=input_.size if input_ else 24, **settings_), input_)


def luma_of(output_BCTHW: Tensor, input_: VideoInput) -> Tensor:
    """The luma of gray output, in bytes before rounding."""
    return (output_BCTHW[:, 0] * input_.sd[0] + input_.mean[0]) * 219 + 16


@Filters
@settings(max_examples=60, deadline=None)
@given(length=st.integers(4, 80), size=st.integers(4, 80), seed=st.integers(0, 9))
def test_rows_are_resized_as_pil_resizes_floats(filter_: str, length: int, size: int, seed: int) -> None:
    row = np.random.default_rng(seed).uniform(0, 255, length).astype(np.float32)
    picture = Image.fromarray(np.tile(row, (length, 1)), mode=None)
    expected = np.asarray(picture.resize((size, size), FILTERS[filter_]))[0]
    matrix_ZL = resize_matrix(torch.zeros(1), torch.ones(1), length, size, filter_=filter_)[0]  # type: ignore[arg-type]
    np.testing.assert_allclose((matrix_ZL @ torch.from_numpy(row)).numpy(), expected, atol=2e-2)


@Filters
@pytest.mark.parametrize(
    ("side", "resize", "size"),
    [(64, 32, 32), (64, 37, 32), (64, 36, 32), (64, 33, 32), (32, 48, 40), (32, 49, 32), (24, 24, 16), (24, 24, 17)],
)
def test_the_middle_is_cut_out_of_the_resized_square_rounding_down(
    filter_: str, side: int, resize: int, size: int
) -> None:
    input_ = VideoInput(size, resize, filter_)  # type: ignore[arg-type]
    luma = torch.randint(80, 170, (2, 3, side, side))
    resized = functional.interpolate(luma.float(), (resize, resize), mode=filter_, antialias=True)
    first = (resize - size) // 2
    expected = resized[:, :, first : first + size, first : first + size]
    got = luma_of(transform(input_)(gray(luma)), input_)
    assert got.shape == (2, 3, size, size)
    torch.testing.assert_close(got / 255, expected / 255, rtol=0, atol=1e-4)


def test_colours_have_mean_and_deviation_of_the_input() -> None:
    input_ = VideoInput(16, 16, mean=(0.1, 0.2, 0.3), sd=(0.5, 0.25, 2.0))
    output_3 = transform(input_)(gray(torch.full((1, 1, 16, 16), 126)))[0, :, 0, 0, 0]
    level = 110 / 219
    assert output_3.tolist() == pytest.approx([(level - 0.1) / 0.5, (level - 0.2) / 0.25, (level - 0.3) / 2], abs=1e-5)


def test_what_normalises_lies_in_the_module_and_in_no_checkpoint() -> None:
    module = transform(VideoInput(16, 16))
    assert {name for name, _ in module.named_buffers()} == {"mean_C111", "sd_C111"}
    assert module.state_dict() == {}
    assert module.to("meta").mean_C111.device.type == "meta"


@Filters
def test_a_random_crop_is_resized_to_the_edge_and_its_middle_is_used(filter_: str) -> None:
    wide = VideoInput(32, 32, filter_)  # type: ignore[arg-type]
    middle = VideoInput(20, 32, filter_)  # type: ignore[arg-type]
    pictures = gray(torch.randint(16, 236, (3, 2, 48, 48)))
    whole, inner = (
        transform(each, crop_area_min=0.3, hue=0.1, brightness=0.4)(pictures, torch.Generator().manual_seed(7))
        for each in (wide, middle)
    )
    torch.testing.assert_close(inner, whole[:, :, :, 6:26, 6:26], rtol=0, atol=1e-5)


def test_the_whole_uncropped_area_is_the_picture_itself_for_every_input() -> None:
    input_ = VideoInput(20, 27, "bicubic")
    pictures = gray(torch.randint(16, 236, (3, 2, 32, 32)))
    augmented = transform(input_, crop_area_min=1.0, flip=0.0)(pictures, torch.Generator().manual_seed(5))
    torch.testing.assert_close(augmented, transform(input_)(pictures), rtol=0, atol=1e-5)


def test_a_flip_mirrors_the_middle() -> None:
    input_ = VideoInput(20, 28, "bicubic")  # as much is left out on either side
    pictures = gray(torch.randint(16, 236, (2, 2, 32, 32)))
    plain, mirrored = (transform(input_, flip=flip)(pictures, torch.Generator().manual_seed(5)) for flip in (0.0, 1.0))
    torch.testing.assert_close(mirrored, plain.flip(-1), rtol=0, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(size=st.integers(16, 40), side=st.sampled_from([16, 32, 48]), seed=st.integers(0, 99), training=st.booleans())
def test_encoders_of_talkies_get_the_same_bits_as_before(size: int, side: int, seed: int, training: bool) -> None:
    pictures = torch.randint(0, 256, (2, 2, side * 3 // 2, side), dtype=torch.uint8)
    config = VideoTransformConfig(size=size, brightness=0.3, crop_aspect_max=1.3)
    module = VideoTransform(config)
    augmentation = module.draw(2, torch.Generator().manual_seed(seed)) if training else None

    # As it was: triangles straight to the size, and tensors of mean and deviation that are made anew.
    from talkies.core import split_planes
    from talkies.transforms import yuv_to_rgb
    from talkies.transforms.video import Crops

    crops = augmentation.crops if augmentation else Crops.none(2)
    jitter = augmentation.jitter if augmentation else None

    def resized(planes_BTHW: Tensor) -> Tensor:
        batch, frames, height, width = planes_BTHW.shape
        down_BZH = resize_matrix(crops.top_B, crops.height_B, height, size)
        across_BZW = resize_matrix(crops.left_B, crops.width_B, width, size)
        across_BZW = torch.where(crops.mirrored_B[:, None, None], across_BZW.flip(1), across_BZW)
        narrow_BRZ = planes_BTHW.flatten(1, 2) @ across_BZW.mT
        return down_BZH[:, None] @ narrow_BRZ.view(batch, frames, height, -1)

    luma_BTHW, chroma_BT2HW = split_planes(pictures)
    y_BTHW, uv_BTHW = resized(luma_BTHW.float()), resized(chroma_BT2HW.flatten(1, 2).float())
    yuv_BCTHW = torch.stack((y_BTHW, uv_BTHW[:, 0::2], uv_BTHW[:, 1::2]), dim=1)
    rgb_BCTHW = yuv_to_rgb(yuv_BCTHW.flatten(2), jitter=jitter).view(yuv_BCTHW.shape)
    expected = rgb_BCTHW.sub_(rgb_BCTHW.new_tensor([0.45] * 3)[:, None, None, None]).div_(
        rgb_BCTHW.new_tensor([0.225] * 3)[:, None, None, None]
    )
    assert torch.equal(module.prepare(pictures, augmentation), expected)


def test_a_matrix_of_an_input_is_the_middle_rows_of_that_to_its_edge() -> None:
    begin, extent = torch.tensor([0.1, 0.0]), torch.tensor([0.7, 1.0])
    whole = resize_matrix(begin, extent, 30, 21, filter_="bicubic")
    assert torch.equal(input_matrix(begin, extent, 30, VideoInput(16, 21, "bicubic")), whole[:, 2:18])
    assert (whole < 0).any()  # Keys' cubic has negative lobes
    torch.testing.assert_close(whole.sum(2), torch.ones(2, 21))
