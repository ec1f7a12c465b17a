"""HDR to SDR: the published curves at known points, and their effect on pictures."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.video.reformatter import ColorTrc
from hypothesis import given
from hypothesis import strategies as st

from talkies.core import Grid
from talkies.media import FilmResampler, ResampledFrame, probe, read_first_picture
from talkies.media.tone_mapping import (
    PEAK,
    REFERENCE_WHITE,
    HdrTransfer,
    ToneMapper,
    compress_highlights,
    hlg_inverse_oetf,
    pq_eotf,
    pq_inverse_eotf,
)

MAPPERS = {transfer: ToneMapper(transfer) for transfer in HdrTransfer}
BT2020_LUMINANCE = np.array([0.2627, 0.6780, 0.0593])
TO_BT709 = {
    "BT.2020": [(0.708, 0.292), (0.170, 0.797), (0.131, 0.046)],
    "BT.709": [(0.64, 0.33), (0.3, 0.6), (0.15, 0.06)],
}
"""Where the primaries lie (BT.2020 and BT.709, table of system colorimetry); white is D65 in both."""


def to_xyz(name: str) -> npt.NDArray[np.float64]:
    """Return the matrix from linear RGB to CIE XYZ of primaries."""
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in TO_BT709[name]]).T
    white = np.array([0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])
    return columns * np.linalg.solve(columns, white)


def apply_bt2390(light: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return light after the roll-off of BT.2390, written as the report writes it: E1, KS, P, T."""
    e1 = np.minimum(pq_inverse_eotf(light) / pq_inverse_eotf(np.array(1000.0)), 1)
    max_lum = float(pq_inverse_eotf(np.array(203.0)) / pq_inverse_eotf(np.array(1000.0)))
    ks = 1.5 * max_lum - 0.5
    t = (e1 - ks) / (1 - ks)
    p = (2 * t**3 - 3 * t**2 + 1) * ks + (t**3 - 2 * t**2 + t) * (1 - ks) + (-2 * t**3 + 3 * t**2) * max_lum
    return pq_eotf(np.where(e1 < ks, e1, p) * pq_inverse_eotf(np.array(1000.0)))


