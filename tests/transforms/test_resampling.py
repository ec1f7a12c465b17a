"""Resampling against what a sound is at other times, against soxr and SciPy, and its properties."""

import math
from functools import cache
from typing import Any

import numpy as np
import pytest
import scipy.signal
import soxr
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from talkies.core import ConfigError
from talkies.transforms.resampling import Resampler

RATES = pytest.mark.parametrize(
    ("old", "new"), [(48_000, 16_000), (44_100, 16_000), (22_050, 16_000), (96_000, 48_000), (48_000, 32_000)]
)
SECONDS = 2.0


def resample(sound: Any, old: int, new: int) -> Any:
    return Resampler(old, new)(torch.from_numpy(sound)[None])[0].numpy()


cached_resampler = cache(Resampler)


def sweep(rate: int, to_hz: float) -> Any:
    """A sine from 20 Hz up."""
    t = np.arange(int(rate * SECONDS)) / rate
    return 0.8 * np.sin(2 * np.pi * (20 * t + (to_hz - 20) / (2 * SECONDS) * t**2))


@cache
def music(rate: int) -> Any:
    """Plucked notes of up to forty partials, over noise whose spectrum falls by 3 dB an octave."""
    rng = np.random.default_rng(0)
    t = np.arange(int(rate * SECONDS)) / rate
    sound = np.zeros(len(t))
    for begin, pitch in zip(
        np.arange(0, SECONDS, 0.25), rng.choice([110, 146.8, 220, 293.7, 440, 880], 8), strict=True
    ):
        decay = np.where(t > begin, np.exp(-4 * (t - begin)) * (1 - np.exp(-400 * (t - begin))), 0)
        for partial in range(1, 40):
            frequency = pitch * partial * 1.0007**partial
            if frequency < rate / 2:
                sound += decay * np.sin(2 * np.pi * frequency * (t - begin)) / partial**1.3
    spectrum = np.fft.rfft(rng.normal(size=len(t))) / np.maximum(np.fft.rfftfreq(len(t), 1 / rate), 50) ** 0.5
    noise = np.fft.irfft(spectrum, len(t))
    sound += 0.3 * noise / np.abs(noise).max()
    return 0.8 * sound / np.abs(sound).max()


def error_db(got: Any, right: Any) -> float:
    """Power of the difference under that of the sound, without a tenth of a second at both ends."""
    edge = len(right) // 20
    got, right = got[edge:-edge], right[edge:-edge]
    return float(10 * np.log10(np.mean((got - right) ** 2) / np.mean(right**2)))


@RATES
def test_a_sweep_is_what_it_is_at_the_new_times(old: int, new: int) -> None:
    to_hz = 0.45 * new  # nine tenths of what the new rate can hold
    assert error_db(resample(sweep(old, to_hz), old, new), sweep(new, to_hz)) < -140  # measured: -152


@RATES
def test_music_is_as_from_soxr_and_scipy_but_for_the_highest_tenth(old: int, new: int) -> None:
    sound, common = music(old), math.gcd(old, new)
    got = resample(sound, old, new)
    assert error_db(got, soxr.resample(sound, old, new)) < -45  # measured: -47 to -54
    assert error_db(got, scipy.signal.resample_poly(sound, new // common, old // common)) < -33  # -36 to -44

    # The rest of the difference is where the filters fall off.
    low = scipy.signal.firwin(1025, 0.8)
    got, right = (np.convolve(each, low, "same") for each in (got, soxr.resample(sound, old, new)))
    assert error_db(got, right) < -100 if old % new == 0 or new % 32_000 == 0 else error_db(got, right) < -70


@pytest.mark.parametrize("frequency_hz", [8_300, 9_000, 12_000, 23_000])
def test_what_the_new_rate_cannot_hold_is_silent(frequency_hz: float) -> None:
    t = np.arange(48_000) / 48_000
    got = resample(np.sin(2 * np.pi * frequency_hz * t), 48_000, 16_000)
    assert np.abs(got[800:-800]).max() < 1e-5  # -100 dB


def test_the_same_rate_changes_nothing() -> None:
    sound = torch.randn(2, 1000, dtype=torch.float64)
    assert torch.equal(Resampler(16_000, 16_000)(sound), sound)


@settings(max_examples=40, deadline=None)
@given(
    samples=st.integers(1, 5_000),
    rates=st.sampled_from([(48_000, 16_000), (44_100, 16_000), (16_016, 16_000), (24_000, 16_000)]),
    gain=st.floats(-4, 4),
)
def test_it_is_linear_and_counts_as_it_says(samples: int, rates: tuple[int, int], gain: float) -> None:
    resampler = cached_resampler(*rates)
    first, second = torch.randn(2, 1, samples, dtype=torch.float64, generator=torch.Generator().manual_seed(samples))
    got = resampler(first + gain * second)
    assert got.shape == (1, resampler.count(samples)) == (1, math.ceil(samples * rates[1] / rates[0]))
    torch.testing.assert_close(got, resampler(first) + gain * resampler(second), rtol=0, atol=1e-12)


@pytest.mark.parametrize("delay", [1, 7, 160])
def test_a_later_sound_is_later(delay: int) -> None:
    sound = torch.from_numpy(music(48_000))[None]
    later = torch.nn.functional.pad(sound, (3 * delay, 0))
    resampler = Resampler(48_000, 16_000)
    torch.testing.assert_close(resampler(later)[:, delay:], resampler(sound), rtol=0, atol=1e-12)


def test_rates_that_would_need_endless_filters_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"^sound of 47999 samples .* to 16000, because .* divisor is only 1; make a"):
        Resampler(47_999, 16_000)


def test_a_constant_stays_one() -> None:
    got = Resampler(44_100, 16_000)(torch.ones(1, 44_100, dtype=torch.float64))
    torch.testing.assert_close(got[:, 500:-500], torch.ones(1, 15_000, dtype=torch.float64), rtol=0, atol=1e-12)
