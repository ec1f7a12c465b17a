"""`VideoReader`: whatever is read, in any order, is the frame requested, or an error."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from talkies.core import MediaError, crop_middle_square
from talkies.media import FilmWriter, VideoReader, X264Settings, yuv_to_rgb

FRAMES = 75  # no multiple of the GOP: the last one is cut short


@pytest.fixture(scope="module")
def proxy(coded: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A proxy of 75 frames whose pictures say their own number."""
    return coded.proxy(tmp_path_factory.mktemp("proxy") / "proxy.mp4", FRAMES)


@pytest.fixture(scope="module")
def busy_proxy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A proxy whose every packet is long, so that a cut falls inside one."""
    return write_noise(tmp_path_factory.mktemp("busy") / "proxy.mp4", (128, 96), 40)


def write_noise(path: Path, size: tuple[int, int], frames: int) -> Path:
    random = np.random.default_rng(0)
    return write_film(path, random.integers(0, 256, (frames, size[1], size[0], 3)).astype(np.uint8))


def write_film(path: Path, pictures: Iterable[npt.NDArray[np.uint8]], fps: int = 16, gop: int = 16) -> Path:
    """Write pictures and silence as ingest writes a proxy."""
    pictures = list(pictures)
    height, width, _ = pictures[0].shape
    with FilmWriter(path, (width, height), fps, 16_000, X264Settings(gop=gop)) as writer:
        for picture in pictures:
            writer.write_rgb(picture)
            writer.write_audio(np.zeros(16_000 // fps, np.int16))
    return path


def list_entries(folder: str) -> int:
    return sum(1 for _ in Path(folder).iterdir())


def decode_all(path: Path) -> npt.NDArray[np.uint8]:
    """Return all frames as PyAV gives them."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray() for frame in container.decode(video=0)])


def read_numbers(video_TPW: npt.NDArray[np.uint8], coded: Any) -> list[int]:
    return [coded.number_in(picture[:120]) for picture in video_TPW]


def try_read(path: Path, number: int) -> npt.NDArray[np.uint8] | MediaError:
    """Return the frame that a reader gives for a number, or its error."""
    with VideoReader(path, 16) as reader:
        try:
            return reader.read(range(number, number + 1))[0]
        except MediaError as error:
            return error


def test_read_in_order_the_frames_come_in_order(proxy: Path, coded: Any) -> None:
    with VideoReader(proxy, 16) as reader:
        video = reader.read(range(FRAMES))
        assert reader.height == 120
    assert (video.shape, video.dtype) == ((FRAMES, 180, 160), np.uint8)
    assert read_numbers(video, coded) == list(range(FRAMES))


@pytest.mark.parametrize("seed", range(4))
def test_read_in_any_order_each_frame_is_the_one_of_reading_in_order(proxy: Path, seed: int) -> None:
    with VideoReader(proxy, 16) as reader:
        whole = reader.read(range(FRAMES))
        order = Random(seed).sample(range(FRAMES), FRAMES)
        for number in order:
            assert np.array_equal(reader.read(range(number, number + 1))[0], whole[number]), number


@pytest.mark.parametrize("seed", range(4))
def test_any_stride_from_anywhere_gives_exactly_its_frames(proxy: Path, coded: Any, seed: int) -> None:
    random = Random(seed)
    with VideoReader(proxy, 16) as reader:
        for _ in range(25):
            start = random.randrange(FRAMES)
            wanted = range(start, random.randint(start + 1, FRAMES), random.randint(1, 9))
            assert read_numbers(reader.read(wanted), coded) == list(wanted)


def test_another_gop_and_rate_are_read_as_well(tmp_path: Path, coded: Any) -> None:
    path = write_film(tmp_path / "film.mp4", [coded.picture(number, 160, 120) for number in range(60)], fps=30, gop=7)
    with VideoReader(path, 30) as reader:
        for start in (44, 3, 20, 21, 50, 0):
            assert read_numbers(reader.read(range(start, 60, 4)), coded) == list(range(start, 60, 4))


@pytest.mark.parametrize("size", [(228, 128), (128, 228), (128, 128), (130, 128), (34, 32), (32, 86), (128, 1024)])
def test_frames_are_bit_for_bit_those_of_a_plain_decode(tmp_path: Path, size: tuple[int, int]) -> None:
    """Windows anywhere, in any order, with any stride, over key frames, from the first frame to the last."""
    path, random = write_noise(tmp_path / "proxy.mp4", size, 40), Random(sum(size))
    whole = decode_all(path)
    with VideoReader(path, 16) as reader:
        assert (len(reader), reader.width, reader.height) == (40, *size)
        windows = [range(40), range(1), range(39, 40), range(15, 17), range(16, 32), range(17, 18), range(18, 20)]
        for _ in range(30):
            start = random.randrange(40)
            windows.append(range(start, random.randint(start + 1, 40), random.randint(1, 5)))
        for wanted in random.sample(windows, len(windows)) + windows:
            assert np.array_equal(reader.read(wanted), whole[wanted.start : wanted.stop : wanted.step]), wanted


