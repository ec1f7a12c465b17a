"""The colours of `FrameNormaliser`: from any colour coding to BT.601 in the limited range.

What must come out is computed here from the definition of each coding (ISO/IEC 23091-2, section 8.3).
"""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.video.reformatter import ColorRange, Colorspace

from talkies.core import Grid
from talkies.media import FilmResampler, ResampledFrame, probe
from talkies.media.frames import FrameNormaliser

BT709, UNTOLD, BT601_PAL, BT601_NTSC, SMPTE240, BT2020 = 1, 2, 5, 6, 7, 9
LUMA_OF = {
    BT709: (0.2126, 0.0722),
    BT601_PAL: (0.299, 0.114),
    BT601_NTSC: (0.299, 0.114),
    SMPTE240: (0.212, 0.087),
    BT2020: (0.2627, 0.0593),
}
"""The shares of red and blue in the luma."""
LIMITED, FULL = 1, 2


def decode_yuv(yuv: tuple[int, int, int], matrix: int, full: bool, bits: int) -> npt.NDArray[np.float64]:
    """Return the red, green and blue in [0, 1] that a coded colour means."""
    red_share, blue_share = LUMA_OF[matrix]
    unit = 2 ** (bits - 8)
    offset, luma_steps, chroma_steps = (0, 2**bits - 1, 2**bits - 1) if full else (16 * unit, 219 * unit, 224 * unit)
    y, u, v = (yuv[0] - offset) / luma_steps, *((part - 128 * unit) / chroma_steps for part in yuv[1:])
    red, blue = y + 2 * (1 - red_share) * v, y + 2 * (1 - blue_share) * u
    green = (y - red_share * red - blue_share * blue) / (1 - red_share - blue_share)
    return np.clip([red, green, blue], 0, 1)


