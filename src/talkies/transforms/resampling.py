"""Resampling to a lower rate: a windowed sinc in as many phases as there are, as one matrix product.

Shapes: `B` clips, `S` samples, `N` samples after resampling.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from talkies.core import ConfigError

_ZERO_CROSSINGS = 64  # of the sinc on either side: the transition from pass to stop is 5 % of the lower rate's half
_KAISER_BETA = 14.769656459379492  # stops over 120 dB
_CUTOFF = 0.9475937167399596  # as a share of half the lower rate
_MOST_WEIGHTS = 2**25  # of all phases: 256 MiB
_BLOCK = 128  # samples that one row of the product makes, at least


class Resampler(nn.Module):
    """Resamples sound `[B, S]` to a lower rate, `[B, N]` with N = ⌈S × rate / old rate⌉.

    Sample *n* of the result is at the time n / rate of the sound, which is silent before its begin and after its end.
    The filter is a sinc under a Kaiser window, with the parameters that resampy calls `kaiser_best`
    (J. O. Smith, Digital Audio Resampling, https://ccrma.stanford.edu/~jos/resample/).
    """

    kernel: Tensor

    def __init__(self, from_hz: int, to_hz: int) -> None:
        """Compute the filter.

        Args:
            from_hz: samples a second of the sound.
            to_hz: samples a second of the result, at most as many.

        Raises:
            ConfigError: if the rates have so small a common divisor that the filters would fill the memory.
        """
        super().__init__()
        common = math.gcd(from_hz, to_hz)
        old, new = from_hz // common, to_hz // common
        repeats = -(-_BLOCK // new)
        self._share = old, new
        self._old, self._new = old * repeats, new * repeats  # one row: this many samples become that many

        # Sample j of a row is at j / new old samples; its filter weighs the samples around it.
        cutoff = _CUTOFF * new / old
        self._margin = math.ceil(_ZERO_CROSSINGS / cutoff)
        centres = np.arange(self._new) * (old / new)
        if self._old * self._new > _MOST_WEIGHTS:
            raise ConfigError(
                f"sound of {from_hz} samples a second cannot be resampled to {to_hz}, because their greatest common "
                f"divisor is only {common}; make a library with a multiple of {to_hz}: talkies ingest --set "
                f"profile.audio_rate_hz={to_hz}"
            )
        distances = np.arange(-self._margin, self._old + self._margin)[:, None] - centres
        window = np.i0(_KAISER_BETA * np.sqrt(np.maximum(0.0, 1 - (distances * cutoff / _ZERO_CROSSINGS) ** 2)))
        window[np.abs(distances * cutoff) > _ZERO_CROSSINGS] = 0.0
        kernel = cutoff * np.sinc(cutoff * distances) * window / np.i0(_KAISER_BETA)
        kernel /= kernel.sum(0, keepdims=True)  # silence and constants stay as they are
        self.register_buffer("kernel", torch.from_numpy(kernel), persistent=False)

    def count(self, samples: int) -> int:
        """Return N for S samples."""
        old, new = self._share
        return -(-samples * new // old)

    def forward(self, audio_BS: Tensor) -> Tensor:
        """Return the resampled sound."""
        if self._old == self._new:
            return audio_BS
        samples = audio_BS.shape[1]
        rows = -(-samples // self._old)
        padding = self._margin, rows * self._old - samples + self._margin
        padded_BS = nn.functional.pad(audio_BS, padding)
        rows_BRK = padded_BS.unfold(1, self._old + 2 * self._margin, self._old)
        resampled_BN: Tensor = (rows_BRK @ self.kernel.to(rows_BRK.dtype)).flatten(1)
        return resampled_BN[:, : self.count(samples)]
