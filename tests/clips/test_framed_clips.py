"""Clips show pictures without the bars burnt into them, at the place along the long side that is asked for."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from talkies.clips import ClipSource, find_bars_of_pictures, square_pictures
from talkies.clips.original_comparison import Originals
from talkies.core import ClipRequest, ClipShape, Span, crop_middle_square, expand_requests, picture_height
from talkies.ingestion import ingest
from talkies.library import Library
from talkies.media import FilmWriter, VideoReader, X264Settings

SHAPE = ClipShape(4, 4, 16)
WIDTH, HEIGHT, BAR = 320, 180, 24
FRAMES = 96
BAR_IN_PROXY = BAR * 128 / HEIGHT


def write_barred_film(path: Path, barred: range) -> None:
    """Write a film of six seconds, with bars above and below in a range of frames; brightness grows to the right."""
    random = np.random.default_rng(0)
    scenes = 60 + 120 * random.random((FRAMES // 16, 9, 16, 1))
    rows, columns = np.arange(HEIGHT) * 9 // HEIGHT, np.arange(WIDTH) * 16 // WIDTH
    ramp_W = np.linspace(0, 60, WIDTH)[None, :, None]
    tone = (9000 * np.sin(2 * np.pi * 300 * np.arange(FRAMES * 1000) / 16_000)).astype(np.int16)
    with FilmWriter(path, (WIDTH, HEIGHT), 16, 16_000, X264Settings(gop=16)) as writer:
        for frame in range(FRAMES):
            picture = scenes[frame // 16][np.roll(rows, frame)][:, columns] + ramp_W
            rgb_HWC = np.repeat(picture, 3, 2).clip(0, 255).astype(np.uint8)
            if frame in barred:
                rgb_HWC[:BAR] = rgb_HWC[HEIGHT - BAR :] = 0
            writer.write_rgb(rgb_HWC)
            writer.write_audio(tone[frame * 1000 : (frame + 1) * 1000])


@pytest.fixture(scope="module")
def barred(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """A library of a film with bars, one whose bars begin at frame 48, and one without; read only."""
    root = tmp_path_factory.mktemp("barred")
    (root / "films").mkdir()
    for name, frames in (("all", range(FRAMES)), ("half", range(48, FRAMES)), ("none", range(0))):
        write_barred_film(root / "films" / f"{name}.mp4", frames)
    return ingest([root / "films"], root / "lib").library


def read_luma(library: Library, name: str, start: int, place: float = 0.5, framing: str = "centre") -> np.ndarray:
    request = ClipRequest(library.find(f"{name}.mp4").id, Span(start, start + 16), place=place)
    video_TPW = ClipSource(library, SHAPE, framing).read(request).video_TPW  # type: ignore[arg-type]
    return video_TPW[:, : picture_height(video_TPW.shape[1])]


def test_the_record_holds_the_bars_of_each_stretch_of_frames(barred: Library) -> None:
    records = {name: barred.record_of(barred.find(f"{name}.mp4").id) for name in ("all", "half", "none")}
    spans = {name: record.bars for name, record in records.items() if record is not None}
    assert spans["none"] == ()
    for name, start in (("all", 0), ("half", 48)):
        (span,) = spans[name] or ()
        assert max(0, start - 3) <= span.start_frame <= start  # no cut is near
        assert span.end_frame == FRAMES
        assert abs(span.top - BAR_IN_PROXY) <= 0.02 * 128
        assert abs(span.bottom - BAR_IN_PROXY) <= 0.02 * 128
        assert (span.left, span.right) == (0, 0)


def test_clips_have_no_row_of_a_bar_and_proxies_have_all(barred: Library) -> None:
    assert read_luma(barred, "all", 10).shape == (4, 128, 128)
    assert read_luma(barred, "all", 10).min() > 40
    assert read_luma(barred, "half", 60).min() > 40
    assert read_luma(barred, "half", 40).min() > 40  # the bars begin within the clip
    with VideoReader(barred.proxy_path(barred.find("all.mp4").id), 16) as reader:
        luma_HW = reader.read(range(10, 11))[0, :128]
    assert luma_HW[:16].max() < 40
    assert luma_HW[-16:].max() < 40


def test_a_film_without_bars_gives_the_pixels_of_its_proxy(barred: Library) -> None:
    film_id = barred.find("none.mp4").id
    with VideoReader(barred.proxy_path(film_id), 16) as reader:
        proxy_TPW = reader.read(range(10, 26, 4))
    clip = ClipSource(barred, SHAPE).read(ClipRequest(film_id, Span(10, 26)))
    assert np.array_equal(clip.video_TPW, crop_middle_square(proxy_TPW))


def test_a_record_without_bars_leaves_them(barred: Library, tmp_path: Path) -> None:
    older = Library.open(shutil.copytree(barred.root, tmp_path / "lib"))
    path = older.film_folder(older.find("all.mp4").id) / "film.json"
    record = json.loads(path.read_text())
    del record["bars"]
    path.write_text(json.dumps(record))
    assert read_luma(older, "all", 10)[:, :14].max() < 40


@pytest.mark.parametrize("name", ["all", "none"])
def test_the_square_is_at_its_place_along_the_long_side(barred: Library, name: str) -> None:
    left, middle, right = (read_luma(barred, name, 10, place).astype(float).mean() for place in (0.0, 0.5, 1.0))
    assert left + 5 < middle < right - 5


def test_several_squares_of_a_moment_are_those_that_are_read_alone(barred: Library) -> None:
    source = ClipSource(barred, SHAPE)
    request = ClipRequest(barred.find("all.mp4").id, Span(10, 26))
    requests = expand_requests([request, replace(request, window=Span(60, 76))], "crops")
    assert [request.place for request in requests] == [0.0, 0.5, 1.0] * 2
    batch = source.read_batch(requests)
    for row, request in enumerate(requests):
        alone = source.read(request)
        assert np.array_equal(batch.video_BTPW[row].numpy(), alone.video_TPW)
        assert np.array_equal(batch.audio_BS[row].numpy(), alone.audio_S)


def test_a_whole_picture_is_between_grey_bars(barred: Library) -> None:
    luma_THW = read_luma(barred, "all", 10, framing="whole")
    height = 128 * (HEIGHT - 2 * BAR) / WIDTH  # without the black bars
    grey_rows = (luma_THW == 115).all(axis=(0, 2))
    assert abs((128 - grey_rows.sum()) - height) <= 4
    assert grey_rows[:20].all()
    assert grey_rows[-20:].all()
    assert luma_THW[:, :, :10].mean() < luma_THW[:, :, -10:].mean()


def test_the_original_is_cut_as_the_clip_is(barred: Library) -> None:
    source = ClipSource(barred, SHAPE)
    film_id = barred.find("all.mp4").id
    requests = [ClipRequest(film_id, Span(20, 36), place=place) for place in (0.0, 0.7)]
    originals = Originals(barred, source)
    assert [comparison.frames_off for comparison in originals.compare(requests)] == [0, 0]
    with originals.open(film_id) as original:
        for request in requests:
            of_original, clip = originals.read_clip(original, request), source.read(request)
            difference = np.abs(of_original.video_TPW.astype(int) - clip.video_TPW)
            assert difference.mean() < 3


def test_a_decoded_file_is_cut_as_a_film_of_a_library_is(barred: Library) -> None:
    film_id = barred.find("all.mp4").id
    with VideoReader(barred.proxy_path(film_id), 16) as reader:
        proxy_NPW = reader.read(range(FRAMES))
    squares = square_pictures(proxy_NPW, find_bars_of_pictures(proxy_NPW, 16), 128, "centre", 0.3)
    clip = ClipSource(barred, SHAPE).read(ClipRequest(film_id, Span(10, 26), place=0.3))
    assert np.array_equal(squares[10:26:4], clip.video_TPW)
    still = find_bars_of_pictures(proxy_NPW[30:31], 16)
    assert abs(still[0].top - BAR_IN_PROXY) <= 0.02 * 128


def test_rendered_films_have_no_bars(library: Library) -> None:
    for film in library.films():
        record = library.record_of(film.id)
        assert record is not None
        assert record.bars == ()