def encode_bt601(rgb: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the luma and chroma codes of a colour in BT.601, limited range."""
    red, green, blue = rgb
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return np.array([16 + 219 * luma, 128 + 224 * (blue - luma) / 1.772, 128 + 224 * (red - luma) / 1.402])


def make_plain_yuv(yuv: tuple[int, int, int], pix_fmt: str, height: int) -> av.VideoFrame:
    """Return a frame of one colour in 4:2:0, 64 pixels wide."""
    kind, pixels = (np.uint16 if "10" in pix_fmt else np.uint8), 64 * height
    planes = [np.full(count, value, kind) for value, count in zip(yuv, (pixels, pixels // 4, pixels // 4), strict=True)]
    return av.VideoFrame.from_ndarray(np.concatenate(planes).reshape(height * 3 // 2, 64), format=pix_fmt)


def normalise_mean(frame: av.VideoFrame) -> npt.NDArray[np.float64]:
    """Return the mean luma and chroma codes of a normalised frame of one colour."""
    small = FrameNormaliser(64, Fraction(1), 20).normalise(frame)
    assert small.format.name == "yuv420p"
    planes, pixels = small.to_ndarray().reshape(-1), small.width * small.height
    parts = planes[:pixels], planes[pixels : pixels * 5 // 4], planes[pixels * 5 // 4 :]
    assert max(part.max() - part.min() for part in parts) <= 2
    return np.array([part.mean() for part in parts])


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("color_range", [LIMITED, FULL])
@pytest.mark.parametrize("matrix", list(LUMA_OF))
@pytest.mark.parametrize("yuv", [(150, 60, 60), (100, 190, 190), (60, 128, 128), (235, 128, 128)])
def test_the_colours_of_each_coding_come_out_in_bt601(
    yuv: tuple[int, int, int], matrix: int, color_range: int, bits: int
) -> None:
    y, u, v = (part * 2 ** (bits - 8) for part in yuv)
    frame = make_plain_yuv((y, u, v), "yuv420p" if bits == 8 else "yuv420p10le", 64)
    frame.colorspace, frame.color_range = matrix, color_range
    expected = encode_bt601(decode_yuv((y, u, v), matrix, color_range == FULL, bits))
    assert np.abs(normalise_mean(frame) - expected).max() < 2.8


def test_the_codings_are_so_different_that_one_taken_for_another_is_seen() -> None:
    codes = [encode_bt601(decode_yuv((150, 60, 60), matrix, False, 8)) for matrix in (BT709, BT601_PAL, BT2020)]
    assert all(np.abs(codes[one] - codes[other]).max() > 4 for one, other in ((0, 1), (1, 2), (0, 2)))


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le"])
@pytest.mark.parametrize(("height", "matrix"), [(480, BT601_NTSC), (576, BT601_PAL), (720, BT709), (1080, BT709)])
def test_a_film_that_does_not_say_is_bt709_if_it_is_of_high_definition(height: int, matrix: int, pix_fmt: str) -> None:
    bits = 10 if "10" in pix_fmt else 8
    y, u, v = (part * 2 ** (bits - 8) for part in (150, 60, 60))
    expected = encode_bt601(decode_yuv((y, u, v), matrix, False, bits))
    assert np.abs(normalise_mean(make_plain_yuv((y, u, v), pix_fmt, height)) - expected).max() < 2.8


def test_jpeg_pictures_have_the_full_range_without_saying_so() -> None:
    expected = encode_bt601(decode_yuv((150, 60, 60), BT601_PAL, True, 8))
    assert np.abs(normalise_mean(make_plain_yuv((150, 60, 60), "yuvj420p", 64)) - expected).max() < 2.8


@pytest.mark.parametrize("height", [64, 720])
@pytest.mark.parametrize("pix_fmt", ["rgb24", "bgr0", "gbrp", "gbrp10le", "rgb48le", "rgba"])
def test_red_green_and_blue_need_no_matrix(pix_fmt: str, height: int) -> None:
    rgb = av.VideoFrame.from_ndarray(np.full((height, 64, 3), (200, 40, 90), np.uint8), format="rgb24")
    frame = rgb if pix_fmt == "rgb24" else rgb.reformat(format=pix_fmt)
    expected = encode_bt601(np.array([200, 40, 90]) / 255)
    assert np.abs(normalise_mean(frame) - expected).max() < 2.8


@pytest.mark.parametrize("pix_fmt", ["yuv444p", "yuv422p", "yuv422p10le", "yuv444p12le", "nv12", "yuyv422", "yuv411p"])
def test_any_sampling_of_the_chroma_comes_out_in_420(pix_fmt: str) -> None:
    rgb = av.VideoFrame.from_ndarray(np.full((64, 64, 3), (200, 40, 90), np.uint8), format="rgb24")
    expected = encode_bt601(np.array([200, 40, 90]) / 255)
    assert np.abs(normalise_mean(rgb.reformat(format=pix_fmt)) - expected).max() < 2.8


@pytest.mark.parametrize(("pix_fmt", "kind", "white"), [("gray", np.uint8, 255), ("gray10le", np.uint16, 1023)])
def test_black_and_white_films_stay_grey(pix_fmt: str, kind: Any, white: int) -> None:
    for share in (0.0, 0.25, 0.7, 1.0):
        frame = av.VideoFrame.from_ndarray(np.full((64, 64), round(share * white), kind), format=pix_fmt)
        assert normalise_mean(frame) == pytest.approx([16 + 219 * share, 128, 128], abs=1.5)


@pytest.mark.parametrize(
    ("matrix", "swscale", "color_range", "pix_fmt", "codec"),
    [
        (BT709, Colorspace.ITU709, ColorRange.MPEG, "yuv420p", "libx264"),
        (BT709, Colorspace.ITU709, ColorRange.JPEG, "yuv420p", "libx264"),
        (BT601_NTSC, Colorspace.ITU601, ColorRange.JPEG, "yuv420p", "libx264"),
        (BT709, Colorspace.ITU709, ColorRange.MPEG, "yuv420p10le", "libx265"),
        (BT2020, Colorspace.BT2020, ColorRange.MPEG, "yuv420p10le", "libx265"),
    ],
)
def test_the_colours_of_a_whole_film_come_through(
    tmp_path: Path,
    reel: Any,
    matrix: int,
    swscale: Colorspace,
    color_range: ColorRange,
    pix_fmt: str,
    codec: str,
) -> None:
    colours = np.array([[[200, 40, 90], [30, 180, 60]], [[40, 70, 220], [128, 128, 128]]], np.uint8)
    rgb = np.repeat(np.repeat(colours, 48, 0), 64, 1)
    frames = [
        av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(
            format=pix_fmt, dst_colorspace=swscale, dst_color_range=color_range
        )
        for _ in range(5)
    ]
    options = {"crf": "4"} | ({"x265-params": "log-level=none"} if codec == "libx265" else {})
    film = reel(tmp_path / "film.mkv").pictures(
        frames, codec=codec, pix_fmt=pix_fmt, options=options, colorspace=matrix, color_range=color_range
    )
    path = film.sound(np.zeros((1, 3200), np.int16)).write()
    info = probe(path)
    assert info.video is not None
    assert info.video.full_range == (color_range == ColorRange.JPEG)
    pictures = [part for part in FilmResampler(path, info, Grid(25, 16_000), 96) if isinstance(part, ResampledFrame)]
    shown = pictures[2].to_bgr()[..., ::-1][24::48, 32::64].astype(int)
    assert np.abs(shown - colours).max() <= 7
