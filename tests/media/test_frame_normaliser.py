"""`FrameNormaliser`: pictures upright, with square pixels, of the size requested."""

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from talkies.core import Grid, MediaError
from talkies.media import FilmResampler, ResampledFrame, probe, read_first_picture
from talkies.media.frames import FrameNormaliser, _read_orientation

ONE = 1 << 16  # in the display matrix of a file
ORIENTATIONS = [
    (1, 0, 0, 1),
    (-1, 0, 0, 1),
    (1, 0, 0, -1),
    (-1, 0, 0, -1),
    (0, 1, 1, 0),
    (0, 1, -1, 0),
    (0, -1, 1, 0),
    (0, -1, -1, 0),
]


def make_four_corners(height: int = 48, width: int = 64) -> npt.NDArray[np.uint8]:
    """Return a picture with another colour in each quarter."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2] = 250, 250, 250
    picture[height // 2 :, : width // 2] = 200, 30, 30
    picture[: height // 2, width // 2 :] = 30, 30, 200
    return picture


def make_grey_corners(height: int, width: int) -> npt.NDArray[np.uint8]:
    """Return it without colours, which old and new films code in different ways."""
    return np.repeat(make_four_corners(height, width).max(axis=2, keepdims=True), 3, axis=2)


def apply_orientation(picture_HWC: npt.NDArray[np.uint8], orientation: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Return a picture of which every pixel went where the matrix says: x' = ax + cy, y' = bx + dy."""
    a, b, c, d = orientation
    rows, columns = np.mgrid[: picture_HWC.shape[0], : picture_HWC.shape[1]]
    x, y = a * columns + c * rows, b * columns + d * rows
    x, y = x - x.min(), y - y.min()
    shown = np.zeros((y.max() + 1, x.max() + 1, 3), np.uint8)
    shown[y, x] = picture_HWC
    return shown


def compute_mean_error(left: npt.NDArray[np.uint8], right: npt.NDArray[np.uint8]) -> float:
    assert left.shape == right.shape
    return float(np.abs(left.astype(int) - right).mean())


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_picture_comes_out_the_way_that_its_display_matrix_says(
    tmp_path: Path, reel: Any, orientation: tuple[int, ...]
) -> None:
    a, b, c, d = (ONE * part for part in orientation)
    picture = make_four_corners()
    film = reel(tmp_path / "film.mp4").pictures([picture] * 9, matrix=[a, b, 0, c, d, 0, 0, 0, 1 << 30])
    path = film.sound(np.zeros((1, 16_000), np.int16), codec="aac").write()
    expected = apply_orientation(picture, orientation)
    first = read_first_picture(path, 0, Fraction(1), 48)
    assert first is not None
    assert compute_mean_error(first, expected) < 3

    parts = FilmResampler(path, probe(path), Grid(25, 16_000), 48)
    pictures = [part.to_bgr()[..., ::-1] for part in parts if isinstance(part, ResampledFrame)]
    assert len(pictures) == 9
    assert max(compute_mean_error(picture, expected) for picture in pictures) < 3


