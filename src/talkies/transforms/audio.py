"""Sound: log-mel spectrograms, and their augmentation by gain and by masks.

Shapes: `B` clips, `S` samples, `F` mel bins, `L` frames of the spectrogram, `K` frequencies of the transform.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from talkies.config import Config
from talkies.core import ConfigError
from talkies.transforms.mel import mel_filters

_INT16 = 32768.0


@dataclass(frozen=True, slots=True)
class _Scale:
    """Levels are `unit` × the natural logarithm of power, at least `floor`; over film sound they have this mean, SD."""

    floor: float
    unit: float
    mean: float
    sd: float


_SCALES = {
    "log": _Scale(floor=1e-6, unit=1.0, mean=-6.0, sd=4.0),  # the floor: -60 dB under a full-scale sine in one bin
    "db": _Scale(floor=1e-10, unit=10 / math.log(10), mean=-40.0, sd=28.0),
}


class AudioTransformConfig(Config):
    """A log-mel of `mels` bins from `f_min_hz` to `f_max_hz` (None: half the rate), step `hop` in samples.

    The window has `window_samples` (None: `n_fft`), in the middle of `n_fft`. Levels are natural logarithms of power
    over a floor of 1e-6 (`log`), or decibels over one of 1e-10 (`db`: librosa's `power_to_db` with `top_db=None`,
    for a floor that hangs on the clip's loudest bin would move with every augmentation).

    In training, each clip is louder by up to ±`gain_db`, and loses `time_masks` stretches of up to `time_mask_frames`
    and `frequency_masks` bands of up to `frequency_mask_bins` (SpecAugment: Park et al. 2019, arXiv:1904.08779).
    """

    n_fft: Annotated[int, Field(ge=32, le=16_384, multiple_of=2)] = 512
    hop: Annotated[int, Field(ge=8, le=16_384)] = 160
    mels: Annotated[int, Field(ge=8, le=512)] = 80
    window_samples: Annotated[int, Field(ge=8)] | None = None
    f_min_hz: Annotated[float, Field(ge=0)] = 0.0
    f_max_hz: Annotated[float, Field(gt=0)] | None = None
    scale: Literal["log", "db"] = "log"
    gain_db: Annotated[float, Field(ge=0, le=60)] = 0.0
    time_masks: Annotated[int, Field(ge=0, le=100)] = 0
    time_mask_frames: Annotated[int, Field(ge=0)] = 0
    frequency_masks: Annotated[int, Field(ge=0, le=100)] = 0
    frequency_mask_bins: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _windows_overlap(self) -> Self:
        if self.window_samples is not None and self.window_samples > self.n_fft:
            raise ValueError(f"window_samples must not exceed n_fft, got {self.window_samples} and {self.n_fft}")
        name, window = ("window_samples", self.window_samples) if self.window_samples else ("n_fft", self.n_fft)
        if self.hop > window:
            raise ValueError(f"hop must not exceed {name}, got {self.hop} and {window}")
        return self

    @model_validator(mode="after")
    def _frequencies_rise(self) -> Self:
        if self.f_max_hz is not None and self.f_min_hz >= self.f_max_hz:
            raise ValueError(f"f_min_hz must be under f_max_hz, got {self.f_min_hz} and {self.f_max_hz}")
        return self

    @model_validator(mode="after")
    def _masks_have_a_width(self) -> Self:
        if bool(self.time_masks) != bool(self.time_mask_frames):
            raise ValueError("time_masks and time_mask_frames are set together, or neither is")
        if bool(self.frequency_masks) != bool(self.frequency_mask_bins):
            raise ValueError("frequency_masks and frequency_mask_bins are set together, or neither is")
        if self.frequency_mask_bins > self.mels:
            raise ValueError(
                f"frequency_mask_bins must not exceed mels, got {self.frequency_mask_bins} and {self.mels}"
            )
        return self


class LogMel(nn.Module):
    """From int16 samples `[B, S]` to a normalised log-mel `[B, 1, F, L]`, L = S // hop + 1.

    Raises:
        ConfigError: if the config asks for frequencies that sound of `rate_hz` does not have.
    """

    filters_FK: Tensor
    window: Tensor

    def __init__(self, config: AudioTransformConfig, rate_hz: int) -> None:
        super().__init__()
        if max(config.f_min_hz, config.f_max_hz or 0.0) > rate_hz / 2:
            asked = f"{config.f_min_hz:g} to {config.f_max_hz or rate_hz / 2:g} Hz"
            raise ConfigError(f"sound of {rate_hz} Hz has frequencies up to {rate_hz / 2:g} Hz, got {asked}")
        self._config, self._scale = config, _SCALES[config.scale]
        filters_FK = mel_filters(rate_hz, config.n_fft, config.mels, config.f_min_hz, config.f_max_hz)
        # In float32 the transform's own rounding, spread from the loudest frequency over all, hides the soft ones.
        window = torch.hann_window(config.window_samples or config.n_fft, dtype=torch.float64)
        self.register_buffer("filters_FK", filters_FK, persistent=False)
        self.register_buffer("window", window, persistent=False)

    def forward(self, audio_BS: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the log-mel, normalised: with a generator (on the CPU) augmented at random."""
        clips, samples = audio_BS.shape
        return self.prepare(audio_BS, self.draw(clips, samples, generator) if generator else None)

    def draw(self, clips: int, samples: int, generator: torch.Generator) -> "AudioAugmentation":
        """Return at random how each of so many clips, of so many samples, is to be augmented.

        A clip's draws depend on its place and on how many clips there are, never on what they hold.
        """
        config, gain_db_B, in_time_BL, in_frequency_BF = self._config, None, None, None
        if config.gain_db:
            gain_db_B = torch.empty(clips).uniform_(-config.gain_db, config.gain_db, generator=generator)
        if config.time_masks:
            frames, shape = samples // config.hop + 1, (clips, config.time_masks)
            in_time_BL = draw_masks(shape, frames, config.time_mask_frames, generator)
        if config.frequency_masks:
            shape = clips, config.frequency_masks
            in_frequency_BF = draw_masks(shape, config.mels, config.frequency_mask_bins, generator)
        return AudioAugmentation(gain_db_B, in_time_BL, in_frequency_BF)

    def prepare(self, audio_BS: Tensor, augmentation: "AudioAugmentation | None" = None) -> Tensor:
        """Return the log-mel, normalised: augmented as was drawn, its masks at the mean, which is 0, or whole."""
        gain_db_B = augmentation.gain_db_B if augmentation else None
        features_BFL = self.levels(audio_BS, gain_db_B).sub_(self._scale.mean).div_(self._scale.sd)
        if augmentation:
            augmentation.mask(features_BFL)
        return features_BFL.unsqueeze(1)

    def levels(self, audio_BS: Tensor, gain_db_B: Tensor | None = None) -> Tensor:
        """Return the log-mel `[B, F, L]` in the units of its scale, each clip louder by its `gain_db_B`.

        Gain multiplies power, so nothing clips; what the floor hid before may show.
        """
        mel_BFL = self.filters_FK @ self.power(audio_BS).to(self.filters_FK.dtype)
        if gain_db_B is not None:
            mel_BFL *= (10 ** (gain_db_B / 10)).to(mel_BFL.device, non_blocking=True)[:, None, None]
        return mel_BFL.clamp_(min=self._scale.floor).log_().mul_(self._scale.unit)

    def power(self, audio_BS: Tensor) -> Tensor:
        """Return the power spectrogram `[B, K, L]`, in float64.

        Samples are fractions of full scale, silence before the first and after the last.
        """
        spectrum_BKL = torch.stft(
            audio_BS.to(self.window.dtype) / _INT16,
            self._config.n_fft,
            self._config.hop,
            len(self.window),
            window=self.window,
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        return spectrum_BKL.real.square().addcmul_(spectrum_BKL.imag, spectrum_BKL.imag)


@dataclass(frozen=True, slots=True)
class AudioAugmentation:
    """How the sound of each clip is augmented: how much louder it is, and which frames and bins are masked (bool)."""

    gain_db_B: Tensor | None
    in_time_BL: Tensor | None
    in_frequency_BF: Tensor | None

    def __getitem__(self, clips: slice) -> Self:
        """Return the augmentation of some of the clips."""
        parts = (self.gain_db_B, self.in_time_BL, self.in_frequency_BF)
        return type(self)(*(None if part is None else part[clips] for part in parts))

    def mask(self, features_BFL: Tensor) -> None:
        """Set what is masked to 0, in place."""
        device = features_BFL.device
        if self.in_time_BL is not None:
            features_BFL.masked_fill_(self.in_time_BL.to(device, non_blocking=True)[:, None], 0)
        if self.in_frequency_BF is not None:
            features_BFL.masked_fill_(self.in_frequency_BF.to(device, non_blocking=True)[:, :, None], 0)


def draw_masks(shape: tuple[int, int], length: int, widest: int, generator: torch.Generator) -> Tensor:
    """Return which of `length` places any of a clip's masks hides, bool `[B, length]`; `shape` is clips × masks.

    A mask is 0 to `widest` places wide, and lies anywhere that it fits; both evenly.
    """
    wide, place = torch.rand(2, *shape, 1, generator=generator)
    width_BM1 = (wide * (min(widest, length) + 1)).floor()
    begin_BM1 = (place * (length - width_BM1 + 1)).floor()
    along = torch.arange(length)
    hidden_BML: Tensor = (along >= begin_BM1) & (along < begin_BM1 + width_BM1)
    return hidden_BML.any(1)
