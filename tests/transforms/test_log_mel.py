"""The log-mel spectrogram, against a reference computed sample by sample."""

import math
import re

import numpy as np
import pytest
import torch
from torch import Tensor

from talkies.config import check
from talkies.core import ConfigError
from talkies.transforms import AudioTransformConfig, LogMel, build_mel_filters

RATE_HZ = 16_000
SILENCE = (math.log(1e-6) + 6) / 4


def slaney_hz(mel: float) -> float:
    """Slaney's scale: three mels for every 200 Hz up to 1000 Hz, above it a factor of 6.4 for every 27."""
    return mel * 200 / 3 if mel <= 15 else 1000 * 6.4 ** ((mel - 15) / 27)


def mel_edges_hz(rate_hz: int, mels: int) -> list[float]:
    top_hz = rate_hz / 2
    top_mel = top_hz * 3 / 200 if top_hz <= 1000 else 15 + 27 * math.log(top_hz / 1000) / math.log(6.4)
    return [slaney_hz(top_mel * edge / (mels + 1)) for edge in range(mels + 2)]


def slow_bank(rate_hz: int, n_fft: int, mels: int) -> np.ndarray:
    edges = mel_edges_hz(rate_hz, mels)
    bank = np.zeros((mels, n_fft // 2 + 1))
    for mel in range(mels):
        below, centre, above = edges[mel : mel + 3]
        for line in range(n_fft // 2 + 1):
            hz = line * rate_hz / n_fft
            if below < hz <= centre:
                bank[mel, line] = (hz - below) / (centre - below) * 2 / (above - below)
            elif centre < hz < above:
                bank[mel, line] = (above - hz) / (above - centre) * 2 / (above - below)
    return bank


def slow_log_mel(samples: np.ndarray, config: AudioTransformConfig, rate_hz: int) -> np.ndarray:
    """The normalised log-mel of int16 samples, frame by frame, with silence before the first and after the last."""
    n_fft, bank = config.n_fft, slow_bank(rate_hz, config.n_fft, config.mels)
    window = [0.5 - 0.5 * math.cos(2 * math.pi * place / n_fft) for place in range(n_fft)]
    padded = np.concatenate([np.zeros(n_fft // 2), samples / 32768, np.zeros(n_fft)])
    frames = []
    for start in range(0, len(samples) + 1, config.hop):
        power = np.abs(np.fft.rfft(padded[start : start + n_fft] * window)) ** 2
        frames.append((np.log(np.maximum(bank @ power, 1e-6)) + 6) / 4)
    return np.stack(frames, axis=1)


def tone(hz: float, amplitude: float = 10_000) -> Tensor:
    seconds = torch.arange(RATE_HZ, dtype=torch.float64) / RATE_HZ
    return (amplitude * torch.sin(2 * math.pi * hz * seconds)).round().to(torch.int16)[None]


@pytest.mark.parametrize(("rate_hz", "n_fft", "mels"), [(16_000, 512, 80), (8_000, 128, 12), (48_000, 2048, 128)])
def test_the_filters_are_the_triangles_of_slaneys_scale(rate_hz: int, n_fft: int, mels: int) -> None:
    expected = torch.from_numpy(slow_bank(rate_hz, n_fft, mels))
    got = build_mel_filters(rate_hz, n_fft, mels)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got.double(), expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(
    "config", [AudioTransformConfig(), AudioTransformConfig(n_fft=128, hop=50, mels=12)], ids=["default", "coarse"]
)
def test_noise_has_the_log_mel_of_a_slow_reference(config: AudioTransformConfig) -> None:
    audio_BS = (torch.randn(2, 3001) * torch.tensor([[8000.0], [30.0]])).clamp(-32768, 32767).to(torch.int16)
    expected = np.stack([slow_log_mel(samples, config, RATE_HZ) for samples in audio_BS.double().numpy()])
    got = LogMel(config, RATE_HZ)(audio_BS)
    torch.testing.assert_close(got[:, 0].double(), torch.from_numpy(expected), rtol=0, atol=1e-5)


@pytest.mark.parametrize("samples", [1600, 1599, 16_000, 700])
def test_there_is_a_frame_each_hop_and_one_more(samples: int) -> None:
    spectrogram = LogMel(AudioTransformConfig(n_fft=512, hop=160, mels=40), RATE_HZ)(
        torch.zeros(3, samples, dtype=torch.int16)
    )
    assert spectrogram.shape == (3, 1, 40, samples // 160 + 1)


def test_silence_is_the_floor_everywhere() -> None:
    spectrogram = LogMel(AudioTransformConfig(), RATE_HZ)(torch.zeros(1, 4000, dtype=torch.int16))
    torch.testing.assert_close(spectrogram, torch.full_like(spectrogram, SILENCE))


@pytest.mark.parametrize("mel", [10, 25, 40, 60, 75])
def test_a_pure_tone_peaks_in_its_own_bin_at_all_times(mel: int) -> None:
    hz = mel_edges_hz(RATE_HZ, 80)[mel + 1]
    spectrogram_FL = LogMel(AudioTransformConfig(mels=80), RATE_HZ)(tone(hz))[0, 0]
    assert set(spectrogram_FL[:, 2:-2].argmax(0).tolist()) == {mel}


def test_a_tone_of_twice_the_amplitude_has_four_times_the_power() -> None:
    log_mel = LogMel(AudioTransformConfig(), RATE_HZ)
    soft, loud = (log_mel(tone(1000, amplitude))[0, 0].max().item() for amplitude in (4000, 8000))
    assert loud - soft == pytest.approx(math.log(4) / 4, abs=1e-3)


def test_a_click_is_seen_at_its_own_time() -> None:
    audio = torch.zeros(1, RATE_HZ, dtype=torch.int16)
    audio[0, 8000] = 30_000
    energy_L = LogMel(AudioTransformConfig(), RATE_HZ)(audio)[0, 0].mean(0)
    assert energy_L.argmax().item() == 8000 // 160


def test_a_hop_longer_than_the_window_is_refused() -> None:
    sentence = "recipe x: hop must not exceed n_fft, got 600 and 512"
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        check(AudioTransformConfig, {"hop": 600, "n_fft": 512}, "recipe x")


@pytest.mark.parametrize(("key", "least"), [("n_fft", 32), ("hop", 8), ("mels", 8)])
def test_sizes_too_small_are_refused(key: str, least: int) -> None:
    sentence = f"'{key}' got {least - 2}: input should be greater than or equal to {least}"
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        check(AudioTransformConfig, {key: least - 2}, "recipe x")


def test_an_odd_window_is_refused() -> None:
    with pytest.raises(ConfigError, match="'n_fft' got 513: input should be a multiple of 2"):
        check(AudioTransformConfig, {"n_fft": 513}, "recipe x")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"window_samples": 600}, "window_samples must not exceed n_fft, got 600 and 512"),
        ({"window_samples": 100}, "hop must not exceed window_samples, got 160 and 100"),
        ({"f_min_hz": 4000.0, "f_max_hz": 300.0}, "f_min_hz must be under f_max_hz, got 4000.0 and 300.0"),
        ({"scale": "decibel"}, "'scale' got 'decibel': input should be 'log' or 'db'"),
    ],
)
def test_windows_frequencies_and_scales_that_cannot_be_are_refused(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        check(AudioTransformConfig, values, "recipe x")


@pytest.mark.parametrize(
    ("settings", "asked"),
    [({"f_max_hz": 8000.5}, "0 to 8000.5 Hz"), ({"f_min_hz": 9000.0}, "9000 to 8000 Hz")],
)
def test_frequencies_that_the_sound_does_not_have_are_refused(settings: dict[str, float], asked: str) -> None:
    sentence = f"sound of 16000 Hz has frequencies up to 8000 Hz, got {asked}"
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        LogMel(AudioTransformConfig(**settings), RATE_HZ)


@pytest.mark.parametrize(("clips", "samples"), [(1, 9_000), (9, 20_000), (5, 70_000), (40, 1_600)])
def test_the_spectrogram_of_many_clips_is_that_of_each_to_the_last_bit(clips: int, samples: int) -> None:
    """On a CPU as many are computed at once as its caches hold: for each clip in less than half the time."""
    log_mel = LogMel(AudioTransformConfig(), RATE_HZ)
    generator = torch.Generator().manual_seed(clips)
    audio_BS = torch.randint(-9_000, 9_000, (clips, samples), dtype=torch.int16, generator=generator)
    gain_db_B = torch.rand(clips, generator=generator)
    levels_BFL = log_mel.compute_levels(audio_BS, gain_db_B)
    assert levels_BFL.shape == (clips, 80, samples // 160 + 1)
    for clip in range(clips):
        alone_BFL = log_mel.compute_levels(audio_BS[clip : clip + 1], gain_db_B[clip : clip + 1])
        assert torch.equal(levels_BFL[clip], alone_BFL[0])


def test_at_most_what_the_caches_hold_is_computed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    log_mel, seen = LogMel(AudioTransformConfig(), RATE_HZ), []
    real = log_mel.compute_power
    monkeypatch.setattr(log_mel, "compute_power", lambda audio_BS: seen.append(audio_BS.shape[0]) or real(audio_BS))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    log_mel.compute_levels(torch.zeros(7, 32_000, dtype=torch.int16))
    assert seen == [2, 2, 2, 1]
