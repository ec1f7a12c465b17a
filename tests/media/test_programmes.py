"""Programmes of transport streams: picture and sound of one; tracks that move, begin late or go on after others."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from talkies.core import Grid
from talkies.media import AudioChoice, FilmResampler, MediaInfo, ResampledFrame, probe
from talkies.media.probing.programmes import read_programmes

RATE_HZ = 48_000


def make_pictures(coded: Any, numbers: range, size: tuple[int, int]) -> list[npt.NDArray[np.uint8]]:
    return [coded.picture(number, *size) for number in numbers]


def write_stream(
    reel: Any, coded: Any, path: Path, sizes: list[tuple[int, int]], numbers: range = range(50), **options: str
) -> bytes:
    """Return a transport stream of one programme that has a track of pictures of each size, and as many sounds."""
    film = reel(path, "mpegts", **options)
    ticks = list(numbers)
    for number, size in enumerate(sizes):
        film.pictures(make_pictures(coded, numbers, size), ticks, codec="mpeg2video", options={"qscale": "2"})
        sound = np.full((1, RATE_HZ * len(numbers) // 25), 1000 * (number + 1), np.int16)
        film.sound(sound, ticks[0] / 25, codec="mp2", rate_hz=RATE_HZ)
    return film.write().read_bytes()  # type: ignore[no-any-return]


def _checksum(section: bytes) -> int:
    value = 0xFFFFFFFF
    for byte in section:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1) ^ (0x04C11DB7 if value & 0x80000000 else 0)
            value &= 0xFFFFFFFF
    return value


def make_table(pid: int, table_id: int, number: int, body: bytes) -> bytes:
    """Return a packet with a table of one section."""
    section = bytes([table_id]) + struct.pack(">H", 0xB000 | 9 + len(body)) + struct.pack(">HBBB", number, 0xC1, 0, 0)
    section += body
    section += struct.pack(">I", _checksum(section))
    packet = bytes([0x47, 0x40 | pid >> 8, pid & 0xFF, 0x10, 0]) + section
    return packet.ljust(188, b"\xff")


def split_programmes(content: bytes, programmes: dict[int, list[tuple[int, int]]]) -> bytes:
    """Return a stream whose tables are replaced: each programme has tracks of (kind, PID)."""
    pmt_pids = {programme: 0x1F00 + place for place, programme in enumerate(programmes)}
    pat = make_table(0, 0, 1, b"".join(struct.pack(">HH", one, 0xE000 | pid) for one, pid in pmt_pids.items()))
    tables = pat
    for programme, tracks in programmes.items():
        body = struct.pack(">HH", 0xE000 | tracks[0][1], 0xF000)
        body += b"".join(struct.pack(">BHH", kind, 0xE000 | pid, 0xF000) for kind, pid in tracks)
        tables += make_table(pmt_pids[programme], 2, programme, body)
    packets = [content[at : at + 188] for at in range(0, len(content), 188)]
    media = [one for one in packets if (one[1] & 0x1F) << 8 | one[2] not in {0, 0x11, 0x1000}]
    middle = len(media) // 2
    return tables + b"".join(media[:middle]) + tables + b"".join(media[middle:])


VIDEO_KIND, AUDIO_KIND = 0x02, 0x03


def list_selected(info: MediaInfo) -> tuple[int, int]:
    assert info.video is not None
    assert info.audio is not None
    return info.video.index, info.audio.index


@pytest.fixture
def two_programmes(tmp_path: Path, reel: Any, coded: Any) -> Path:
    content = write_stream(reel, coded, tmp_path / "film.ts", [(96, 64), (192, 128)])
    tracks = {1: [(VIDEO_KIND, 0x100), (AUDIO_KIND, 0x101)], 2: [(VIDEO_KIND, 0x102), (AUDIO_KIND, 0x103)]}
    (tmp_path / "film.ts").write_bytes(split_programmes(content, tracks))
    return tmp_path / "film.ts"


def test_picture_and_sound_are_of_the_programme_with_the_larger_picture(two_programmes: Path) -> None:
    info = probe(two_programmes)
    assert (info.programmes, info.video_tracks) == (2, 2)
    assert info.video is not None
    assert info.audio is not None
    assert (info.video.width, info.audio.number) == (192, 2)
    assert read_programmes(two_programmes) == {0x100: 1, 0x101: 1, 0x102: 2, 0x103: 2}


@pytest.mark.parametrize("lost", ["nothing", "the beginning", "bytes of a packet"])
@pytest.mark.parametrize("size", [188, 192])
def test_programmes_are_told_apart_in_a_damaged_stream(two_programmes: Path, lost: str, size: int) -> None:
    content = two_programmes.read_bytes()
    packets = [content[at : at + 188] for at in range(0, len(content), 188)]
    content = b"".join(bytes(size - 188) + packet for packet in packets)
    if lost == "the beginning":
        content = b"GG" + bytes(1000) + content
    elif lost == "bytes of a packet":
        content = content[2 * size + 100 : 60 * size + 50] + content  # its tables come after the damage
    two_programmes.write_bytes(content)
    assert read_programmes(two_programmes) == {0x100: 1, 0x101: 1, 0x102: 2, 0x103: 2}
    info = probe(two_programmes)
    assert (info.programmes, *list_selected(info)) == (2, 2, 3)


def test_a_sound_that_is_chosen_brings_its_own_picture(two_programmes: Path) -> None:
    info = probe(two_programmes, AudioChoice(track=1))
    assert info.video is not None
    assert info.audio is not None
    assert (info.video.width, info.audio.number) == (96, 1)


def test_a_programme_without_the_language_that_is_asked_for_yields(tmp_path: Path, reel: Any, coded: Any) -> None:
    film = reel(tmp_path / "film.ts", "mpegts")
    for size, language in (((96, 64), "fra"), ((192, 128), "deu")):
        film.pictures(make_pictures(coded, range(25), size), codec="mpeg2video", options={"qscale": "2"})
        film.sound(np.full((1, RATE_HZ), 500, np.int16), codec="mp2", rate_hz=RATE_HZ, language=language)
    content = film.write().read_bytes()
    descriptors = {0x101: b"\x0a\x04fra\0", 0x103: b"\x0a\x04deu\0"}
    tracks = {1: [(VIDEO_KIND, 0x100), (AUDIO_KIND, 0x101)], 2: [(VIDEO_KIND, 0x102), (AUDIO_KIND, 0x103)]}
    split = split_programmes(content, tracks)
    for pid, descriptor in descriptors.items():  # the tables lose their languages: put them back
        plain = struct.pack(">BHH", AUDIO_KIND, 0xE000 | pid, 0xF000)
        tagged = struct.pack(">BHH", AUDIO_KIND, 0xE000 | pid, 0xF000 | len(descriptor)) + descriptor
        split = _replace_in_tables(split, plain, tagged)
    (tmp_path / "film.ts").write_bytes(split)
    info = probe(tmp_path / "film.ts", AudioChoice(language="fr"))
    assert info.video is not None
    assert info.audio is not None
    assert (info.video.width, info.audio.language) == (96, "fra")


def _replace_in_tables(content: bytes, old: bytes, new: bytes) -> bytes:
    """Return a stream in whose tables one entry is another."""
    packets = [content[at : at + 188] for at in range(0, len(content), 188)]
    for place, packet in enumerate(packets):
        if packet[5:6] == b"\x02" and old in packet:
            length = (packet[6] & 0x0F) << 8 | packet[7]
            section = packet[5 : 8 + length - 4].replace(old, new)
            pid = (packet[1] & 0x1F) << 8 | packet[2]
            packets[place] = make_table(pid, 2, section[3] << 8 | section[4], section[8:])
    return b"".join(packets)


@given(content=st.binary(max_size=2000) | st.binary(min_size=188, max_size=188).map(lambda one: (b"G" + one[1:]) * 40))
def test_tables_of_any_bytes_are_read_or_left(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("tables") / "film.ts"
    path.write_bytes(content)
    assert all(0 < programme < 1 << 16 for programme in read_programmes(path).values())


def test_tracks_that_move_to_other_pids_are_followed(tmp_path: Path, reel: Any, coded: Any) -> None:
    first = write_stream(reel, coded, tmp_path / "a.ts", [(96, 64)], range(50))
    second = write_stream(reel, coded, tmp_path / "b.ts", [(96, 64)], range(50, 100), mpegts_start_pid="0x300")
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first + second)
    info = probe(joined)
    assert (info.video_tracks, info.late_tracks) == (1, False)
    resampler = FilmResampler(joined, info, Grid(25, 25_000), 64)
    shown = [coded.number_in(part.to_yuv()[:64]) for part in resampler if isinstance(part, ResampledFrame)]
    assert set(range(99)) - set(shown) <= {49}  # FFmpeg loses the last picture before the move


def test_tracks_that_begin_in_the_middle_are_told(tmp_path: Path, reel: Any, coded: Any) -> None:
    first = write_stream(reel, coded, tmp_path / "a.ts", [(96, 64)], range(50))
    second = write_stream(
        reel, coded, tmp_path / "b.ts", [(96, 64)], range(50, 100), mpegts_start_pid="0x300",
        mpegts_pmt_start_pid="0x1100", mpegts_service_id="9",
    )  # fmt: skip
    (tmp_path / "joined.ts").write_bytes(first * 8 + second * 8)
    assert probe(tmp_path / "joined.ts").late_tracks
    assert not probe(tmp_path / "a.ts").late_tracks


@pytest.mark.parametrize("suffix", ["mkv", "mov"])
def test_another_picture_track_that_goes_on_is_told(tmp_path: Path, reel: Any, coded: Any, suffix: str) -> None:
    film = reel(tmp_path / f"film.{suffix}").pictures(make_pictures(coded, range(75), (96, 64)))
    film.sound(np.full((1, 48_000), 500, np.int16))
    film.pictures(make_pictures(coded, range(75), (80, 64)), range(75, 150))
    info = probe(film.sound(np.full((1, 48_000), 500, np.int16), 3.0).write())
    assert list_selected(info) == (0, 1)
    assert info.later_video_end_seconds == pytest.approx(6.0, abs=0.05)


@pytest.mark.parametrize("pictures", [1, 2])
def test_a_larger_track_of_hardly_a_picture_is_no_film(tmp_path: Path, reel: Any, coded: Any, pictures: int) -> None:
    ticks = [number * 50 // pictures for number in range(pictures)]  # over the whole film
    film = reel(tmp_path / "motion.mp4").pictures(make_pictures(coded, range(pictures), (192, 128)), ticks)
    film.pictures(make_pictures(coded, range(50), (96, 64))).sound(np.full((1, 32_000), 500, np.int16), codec="aac")
    info = probe(film.write())
    assert info.video is not None
    assert (info.video.width, info.later_video_end_seconds) == (96, None)