@pytest.mark.parametrize(("degrees", "orientation"), [(90, 6), (180, 3), (270, 5)])
def test_a_rotation_is_counter_clockwise(tmp_path: Path, reel: Any, degrees: int, orientation: int) -> None:
    path = reel(tmp_path / "film.mp4").pictures([make_four_corners()] * 3, rotation=degrees).write()
    first = read_first_picture(path, 0, Fraction(1), 48)
    assert first is not None
    assert compute_mean_error(first, np.rot90(make_four_corners(), degrees // 90).astype(np.uint8)) < 3
    assert compute_mean_error(first, apply_orientation(make_four_corners(), ORIENTATIONS[orientation])) < 3


@pytest.mark.parametrize("degrees", [0, 90, 180, 270, -90])
def test_a_rotation_is_applied_where_the_display_matrix_cannot_be_read(degrees: int) -> None:
    class UnknownSideData:
        def get(self, _: str) -> bytes:
            raise ValueError("side data of a kind that PyAV does not know")

    frame: Any = SimpleNamespace(side_data=UnknownSideData(), rotation=degrees)
    picture = av.VideoFrame.from_ndarray(make_grey_corners(48, 64), format="rgb24").reformat(format="yuv420p")
    upright = _read_orientation(frame).apply(picture).to_ndarray(format="rgb24").astype(np.uint8)
    assert compute_mean_error(upright, np.rot90(make_grey_corners(48, 64), degrees // 90).astype(np.uint8)) < 3


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "turns"),
    [
        ("decord__video_90.mov", 3),
        ("torchcodec__nasa_13013_rotated.mp4", 1),
        ("androidx-media__h265_with_metadata_track.mp4", 3),
        ("androidx-media__sample_with_color_info.mp4", 3),
    ],
)
def test_real_rotated_films_stand_upright(real_data: Path, name: str, turns: int) -> None:
    path = real_data / "awkward" / name
    with av.open(str(path)) as container:
        raw: Any = next(container.decode(video=0))
        track = container.streams.video[0].index
    luma = raw.reformat(200 * raw.width // raw.height // 2 * 2, 200, format="gray").to_ndarray()
    expected = np.rot90(luma, turns)  # counter-clockwise
    shown = read_first_picture(path, track, Fraction(1), 200)
    assert shown is not None
    assert shown.shape[1] == 200 < shown.shape[0]
    gray = shown.astype(float).mean(axis=2)[: expected.shape[0], : expected.shape[1]]
    expected = expected[: gray.shape[0]]
    fits = [np.corrcoef(gray.ravel(), way.ravel())[0, 1] for way in (expected, expected[::-1, ::-1])]
    assert fits[0] > 0.9 > fits[1]


@pytest.mark.parametrize(
    ("coded_size", "pixel_aspect", "degrees", "expected"),
    [
        ((720, 576), Fraction(16, 15), 0, (256, 192)),  # a PAL disc, 4:3
        ((720, 576), Fraction(64, 45), 0, (342, 192)),  # the same, 16:9
        ((720, 480), Fraction(8, 9), 0, (256, 192)),  # NTSC
        ((352, 576), Fraction(24, 11), 0, (256, 192)),
        ((1440, 1080), Fraction(4, 3), 0, (342, 192)),  # HDV
        ((720, 576), Fraction(16, 15), 90, (192, 256)),  # the pixels turn with the picture
        ((240, 640), Fraction(2), 0, (192, 256)),
    ],
)
def test_wide_and_narrow_pixels_become_square(
    tmp_path: Path,
    reel: Any,
    coded_size: tuple[int, int],
    pixel_aspect: Fraction,
    degrees: int,
    expected: tuple[int, int],
) -> None:
    picture = make_grey_corners(*coded_size[::-1])
    film = reel(tmp_path / "film.mp4").pictures([picture] * 2, rotation=degrees, sample_aspect_ratio=pixel_aspect)
    path = film.sound(np.zeros((1, 1600), np.int16), codec="aac").write()
    info = probe(path)
    assert info.video is not None
    shown = next(iter(FilmResampler(path, info, Grid(25, 16_000), 192)))
    assert isinstance(shown, ResampledFrame)
    assert shown.size == expected
    quarter = np.rot90(make_grey_corners(*(expected if degrees else expected[::-1])), degrees // 90).astype(np.uint8)
    assert compute_mean_error(shown.to_bgr()[..., ::-1].astype(np.uint8), quarter) < 4


@given(width=st.integers(16, 700), height=st.integers(16, 700), short=st.sampled_from([64, 96, 128]))
def test_any_size_gives_an_even_one_of_the_same_shape(width: int, height: int, short: int) -> None:
    frame = av.VideoFrame(width, height, "yuv444p")
    if max(width, height) > 8 * min(width, height):
        with pytest.raises(
            MediaError, match=rf"^a picture of {width} × {height} pixels is too wide or too tall for a film; "
        ):
            FrameNormaliser(short, Fraction(1), 8).normalise(frame)
        return
    small = FrameNormaliser(short, Fraction(1), 8).normalise(frame)
    assert small.width % 2 == small.height % 2 == 0
    assert min(small.width, small.height) == short
    exact = np.array([width, height]) * short / min(width, height)
    assert np.abs(exact - (small.width, small.height)).max() <= 1


@pytest.mark.parametrize(
    ("width", "height", "pixel_aspect", "said"),
    [(1000, 50, Fraction(1), "1000 × 50"), (64, 900, Fraction(1), "64 × 900"), (64, 64, Fraction(20), "1280 × 64")],
)
def test_a_picture_too_long_for_a_film_is_refused(width: int, height: int, pixel_aspect: Fraction, said: str) -> None:
    normaliser = FrameNormaliser(128, pixel_aspect, 8)
    sentence = (
        rf"^a picture of {said} pixels is too wide or too tall for a film; one side may be at most 8 times the other$"
    )
    with pytest.raises(MediaError, match=sentence) as caught:
        normaliser.normalise(av.VideoFrame(width, height, "yuv420p"))
    assert caught.value.code == "bad_shape"


def test_a_film_that_changes_its_size_keeps_the_first(tmp_path: Path) -> None:
    normaliser = FrameNormaliser(48, Fraction(1), 8)
    for size in ((64, 48), (320, 240), (100, 300), (64, 48)):
        frame = av.VideoFrame.from_ndarray(make_four_corners(*size[::-1]), format="rgb24")
        shown = normaliser.normalise(frame).to_ndarray(format="rgb24").astype(np.uint8)
        assert compute_mean_error(shown, make_four_corners()) < 6


def test_a_file_without_a_picture_that_can_be_decoded_has_none_at_its_start(tmp_path: Path, reel: Any) -> None:
    film = reel(tmp_path / "film.mkv").pictures([make_four_corners()] * 3)
    path = film.write()
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"\x1fC\xb6u") + 40])  # as far as the first cluster's head
    assert read_first_picture(path, 0, Fraction(1), 48) is None
