"""The pictures of `FilmResampler`: which source picture each frame of the result shows, and how large it is."""

from bisect import bisect_right
from fractions import Fraction
from itertools import pairwise
from math import ceil
from pathlib import Path
from random import Random
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace
from hypothesis import given, settings
from hypothesis import strategies as st

from talkies.core import Grid, MediaError
from talkies.media import FilmResampler, FilmWriter, ResampledFrame, X264Settings, probe
from talkies.media.frame_timeline import FrameTimeline

GRID = Grid(16, 16_000)
SECOND_OF_SOUND = np.zeros(16_000, np.int16)


def resample_pictures(path: Path, short_side: int = 120, grid: Grid = GRID, threads: int = 1) -> list[ResampledFrame]:
    parts = FilmResampler(path, probe(path), grid, short_side, threads)
    return [part for part in parts if isinstance(part, ResampledFrame)]


def read_numbers(pictures: list[ResampledFrame], coded: Any) -> list[int]:
    return [coded.number_in(picture.to_yuv()[: picture.size[1]]) for picture in pictures]


@pytest.mark.parametrize("fps", [12, 16, 24, 25, 30, 60, Fraction(30_000, 1001)])
def test_frame_i_shows_the_source_picture_that_is_on_screen_at_i_sixteenths(
    tmp_path: Path, coded: Any, fps: Fraction | int
) -> None:
    frames = int(6 * fps)
    pictures = resample_pictures(coded.constant_rate(tmp_path / "film.mp4", frames, fps))
    count = ceil(Fraction(frames) / fps * 16)
    assert read_numbers(pictures, coded) == [i * Fraction(fps) // 16 for i in range(count)]
    assert [picture.index for picture in pictures] == list(range(count))


def test_another_grid_takes_the_pictures_of_its_own_ticks(tmp_path: Path, coded: Any) -> None:
    path = coded.constant_rate(tmp_path / "film.mp4", 75, 25)
    pictures = resample_pictures(path, grid=Grid(10, 16_000))
    assert read_numbers(pictures, coded) == [i * 25 // 10 for i in range(30)]


def test_more_threads_give_the_same_pictures(tmp_path: Path, coded: Any) -> None:
    path = coded.constant_rate(tmp_path / "film.mp4", 72, 24)
    one, four = resample_pictures(path), resample_pictures(path, threads=4)
    assert len(one) == len(four) == 48
    assert all(np.array_equal(left.to_yuv(), right.to_yuv()) for left, right in zip(one, four, strict=True))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_at_a_variable_rate_each_frame_shows_the_last_picture_that_has_begun(
    tmp_path: Path, coded: Any, seed: int
) -> None:
    random = Random(seed)
    times_ms = sorted({0, *(random.randrange(4000) for _ in range(70))})
    path = coded.timed(tmp_path / "film.mkv", [Fraction(t, 1000) for t in times_ms], [(0, SECOND_OF_SOUND)])
    numbers = read_numbers(resample_pictures(path), coded)
    assert len(numbers) >= times_ms[-1] * 16 // 1000
    assert numbers == [bisect_right(times_ms, i * 1000 / 16) - 1 for i in range(len(numbers))]


def test_time_zero_is_the_first_picture(tmp_path: Path, coded: Any) -> None:
    times = [Fraction(n, 8) + Fraction(1, 4) for n in range(16)]
    path = coded.timed(tmp_path / "film.mkv", times, [(0, SECOND_OF_SOUND)])
    assert read_numbers(resample_pictures(path), coded)[:30] == [i // 2 for i in range(30)]


def test_a_picture_is_held_until_the_next_one_comes(tmp_path: Path, coded: Any) -> None:
    times = [Fraction(0), Fraction(1, 8), Fraction(17, 8), Fraction(18, 8)]
    path = coded.timed(tmp_path / "film.mkv", times, [(0, SECOND_OF_SOUND)])
    assert read_numbers(resample_pictures(path), coded)[:37] == [0] * 2 + [1] * 32 + [2] * 2 + [3]


def test_a_truncated_film_gives_the_right_pictures_as_far_as_it_goes(tmp_path: Path, coded: Any) -> None:
    path = coded.constant_rate(tmp_path / "film.mp4", 240, 24)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    resampler = FilmResampler(path, probe(path), GRID, 120)
    parts = list(resampler)
    numbers = read_numbers([part for part in parts if isinstance(part, ResampledFrame)], coded)
    assert 40 < len(numbers) < 140
    assert numbers == [i * 24 // 16 for i in range(len(numbers))]
    assert resampler.report.samples == 1000 * len(numbers)


@pytest.mark.parametrize(
    ("source", "expected"),
    [((427, 240), (228, 128)), ((240, 427), (128, 228)), ((101, 33), (392, 128)), ((64, 64), (128, 128))],
)
def test_odd_sizes_give_even_pictures_whose_short_side_is_right(
    tmp_path: Path, coded: Any, source: tuple[int, int], expected: tuple[int, int]
) -> None:
    times = [Fraction(n, 8) for n in range(16)]
    pictures = resample_pictures(
        coded.timed(tmp_path / "film.mkv", times, [(0, SECOND_OF_SOUND)], source), short_side=128
    )
    assert {picture.size for picture in pictures} == {expected}
    assert pictures[0].to_yuv().shape == (expected[1] * 3 // 2, expected[0])
    assert read_numbers(pictures, coded)[:16] == [i // 2 for i in range(16)]


def test_colours_stay_what_they_are(tmp_path: Path) -> None:
    path, rgb = tmp_path / "film.mp4", (200, 40, 90)
    with FilmWriter(path, (64, 64), 16, 16_000, X264Settings(gop=16, crf=10)) as writer:
        for _ in range(16):
            writer.write_rgb(np.full((64, 64, 3), rgb, np.uint8))
            writer.write_audio(np.zeros(1000, np.int16))
    shown = resample_pictures(path, short_side=64)[8].to_bgr()
    assert shown.shape == (64, 64, 3)
    assert np.abs(shown.astype(int) - rgb[::-1]).max() <= 4


def write_bt709(path: Path, rgb: tuple[int, int, int]) -> Path:
    """Write two seconds of one colour as high-definition films are coded, and some sound."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=8, options={"crf": "4"})
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        video.codec_context.colorspace, video.codec_context.color_range = Colorspace.ITU709, ColorRange.MPEG
        audio = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for number in range(16):
            plain = av.VideoFrame.from_ndarray(np.full((64, 64, 3), rgb, np.uint8), format="rgb24")
            frame = plain.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)
            frame.pts, frame.time_base = number, Fraction(1, 8)
            container.mux(video.encode(frame))
        sound = av.AudioFrame.from_ndarray(SECOND_OF_SOUND[None], format="s16", layout="mono")
        sound.sample_rate, sound.pts, sound.time_base = 16_000, 0, Fraction(1, 16_000)
        container.mux([*audio.encode(sound), *video.encode(None)])
    return path


def test_the_colours_of_a_film_in_bt709_are_brought_to_bt601(tmp_path: Path) -> None:
    red, green, blue = 200, 40, 90
    picture = resample_pictures(write_bt709(tmp_path / "film.mkv", (red, green, blue)), short_side=64)[8]
    assert np.abs(picture.to_bgr().astype(int) - (blue, green, red)).max() <= 5
    light_601 = 0.299 * red + 0.587 * green + 0.114 * blue
    assert picture.to_yuv()[:64].mean() == pytest.approx(16 + 219 * light_601 / 255, abs=2)


def test_a_film_without_sound_is_refused(tmp_path: Path, coded: Any) -> None:
    path = coded.timed(tmp_path / "mute.mkv", [Fraction(n, 8) for n in range(16)])
    with pytest.raises(MediaError, match=r"^mute\.mkv has no audio track; talkies needs both$") as caught:
        resample_pictures(path)
    assert caught.value.code == "no_audio"


def test_a_film_without_pictures_is_refused(tmp_path: Path, coded: Any) -> None:
    path = coded.timed(tmp_path / "blind.mkv", sounds=[(0, SECOND_OF_SOUND)])
    with pytest.raises(MediaError, match=r"^blind\.mkv has no video track; talkies needs both$") as caught:
        resample_pictures(path)
    assert caught.value.code == "no_video"


@pytest.mark.real_data
def test_a_song_with_cover_art_has_no_video(real_data: Path) -> None:
    with pytest.raises(MediaError, match=r"bear-id3\.mp3 has no video track; talkies needs both$") as caught:
        resample_pictures(real_data / "awkward" / "androidx-media__bear-id3.mp3")
    assert caught.value.code == "no_video"


@pytest.mark.real_data
def test_a_header_without_packets_has_no_pictures(real_data: Path) -> None:
    with pytest.raises(MediaError, match=r"^no picture of androidx-media__init\.mp4 can be decoded$") as caught:
        resample_pictures(real_data / "awkward" / "androidx-media__init.mp4")
    assert caught.value.code == "undecodable_video"


class _AsItIs:
    """Stands for a `FrameNormaliser`."""

    def normalise(self, frame: av.VideoFrame) -> av.VideoFrame:
        return frame


@given(
    st.lists(
        st.tuples(st.fractions(0, 2, max_denominator=90), st.sampled_from([90, 1001, 15_360])), min_size=1, max_size=12
    )
)
@settings(max_examples=30)
def test_frame_times_are_exact_whatever_time_bases_follow_one_another(steps: list[tuple[Fraction, int]]) -> None:
    timeline, starts, shown = FrameTimeline(16, _AsItIs(), Fraction(1, 3)), [Fraction(5)], []  # type: ignore[arg-type]
    for number in range(len(steps) + 1):
        ticks = steps[number - 1][1] if number else 1
        frame = av.VideoFrame(16, 16, "yuv420p")
        frame.time_base = Fraction(1, ticks)
        if number:
            starts.append(Fraction(round((starts[-1] + steps[number - 1][0]) * ticks), ticks))
        frame.pts = int(starts[-1] * ticks)
        shown += [(starts[-2], part.index) for part in timeline.push(frame)]
    shown += [(starts[-1], part.index) for part in timeline.flush()]
    ordered = [after - before for before, after in pairwise(starts) if after > before]
    end = starts[-1] + max(min(ordered, default=Fraction(1, 3)), Fraction(1, 3))
    assert [index for _, index in shown] == list(range(len(shown)))
    if starts == sorted(starts):
        assert len(shown) == ceil((end - 5) * 16)
        for start, index in shown:
            assert start == max(begin for begin in starts if begin <= 5 + Fraction(index, 16))
