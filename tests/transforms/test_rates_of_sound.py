"""The log-mel counted at one rate is the same for sound of any rate: a library may be of 16 kHz or of 48 kHz."""

import numpy as np
import pytest
import torch
from torch import Tensor

from talkies.export.onnx_files import MatrixLogMel
from talkies.transforms import AudioTransformConfig, LogMel

SECONDS = 2
COUNTED = AudioTransformConfig(rate_hz=16_000)


def chord(rate_hz: int) -> Tensor:
    """Two seconds of tones from 200 to 6000 Hz that swell and fade between silences: a hard cut has all frequencies."""
    seconds = np.arange(SECONDS * rate_hz) / rate_hz
    swell = np.clip(seconds - 0.4, 0, 1) * np.clip(1.9 - seconds, 0, 0.4)
    tones = sum(np.sin(2 * np.pi * hz * seconds + hz) for hz in (200, 730, 1500, 2900, 6000))
    return torch.from_numpy((9000 * swell * tones).round().astype(np.int16))[None]


@pytest.mark.parametrize("rate_hz", [22_050, 24_000, 32_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("settings", [{}, {"window_samples": 400}, {"scale": "db"}, {"f_max_hz": 7000.0}], ids=str)
def test_it_is_that_of_the_rate_at_which_it_is_counted(rate_hz: int, settings: dict[str, object]) -> None:
    config = COUNTED.model_copy(update=settings)
    wanted = LogMel(config, 16_000)(chord(16_000))[0, 0]
    got = LogMel(config, rate_hz)(chord(rate_hz))[0, 0]
    assert got.shape == wanted.shape
    loud = wanted > wanted.max() - 1.5  # in units of the normalised scale; below it is the noise of rounding
    assert loud.float().mean() > 0.05
    # Rounded to whole samples: a hop of 220.5 at 22.05 kHz, windows of 1102.5 and 1411.2 at 44.1 kHz.
    most = {22_050: 0.15, 44_100: 0.05}.get(rate_hz, 0.02)
    assert (got - wanted)[loud].abs().max() < most


def test_at_the_rate_at_which_it_is_counted_nothing_changes() -> None:
    sound = chord(16_000)
    assert torch.equal(LogMel(COUNTED, 16_000)(sound), LogMel(AudioTransformConfig(), 16_000)(sound))


def test_sound_of_a_lower_rate_has_the_frequencies_that_it_has() -> None:
    assert COUNTED.scale_to(8_000).f_max_hz == 4000
    assert COUNTED.scale_to(8_000).n_fft == 256
    assert LogMel(COUNTED, 8_000)(chord(8_000)).shape == LogMel(COUNTED, 16_000)(chord(16_000)).shape


def test_lengths_are_in_samples_of_the_sound_unless_a_rate_is_given() -> None:
    plain = AudioTransformConfig(n_fft=1024, hop=501)
    assert plain.scale_to(48_000) == plain
    scaled = AudioTransformConfig(rate_hz=16_000, n_fft=400, hop=160, window_samples=320).scale_to(44_100)
    assert (scaled.n_fft, scaled.hop, scaled.window_samples) == (1102, 441, 882)


def test_the_transform_of_onnx_files_scales_too() -> None:
    sound = chord(48_000)[:, :24_000]
    torch.testing.assert_close(MatrixLogMel(COUNTED, 48_000)(sound), LogMel(COUNTED, 48_000)(sound), atol=1e-4, rtol=0)
