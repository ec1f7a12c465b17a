"""Clocks that are believed: sparse pictures, pauses, last pictures; each frame is the picture on screen."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from talkies.core import Grid
from talkies.media import FilmResampler, MediaInfo, ResampledAudio, ResampledFrame, probe

FPS, RATE_HZ, TICKS_HZ = 16, 16_000, 100
SIZE = (80, 64)
CODECS = {"mp4": "libx264", "mov": "libx264", "mkv": "libx264", "webm": "libvpx", "ts": "libx264", "flv": "libx264"}
SOUND = {"webm": ("libopus", 48_000), "ts": ("mp2", 48_000), "flv": ("aac", 44_100)}


def make_clicks(seconds: float, every: float, rate_hz: int) -> npt.NDArray[np.int16]:
    """Return sound `[1, S]` with a click of 20 ms at every multiple of `every` seconds."""
    time_S = np.arange(round(seconds * rate_hz)) / rate_hz
    click_S = (time_S % every < 0.02) * np.sin(2 * np.pi * 1000 * time_S)
    return (20_000 * click_S).astype(np.int16)[None]


def write_film(
    reel: Any, coded: Any, path: Path, ticks: Sequence[int], *, last_ticks: int = 0, sound_seconds: float, b_frames: int
) -> Path:
    """Write a film whose picture *n*, which shows *n*, is at `ticks[n]`, and whose last one lasts `last_ticks`."""
    suffix = path.suffix[1:]
    options = {"deadline": "realtime"} if suffix == "webm" else {"bf": str(b_frames), "preset": "veryfast"}
    pictures = [coded.picture(number, *SIZE) for number in range(len(ticks))]
    film = reel(path).pictures(pictures, ticks, TICKS_HZ, codec=CODECS[suffix], options=options)
    # MP4 stores durations in the order of decoding: there the last packet says how long the last picture lasts.
    for last in (max(film._packets, key=lambda packet: packet.pts), film._packets[-1]):
        last.duration = max(1, round(last_ticks / TICKS_HZ / last.time_base))
    codec, rate_hz = SOUND.get(suffix, ("pcm_s16le", RATE_HZ))
    if suffix == "mp4":
        codec = "aac"
    return film.sound(make_clicks(sound_seconds, 2.0, rate_hz), codec=codec, rate_hz=rate_hz).write()  # type: ignore[no-any-return]


def read_film(path: Path, coded: Any) -> tuple[MediaInfo, list[int], npt.NDArray[np.int16]]:
    """Return the probe, the number that each frame shows, and the sound."""
    info = probe(path)
    parts = list(FilmResampler(path, info, Grid(FPS, RATE_HZ), 64))
    frames = [part for part in parts if isinstance(part, ResampledFrame)]
    numbers: list[int] = []
    for frame in frames:
        numbers.append(numbers[-1] if frame.repeated else coded.number_in(frame.to_yuv()[:64]))
    return info, numbers, np.concatenate([part.samples_S for part in parts if isinstance(part, ResampledAudio)])


def list_clicks(samples_S: npt.NDArray[np.int16]) -> list[float]:
    loud = np.flatnonzero(np.abs(samples_S.astype(int)) > 3000)
    starts = loud[np.diff(loud, prepend=-RATE_HZ) > RATE_HZ // 2]
    return [float(start) / RATE_HZ for start in starts]


def list_expected(ticks: Sequence[int], end: int) -> list[int]:
    """Return the picture on screen at each frame of the grid up to `end`, by the times that the file states."""
    frames = math.ceil((end - ticks[0]) * FPS / TICKS_HZ)
    return [bisect_right(ticks, ticks[0] + frame * TICKS_HZ / FPS) - 1 for frame in range(frames)]


intervals = st.integers(1, 20) | st.integers(1, 6000)  # of 1/100 s: 0.01 to 60 s
FILMS = st.tuples(
    st.sampled_from(["mp4", "mov", "mkv"]),
    st.lists(intervals, min_size=1, max_size=6),
    st.integers(0, 6000),
    st.sampled_from([0, 2]),
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(film=FILMS)
@example(film=("mp4", [600] * 5, 600, 2))
@example(film=("mkv", [2000] * 5, 2000, 2))
@example(film=("mov", [6000] * 3, 6000, 0))
@example(film=("mkv", [4] * 6, 6000, 0))
@example(film=("mp4", [1], 0, 0))
@example(film=("mp4", [15_000] * 2, 4, 2))
def test_every_picture_stands_as_long_as_its_container_says(
    film: tuple[str, list[int], int, int], tmp_path_factory: pytest.TempPathFactory, reel: Any, coded: Any
) -> None:
    suffix, steps, last, b_frames = film
    ticks = list(accumulate(steps, initial=0))
    end = ticks[-1] + max(last, min(steps))
    path = tmp_path_factory.mktemp("film") / f"film.{suffix}"
    write_film(reel, coded, path, ticks, last_ticks=end - ticks[-1], sound_seconds=end / TICKS_HZ, b_frames=b_frames)
    info, numbers, samples_S = read_film(path, coded)
    assert info.jumps == ()
    expected = list_expected(ticks, end)
    assert numbers[: len(expected)] == expected[: len(numbers)]
    if b_frames:  # MP4 stores durations in the order of decoding: that of the last picture is not known exactly
        assert len(numbers) >= math.floor((ticks[-1] - ticks[0]) * FPS / TICKS_HZ)
    else:
        assert abs(len(numbers) - len(expected)) <= 1
    seconds = len(numbers) / FPS
    clicks = [click for click in np.arange(0, end / TICKS_HZ, 2.0) if click + 0.02 < seconds]
    assert list_clicks(samples_S) == pytest.approx(clicks, abs=0.005)


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm", "ts", "flv"])
@pytest.mark.parametrize("step", [5, 25])
def test_slides_stand_in_every_container(tmp_path: Path, reel: Any, coded: Any, suffix: str, step: int) -> None:
    ticks = [number * step * TICKS_HZ for number in range(5)]
    path = write_film(
        reel, coded, tmp_path / f"slides.{suffix}", ticks, last_ticks=step * TICKS_HZ, sound_seconds=5.0 * step,
        b_frames=0 if suffix == "flv" else 2,
    )  # fmt: skip
    info, numbers, samples_S = read_film(path, coded)
    assert info.jumps == ()
    assert info.video is not None
    assert info.video.times.gaps == 0
    assert numbers[: 5 * step * FPS - 2] == [number for number in range(5) for _ in range(step * FPS)][:-2]
    assert len(numbers) == pytest.approx(5 * step * FPS, abs=2)
    assert len(list_clicks(samples_S)) == pytest.approx(5 * step / 2, abs=1)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "flv", "mov"])
@pytest.mark.parametrize("pause", [11, 20, 45])
def test_a_pause_during_which_the_clock_goes_on_is_kept(
    tmp_path: Path, reel: Any, coded: Any, suffix: str, pause: int
) -> None:
    ticks = [4 * number + (pause * TICKS_HZ if number >= 25 else 0) for number in range(50)]
    codec, rate_hz = SOUND.get(suffix, ("pcm_s16le", RATE_HZ))
    codec = "aac" if suffix == "mp4" else codec
    pictures = [coded.picture(number, *SIZE) for number in range(50)]
    film = reel(tmp_path / f"pause.{suffix}").pictures(pictures, ticks, TICKS_HZ, options={"bf": "0"})
    sound = make_clicks(1.0, 2.0, rate_hz)
    first = film.sound(sound, codec=codec, rate_hz=rate_hz)
    pieces = [packet for packet in first._packets if packet.stream.type == "audio"]
    for packet in pieces:  # the second half of the sound comes after the pause, with the pictures
        if packet.pts * packet.time_base >= 0.5:
            packet.pts += round(pause / packet.time_base)
            packet.dts = packet.pts
    info, numbers, _ = read_film(first.write(), coded)
    assert info.jumps == ()
    assert len(numbers) == pytest.approx((2 + pause) * FPS, abs=1)
    assert numbers.count(24) == pytest.approx(pause * FPS, abs=2)
    assert info.video is not None
    assert info.video.times.gaps == 1


@pytest.mark.parametrize("share", [0.3, 0.8, 0.97])
def test_a_recording_in_fragments_that_breaks_off_is_told(tmp_path: Path, reel: Any, coded: Any, share: float) -> None:
    film = reel(tmp_path / "film.mp4", movflags="frag_keyframe+empty_moov")
    film.pictures([coded.picture(number, *SIZE) for number in range(250)], options={"g": "25", "bf": "2"})
    path = film.sound(make_clicks(10, 2.0, RATE_HZ), codec="aac").write()
    assert not probe(path).unreadable_end
    content = path.read_bytes()
    path.write_bytes(content[: round(len(content) * share)])
    assert probe(path).unreadable_end


@pytest.mark.parametrize(("sound_seconds", "last"), [(10.0, 0.0), (30.0, 20.0), (4.0, 0.04), (12.0, 11.0)])
@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_a_last_picture_lasts_as_the_container_says_whatever_the_sound_does(
    tmp_path: Path, reel: Any, coded: Any, suffix: str, sound_seconds: float, last: float
) -> None:
    ticks = [4 * number for number in range(50)]
    path = write_film(
        reel, coded, tmp_path / f"last.{suffix}", ticks, last_ticks=max(4, round(last * TICKS_HZ)),
        sound_seconds=sound_seconds, b_frames=0,
    )  # fmt: skip
    _, numbers, _ = read_film(path, coded)
    assert len(numbers) == pytest.approx((1.96 + max(last, 0.04)) * FPS, abs=1)


def test_a_last_picture_that_is_said_to_last_for_hours_does_not(tmp_path: Path, reel: Any, coded: Any) -> None:
    ticks = [4 * number for number in range(50)]
    path = write_film(
        reel, coded, tmp_path / "hours.mov", ticks, last_ticks=20_000 * TICKS_HZ, sound_seconds=2.0, b_frames=0
    )
    _, numbers, _ = read_film(path, coded)
    assert len(numbers) == pytest.approx(2 * FPS, abs=1)


def test_a_picture_that_is_the_last_one_only_because_the_rest_is_missing_is_not_held(
    tmp_path: Path, reel: Any, coded: Any
) -> None:
    for suffix in ("mkv", "mov"):
        path = write_film(
            reel, coded, tmp_path / f"cut.{suffix}", [4 * number for number in range(500)], last_ticks=4,
            sound_seconds=20.0, b_frames=2,
        )  # fmt: skip
        content = path.read_bytes()
        if suffix == "mov":  # the tables move to the front, where they survive
            content = move_tables_to_front(content)
        path.write_bytes(content[: len(content) * 6 // 10])
        info, numbers, _ = read_film(path, coded)
        assert info.video is not None
        assert 4 * FPS < len(numbers) < 16 * FPS
        assert len(numbers) == pytest.approx(info.video.times.packets / 25 * FPS, abs=3)


def move_tables_to_front(content: bytes) -> bytes:
    """Return a QuickTime file whose table of contents, of the same bytes, comes before its media."""
    at = content.index(b"moov") - 4
    tables, shift = bytearray(content[at:]), len(content) - at
    place = 0
    while (place := tables.find(b"stco", place + 1)) > 0:
        count = int.from_bytes(tables[place + 8 : place + 12], "big")
        for entry in range(place + 12, place + 12 + 4 * count, 4):
            tables[entry : entry + 4] = (int.from_bytes(tables[entry : entry + 4], "big") + shift).to_bytes(4, "big")
    start = int.from_bytes(content[:4], "big")  # of the file type, which stays first
    return content[:start] + bytes(tables) + content[start:at]


def test_a_length_that_was_copied_from_a_longer_file_is_no_claim(tmp_path: Path, reel: Any, coded: Any) -> None:
    ticks = [4 * number for number in range(50)]
    path = write_film(reel, coded, tmp_path / "cut.mkv", ticks, last_ticks=4, sound_seconds=2.0, b_frames=0)
    content = path.read_bytes()
    assert content.count(b"00:00:02.0") == 2
    path.write_bytes(content.replace(b"00:00:02.0", b"00:00:42.0"))
    info, numbers, _ = read_film(path, coded)
    assert len(numbers) == 2 * FPS
    assert info.video is not None
    assert info.video.claimed_seconds is None


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    suffix=st.sampled_from(["mkv", "mov"]),
    start=st.integers(0, 100_000),
    sound_offset=st.integers(-500, 3000),
    step=st.sampled_from([4, 25, 700]),
)
@example(suffix="mkv", start=0, sound_offset=2500, step=4)
@example(suffix="mov", start=100_000, sound_offset=-500, step=700)
def test_picture_and_sound_keep_their_offset_wherever_the_file_begins(
    suffix: str,
    start: int,
    sound_offset: int,
    step: int,
    tmp_path_factory: pytest.TempPathFactory,
    reel: Any,
    coded: Any,
) -> None:
    start = max(start, -sound_offset)  # no track begins before zero
    ticks = [start + number * step for number in range(20)]
    path = tmp_path_factory.mktemp("film") / f"film.{suffix}"
    pictures = [coded.picture(number, *SIZE) for number in range(20)]
    film = reel(path).pictures(pictures, ticks, TICKS_HZ, options={"bf": "0", "preset": "veryfast"})
    film._packets[-1].duration = round(step / TICKS_HZ / film._packets[-1].time_base)
    seconds = 40.0
    film.sound(make_clicks(seconds, 2.0, RATE_HZ), (start + sound_offset) / TICKS_HZ, rate_hz=RATE_HZ)
    info, numbers, samples_S = read_film(film.write(), coded)
    assert info.jumps == ()
    expected = list_expected(ticks, ticks[-1] + step)
    assert numbers[: len(expected)] == expected[: len(numbers)]
    clicks = [sound_offset / TICKS_HZ + click for click in np.arange(0, seconds, 2.0)]
    shown = [click for click in clicks if click > 0.05 and click + 0.05 < len(numbers) / FPS]
    found = [click for click in list_clicks(samples_S) if click > 0.05 and click + 0.05 < len(numbers) / FPS]
    assert found == pytest.approx(shown, abs=0.005)
