"""Transforms compute in full float32 whatever the networks around do, and spectra in float32 where float64 is slow."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from talkies.core import AudioInput, ClapInput, FilterbankInput, WaveformInput, WhisperInput, precision
from talkies.core.precision import Precision
from talkies.transforms import AudioTransformConfig, LogMel, VideoTransform, VideoTransformConfig, audio, public_audio
from talkies.transforms.audio_inputs import build_audio_transform
from talkies.transforms.exact import choose_spectrum_dtype

RATE_HZ = 48_000
INPUTS: dict[str, AudioInput | None] = {
    "log-mel": None,
    "whisper": WhisperInput(16_000, 80, 400, 160, 32_000),
    "ast": FilterbankInput(16_000, 128, 200),
    "clap": ClapInput(48_000, 64, 1024, 480, 96_000, 0.0, 14_000.0),
    "wav2vec 2.0": WaveformInput(16_000, normalise=True),
}


def build(name: str) -> tuple[nn.Module, Tensor]:
    """A transform, and clips for it."""
    generator = torch.Generator().manual_seed(3)
    if name == "video":
        clips = torch.randint(0, 256, (2, 3, 72, 48), dtype=torch.uint8, generator=generator)
        return VideoTransform(VideoTransformConfig(size=32)), clips
    samples = torch.randint(-20_000, 20_000, (2, RATE_HZ), dtype=torch.int16, generator=generator)
    return build_audio_transform(AudioTransformConfig(), RATE_HZ, INPUTS[name]), samples


@pytest.mark.parametrize("name", ["video", *INPUTS])
def test_half_precision_around_a_transform_changes_no_digit(name: str) -> None:
    transform, clips = build(name)
    plain = transform(clips)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(transform(clips), plain)


@pytest.mark.parametrize("name", ["video", *INPUTS])
def test_no_product_of_a_transform_is_rounded_to_tf32(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_DEVICES", ("cpu",))  # as if this were a CUDA device
    transform, clips = build(name)
    seen: list[bool] = []

    class Watching(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if getattr(func, "__name__", "") in ("matmul", "__matmul__", "__rmatmul__", "baddbmm", "stft", "rfft"):
                seen.append(torch.backends.cuda.matmul.allow_tf32)
            return func(*args, **(kwargs or {}))

    with Precision("tf32").use_settings("cpu"), Watching():
        transform(clips)
        assert torch.backends.cuda.matmul.allow_tf32
    assert seen == [False] * len(seen)
    assert seen or name == "wav2vec 2.0"  # whose product is that of its resampling, and so is also seen


@pytest.mark.parametrize(
    ("device", "dtype"), [("cpu", torch.float64), ("cuda", torch.float32), ("meta", torch.float32)]
)
def test_only_cpus_compute_spectra_in_float64(device: str, dtype: torch.dtype) -> None:
    assert choose_spectrum_dtype(torch.device(device)) == dtype


def sweep(rate_hz: int) -> np.ndarray:
    """Loud beside very soft: a tone at nearly full scale that rises from 50 Hz to half the rate."""
    seconds = np.arange(2 * rate_hz) / rate_hz
    return 32_000 * np.sin(2 * np.pi * (50 * seconds + (rate_hz / 2 - 100) / 4 * seconds**2))


def loud_and_quiet_tone(rate_hz: int) -> np.ndarray:
    """A tone at nearly full scale, and one 80 dB under it."""
    seconds = np.arange(2 * rate_hz) / rate_hz
    return 29_000 * np.sin(2 * np.pi * 440 * seconds) + 2.9 * np.sin(2 * np.pi * 5_000 * seconds)


def noise(rate_hz: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 3000, 2 * rate_hz)


def levels_in(dtype: torch.dtype, transform: Any, sound: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    samples = torch.from_numpy(sound.round().astype(np.int16))[None]
    with monkeypatch.context() as patch:
        for module in (audio, public_audio):
            patch.setattr(module, "choose_spectrum_dtype", lambda device: dtype)
        levels: Tensor = transform.compute_levels(samples) if isinstance(transform, LogMel) else transform(samples)
        return levels


DOCS = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
ROWS = {60.0: "up to 60 dB", 100.0: "up to 100 dB", np.inf: "any, to the floor of the scale"}
COLUMNS = ("log", "db")


def stated(row: str, scale: str) -> float:
    """A number in the table of docs/training.md."""
    (line,) = (line for line in DOCS.splitlines() if line.startswith(f"| {row} |"))
    return float(line.strip("|").split("|")[1 + COLUMNS.index(scale)])


@pytest.mark.parametrize("n_fft", [512, 2048])
@pytest.mark.parametrize("scale", COLUMNS)
@pytest.mark.parametrize("sound", [sweep, loud_and_quiet_tone, noise])
def test_in_float32_levels_are_those_in_float64_but_for_what_the_docs_state(
    sound: Callable[[int], np.ndarray], scale: Any, n_fft: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_mel = LogMel(AudioTransformConfig(scale=scale, n_fft=n_fft), 16_000)
    exact, fast = (levels_in(dtype, log_mel, sound(16_000), monkeypatch) for dtype in (torch.float64, torch.float32))
    assert fast.dtype == exact.dtype == torch.float32
    difference = (fast - exact).abs()
    decibels = exact if scale == "db" else exact * 10 / np.log(10)
    below_BFL = decibels.amax(1, keepdim=True) - decibels
    for distance, row in ROWS.items():
        assert difference[below_BFL <= distance].max() < stated(row, scale)
    assert scale == "log" or difference.mean() < 0.02


def test_in_float32_a_tone_80_db_under_a_loud_one_keeps_its_level(monkeypatch: pytest.MonkeyPatch) -> None:
    log_mel, sound = LogMel(AudioTransformConfig(scale="db"), 16_000), loud_and_quiet_tone(16_000)
    exact, fast = (levels_in(dtype, log_mel, sound, monkeypatch) for dtype in (torch.float64, torch.float32))
    quiet = 40 + int(exact[0, 40:].mean(1).argmax())  # bins from 2.3 kHz on, where the loud tone is not
    assert exact[0, :, 50].max() - exact[0, quiet, 50] > 75
    assert (fast - exact)[0, quiet].abs().max() < 0.005


@pytest.mark.parametrize(("name", "most"), [("whisper", 1e-4), ("ast", 0.05), ("clap", 0.9)])
def test_in_float32_spectrograms_of_public_encoders_are_those_in_float64_but_for_what_the_docs_state(
    name: str, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    transform, _ = build(name)
    for sound in (sweep, loud_and_quiet_tone, noise):
        exact, fast = (
            levels_in(dtype, transform, sound(RATE_HZ), monkeypatch) for dtype in (torch.float64, torch.float32)
        )
        difference = (fast - exact).abs()
        assert 0 < difference.max() < most
        assert difference.mean() < most / 20
