"""Sound: log-mel spectrograms.

Shapes: `B` clips, `S` samples, `F` mel bins, `L` frames of the spectrogram, `K` frequencies of the transform.
"""

from typing import Annotated, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from talkies.config import Config

_FLOOR = 1e-6  # of power: about -60 dB under a full-scale sine in one bin
_INT16 = 32768.0
_MEAN, _SD = -6.0, 4.0  # of the natural logarithm of mel power, over film sound


class AudioTransformConfig(Config):
    """A log-mel of `mels` bins from 0 Hz to half the rate; window `n_fft` and step `hop` in samples."""

    n_fft: Annotated[int, Field(ge=32, le=16_384, multiple_of=2)] = 512
    hop: Annotated[int, Field(ge=8, le=16_384)] = 160
    mels: Annotated[int, Field(ge=8, le=512)] = 80

    @model_validator(mode="after")
    def _windows_overlap(self) -> Self:
        if self.hop > self.n_fft:
            raise ValueError(f"hop must not exceed n_fft, got {self.hop} and {self.n_fft}")
        return self


def mel_filters(rate_hz: int, n_fft: int, mels: int) -> Tensor:
    """Return the triangular filters `[F, K]` on Slaney's mel scale, each of unit area (as librosa's default)."""
    edges_hz = _mel_to_hz(np.linspace(0.0, _hz_to_mel(rate_hz / 2), mels + 2))
    frequencies_hz = np.linspace(0.0, rate_hz / 2, n_fft // 2 + 1)
    below, centre, above = (edges_hz[i : i + mels, None] for i in range(3))
    rising = (frequencies_hz - below) / (centre - below)
    falling = (above - frequencies_hz) / (above - centre)
    triangles = np.maximum(0.0, np.minimum(rising, falling)) * 2 / (above - below)
    return torch.from_numpy(triangles.astype(np.float32))


class LogMel(nn.Module):
    """From int16 samples `[B, S]` to a normalised log-mel `[B, 1, F, L]`, L = S // hop + 1."""

    filters_FK: Tensor
    window: Tensor

    def __init__(self, config: AudioTransformConfig, rate_hz: int) -> None:
        super().__init__()
        self._config = config
        self.register_buffer("filters_FK", mel_filters(rate_hz, config.n_fft, config.mels), persistent=False)
        self.register_buffer("window", torch.hann_window(config.n_fft), persistent=False)

    def forward(self, audio_BS: Tensor) -> Tensor:
        """Return the log-mel; samples are taken as fractions of full scale."""
        spectrum = torch.stft(
            audio_BS.float() / _INT16,
            self._config.n_fft,
            self._config.hop,
            window=self.window,
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        power_BKL = spectrum.real.square() + spectrum.imag.square()
        mel_BFL = self.filters_FK @ power_BKL
        return ((mel_BFL.clamp(min=_FLOOR).log() - _MEAN) / _SD).unsqueeze(1)


_LINEAR_HZ_PER_MEL = 200.0 / 3
_LOG_FROM_HZ = 1000.0
_LOG_STEP = np.log(6.4) / 27.0


def _hz_to_mel(hz: float) -> float:
    if hz < _LOG_FROM_HZ:
        return hz / _LINEAR_HZ_PER_MEL
    return _LOG_FROM_HZ / _LINEAR_HZ_PER_MEL + float(np.log(hz / _LOG_FROM_HZ) / _LOG_STEP)


def _mel_to_hz(mel: np.ndarray) -> np.ndarray:
    knee = _LOG_FROM_HZ / _LINEAR_HZ_PER_MEL
    return np.where(mel < knee, mel * _LINEAR_HZ_PER_MEL, _LOG_FROM_HZ * np.exp(_LOG_STEP * (mel - knee)))