def compute_expected_rgb(light_3: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the 8-bit codes `[..., 3]` that a light in cd/m² of BT.2020 is shown with."""
    brightest = light_3.max(axis=-1, keepdims=True)
    shown = light_3 * apply_bt2390(brightest) / np.maximum(brightest, 1e-9) / 203
    of_bt709 = shown @ (np.linalg.inv(to_xyz("BT.709")) @ to_xyz("BT.2020")).T
    return 255 * np.clip(of_bt709, 0, 1) ** (1 / 2.4)


def map_codes(transfer: HdrTransfer, codes: Any) -> npt.NDArray[np.int64]:
    """Return the colour that codes in [0, 1], one for each channel or one for all, are shown with."""
    rgb = np.broadcast_to(np.round(np.asarray(codes, float) * 65535), (1, 1, 3)).astype(np.uint16)
    return MAPPERS[transfer](rgb)[0, 0].astype(np.int64)


@pytest.mark.parametrize(
    ("light", "code"),
    [(0, 0), (0.1, 0.0623), (1, 0.1499), (10, 0.2997), (100, 0.5081), (203, 0.5807), (1000, 0.7518), (10_000, 1)],
)
def test_pq_codes_are_those_of_the_standard(light: float, code: float) -> None:
    assert pq_inverse_eotf(np.array(float(light))) == pytest.approx(code, abs=5e-5)
    assert pq_eotf(np.array(code)) == pytest.approx(light, rel=2e-3, abs=1e-6)


@pytest.mark.parametrize(("code", "scene"), [(0, 0), (0.25, 1 / 48), (0.5, 1 / 12), (0.75, 0.26496), (1, 1)])
def test_hlg_codes_mean_the_light_of_the_standard(code: float, scene: float) -> None:
    assert hlg_inverse_oetf(np.array(code)) == pytest.approx(scene, abs=1e-5)


@given(st.floats(0, 10_000))
def test_pq_light_and_code_are_inverse(light: float) -> None:
    assert pq_eotf(pq_inverse_eotf(np.array(light))) == pytest.approx(light, rel=1e-6, abs=1e-6)


def test_every_curve_rises() -> None:
    codes = np.linspace(0, 1, 5001)
    for curve in (pq_eotf(codes), hlg_inverse_oetf(codes), pq_inverse_eotf(10_000 * codes)):
        assert (np.diff(curve) > 0).all()
    bent = compress_highlights(10_000 * codes)
    assert (np.diff(bent) >= 0).all()
    assert (np.diff(bent)[: 5001 * 99 // 1000] > 0).all()  # up to the peak


def test_the_roll_off_leaves_what_is_below_its_knee_and_ends_at_reference_white() -> None:
    knee = pq_eotf(np.array(1.5 * pq_inverse_eotf(np.array(203.0)) - 0.5 * pq_inverse_eotf(np.array(1000.0))))
    assert knee == pytest.approx(88, abs=1)
    below = np.linspace(0, float(knee), 500)
    assert compress_highlights(below) == pytest.approx(below, rel=1e-9)
    above = np.linspace(float(knee) + 1, 10_000, 500)
    assert (compress_highlights(above) < above).all()
    assert compress_highlights(np.array([PEAK, 4000.0, 10_000.0])) == pytest.approx([REFERENCE_WHITE] * 3)
    assert compress_highlights(above) == pytest.approx(apply_bt2390(above))


@pytest.mark.parametrize("transfer", HdrTransfer)
def test_black_stays_black_and_grey_stays_grey_and_rises_to_white(transfer: HdrTransfer) -> None:
    grey = np.repeat(np.arange(65_536, dtype=np.uint16)[None, :, None], 3, axis=2)
    shown = MAPPERS[transfer](grey)[0].astype(int)
    assert (np.ptp(shown, axis=1) <= 1).all()
    assert (shown[:, 0] >= np.maximum.accumulate(shown[:, 0]) - 1).all()  # but for rounding
    assert (shown[0].tolist(), shown[-1].tolist()) == ([0, 0, 0], [255, 255, 255])
    assert len(np.unique(shown)) > 230  # no steps that eyes would see


@pytest.mark.parametrize("light", [0, 1, 10, 50, 80, 100, 150, 203, 400, 1000, 4000])
def test_grey_of_a_known_light_is_shown_with_the_code_that_it_should_have(light: float) -> None:
    shown = map_codes(HdrTransfer.PQ, pq_inverse_eotf(np.array(float(light))))
    assert shown == pytest.approx(compute_expected_rgb(np.full(3, float(light))), abs=1)
    if light <= 80:
        assert shown[0] == pytest.approx(255 * (light / 203) ** (1 / 2.4), abs=1)


def test_reference_white_is_nearly_white_and_only_the_peak_is() -> None:
    diffuse, peak = map_codes(HdrTransfer.PQ, 0.5807)[0], map_codes(HdrTransfer.PQ, 0.7518)[0]
    assert 225 <= diffuse <= 240
    assert peak == 255
    assert map_codes(HdrTransfer.HLG, 0.75)[0] == pytest.approx(diffuse, abs=1)  # BT.2408: 75 % HLG is reference white


@pytest.mark.parametrize(
    "colour", [(0.9, 0.1, 0.1), (0.1, 0.9, 0.1), (0.1, 0.1, 0.9), (0.7, 0.6, 0.1), (0.3, 0.3, 0.35)]
)
@pytest.mark.parametrize("light", [5.0, 30.0, 120.0])
def test_colours_of_bt709_keep_their_hue_on_the_way_through_bt2020(
    colour: tuple[float, float, float], light: float
) -> None:
    of_bt2020 = np.linalg.inv(to_xyz("BT.2020")) @ to_xyz("BT.709") @ np.array(colour) * light
    shown = map_codes(HdrTransfer.PQ, pq_inverse_eotf(of_bt2020))
    assert shown == pytest.approx(compute_expected_rgb(of_bt2020), abs=2)
    linear = (shown / 255) ** 2.4
    assert linear / linear.max() == pytest.approx(np.array(colour) / max(colour), abs=0.03)


def test_colours_outside_bt709_are_clipped_and_never_wrap() -> None:
    for pure in np.eye(3):
        shown = map_codes(HdrTransfer.PQ, 0.6 * pure)
        assert shown[np.argmax(pure)] > 200
        assert sorted(shown)[:2] == [0, 0]


def compute_hlg_light(codes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the light in cd/m² of HLG codes on a display of 1000 cd/m² (BT.2100, table 5)."""
    scene = np.where(codes <= 0.5, codes**2 / 3, (np.exp((codes - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    return 1000 * (scene @ BT2020_LUMINANCE)[..., None] ** 0.2 * scene


@pytest.mark.parametrize("codes", [(0.2, 0.2, 0.2), (0.5, 0.5, 0.5), (0.8, 0.3, 0.3), (0.3, 0.6, 0.9), (0.9, 0.9, 0.5)])
def test_hlg_colours_are_shown_as_on_a_display_of_a_thousand_candelas(codes: tuple[float, float, float]) -> None:
    assert map_codes(HdrTransfer.HLG, codes) == pytest.approx(
        compute_expected_rgb(compute_hlg_light(np.array(codes))), abs=2
    )


def write_hdr_film(reel: Any, path: Path, lights: list[float], transfer: ColorTrc) -> Path:
    """Write grey patches of known light side by side, as 10-bit HEVC of BT.2020."""
    patches = np.round(64 + 876 * pq_inverse_eotf(np.array(lights))).astype(np.uint16)
    luma = np.repeat(np.repeat(patches[None], 64, 0), 32, 1)
    planes = np.concatenate([luma.ravel(), np.full(luma.size // 2, 512, np.uint16)]).reshape(96, -1)
    frames = [av.VideoFrame.from_ndarray(planes, format="yuv420p10le") for _ in range(4)]
    film = reel(path).pictures(
        frames,
        codec="libx265",
        pix_fmt="yuv420p10le",
        options={"crf": "2", "x265-params": "log-level=none"},
        color_trc=transfer,
        colorspace=9,
        color_primaries=9,
        color_range=1,
    )
    return film.sound(np.zeros((1, 2560), np.int16)).write()  # type: ignore[no-any-return]


def test_a_pq_film_comes_out_with_the_codes_that_its_light_should_have(tmp_path: Path, reel: Any) -> None:
    lights = [0.0, 5.0, 50.0, 100.0, 203.0, 1000.0]
    path = write_hdr_film(reel, tmp_path / "film.mkv", lights, ColorTrc.SMPTE2084)
    pictures = [
        part for part in FilmResampler(path, probe(path), Grid(25, 16_000), 64) if isinstance(part, ResampledFrame)
    ]
    assert len(pictures) == 4
    middles = pictures[1].to_bgr()[32, 16::32].astype(int)
    expected = [compute_expected_rgb(np.full(3, light)) for light in lights]
    assert np.abs(middles - np.array(expected)[:, ::-1]).max() <= 3


def test_the_same_film_without_its_transfer_is_no_high_dynamic_range(tmp_path: Path, reel: Any) -> None:
    path = write_hdr_film(reel, tmp_path / "film.mkv", [0.0, 203.0, 1000.0], ColorTrc.BT709)
    shown = read_first_picture(path, 0, Fraction(1), 64)
    assert shown is not None
    assert shown[32, 16::32, 0] == pytest.approx([0, 255 * 0.5807, 255 * 0.7518], abs=5)


@pytest.mark.real_data
def test_a_real_hlg_film_comes_out_as_the_standard_says(real_data: Path) -> None:
    path = real_data / "awkward" / "androidx-media__sample_with_color_info.mp4"
    with av.open(str(path)) as container:
        frame: Any = next(container.decode(video=0))
        track = container.streams.video[0].index
    planes = frame.to_ndarray().astype(float).reshape(-1)
    luma, chroma = (
        planes[: 1080 * 1920].reshape(540, 2, 960, 2).mean((1, 3)),
        planes[1080 * 1920 :].reshape(2, 540, 960),
    )
    y, u, v = (luma - 64) / 876, (chroma[0] - 512) / 896, (chroma[1] - 512) / 896
    red, blue = y + 1.4746 * v, y + 1.8814 * u
    codes = np.clip(np.stack([red, (y - 0.2627 * red - 0.0593 * blue) / 0.678, blue], axis=-1), 0, 1)
    expected = np.rot90(compute_expected_rgb(compute_hlg_light(codes)).reshape(180, 3, 320, 3, 3).mean((1, 3)), 3)
    shown = read_first_picture(path, track, Fraction(1), 180)
    assert shown is not None
    error = np.abs(shown - expected)
    assert error.mean() < 3
    assert np.abs((shown - expected).mean((0, 1))).max() < 2  # no cast of colour
