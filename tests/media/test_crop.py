"""What a container hides of its pictures is cut off before they are scaled; a crop that makes no sense is ignored."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from cropped_files import add_boxes, add_pixel_crop, find_video_element, make_clap, set_track_size
from hypothesis import given
from hypothesis import strategies as st

from talkies.core import Grid
from talkies.ingestion.config import Thresholds
from talkies.ingestion.judge import judge_film
from talkies.media import FilmResampler, FrameCrop, ResampledFrame, probe, read_first_picture

WIDTH, HEIGHT = 320, 240
GREY, WHITE = 100, 235
GRID = Grid(16, 16_000)


def write_film(path: Path, inner: tuple[int, int, int, int], aspect: Fraction = Fraction(1), turn: int = 0) -> Path:
    """Write two pictures that are grey within `inner` (top, bottom, left, right edges cut off) and white around it."""
    top, bottom, left, right = inner
    yuv = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
    yuv[:HEIGHT] = WHITE
    yuv[top : HEIGHT - bottom, left : WIDTH - right] = GREY
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=2, options={"crf": "1", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        # Tags of colours, whose elements make room for a crop in Matroska.
        stream.codec_context.color_primaries = stream.codec_context.color_trc = 1
        stream.codec_context.colorspace, stream.codec_context.color_range = 5, 1
        if turn:
            stream.set_display_rotation(turn)
        for number in range(2):
            frame = av.VideoFrame.from_ndarray(yuv, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 2)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def read_pictures(path: Path) -> list[ResampledFrame]:
    parts = FilmResampler(path, probe(path), GRID, 120, video_only=True)
    return [part for part in parts if isinstance(part, ResampledFrame)]


def assert_shows_only_the_inside(path: Path, aspect: float) -> None:
    """Assert that the film's pictures are grey from edge to edge, and of this aspect ratio."""
    for frame in read_pictures(path):
        luma_HW = frame.to_yuv()[: frame.size[1]]
        assert np.abs(luma_HW.astype(int) - GREY).max() <= 3
        assert frame.size[0] / frame.size[1] == pytest.approx(aspect, abs=0.02)


@pytest.mark.parametrize(
    ("crop", "display", "aspect"),
    [
        ({"top": 30, "bottom": 30}, None, 320 / 180),
        ({"left": 40, "right": 40}, None, 240 / 240),
        ({"top": 10, "bottom": 31, "left": 7, "right": 20}, None, 293 / 199),
        ({"top": 30, "bottom": 30}, (426, 180), 426 / 180),
    ],
)
def test_matroskas_pixel_crop_is_applied_and_its_display_size_is_that_of_the_cropped_picture(
    tmp_path: Path, crop: dict[str, int], display: tuple[int, int] | None, aspect: float
) -> None:
    inner = tuple(crop.get(side, 0) for side in ("top", "bottom", "left", "right"))
    plain = write_film(tmp_path / "plain.mkv", inner)
    add_pixel_crop(plain, tmp_path / "crop.mkv", display, **crop)
    assert_shows_only_the_inside(tmp_path / "crop.mkv", aspect)


def test_the_clean_aperture_of_mp4_is_applied_with_the_pixels_of_its_own_box(tmp_path: Path) -> None:
    plain = write_film(tmp_path / "plain.mp4", (20, 40, 10, 30), Fraction(16, 15))
    add_boxes(plain, tmp_path / "clap.mp4", make_clap((280, 1), (180, 1), (-10, 1), (-10, 1)))
    assert_shows_only_the_inside(tmp_path / "clap.mp4", 280 * 16 / 15 / 180)


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize(("shown", "aspect"), [((320, 180), 320 / 180), ((426, 180), 426 / 180), (None, 320 / 180)])
def test_where_no_box_gives_the_pixels_the_track_size_is_that_of_the_clean_aperture(
    tmp_path: Path, suffix: str, shown: tuple[int, int] | None, aspect: float
) -> None:
    plain = write_film(tmp_path / f"plain{suffix}", (30, 30, 0, 0))
    clap = tmp_path / f"clap{suffix}"
    add_boxes(plain, clap, make_clap((320, 1), (360, 2)), without=[b"pasp"])
    if shown:
        set_track_size(clap, *shown)
    assert_shows_only_the_inside(clap, aspect)


def test_a_rotated_picture_is_cropped_before_it_is_turned(tmp_path: Path) -> None:
    plain = write_film(tmp_path / "plain.mp4", (30, 30, 0, 0), turn=90)
    add_boxes(plain, tmp_path / "clap.mp4", make_clap((320, 1), (180, 1)))
    assert_shows_only_the_inside(tmp_path / "clap.mp4", 180 / 320)


def test_odd_and_halved_apertures_lose_less_than_a_pixel(tmp_path: Path) -> None:
    plain = write_film(tmp_path / "plain.mp4", (0, 0, 0, 0))
    add_boxes(plain, tmp_path / "clap.mp4", make_clap((703, 3), (481, 2)))
    video = probe(tmp_path / "clap.mp4").video
    assert video is not None
    assert video.crop is not None
    assert video.crop.ignored is not None  # taller than the picture by half a pixel
    add_boxes(plain, tmp_path / "clap.mp4", make_clap((703, 3), (239, 1)))
    video = probe(tmp_path / "clap.mp4").video
    assert video is not None
    assert video.crop == FrameCrop(left=42, right=44, top=0, bottom=1)


