"""Triangular filters on the mel scales of Slaney (librosa's defaults), of HTK and of Kaldi.

Shapes: `F` mel bins, `K` frequencies of the transform.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from talkies.core import Float64s

MelScale = Literal["slaney", "htk", "kaldi"]

_LINEAR_HZ_PER_MEL = 200.0 / 3
_LOG_FROM_HZ = 1000.0
_LOG_STEP = np.log(6.4) / 27.0


def build_mel_filters(
    rate_hz: int, n_fft: int, mels: int, f_min_hz: float = 0.0, f_max_hz: float | None = None
) -> Tensor:
    """Return triangular filters of unit area on Slaney's scale, float32 `[F, K]`.

    Args:
        rate_hz: sample rate of the audio.
        n_fft: length of the transform in samples; it has n_fft // 2 + 1 frequencies, `K`.
        mels: number of filters, `F`.
        f_min_hz: lower edge of the first filter.
        f_max_hz: upper edge of the last filter; None for half the rate.
    """
    frequencies_hz = np.linspace(0.0, rate_hz / 2, n_fft // 2 + 1)
    ends_hz = f_min_hz, rate_hz / 2 if f_max_hz is None else f_max_hz
    return torch.from_numpy(compute_mel_filters(frequencies_hz, mels, ends_hz).astype(np.float32))


def compute_mel_filters(
    frequencies_hz: Float64s, mels: int, ends_hz: tuple[float, float], scale: MelScale = "slaney"
) -> Float64s:
    """Return triangular filters, float64 `[F, K]`.

    Those on Slaney's scale have unit area; those on HTK's a height of 1; those on Kaldi's too, and they are triangles
    over mel instead of frequency.

    Args:
        frequencies_hz: the frequencies of the transform, `[K]`.
        mels: number of filters, `F`.
        ends_hz: lower edge of the first filter, and upper edge of the last.
        scale: the mel scale.
    """
    # Edges are evenly spaced in mel: each filter rises to the next edge and falls to the one after it.
    to_mel, to_hz = _SCALES[scale]
    lowest, highest = to_mel(np.array(ends_hz))
    edges = np.linspace(lowest, highest, mels + 2)
    if scale == "kaldi":
        positions = to_mel(frequencies_hz)
    else:
        edges, positions = to_hz(edges), frequencies_hz
    lower, centre, upper = (edges[i : i + mels, None] for i in range(3))

    rising = (positions - lower) / (centre - lower)
    falling = (upper - positions) / (upper - centre)
    triangles: Float64s = np.maximum(0.0, np.minimum(rising, falling))
    if scale == "slaney":
        triangles = triangles * 2 / (upper - lower)
    return triangles


def _slaney_from_hz(hz: Float64s) -> Float64s:
    knee = _LOG_FROM_HZ / _LINEAR_HZ_PER_MEL
    above = np.maximum(hz, _LOG_FROM_HZ)
    return np.where(hz < _LOG_FROM_HZ, hz / _LINEAR_HZ_PER_MEL, knee + np.log(above / _LOG_FROM_HZ) / _LOG_STEP)


def _slaney_to_hz(mel: Float64s) -> Float64s:
    knee = _LOG_FROM_HZ / _LINEAR_HZ_PER_MEL
    return np.where(mel < knee, mel * _LINEAR_HZ_PER_MEL, _LOG_FROM_HZ * np.exp(_LOG_STEP * (mel - knee)))


def _log_from_hz(hz: Float64s) -> Float64s:
    """Return mels of HTK and Kaldi, but for a factor, which the position of an edge does not depend on."""
    return np.log1p(hz / 700.0)


def _log_to_hz(mel: Float64s) -> Float64s:
    return 700.0 * np.expm1(mel)


_SCALES: dict[MelScale, tuple[Callable[[Float64s], Float64s], Callable[[Float64s], Float64s]]] = {
    "slaney": (_slaney_from_hz, _slaney_to_hz),
    "htk": (_log_from_hz, _log_to_hz),
    "kaldi": (_log_from_hz, _log_to_hz),
}
