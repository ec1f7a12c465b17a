"""Colours against FFmpeg's swscale."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import av
import numpy as np
import pytest
import torch
from av.video.reformatter import ColorRange, Interpolation
from torch import Tensor

from talkies.transforms import VideoTransform, VideoTransformConfig, yuv_to_rgb
from talkies.transforms.video import resize_matrix

PRIMARIES = {
    "red": ((81, 90, 240), (1, 0, 0)),
    "green": ((145, 54, 34), (0, 1, 0)),
    "blue": ((41, 240, 110), (0, 0, 1)),
    "yellow": ((210, 16, 146), (1, 1, 0)),
    "cyan": ((170, 166, 16), (0, 1, 1)),
    "magenta": ((106, 202, 222), (1, 0, 1)),
}


def colour_of(y: int, u: int, v: int) -> list[float]:
    return yuv_to_rgb(torch.tensor([y, u, v], dtype=torch.float32).view(1, 3, 1)).flatten().tolist()


def smooth(height: int, width: int, low: float, high: float) -> Tensor:
    """A smooth random plane of bytes between two levels."""
    waves = torch.nn.functional.interpolate(torch.rand(1, 1, 5, 6), (height, width), mode="bicubic").clamp(0, 1)
    return (low + (high - low) * waves[0, 0]).round().to(torch.uint8)


def test_the_ends_of_the_limited_range_are_black_and_white() -> None:
    assert colour_of(16, 128, 128) == pytest.approx([0, 0, 0], abs=1e-6)
    assert colour_of(235, 128, 128) == pytest.approx([1, 1, 1], abs=1e-6)


def test_levels_beyond_the_limited_range_are_clipped() -> None:
    assert colour_of(0, 128, 128) == [0, 0, 0]
    assert colour_of(255, 128, 128) == [1, 1, 1]


def test_gray_between_them_rises_in_a_straight_line() -> None:
    assert colour_of(89, 128, 128) == pytest.approx([1 / 3] * 3, abs=1e-6)


@pytest.mark.parametrize("name", PRIMARIES)
def test_the_primaries_of_bt_601_are_pure(name: str) -> None:
    yuv, rgb = PRIMARIES[name]
    assert colour_of(*yuv) == pytest.approx(rgb, abs=2 / 255)


@pytest.mark.parametrize("name", PRIMARIES)
def test_a_picture_of_one_colour_keeps_it_through_the_transform(name: str) -> None:
    (y, u, v), rgb = PRIMARIES[name]
    planes = [torch.full((rows, 32), level, dtype=torch.uint8) for rows, level in ((32, y), (8, u), (8, v))]
    output_CTHW = VideoTransform(VideoTransformConfig(size=16))(torch.cat(planes)[None, None])[0]
    levels_CTHW = output_CTHW * 0.225 + 0.45
    expected_CTHW = torch.tensor(rgb, dtype=torch.float32)[:, None, None, None].expand(3, 1, 16, 16)
    torch.testing.assert_close(levels_CTHW, expected_CTHW, rtol=0, atol=2 / 255)


@dataclass(frozen=True)
class Standard:
    """A matrix and range of ours, and swscale's words for them."""

    matrix: Literal["bt601", "bt709"]
    full_range: bool

    def swscale(self, planar_PW: Tensor) -> np.ndarray:
        """The picture's RGB levels, chroma spread over all pixels and rounded (its shortcut does neither)."""
        frame = av.VideoFrame.from_ndarray(planar_PW.numpy(), format="yuv420p")
        space = {"bt601": "ITU601", "bt709": "ITU709"}[self.matrix]
        frame.color_range = ColorRange.JPEG if self.full_range else ColorRange.MPEG
        exactly = Interpolation.BILINEAR | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND
        rgb = frame.reformat(format="rgb24", src_colorspace=space, dst_colorspace=space, interpolation=exactly)
        return rgb.to_ndarray().astype(np.float32)

    def ours(self, planar_PW: Tensor) -> np.ndarray:
        """The same by our own way: chroma spread by the matrices that resize, then coloured."""
        height, width = planar_PW.shape[0] * 2 // 3, planar_PW.shape[1]
        luma = planar_PW[:height].float()
        chroma = planar_PW[height:].reshape(2, height // 2, width // 2).float()
        whole = torch.zeros(1), torch.ones(1)
        down, across = (resize_matrix(*whole, size // 2, size)[0] for size in (height, width))
        yuv = torch.stack([luma, *(down @ chroma @ across.T)])
        rgb = yuv_to_rgb(yuv.flatten(1)[None], self.matrix, full_range=self.full_range)
        return (rgb[0].T.view(height, width, 3) * 255).numpy()


STANDARDS = [Standard(matrix, full_range) for matrix in ("bt601", "bt709") for full_range in (False, True)]


def real_pictures(films: Path) -> Iterator[Tensor]:
    """One picture of each of three films, planar YUV 4:2:0, of even size."""
    for name in ("big_buck_bunny_30s_5.1.mp4", "sintel_trailer.mp4", "tears_of_steel_excerpt.webm"):
        with av.open(films / name) as container:
            frame = next(islice(container.decode(video=0), 120, None))
        width, height = frame.width // 16 * 16, frame.height // 16 * 16
        yield torch.from_numpy(frame.reformat(width, height, "yuv420p").to_ndarray())


def smooth_picture(size: int) -> Tensor:
    chroma = [smooth(size // 2, size // 2, 90, 166).reshape(-1, size) for _ in range(2)]
    return torch.cat([smooth(size, size, 40, 210), *chroma])


def transformed(planar_PW: Tensor) -> np.ndarray:
    """The RGB levels that the transform makes of a square picture at its own size."""
    size = planar_PW.shape[1]
    output_CHW = VideoTransform(VideoTransformConfig(size=size))(planar_PW[None, None])[0, :, 0]
    return ((output_CHW * 0.225 + 0.45) * 255).permute(1, 2, 0).numpy()


def assert_rounded(levels: np.ndarray, rounded: np.ndarray) -> None:
    """Equal within a level on average, and by far: rounding alone is a quarter."""
    difference = np.abs(levels - rounded)
    assert rounded.std() > 15
    assert difference.mean() < 0.3
    assert difference.max() < 1


@pytest.mark.parametrize("standard", STANDARDS, ids=str)
def test_colours_of_a_smooth_picture_are_those_of_swscale(standard: Standard) -> None:
    picture = smooth_picture(64)
    assert_rounded(standard.ours(picture), standard.swscale(picture))


@pytest.mark.real_data
@pytest.mark.parametrize("standard", STANDARDS, ids=str)
def test_colours_of_real_pictures_are_those_of_swscale(real_data: Path, standard: Standard) -> None:
    for picture in real_pictures(real_data / "films"):
        assert_rounded(standard.ours(picture), standard.swscale(picture))


def test_the_transform_takes_pictures_as_bt_601_of_limited_range() -> None:
    picture = smooth_picture(64)
    assert_rounded(transformed(picture), Standard("bt601", False).swscale(picture))
    assert np.abs(transformed(picture) - Standard("bt709", False).swscale(picture)).mean() > 1


@pytest.mark.real_data
def test_the_transform_gives_real_pictures_the_colours_of_swscale(real_data: Path) -> None:
    for picture in real_pictures(real_data / "films"):
        height = picture.shape[0] * 2 // 3
        luma = picture[:height, :height]
        chroma = picture[height:].reshape(2, height // 2, -1)[:, :, : height // 2]
        square = torch.cat([luma, chroma.reshape(-1, height)])
        assert_rounded(transformed(square), Standard("bt601", False).swscale(square))