@pytest.mark.parametrize("size", [(228, 128), (128, 228), (128, 128), (130, 128), (34, 32), (32, 86)])
def test_read_into_a_smaller_array_they_are_cut_in_their_middle(tmp_path: Path, size: tuple[int, int]) -> None:
    path, side = write_noise(tmp_path / "proxy.mp4", size, 20), min(size)
    space = np.full((5, side * 3 // 2, side), 7, np.uint8)
    with VideoReader(path, 16) as reader:
        whole = reader.read(range(20))
        reader.read_into(range(11, 20, 3), space[1:4])
    assert np.array_equal(space[1:4], crop_middle_square(whole[11:20:3]))
    assert (space[[0, 4]] == 7).all()


def test_pictures_smaller_than_the_room_for_them_are_refused(proxy: Path) -> None:
    with (
        VideoReader(proxy, 16) as reader,
        pytest.raises(MediaError, match=f"^{proxy} has pictures of 160 × 120 pixels; ingest its film again$") as caught,
    ):
        reader.read_into(range(2), np.empty((2, 192, 128), np.uint8))
    assert caught.value.code == "wrong_size"


def test_up_to_the_next_key_frame_decoding_goes_on_and_nothing_is_decoded_twice(
    proxy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    real = VideoReader._decode
    monkeypatch.setattr(
        VideoReader, "_decode", lambda self, number, *rest: decoded.append(number) or real(self, number, *rest)
    )
    with VideoReader(proxy, 16) as reader:
        for wanted in (range(18, 20), range(20, 24), range(27, 40), range(41, 42), range(40, 41), range(60, 62)):
            reader.read(wanted)
    assert decoded == [*range(16, 42), *range(32, 41), *range(48, 62)]


@pytest.mark.parametrize("wanted", [range(0), range(5, 5), range(-2, 3)])
def test_a_range_that_is_no_range_of_frames_is_refused(proxy: Path, wanted: range) -> None:
    with (
        VideoReader(proxy, 16) as reader,
        pytest.raises(ValueError, match=re.escape(f"frames to read are an ascending range from 0, got {wanted}")),
    ):
        reader.read(wanted)


@pytest.mark.parametrize(
    ("wanted", "first_missing"), [(range(70, 80), 75), (range(75, 76), 75), (range(400, 410), 400)]
)
def test_past_the_end_there_is_a_sentence_and_the_reader_goes_on(
    proxy: Path, coded: Any, wanted: range, first_missing: int
) -> None:
    with VideoReader(proxy, 16) as reader:
        sentence = f"^{proxy} ends before {first_missing / 16} s; ingest its film again$"
        with pytest.raises(MediaError, match=sentence) as caught:
            reader.read(wanted)
        assert read_numbers(reader.read(range(30, 33)), coded) == [30, 31, 32]
    assert caught.value.code == "truncated"


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "it has no readable packet table"),
        (b"a letter, no film\n" * 50, "it has no readable packet table"),
        (None, "no such file or directory"),
    ],
)
def test_what_is_no_video_cannot_be_opened(tmp_path: Path, content: bytes | None, cause: str) -> None:
    path = tmp_path / "proxy.mp4"
    if content is not None:
        path.write_bytes(content)
    sentence = rf"^{path} cannot be opened as a proxy \({cause}\); ingest its film again$"
    with pytest.raises(MediaError, match=sentence) as caught:
        VideoReader(path, 16)
    assert caught.value.code == "unreadable"


def test_sound_alone_cannot_be_opened_as_a_proxy(tmp_path: Path) -> None:
    path = tmp_path / "proxy.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame) + stream.encode(None))
    with pytest.raises(MediaError, match=rf"^{path} cannot be opened as a proxy \(it has no video track\);"):
        VideoReader(path, 16)


def test_pictures_that_are_not_in_the_order_of_time_cannot_be_opened(tmp_path: Path, coded: Any) -> None:
    path = coded.constant_rate(tmp_path / "film.mp4", 40, 16)  # with B-frames
    with pytest.raises(MediaError, match=r"cannot be opened as a proxy \(its pictures are (shown|decoded)"):
        VideoReader(path, 16)


