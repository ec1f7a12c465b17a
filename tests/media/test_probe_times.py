"""What `probe` reads from the packets of files written for it: times, rates, edit lists, priming, gaps, key frames."""

from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
import pytest

from talkies.core import Grid
from talkies.media import FilmResampler, MediaInfo, ResampledAudio, probe
from talkies.media.probing.clock import Timeline

ORDINARY = {"g": "12", "bf": "2"}


def make_plain(count: int) -> list[npt.NDArray[np.uint8]]:
    return [np.full((64, 64, 3), 5 * number % 256, np.uint8) for number in range(count)]


def make_silence(seconds: float, rate_hz: int = 16_000, channels: int = 1) -> npt.NDArray[np.int16]:
    return np.zeros((channels, round(seconds * rate_hz)), np.int16)


def get_times(info: MediaInfo) -> Any:
    """Return the times of picture and sound."""
    assert info.video is not None
    assert info.audio is not None
    return info.video.times, info.audio.times


@pytest.mark.parametrize(
    ("suffix", "time_bases", "priming"),
    [("mp4", ("1/12800", "1/48000"), 0.0), ("mkv", ("1/1000", "1/1000"), -0.021), ("mov", ("1/12800", "1/48000"), 0.0)],
)
def test_an_ordinary_film_lasts_as_long_as_its_packets(
    tmp_path: Path, reel: Any, suffix: str, time_bases: tuple[str, str], priming: float
) -> None:
    film = reel(tmp_path / f"film.{suffix}").pictures(make_plain(50), options=ORDINARY)
    info = probe(film.sound(make_silence(2, 48_000), codec="aac", rate_hz=48_000).write())
    video, audio = get_times(info)
    assert (video.time_base, audio.time_base) == time_bases
    assert (video.packets, video.discarded_packets, video.skipped_samples) == (50, 0, 0)
    assert (video.start_seconds, video.duration_seconds) == (0.0, pytest.approx(2.0))
    assert (audio.start_seconds, audio.end_seconds) == (pytest.approx(priming), pytest.approx(2.0, abs=0.022))
    assert audio.skipped_samples == 1024  # what the AAC encoder puts before the first sample
    assert audio.discarded_packets == (0 if suffix == "mkv" else 1)
    assert (info.unreadable_end, info.jumps) == (False, ())


def test_pictures_that_an_edit_list_cuts_off_are_discarded_and_not_counted_in_the_times(
    tmp_path: Path, reel: Any, coded: Any
) -> None:
    pictures = [coded.picture(number, 160, 120) for number in range(60)]
    path = (
        reel(tmp_path / "cut.mp4")
        .pictures(pictures, range(-5, 55), options=ORDINARY)
        .sound(make_silence(2.2), codec="aac")
        .write()
    )
    info = probe(path)
    video, _ = get_times(info)
    assert (video.packets, video.discarded_packets) == (60, 5)
    assert (video.start_seconds, video.end_seconds) == (0.0, pytest.approx(55 / 25))
    assert info.video is not None
    assert info.video.fps == pytest.approx(25)
    first = next(iter(FilmResampler(path, info, Grid(25, 16_000), 120)))
    assert coded.number_in(first.to_yuv()[:120]) == 5  # type: ignore[union-attr]


@pytest.mark.parametrize(("suffix", "start"), [("mkv", 0.5), ("mp4", 0.5), ("ts", 744.5)])
def test_a_late_start_of_either_track_is_told(tmp_path: Path, reel: Any, suffix: str, start: float) -> None:
    first = round(start * 25 / 0.5 * 0.5)
    late_picture = reel(tmp_path / f"a.{suffix}").pictures(
        make_plain(50), range(first, first + 50), options={"bf": "0"}
    )
    video, audio = get_times(
        probe(late_picture.sound(make_silence(3, 48_000), start - 0.5, codec="mp2", rate_hz=48_000).write())
    )
    assert video.start_seconds - audio.start_seconds == pytest.approx(0.5, abs=0.03)
    late_sound = reel(tmp_path / f"b.{suffix}").pictures(make_plain(50), range(first, first + 50), options={"bf": "0"})
    video, audio = get_times(
        probe(late_sound.sound(make_silence(1, 48_000), start + 0.75, codec="mp2", rate_hz=48_000).write())
    )
    assert audio.start_seconds - video.start_seconds == pytest.approx(0.75, abs=0.03)
    assert video.start_seconds == pytest.approx(start, abs=0.03)
    assert video.duration_seconds == pytest.approx(2, abs=1e-6)


@pytest.mark.parametrize("fps", [24, 25, 60, Fraction(24_000, 1001), Fraction(30_000, 1001)])
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_constant_rate_is_told_in_any_container(tmp_path: Path, coded: Any, fps: Fraction | int, suffix: str) -> None:
    info = probe(coded.constant_rate(tmp_path / f"film.{suffix}", 96, fps, (64, 64)))
    assert info.video is not None
    assert info.video.constant_rate
    assert info.video.fps == pytest.approx(float(fps), rel=5e-4)


def test_a_variable_rate_is_told_with_its_average(tmp_path: Path, reel: Any) -> None:
    ticks = [2 * n if n < 25 else 50 + 4 * (n - 25) for n in range(50)]  # of 1/50 s: 25 pictures a second, then 12.5
    info = probe(
        reel(tmp_path / "film.mp4").pictures(make_plain(50), ticks, 50, options=ORDINARY).sound(make_silence(3)).write()
    )
    assert info.video is not None
    assert not info.video.constant_rate
    assert info.video.fps == pytest.approx(49 / 2.92)


