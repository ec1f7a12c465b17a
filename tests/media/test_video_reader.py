"""`VideoReader`: whatever is read, in whatever order, is the frame that was asked for, or a sentence."""

import re
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from talkies.core import MediaError
from talkies.media import FilmWriter, VideoCoding, VideoReader, rgb_of

FRAMES = 75  # no multiple of the GOP: the last one is cut short


@pytest.fixture(scope="module")
def proxy(coded: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A proxy of 75 frames whose pictures say their own number."""
    return coded.proxy(tmp_path_factory.mktemp("proxy") / "proxy.mp4", FRAMES)


@pytest.fixture(scope="module")
def busy_proxy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A proxy whose every packet is long, so that a cut falls inside one."""
    path, random = tmp_path_factory.mktemp("busy") / "proxy.mp4", np.random.default_rng(0)
    with FilmWriter(path, (128, 96), 16, 16_000, VideoCoding(gop=16)) as writer:
        for _ in range(40):
            writer.write_rgb(random.integers(0, 256, (96, 128, 3)).astype(np.uint8))
            writer.write_sound(np.zeros(1000, np.int16))
    return path


def numbers_in(video_TPW: npt.NDArray[np.uint8], coded: Any) -> list[int]:
    return [coded.number_in(picture[:120]) for picture in video_TPW]


def outcome_of(path: Path, number: int) -> npt.NDArray[np.uint8] | MediaError:
    """Return the frame that a reader gives for a number, or its error."""
    with VideoReader(path, 16, 16) as reader:
        try:
            return reader.read(range(number, number + 1))[0]
        except MediaError as error:
            return error


def test_read_in_order_the_frames_come_in_order(proxy: Path, coded: Any) -> None:
    with VideoReader(proxy, 16, 16) as reader:
        video = reader.read(range(FRAMES))
        assert reader.height == 120
    assert (video.shape, video.dtype) == ((FRAMES, 180, 160), np.uint8)
    assert numbers_in(video, coded) == list(range(FRAMES))


@pytest.mark.parametrize("seed", range(4))
def test_read_in_any_order_each_frame_is_the_one_of_reading_in_order(proxy: Path, seed: int) -> None:
    with VideoReader(proxy, 16, 16) as reader:
        whole = reader.read(range(FRAMES))
        order = Random(seed).sample(range(FRAMES), FRAMES)
        for number in order:
            assert np.array_equal(reader.read(range(number, number + 1))[0], whole[number]), number


@pytest.mark.parametrize("seed", range(4))
def test_any_stride_from_anywhere_gives_exactly_its_frames(proxy: Path, coded: Any, seed: int) -> None:
    random = Random(seed)
    with VideoReader(proxy, 16, 16) as reader:
        for _ in range(25):
            start = random.randrange(FRAMES)
            wanted = range(start, random.randint(start + 1, FRAMES), random.randint(1, 9))
            assert numbers_in(reader.read(wanted), coded) == list(wanted)


def test_another_gop_and_rate_are_read_as_well(tmp_path: Path, coded: Any) -> None:
    path = coded.constant_rate(tmp_path / "film.mp4", 60, 30, gop=7)
    with VideoReader(path, 30, 7) as reader:
        for start in (44, 3, 20, 21, 50, 0):
            assert numbers_in(reader.read(range(start, 60, 4)), coded) == list(range(start, 60, 4))


@pytest.mark.parametrize("wanted", [range(0), range(5, 5), range(-2, 3)])
def test_a_range_that_is_no_range_of_frames_is_refused(proxy: Path, wanted: range) -> None:
    with (
        VideoReader(proxy, 16, 16) as reader,
        pytest.raises(ValueError, match=re.escape(f"frames to read are an ascending range from 0, got {wanted}")),
    ):
        reader.read(wanted)


@pytest.mark.parametrize(
    ("wanted", "first_missing"), [(range(70, 80), 75), (range(75, 76), 75), (range(400, 410), 400)]
)
def test_past_the_end_there_is_a_sentence_and_the_reader_goes_on(
    proxy: Path, coded: Any, wanted: range, first_missing: int
) -> None:
    with VideoReader(proxy, 16, 16) as reader:
        sentence = f"^{proxy} ends before frame {first_missing}; ingest its film again to repair it$"
        with pytest.raises(MediaError, match=sentence) as caught:
            reader.read(wanted)
        assert numbers_in(reader.read(range(30, 33)), coded) == [30, 31, 32]
    assert caught.value.code == "truncated"


@pytest.mark.parametrize("content", [b"", b"a letter, no film\n" * 50, None])
def test_what_is_no_video_cannot_be_opened(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "proxy.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MediaError, match=f"^{path} cannot be opened as a proxy; ingest its film again$") as caught:
        VideoReader(path, 16, 16)
    assert caught.value.code == "unreadable"


def test_sound_alone_cannot_be_opened_as_a_proxy(tmp_path: Path, coded: Any) -> None:
    path = coded.timed(tmp_path / "proxy.mkv", sounds=[(0, np.zeros(16_000, np.int16))])
    with pytest.raises(MediaError, match=f"^{path} cannot be opened as a proxy; ingest its film again$"):
        VideoReader(path, 16, 16)


def test_a_frame_between_the_ticks_is_refused(proxy: Path) -> None:
    with (
        VideoReader(proxy, 24, 16) as reader,
        pytest.raises(MediaError, match=rf"^{proxy} holds a frame at 0\.0625 s, off the grid$") as caught,
    ):
        reader.read(range(4))
    assert caught.value.code == "wrong_time"


def test_a_frame_that_is_not_there_is_never_replaced_by_its_neighbour(tmp_path: Path, coded: Any) -> None:
    path = coded.constant_rate(tmp_path / "film.mp4", 40, 8)
    with (
        VideoReader(path, 16, 16) as reader,
        pytest.raises(MediaError, match=f"^{path}: frame 21 was asked for, frame 22 came$") as caught,
    ):
        reader.read(range(20, 24))
    assert caught.value.code == "wrong_time"


@pytest.mark.parametrize("share", [0.3, 0.5, 0.77, 0.95])
def test_a_truncated_proxy_gives_its_own_frames_or_a_sentence(tmp_path: Path, busy_proxy: Path, share: float) -> None:
    with VideoReader(busy_proxy, 16, 16) as reader:
        whole = reader.read(range(40))
    path = tmp_path / "proxy.mp4"
    path.write_bytes(busy_proxy.read_bytes()[: int(busy_proxy.stat().st_size * share)])
    outcomes = [outcome_of(path, number) for number in range(40)]
    frames = [frame for frame in outcomes if not isinstance(frame, MediaError)]
    errors = [str(error) for error in outcomes if isinstance(error, MediaError)]
    assert all(np.array_equal(frame, whole[number]) for number, frame in enumerate(frames))  # all that come before
    assert abs(len(frames) - share * 40) < 5
    sentence = rf"{path} (ends before frame \d+|cannot be read at frame \d+|is damaged \(.+\)); ingest its film again"
    assert all(re.match(sentence, error) for error in errors)
    assert len(frames) + len(errors) == 40


def test_without_its_beginning_a_proxy_cannot_be_opened(tmp_path: Path, proxy: Path) -> None:
    path = tmp_path / "proxy.mp4"
    path.write_bytes(proxy.read_bytes()[:500])
    with pytest.raises(MediaError, match=f"^{path} cannot be opened as a proxy; ingest its film again$"):
        VideoReader(path, 16, 16)


def test_a_picture_that_is_read_has_the_colours_that_were_written(tmp_path: Path) -> None:
    path, colours = tmp_path / "proxy.mp4", np.full((32, 48, 3), (30, 60, 220), np.uint8)
    colours[:, 24:] = (210, 120, 20)
    with FilmWriter(path, (48, 32), 16, 16_000, VideoCoding(gop=16, crf=8)) as writer:
        for _ in range(4):
            writer.write_rgb(colours)
    with VideoReader(path, 16, 16) as reader:
        shown = rgb_of(reader.read(range(2, 3))[0])
    assert (shown.shape, shown.dtype) == ((32, 48, 3), np.uint8)
    away_from_the_edge = np.r_[:20, 28:48]
    assert np.abs(shown.astype(int) - colours)[:, away_from_the_edge].max() <= 6
