"""Still pictures to search with: 16 bits a channel, transparency, and values of unknown range."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from talkies.core import Grid, MediaError
from talkies.media import decode_file
from talkies.media.query_file import QueryFile, read_query_file
from talkies.synth import render_sync_film

SIDE = 64


def read_luma(path: Path) -> np.ndarray:
    """The picture's luma rows, 16 (black) to 235 (white)."""
    media = read_query_file(QueryFile(path, Grid(16, 16_000), SIDE))
    assert media.video_NPW is not None
    return media.video_NPW[0, :SIDE].astype(np.float64)


def save_image(image: Image.Image, path: Path) -> Path:
    image.save(path)
    return path


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_a_picture_of_16_bits_is_as_bright_as_one_of_8(tmp_path: Path, suffix: str) -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint16), (256, 1))
    deep = save_image(Image.fromarray(ramp * 257), tmp_path / f"deep.{suffix}")
    plain = save_image(Image.fromarray(ramp.astype(np.uint8)), tmp_path / f"plain.{suffix}")
    np.testing.assert_allclose(read_luma(deep), read_luma(plain), atol=1)
    assert np.ptp(read_luma(deep)) > 200


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_transparent_is_white(tmp_path: Path, mode: str) -> None:
    drawing = np.zeros((128, 128, 4), np.uint8)
    drawing[32:96, 32:96, 3] = 255  # a black square on nothing
    luma = read_luma(save_image(Image.fromarray(drawing).convert(mode), tmp_path / "drawing.png"))
    assert luma[SIDE // 2, SIDE // 2] < 20
    assert luma[2, 2] > 230


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_a_picture_of_32_bits_a_pixel_is_refused(tmp_path: Path, kind: type) -> None:
    path = save_image(Image.fromarray(np.ones((64, 64), kind)), tmp_path / "measured.tiff")
    with pytest.raises(MediaError, match=r"^measured\.tiff has 32 bits a pixel and does not say which value is white"):
        read_luma(path)


def test_a_clip_whose_pictures_do_not_fit_into_memory_is_refused_with_how_long_it_may_be(tmp_path: Path) -> None:
    path = tmp_path / "long.mp4"
    render_sync_film(path, 3, (Fraction(1),))
    pictures = decode_file(path, "video", Grid(16, 16_000), SIDE).video_NPW
    assert pictures is not None
    fits = decode_file(path, "both", Grid(16, 16_000), SIDE, max_picture_bytes=pictures.nbytes)
    assert np.array_equal(fits.video_NPW, pictures)
    size = f"{pictures.shape[2]} × {SIDE}"
    sentence = (
        rf"^long\.mp4 is too long: of pictures of {size} pixels, 16 a second, at most 2 s fit into memory; cut it"
    )
    with pytest.raises(MediaError, match=sentence) as raised:
        decode_file(path, "video", Grid(16, 16_000), SIDE, max_picture_bytes=pictures[:32].nbytes)
    assert raised.value.code == "too_long"


def test_a_file_to_search_by_has_that_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "long.mp4"
    render_sync_film(path, 3, (Fraction(1),))
    read_query_file(QueryFile(path, Grid(16, 16_000), SIDE))
    monkeypatch.setattr("talkies.media.query_file.MAX_QUERY_BYTES", 100_000)
    with pytest.raises(MediaError, match=r"^long\.mp4 is too long: "):
        read_query_file(QueryFile(path, Grid(16, 16_000), SIDE))