def test_pictures_that_are_shown_later_than_stored_cannot_be_opened(tmp_path: Path, proxy: Path) -> None:
    content, path = bytearray(proxy.read_bytes()), tmp_path / "proxy.mp4"
    begin = content.index(b"elst") + 4 + 12  # of what is shown, after the version, the count and the duration
    assert content[begin : begin + 4] == bytes(4)
    content[begin : begin + 4] = (1024).to_bytes(4, "big")
    path.write_bytes(content)
    with pytest.raises(MediaError, match=r"\(its pictures are shown at other times than stored\)"):
        VideoReader(path, 16)


def test_a_proxy_of_one_frame_is_read(tmp_path: Path) -> None:
    path = write_noise(tmp_path / "proxy.mp4", (64, 48), 1)
    with VideoReader(path, 16) as reader:
        assert np.array_equal(reader.read(range(1)), decode_all(path))


def test_a_table_of_more_packets_than_bytes_cannot_be_opened(tmp_path: Path) -> None:
    path = write_noise(tmp_path / "proxy.mp4", (64, 48), 1)
    content = bytearray(path.read_bytes())
    begin = content.index(b"stsz") + 8
    content[begin : begin + 8] = (1).to_bytes(4, "big") + (2**32 - 1).to_bytes(4, "big")
    path.write_bytes(content)
    with pytest.raises(MediaError, match=r"\(it has no readable packet table\)"):
        VideoReader(path, 16)


def test_a_frame_between_the_ticks_is_refused(proxy: Path) -> None:
    sentence = (
        rf"^{proxy} was asked for the frame at 0\.0417 s and returned the one at 0\.0625 s; ingest its film again$"
    )
    with VideoReader(proxy, 24) as reader, pytest.raises(MediaError, match=sentence) as caught:
        reader.read(range(4))
    assert caught.value.code == "wrong_time"


def test_a_frame_that_is_not_there_is_never_replaced_by_its_neighbour(tmp_path: Path, coded: Any) -> None:
    path = write_film(tmp_path / "film.mp4", [coded.picture(number, 160, 120) for number in range(40)], fps=8)
    sentence = f"^{path} was asked for the frame at 1.0 s and returned the one at 2.0 s; ingest its film again$"
    with VideoReader(path, 16) as reader:
        for _ in range(2):
            with pytest.raises(MediaError, match=sentence) as caught:
                reader.read(range(16, 20))
            assert caught.value.code == "wrong_time"
        assert reader.read(range(1)).shape == (1, 180, 160)  # the first is where it belongs


def test_a_frame_that_comes_at_another_time_than_its_packet_is_refused(proxy: Path) -> None:
    """As from a decoder that holds frames back."""
    with VideoReader(proxy, 16) as reader:
        real, late = reader._decoder, [reader._decoder.decode(packet)[0] for packet in reader._read_packets(0, 1)]

        class Late:
            def decode(self, packet: Any) -> list[Any]:
                late.extend(real.decode(packet))
                return [late.pop(0)]

        reader._decoder = Late()
        with pytest.raises(MediaError, match=r"was asked for the frame at 0\.0625 s and returned the one at 0\.0 s;"):
            reader.read(range(1, 3))