@pytest.mark.parametrize(("gop", "longest"), [(5, 0.2), (12, 0.48), (100, None)])
def test_the_distance_of_key_frames_is_told(tmp_path: Path, reel: Any, gop: int, longest: float | None) -> None:
    options = {"g": str(gop), "bf": "2", "x264-params": "scenecut=0"}
    info = probe(reel(tmp_path / "film.mp4").pictures(make_plain(49), options=options).sound(make_silence(2)).write())
    assert info.video is not None
    assert info.video.key_frames == -(-49 // gop)
    assert info.video.longest_key_frame_distance_seconds == (longest and pytest.approx(longest))


def test_holes_of_picture_and_sound_are_gaps(tmp_path: Path, coded: Any) -> None:
    moments = [Fraction(n, 8) for n in (*range(16), *range(40, 56), *range(58, 64))]
    runs = [(0.0, make_silence(2)[0]), (2.4, make_silence(1)[0]), (5.0, make_silence(3)[0])]
    video, audio = get_times(probe(coded.timed(tmp_path / "film.mkv", moments, runs, (64, 64))))
    assert video.gaps == 1
    assert video.longest_gap_seconds == pytest.approx(25 / 8)
    assert audio.gaps == 1
    assert audio.longest_gap_seconds == pytest.approx(1.6, abs=0.002)


def test_a_subtitle_far_ahead_is_no_jump_of_the_films_clock(tmp_path: Path, reel: Any) -> None:
    film = reel(tmp_path / "film.mkv").pictures(make_plain(100), options=ORDINARY).sound(make_silence(2), 2.0)
    info = probe(film.packet("ass", 100, b"0,0,Default,,0,0,0,,The end").write())
    assert info.subtitle_languages == ("und",)
    assert info.jumps == ()


def test_what_is_read_of_a_truncated_film_is_what_is_left(tmp_path: Path, coded: Any) -> None:
    path = coded.constant_rate(tmp_path / "film.mp4", 240, 24)
    whole = probe(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    cut = probe(path)
    assert cut.claimed_seconds == whole.claimed_seconds == pytest.approx(10, abs=0.1)
    assert get_times(whole)[0].duration_seconds == pytest.approx(10)
    assert get_times(cut)[0].duration_seconds == pytest.approx(get_times(cut)[0].packets / 24, abs=0.1)
    assert 60 < get_times(cut)[0].packets < 220


def write_damaged_fragment(reel: Any, path: Path) -> Path:
    """Write twelve seconds of film in fragments; in the 21st, a run of packets is said to hold what it does not."""
    film = reel(path, movflags="frag_keyframe+empty_moov").pictures(make_plain(300), options={"g": "12", "bf": "0"})
    content = bytearray(film.sound(make_silence(12), codec="aac").write().read_bytes())
    runs = [place for place in range(len(content)) if content[place : place + 4] == b"trun"]
    content[runs[41] + 4 : runs[41] + 8] = b"\x00\x00\x0f\x01"
    path.write_bytes(bytes(content))
    return path


def test_a_file_that_cannot_be_read_to_its_end_is_told_and_taken_as_far_as_it_goes(tmp_path: Path, reel: Any) -> None:
    path = write_damaged_fragment(reel, tmp_path / "film.mp4")
    info = probe(path)
    assert info.unreadable_end
    video, _ = get_times(info)
    assert 240 < video.packets < 252

    resampler = FilmResampler(path, info, Grid(25, 16_000), 64)
    parts = list(resampler)
    assert resampler.report.frames == pytest.approx(video.packets, abs=2)
    samples = sum(len(part.samples_S) for part in parts if isinstance(part, ResampledAudio))
    assert samples == resampler.report.frames * 640


def test_packets_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, megabytes = tmp_path / "hours.wav", 60
    path.write_bytes(
        b"RIFF\xff\xff\xff\x7fWAVEfmt \x10\0\0\0\1\0\2\0\x80\xbb\0\0\0\xee\2\0\4\0\x10\0data\xff\xff\xff\x7f"
    )
    with path.open("r+b") as file:
        file.truncate(megabytes * 1_000_000)  # of zeros that take no room on the disk
    process, memory, correct = psutil.Process(), [], Timeline.correct
    packets = count()

    def measure(timeline: Timeline, packet: Any) -> None:
        if next(packets) % 100 == 0:
            memory.append(process.memory_info().rss)
        correct(timeline, packet)

    monkeypatch.setattr(Timeline, "correct", measure)
    info = probe(path)
    assert info.audio_tracks[0].times.end_seconds == pytest.approx(megabytes * 1_000_000 / 192_000, rel=1e-3)
    assert len(memory) > 20
    assert max(memory) - memory[0] < 20_000_000


@pytest.mark.parametrize(("container", "claims"), [("nut", False), ("matroska", True)])
def test_only_matroska_claims_a_length_by_its_tag(tmp_path: Path, reel: Any, container: str, claims: bool) -> None:
    """Elsewhere it was copied from the longer film that the file was cut from."""
    film = reel(tmp_path / "cut", container).pictures(make_plain(50), DURATION="00:01:00.000000000")
    info = probe(film.sound(make_silence(2.0), DURATION="00:01:00.000000000").write())
    assert info.video is not None
    assert info.audio is not None
    claimed = [info.video.claimed_seconds, info.audio.claimed_seconds]
    assert claimed == ([pytest.approx(2.0, abs=0.05)] * 2 if claims else [None, None])
