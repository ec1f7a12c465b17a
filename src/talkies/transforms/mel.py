"""Slaney's mel scale and its filters, as librosa's defaults.

Shapes: `F` mel bins, `K` frequencies of the transform.
"""

import numpy as np
import torch
from torch import Tensor

_LINEAR_HZ_PER_MEL = 200.0 / 3
_LOG_FROM_HZ = 1000.0
_LOG_STEP = np.log(6.4) / 27.0


def mel_filters(rate_hz: int, n_fft: int, mels: int, f_min_hz: float = 0.0, f_max_hz: float | None = None) -> Tensor:
    """Return the triangular filters `[F, K]` from `f_min_hz` to `f_max_hz` (None: half the rate), each of unit area."""
    ends_mel = _hz_to_mel(f_min_hz), _hz_to_mel(rate_hz / 2 if f_max_hz is None else f_max_hz)
    edges_hz = _mel_to_hz(np.linspace(*ends_mel, mels + 2))
    frequencies_hz = np.linspace(0.0, rate_hz / 2, n_fft // 2 + 1)
    below, centre, above = (edges_hz[i : i + mels, None] for i in range(3))
    rising = (frequencies_hz - below) / (centre - below)
    falling = (above - frequencies_hz) / (above - centre)
    triangles = np.maximum(0.0, np.minimum(rising, falling)) * 2 / (above - below)
    return torch.from_numpy(triangles.astype(np.float32))


def _hz_to_mel(hz: float) -> float:
    if hz < _LOG_FROM_HZ:
        return hz / _LINEAR_HZ_PER_MEL
    return _LOG_FROM_HZ / _LINEAR_HZ_PER_MEL + float(np.log(hz / _LOG_FROM_HZ) / _LOG_STEP)


def _mel_to_hz(mel: np.ndarray) -> np.ndarray:
    knee = _LOG_FROM_HZ / _LINEAR_HZ_PER_MEL
    return np.where(mel < knee, mel * _LINEAR_HZ_PER_MEL, _LOG_FROM_HZ * np.exp(_LOG_STEP * (mel - knee)))
