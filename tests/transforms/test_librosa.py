"""Log-mels against librosa's, which computes in float64: within 1e-4 of the scale's unit, whatever the sound."""

from collections.abc import Callable
from pathlib import Path

import av
import librosa
import numpy as np
import pytest
import torch

from talkies.transforms import AudioTransformConfig, LogMel, build_mel_filters

pytestmark = pytest.mark.slow  # librosa is compiled at its first use
SETTINGS = {
    "16 kHz, today's default": (16_000, AudioTransformConfig()),
    "48 kHz in dB, as LSSD": (48_000, AudioTransformConfig(n_fft=1024, hop=501, mels=96, scale="db")),
    "22.05 kHz in dB, as librosa": (22_050, AudioTransformConfig(n_fft=2048, hop=512, mels=128, scale="db")),
    "16 kHz, 25 ms of speech": (
        16_000,
        AudioTransformConfig(window_samples=400, mels=64, f_min_hz=125.0, f_max_hz=7500.0),
    ),
}


def chirp(rate_hz: int) -> np.ndarray:
    """Three seconds that rise at nearly full scale from 50 Hz almost to half the rate: loud beside very soft."""
    seconds = np.arange(3 * rate_hz) / rate_hz
    return 32_000 * np.sin(2 * np.pi * (50 * seconds + (rate_hz / 2 - 100) / 6 * seconds**2))


def noise(rate_hz: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 3000, 2 * rate_hz + 77)


def soft_tone_then_silence(rate_hz: int) -> np.ndarray:
    return np.where(np.arange(rate_hz) < rate_hz // 2, 3 * np.sin(np.arange(rate_hz) / 7), 0)


def librosas(samples: np.ndarray, config: AudioTransformConfig, rate_hz: int) -> np.ndarray:
    power = librosa.feature.melspectrogram(
        y=samples / 32768,
        sr=rate_hz,
        n_fft=config.n_fft,
        hop_length=config.hop,
        win_length=config.window_samples,
        n_mels=config.mels,
        fmin=config.f_min_hz,
        fmax=config.f_max_hz,
    )
    if config.scale == "db":
        return librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=None)
    return np.log(np.maximum(power, 1e-6))


def assert_librosas(samples: np.ndarray, name: str) -> None:
    rate_hz, config = SETTINGS[name]
    got = LogMel(config, rate_hz).compute_levels(torch.from_numpy(samples)[None])[0]
    expected = torch.from_numpy(librosas(samples, config, rate_hz))
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=1e-4)


def decoded(path: Path, rate_hz: int) -> np.ndarray:
    """All sound of a file, int16 mono."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=rate_hz)
    with av.open(path) as container:
        pieces = [piece for frame in container.decode(audio=0) for piece in resampler.resample(frame)]
    return np.concatenate([piece.to_ndarray()[0] for piece in pieces])


@pytest.mark.parametrize("sound", [chirp, noise, soft_tone_then_silence])
@pytest.mark.parametrize("name", SETTINGS)
def test_levels_of_made_sound_are_librosas(name: str, sound: Callable[[int], np.ndarray]) -> None:
    assert_librosas(sound(SETTINGS[name][0]).round().astype(np.int16), name)


@pytest.mark.real_data
@pytest.mark.parametrize("name", SETTINGS)
def test_levels_of_real_sound_are_librosas(real_data: Path, name: str) -> None:
    paths = sorted((real_data / "esc10" / "audio").glob("*.ogg"))[::40]
    assert len(paths) >= 8
    for path in [*paths, real_data / "films" / "sintel_trailer.mp4"]:
        assert_librosas(decoded(path, SETTINGS[name][0]), name)


@pytest.mark.parametrize("name", SETTINGS)
def test_features_are_levels_less_their_mean_in_standard_deviations(name: str) -> None:
    rate_hz, config = SETTINGS[name]
    samples = torch.from_numpy(noise(rate_hz).round().astype(np.int16))
    mean, sd = {"log": (-6, 4), "db": (-40, 28)}[config.scale]
    expected = (librosas(samples.double().numpy(), config, rate_hz) - mean) / sd
    got = LogMel(config, rate_hz)(samples[None])[0, 0]
    torch.testing.assert_close(got.double(), torch.from_numpy(expected), rtol=0, atol=1e-5)


@pytest.mark.parametrize("ends_hz", [(0.0, None), (125.0, 7500.0), (1500.0, 3000.0), (0.0, 900.0)])
@pytest.mark.parametrize(("rate_hz", "n_fft", "mels"), [(16_000, 512, 20), (22_050, 2048, 32), (48_000, 4096, 24)])
def test_the_filters_are_librosas(rate_hz: int, n_fft: int, mels: int, ends_hz: tuple[float, float | None]) -> None:
    expected = librosa.filters.mel(sr=rate_hz, n_fft=n_fft, n_mels=mels, fmin=ends_hz[0], fmax=ends_hz[1])
    got = build_mel_filters(rate_hz, n_fft, mels, *ends_hz)
    torch.testing.assert_close(got, torch.from_numpy(expected), rtol=1e-5, atol=1e-9)