def test_the_strip_of_a_rejected_film_and_the_reader_of_originals_crop_too(tmp_path: Path) -> None:
    plain = write_film(tmp_path / "plain.mkv", (30, 30, 0, 0))
    add_pixel_crop(plain, tmp_path / "crop.mkv", top=30, bottom=30)
    info = probe(tmp_path / "crop.mkv")
    assert info.video is not None
    rgb_HWC = read_first_picture(tmp_path / "crop.mkv", info.video.index, Fraction(1), 90, info.video.crop)
    assert rgb_HWC is not None
    assert rgb_HWC.shape == (90, 160, 3)
    assert rgb_HWC.max() < 120


@pytest.mark.parametrize(
    ("crop", "words"),
    [
        ({"top": 200, "bottom": 40}, "cuts 200 at the top, 40 at the bottom"),
        ({"left": 65_000}, "cuts 65000 at the left"),
    ],
)
def test_a_crop_that_leaves_nothing_is_ignored_and_told(tmp_path: Path, crop: dict[str, int], words: str) -> None:
    plain = write_film(tmp_path / "plain.mkv", (0, 0, 0, 0))
    add_pixel_crop(plain, tmp_path / "crop.mkv", **crop)
    info = probe(tmp_path / "crop.mkv")
    reasons = {reason.code: reason.text for reason in judge_film(info, Thresholds())}
    assert words in reasons["bad_crop"]
    assert "320 × 240" in reasons["bad_crop"]
    assert_shows_only_the_inside(tmp_path / "crop.mkv", 320 / 240)


@pytest.mark.parametrize(
    "clap",
    [
        make_clap((900, 1), (500, 1)),
        make_clap((320, 0), (180, 1)),
        make_clap((0, 1), (180, 1)),
        make_clap((160, 1), (120, 1), (200, 1)),
        make_clap((320, 1), (180, 1))[:-20],
    ],
)
def test_a_senseless_clean_aperture_is_ignored_and_told(tmp_path: Path, clap: bytes) -> None:
    clap = len(clap).to_bytes(4, "big") + clap[4:]
    plain = write_film(tmp_path / "plain.mp4", (0, 0, 0, 0))
    add_boxes(plain, tmp_path / "clap.mp4", clap)
    info = probe(tmp_path / "clap.mp4")
    assert "bad_crop" in [reason.code for reason in judge_film(info, Thresholds())]
    assert_shows_only_the_inside(tmp_path / "clap.mp4", 320 / 240)


def test_a_film_without_a_crop_has_none(tmp_path: Path) -> None:
    for name in ("plain.mkv", "plain.mp4", "plain.avi"):
        video = probe(write_film(tmp_path / name, (0, 0, 0, 0))).video
        assert video is not None
        assert video.crop is None


@pytest.fixture(scope="module")
def files_with_crops(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("crops")
    mkv, mp4 = (write_film(folder / f"plain{suffix}", (30, 30, 0, 0)) for suffix in (".mkv", ".mp4"))
    add_pixel_crop(mkv, folder / "crop.mkv", top=30, bottom=30)
    add_boxes(mp4, folder / "clap.mp4", make_clap((320, 1), (180, 1)))
    return folder / "crop.mkv", folder / "clap.mp4"


@given(st.data())
def test_a_file_whose_structure_was_changed_is_read_in_bounds(
    files_with_crops: tuple[Path, Path], data: st.DataObject
) -> None:
    from talkies.media.crop import read_crop

    path = data.draw(st.sampled_from(files_with_crops))
    content = bytearray(path.read_bytes())
    start = max(0, content.rfind(b"moov")) if path.suffix == ".mp4" else 0
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(start, min(len(content), start + 700) - 1))
        content[at] = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF, 0x1A]))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content))) :]
    changed = path.with_name(f"changed{path.suffix}")
    changed.write_bytes(content)
    container = "matroska,webm" if path.suffix == ".mkv" else "mov,mp4,m4a,3gp,3g2,mj2"
    crop = read_crop(changed, container, 0, 1, (WIDTH, HEIGHT))
    assert crop is None or crop.ignored or crop.fits(WIDTH, HEIGHT)


def test_a_file_of_endless_tiny_elements_is_given_up(tmp_path: Path) -> None:
    from talkies.media.crop import read_crop

    path = tmp_path / "voids.mkv"
    path.write_bytes(b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff" + b"\xec\x80" * 200_000)
    assert read_crop(path, "matroska,webm", 0, 0, (WIDTH, HEIGHT)) is None
    path.write_bytes(b"\x00\x00\x00\x08free" * 100_000)
    assert read_crop(path, "mov,mp4", 0, 1, (WIDTH, HEIGHT)) is None


def test_tracks_behind_a_cluster_of_unknown_size_are_not_looked_for(files_with_crops: tuple[Path, Path]) -> None:
    from talkies.media.crop import read_crop

    content = files_with_crops[0].read_bytes()
    at = content.rindex(b"\x16\x54\xae\x6b")
    changed = files_with_crops[0].with_name("cluster.mkv")
    changed.write_bytes(content[:at] + b"\x1f\x43\xb6\x75\x01\xff\xff\xff\xff\xff\xff\xff" + content[at:])
    assert read_crop(changed, "matroska,webm", 0, 0, (WIDTH, HEIGHT)) is None
    assert find_video_element(content)[1] > 0
    assert read_crop(files_with_crops[0], "matroska,webm", 0, 0, (WIDTH, HEIGHT)) == FrameCrop(top=30, bottom=30)