@pytest.mark.parametrize("share", [0.3, 0.5, 0.77, 0.95])
def test_a_truncated_proxy_gives_its_own_frames_or_a_sentence(tmp_path: Path, busy_proxy: Path, share: float) -> None:
    with VideoReader(busy_proxy, 16) as reader:
        whole = reader.read(range(40))
    path = tmp_path / "proxy.mp4"
    path.write_bytes(busy_proxy.read_bytes()[: int(busy_proxy.stat().st_size * share)])
    outcomes = [try_read(path, number) for number in range(40)]
    frames = [frame for frame in outcomes if not isinstance(frame, MediaError)]
    errors = [str(error) for error in outcomes if isinstance(error, MediaError)]
    assert all(np.array_equal(frame, whole[number]) for number, frame in enumerate(frames))  # all that come before
    assert abs(len(frames) - share * 40) < 5
    gone = [max(len(frames), number // 16 * 16) for number in range(len(frames), 40)]  # the first that is missing
    assert errors == [f"{path} ends before {number / 16} s; ingest its film again" for number in gone]


def test_bytes_that_are_overwritten_are_a_sentence_or_change_no_other_frame(tmp_path: Path, busy_proxy: Path) -> None:
    whole, content, random = decode_all(busy_proxy), busy_proxy.read_bytes(), Random(0)
    with VideoReader(busy_proxy, 16) as reader:
        places = reader._table.offset_N, reader._table.bytes_N
    path, told = tmp_path / "proxy.mp4", 0
    for number in range(16, 32, 2):
        offset, count = (int(part_N[number]) for part_N in places)
        start = random.randrange(offset + 5, offset + count - 40)
        path.write_bytes(content[:start] + bytes(40) + content[start + 40 :])
        with VideoReader(path, 16) as reader:
            reader.read(range(15))
            with pytest.raises(MediaError, match=rf"^{path} is damaged at {number / 16} s.*; ingest its film again$"):
                reader.read(range(14, 40))
            told += 1
            assert np.array_equal(reader.read(range(15, 16)), whole[15:16])
            assert np.array_equal(reader.read(range(16)), whole[:16])  # and it reads on where nothing is damaged
            assert np.array_equal(reader.read(range(32, 40)), whole[32:])
            assert np.array_equal(reader.read(range(number)), whole[:number])
    assert told == 8


def test_whatever_bytes_of_its_tables_are_changed_there_are_frames_or_a_sentence(tmp_path: Path, proxy: Path) -> None:
    content, random, path = proxy.read_bytes(), Random(0), tmp_path / "proxy.mp4"
    tables = range(content.index(b"moov"), content.index(b"mdat"))
    outcomes = set()
    for _ in range(600):
        changed = bytearray(content)
        for place in random.sample(tables, random.choice([1, 1, 2, 40])):
            changed[place] = random.choice([0, 1, 0x7F, 0xFF, random.randrange(256)])
        path.write_bytes(changed)
        try:
            with VideoReader(path, 16) as reader:
                outcomes.add(reader.read(range(0, FRAMES, 5)).shape[0])
        except MediaError as error:
            outcomes.add(error.code)
    assert {15, "unreadable"} <= outcomes <= {15, "unreadable", "truncated", "damaged", "wrong_time"}


def test_a_proxy_that_another_takes_the_place_of_is_read_to_its_end(
    tmp_path: Path, busy_proxy: Path, proxy: Path
) -> None:
    path = tmp_path / "proxy.mp4"
    path.write_bytes(busy_proxy.read_bytes())
    whole = decode_all(path)
    with VideoReader(path, 16) as reader:
        first = reader.read(range(3))
        (tmp_path / "new.mp4").write_bytes(proxy.read_bytes())
        (tmp_path / "new.mp4").replace(path)
        assert np.array_equal(np.concatenate([first, reader.read(range(3, 40))]), whole)


def test_a_proxy_that_is_cut_while_it_is_open_is_told(tmp_path: Path, busy_proxy: Path) -> None:
    path = tmp_path / "proxy.mp4"
    path.write_bytes(busy_proxy.read_bytes())
    with VideoReader(path, 16) as reader:
        os.truncate(path, path.stat().st_size // 2)
        with pytest.raises(MediaError, match=r"ends before \d+\.\d+ s; ingest its film again$"):
            reader.read(range(30, 40))
        assert len(reader.read(range(3))) == 3


def test_a_closed_reader_reads_no_other_file(proxy: Path) -> None:
    reader = VideoReader(proxy, 16)
    reader.close()
    reader.close()
    with Path(os.devnull).open(), pytest.raises(ValueError, match="closed file"):
        reader.read(range(3))


def test_a_reader_that_nobody_has_any_more_is_closed(proxy: Path) -> None:
    before = list_entries("/proc/self/fd")
    reader = VideoReader(proxy, 16)
    assert list_entries("/proc/self/fd") == before + 1
    del reader
    assert list_entries("/proc/self/fd") == before


def test_decoding_takes_no_thread_beside_this_one(proxy: Path) -> None:
    before = list_entries("/proc/self/task")
    with VideoReader(proxy, 16) as reader:
        reader.read(range(FRAMES))
        assert list_entries("/proc/self/task") == before


def test_without_its_beginning_a_proxy_cannot_be_opened(tmp_path: Path, proxy: Path) -> None:
    path = tmp_path / "proxy.mp4"
    path.write_bytes(proxy.read_bytes()[:500])
    sentence = rf"^{path} cannot be opened as a proxy \(it ends within its packet table\); ingest its film again$"
    with pytest.raises(MediaError, match=sentence):
        VideoReader(path, 16)


def test_a_picture_that_is_read_has_the_colours_that_were_written(tmp_path: Path) -> None:
    path, colours = tmp_path / "proxy.mp4", np.full((32, 48, 3), (30, 60, 220), np.uint8)
    colours[:, 24:] = (210, 120, 20)
    with FilmWriter(path, (48, 32), 16, 16_000, X264Settings(gop=16, crf=8)) as writer:
        for _ in range(4):
            writer.write_rgb(colours)
    with VideoReader(path, 16) as reader:
        shown = yuv_to_rgb(reader.read(range(2, 3))[0])
    assert (shown.shape, shown.dtype) == ((32, 48, 3), np.uint8)
    away_from_the_edge = np.r_[:20, 28:48]
    assert np.abs(shown.astype(int) - colours)[:, away_from_the_edge].max() <= 6
