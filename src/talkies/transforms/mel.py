"""Slaney's mel scale and its triangular filters, as in librosa's defaults.

Shapes: `F` mel bins, `K` frequencies of the transform.
"""

import numpy as np
import torch
from torch import Tensor

from talkies.core import Float64s

_LINEAR_HZ_PER_MEL = 200.0 / 3
_LOG_FROM_HZ = 1000.0
_LOG_STEP = np.log(6.4) / 27.0


def build_mel_filters(
    rate_hz: int, n_fft: int, mels: int, f_min_hz: float = 0.0, f_max_hz: float | None = None
) -> Tensor:
    """Return triangular filters of unit area, float32 `[F, K]`.

    Args:
        rate_hz: sample rate of the audio.
        n_fft: length of the transform in samples; it has n_fft // 2 + 1 frequencies, `K`.
        mels: number of filters, `F`.
        f_min_hz: lower edge of the first filter.
        f_max_hz: upper edge of the last filter; None for half the rate.
    """
    # Edges are evenly spaced in mel: each filter rises to the next edge and falls to the one after it.
    ends_mel = _hz_to_mel(f_min_hz), _hz_to_mel(rate_hz / 2 if f_max_hz is None else f_max_hz)
    edges_hz = _mel_to_hz(np.linspace(*ends_mel, mels + 2))
    lower, centre, upper = (edges_hz[i : i + mels, None] for i in range(3))

    frequencies_hz = np.linspace(0.0, rate_hz / 2, n_fft // 2 + 1)
    rising = (frequencies_hz - lower) / (centre - lower)
    falling = (upper - frequencies_hz) / (upper - centre)
    triangles = np.maximum(0.0, np.minimum(rising, falling)) * 2 / (upper - lower)
    return torch.from_numpy(triangles.astype(np.float32))


def _hz_to_mel(hz: float) -> float:
    if hz < _LOG_FROM_HZ:
        return hz / _LINEAR_HZ_PER_MEL
    return _LOG_FROM_HZ / _LINEAR_HZ_PER_MEL + float(np.log(hz / _LOG_FROM_HZ) / _LOG_STEP)


def _mel_to_hz(mel: Float64s) -> Float64s:
    knee = _LOG_FROM_HZ / _LINEAR_HZ_PER_MEL
    return np.where(mel < knee, mel * _LINEAR_HZ_PER_MEL, _LOG_FROM_HZ * np.exp(_LOG_STEP * (mel - knee)))
