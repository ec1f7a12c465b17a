"""`FilmWriter`: what it writes plays back with the times, colours and sound that were given."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from talkies.core import WorkError
from talkies.media import FilmWriter, X264Settings

ORDINARY = X264Settings(gop=48, crf=20, b_frames=2, tune=None)


def read_frames(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(container.streams.video[0]))


def read_sound(path: Path) -> tuple[Fraction, npt.NDArray[np.float32]]:
    """Return the time of the first decoded sample, and all samples."""
    with av.open(str(path)) as container:
        frames = list(container.decode(container.streams.audio[0]))
    return frames[0].pts * frames[0].time_base, np.concatenate([frame.to_ndarray()[0] for frame in frames])


def write_noise(path: Path, frames: int, gop: int = 16) -> Path:
    """Write a film whose every picture is a cut: the encoder would like a key frame at each."""
    random = np.random.default_rng(0)
    with FilmWriter(path, (64, 64), 16, 16_000, X264Settings(gop=gop)) as writer:
        for _ in range(frames):
            writer.write_rgb(random.integers(0, 256, (64, 64, 3)).astype(np.uint8))
            writer.write_audio(np.zeros(1000, np.int16))
    return path


@pytest.mark.parametrize("fps", [16, 24, 25, Fraction(30_000, 1001)])
def test_picture_i_comes_back_at_exactly_i_over_fps(tmp_path: Path, coded: Any, fps: Fraction | int) -> None:
    frames = read_frames(coded.constant_rate(tmp_path / "film.mp4", 100, fps))
    assert [frame.pts * frame.time_base for frame in frames] == [i / Fraction(fps) for i in range(100)]
    assert [coded.number_in(frame.to_ndarray()[:120]) for frame in frames] == list(range(100))


def test_key_frames_are_a_gop_apart_and_nowhere_else(tmp_path: Path) -> None:
    path = write_noise(tmp_path / "film.mp4", 60, gop=12)
    assert [i for i, frame in enumerate(read_frames(path)) if frame.key_frame] == [0, 12, 24, 36, 48]


def test_a_frames_own_time_and_kind_are_not_taken_over(tmp_path: Path, coded: Any) -> None:
    path = tmp_path / "film.mp4"
    with FilmWriter(path, (160, 120), 16, 16_000, X264Settings(gop=16)) as writer:
        for frame in read_frames(coded.constant_rate(tmp_path / "source.mp4", 48, 24, gop=5)):
            writer.write_frame(frame)
    copies = read_frames(path)
    assert [frame.pts * frame.time_base for frame in copies] == [Fraction(i, 16) for i in range(48)]
    assert [i for i, frame in enumerate(copies) if frame.key_frame] == [0, 16, 32]
    assert [coded.number_in(frame.to_ndarray()[:120]) for frame in copies] == list(range(48))


def test_sound_comes_back_when_it_was_written(tmp_path: Path) -> None:
    path, rate = tmp_path / "film.mp4", 16_000
    samples = np.zeros(3 * rate, np.int16)
    samples[rate * 3 // 2 : rate * 2] = 12_000 * np.sin(2 * np.pi * 1000 * np.arange(rate // 2) / rate)
    with FilmWriter(path, (64, 64), 16, rate, ORDINARY) as writer:
        for frame in range(48):
            writer.write_rgb(np.zeros((64, 64, 3), np.uint8))
            writer.write_audio(samples[frame * 1000 : (frame + 1) * 1000])
    begin, heard = read_sound(path)
    onset = begin + Fraction(int(np.argmax(np.abs(heard) > 0.1)), rate)
    assert begin == 0
    assert len(heard) >= len(samples)
    assert abs(onset - Fraction(3, 2)) < Fraction(1, 1000)
    # The same phase, not only the same moment: the samples lie on those that were written.
    assert np.corrcoef(heard[: len(samples)], samples)[0, 1] > 0.99


def test_colours_are_written_as_bt601(tmp_path: Path) -> None:
    path, (red, green, blue) = tmp_path / "film.mp4", (200, 40, 90)
    with FilmWriter(path, (64, 64), 16, 16_000, X264Settings(gop=16, crf=10)) as writer:
        for _ in range(4):
            writer.write_rgb(np.full((64, 64, 3), (red, green, blue), np.uint8))
    planes = read_frames(path)[2].to_ndarray()
    luma, chroma = planes[:64], planes[64:].reshape(2, 32, 32)
    light = 0.299 * red + 0.587 * green + 0.114 * blue
    assert luma.mean() == pytest.approx(16 + 219 * light / 255, abs=2)
    assert chroma[0].mean() == pytest.approx(128 + 224 * (blue - light) / 1.772 / 255, abs=2)
    assert chroma[1].mean() == pytest.approx(128 + 224 * (red - light) / 1.402 / 255, abs=2)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_said_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.symlink_to("/dev/full")
    with pytest.raises(WorkError, match=rf"^{path} cannot be written \(no space left on device\)$"):
        write_noise(path, 200)


def test_an_exception_inside_is_passed_on_as_it_is(tmp_path: Path) -> None:
    def give_up() -> None:
        with FilmWriter(tmp_path / "film.mp4", (64, 64), 16, 16_000, ORDINARY) as writer:
            writer.write_rgb(np.zeros((64, 64, 3), np.uint8))
            raise KeyError("a fault of the caller")

    with pytest.raises(KeyError, match="a fault of the caller"):
        give_up()
