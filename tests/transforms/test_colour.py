import av
import numpy as np
import pytest
import torch
from torch import Tensor

from talkies.transforms import VideoTransform, VideoTransformConfig, yuv_to_rgb

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


def test_colours_are_those_of_swscale_within_one_level_on_average() -> None:
    size = 64
    luma, u, v = (
        smooth(size, size, 40, 210),
        smooth(size // 2, size // 2, 90, 166),
        smooth(size // 2, size // 2, 90, 166),
    )
    planar_PW = torch.cat([luma, u.reshape(-1, size), v.reshape(-1, size)])
    frame = av.VideoFrame.from_ndarray(planar_PW.numpy(), format="yuv420p")
    # By way of 4:4:4, for straight to RGB swscale takes the nearest chroma and rounds down.
    frame = frame.reformat(format="yuv444p", interpolation="BILINEAR")
    settings = {"src_colorspace": "ITU601", "dst_colorspace": "ITU601", "src_color_range": "MPEG"}
    expected_HWC = frame.reformat(format="rgb24", **settings).to_ndarray().astype(np.float32)
    output_CHW = VideoTransform(VideoTransformConfig(size=size))(planar_PW[None, None])[0, :, 0]
    levels_HWC = ((output_CHW * 0.225 + 0.45) * 255).permute(1, 2, 0).numpy()
    difference = np.abs(levels_HWC - expected_HWC)
    assert expected_HWC.std() > 20
    assert difference.mean() < 1
    assert difference.max() < 5
