"""The sound of `FilmResampler`: where each sample of the source lands on the result's grid.

The sources are lossless and already of the result's rate, so that what lands can be compared sample by sample.
"""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from talkies.core import Grid
from talkies.media import FilmResampler, ResampledAudio, ResampledFrame, probe

GRID = Grid(16, 16_000)
FOUR_SECONDS = [Fraction(n, 8) for n in range(32)]  # of pictures


def make_noise(seconds: float, seed: int) -> npt.NDArray[np.int16]:
    return np.random.default_rng(seed).integers(-20_000, 20_000, round(seconds * 16_000)).astype(np.int16)


def make_silence(seconds: float) -> npt.NDArray[np.int16]:
    return np.zeros(round(seconds * 16_000), np.int16)


def resample(path: Path) -> tuple[FilmResampler, list[ResampledFrame | ResampledAudio]]:
    resampler = FilmResampler(path, probe(path), GRID, 64)
    return resampler, list(resampler)


def resample_sound(path: Path) -> npt.NDArray[np.int16]:
    return np.concatenate([part.samples_S for part in resample(path)[1] if isinstance(part, ResampledAudio)])


@pytest.fixture
def film(tmp_path: Path, coded: Any) -> Any:
    """Writes four seconds of pictures, with runs of sound at the seconds given."""
    return lambda *runs, pictures=FOUR_SECONDS: coded.timed(tmp_path / "film.mkv", pictures, runs, (64, 64))


@pytest.mark.parametrize("fps", [12, 24, 25, Fraction(30_000, 1001)])
def test_there_are_as_many_samples_as_the_frames_last(tmp_path: Path, coded: Any, fps: Fraction | int) -> None:
    resampler, parts = resample(coded.constant_rate(tmp_path / "film.mp4", int(5 * fps), fps))
    pictures = sum(isinstance(part, ResampledFrame) for part in parts)
    samples = sum(len(part.samples_S) for part in parts if isinstance(part, ResampledAudio))
    assert pictures == 80
    assert samples == pictures * GRID.samples_per_frame
    assert (resampler.report.frames, resampler.report.samples) == (pictures, samples)
    assert resampler.report.damaged_packets == 0


def test_sound_never_runs_ahead_of_its_pictures(films: Path) -> None:
    frames = samples = 0
    film = films / "film-000.mp4"
    for part in FilmResampler(film, probe(film), GRID, 64):
        frames += isinstance(part, ResampledFrame)
        samples += len(part.samples_S) if isinstance(part, ResampledAudio) else 0
        assert samples <= frames * GRID.samples_per_frame
    assert frames == 192


def test_sound_as_long_as_the_pictures_comes_through_unchanged(film: Any) -> None:
    whole = make_noise(4.0, seed=1)
    assert np.array_equal(resample_sound(film((0, whole))), whole)


def test_a_gap_becomes_silence_of_its_own_length(film: Any) -> None:
    before, after = make_noise(1.0, seed=1), make_noise(1.0, seed=2)
    path = film((0, before), (2.2, after))
    assert np.array_equal(resample_sound(path), np.concatenate([before, make_silence(1.2), after, make_silence(0.8)]))


def test_late_sound_waits_for_its_moment(film: Any) -> None:
    path = film((0.5, make_noise(1.0, seed=1)))
    assert np.array_equal(
        resample_sound(path), np.concatenate([make_silence(0.5), make_noise(1.0, seed=1), make_silence(2.5)])
    )


def test_sound_before_the_first_picture_is_cut(film: Any) -> None:
    late_pictures = [moment + Fraction(1, 4) for moment in FOUR_SECONDS]
    path = film((0, make_noise(2.0, seed=1)), pictures=late_pictures)
    assert np.array_equal(resample_sound(path), np.concatenate([make_noise(2.0, seed=1)[4000:], make_silence(2.25)]))


def test_sound_that_overlaps_is_heard_once(film: Any) -> None:
    first, second = make_noise(1.0, seed=1), make_noise(1.0, seed=2)
    expected = np.concatenate([first, second[8000:], make_silence(2.5)])
    assert np.array_equal(resample_sound(film((0, first), (0.5, second))), expected)


def test_a_timestamp_that_is_off_a_little_makes_no_hole(film: Any) -> None:
    path = film((0, make_noise(1.0, seed=1)), (1.02, make_noise(1.0, seed=2)))
    assert np.array_equal(
        resample_sound(path), np.concatenate([make_noise(1.0, seed=1), make_noise(1.0, seed=2), make_silence(2.0)])
    )


def test_sound_after_the_last_picture_is_cut(film: Any) -> None:
    assert np.array_equal(resample_sound(film((0, make_noise(6.0, seed=1)))), make_noise(6.0, seed=1)[:64_000])


def test_the_report_says_when_the_sound_began_and_ended(film: Any) -> None:
    resampler, parts = resample(film((0.5, make_noise(1.0, seed=1))))
    assert len(parts) > 64
    assert resampler.report.audio_start_seconds == pytest.approx(0.5, abs=1e-3)
    assert resampler.report.audio_end_seconds == pytest.approx(1.5, abs=1e-3)


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000])
def test_a_click_keeps_its_moment_through_a_change_of_rate(tmp_path: Path, coded: Any, rate_hz: int) -> None:
    clicks_seconds = (0.5, 1.75, 3.25)
    samples = np.zeros(4 * rate_hz, np.int16)
    samples[[round(click * rate_hz) for click in clicks_seconds]] = 30_000
    path = coded.timed(tmp_path / "film.mkv", FOUR_SECONDS, [(0, samples)], (64, 64), rate_hz)
    heard = np.abs(resample_sound(path).astype(int))
    for click in clicks_seconds:
        window = heard[round((click - 0.2) * 16_000) :][:6400]
        assert window.max() > 3000
        assert abs(int(np.argmax(window)) - 3200) <= 1


def test_both_channels_are_heard(tmp_path: Path, coded: Any) -> None:
    seconds = np.arange(64_000) / 16_000
    left, right = (8000 * np.sin(2 * np.pi * hz * seconds) for hz in (500, 1200))
    stereo = np.stack([left, right], axis=1).astype(np.int16)
    mono = resample_sound(coded.timed(tmp_path / "film.mkv", FOUR_SECONDS, [(0, stereo)], (64, 64)))
    spectrum = np.abs(np.fft.rfft(mono[:16_000].astype(float)))  # one line a hertz
    assert sorted(np.argsort(spectrum)[-2:]) == [500, 1200]
    assert spectrum[500] == pytest.approx(spectrum[1200], rel=0.05)
