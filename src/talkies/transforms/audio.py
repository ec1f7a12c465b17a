"""The audio transform: log-mel spectrograms, and their augmentation by gain and masks.

Shapes: `B` clips, `S` samples, `F` mel bins, `L` frames of the spectrogram, `K` frequencies of the transform.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from talkies.config import Config
from talkies.core import ConfigError
from talkies.transforms.draws import move_draws
from talkies.transforms.exact import choose_spectrum_dtype, compute_exactly
from talkies.transforms.mel import build_mel_filters

_INT16 = 32768.0
_SAMPLES_IN_CACHE = 65_536
"""The spectrogram of so many samples takes about 4 MB in float64; of a whole batch it takes more than twice as long
for each clip, because each step reads from memory what the one before wrote."""


@dataclass(frozen=True, slots=True)
class _Scale:
    """A scale of levels: `unit` × the natural logarithm of power, which is at least `floor`.

    `mean` and `sd` are those of the levels of film sound.
    """

    floor: float
    unit: float
    mean: float
    sd: float


_SCALES = {
    "log": _Scale(floor=1e-6, unit=1.0, mean=-6.0, sd=4.0),  # the floor: -60 dB under a full-scale sine in one bin
    "db": _Scale(floor=1e-10, unit=10 / math.log(10), mean=-40.0, sd=28.0),
}


class AudioTransformConfig(Config):
    """The log-mel spectrogram, and its augmentation in training by gain and masks.

    The masks are those of SpecAugment (Park et al. 2019, arXiv:1904.08779).

    Attributes:
        rate_hz: the sample rate at which `n_fft`, `hop` and `window_samples` are counted. For sound of another rate
            they are scaled, so that they last as long, and by default the highest frequency stays the same: a library
            at 48 kHz gives the spectrogram of one at 16 kHz. None: the sound's own rate.
        n_fft: length of the Fourier transform, in samples.
        hop: step from one frame to the next, in samples.
        mels: number of mel bins.
        window_samples: length of the window, in the middle of `n_fft`; None for `n_fft`.
        f_min_hz: lowest frequency.
        f_max_hz: highest frequency; None for half the sample rate (`rate_hz`, or the sound's if it is lower).
        scale: natural logarithm of power over a floor of 1e-6 (`log`), or decibels over a floor of 1e-10 (`db`). The
            latter is librosa's `power_to_db` with `top_db=None`, because a floor that depends on the clip's loudest bin
            would move with every augmentation.
        gain_db: largest random gain, up or down.
        time_masks: number of masks over time.
        time_mask_frames: largest width of such a mask, in frames.
        frequency_masks: number of masks over frequency.
        frequency_mask_bins: largest width of such a mask, in mel bins.
    """

    rate_hz: Annotated[int, Field(ge=8_000, le=96_000)] | None = None
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
    def _check_window(self) -> Self:
        if self.window_samples is not None and self.window_samples > self.n_fft:
            raise ValueError(f"window_samples must not exceed n_fft, got {self.window_samples} and {self.n_fft}")
        name, window = ("window_samples", self.window_samples) if self.window_samples else ("n_fft", self.n_fft)
        if self.hop > window:
            raise ValueError(f"hop must not exceed {name}, got {self.hop} and {window}")
        return self

    @model_validator(mode="after")
    def _check_frequencies(self) -> Self:
        if self.f_max_hz is not None and self.f_min_hz >= self.f_max_hz:
            raise ValueError(f"f_min_hz must be under f_max_hz, got {self.f_min_hz} and {self.f_max_hz}")
        return self

    @model_validator(mode="after")
    def _check_masks(self) -> Self:
        if bool(self.time_masks) != bool(self.time_mask_frames):
            raise ValueError("time_masks and time_mask_frames are set together, or neither is")
        if bool(self.frequency_masks) != bool(self.frequency_mask_bins):
            raise ValueError("frequency_masks and frequency_mask_bins are set together, or neither is")
        if self.frequency_mask_bins > self.mels:
            raise ValueError(
                f"frequency_mask_bins must not exceed mels, got {self.frequency_mask_bins} and {self.mels}"
            )
        return self

    def scale_to(self, rate_hz: int) -> Self:
        """Return the config for sound of `rate_hz`, with lengths in its samples."""
        if self.rate_hz is None or self.rate_hz == rate_hz:
            return self
        factor = rate_hz / self.rate_hz
        window = None if self.window_samples is None else max(1, round(self.window_samples * factor))
        lengths = {"n_fft": 2 * round(self.n_fft * factor / 2), "hop": max(1, round(self.hop * factor))}
        f_max_hz = self.f_max_hz or min(self.rate_hz, rate_hz) / 2
        return self.model_copy(update={**lengths, "window_samples": window, "f_max_hz": f_max_hz, "rate_hz": rate_hz})


class AudioTransform(nn.Module, ABC):
    """The base of the transforms from int16 samples `[B, S]` to the input of an audio encoder."""

    def forward(self, audio_BS: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the encoder's input, augmented at random if there is a generator (on the CPU)."""
        clips, samples = audio_BS.shape
        return self.prepare(audio_BS, self.draw(clips, samples, generator) if generator else None)

    @abstractmethod
    def draw(self, clips: int, samples: int, generator: torch.Generator) -> "AudioAugmentation":
        """Return a random augmentation; the draws depend on the number of clips, never on their content.

        Args:
            clips: clips of the batch.
            samples: audio samples of each clip.
            generator: random generator on the CPU.
        """

    @abstractmethod
    def prepare(self, audio_BS: Tensor, augmentation: "AudioAugmentation | None" = None) -> Tensor:
        """Return the encoder's input, with the given augmentation or none."""


class LogMel(AudioTransform):
    """From int16 samples `[B, S]` to a normalised log-mel `[B, 1, F, L]`, L = S // hop + 1."""

    filters_FK: Tensor
    window: Tensor

    def __init__(self, config: AudioTransformConfig, rate_hz: int) -> None:
        """Build the filters and the window for audio of `rate_hz`.

        Raises:
            ConfigError: if the config uses frequencies above half the rate.
        """
        super().__init__()
        counted, config = config, config.scale_to(rate_hz)
        if max(config.f_min_hz, config.f_max_hz or 0.0) > rate_hz / 2:
            frequencies = f"{config.f_min_hz:g} to {config.f_max_hz or rate_hz / 2:g} Hz"
            raise ConfigError(f"sound of {rate_hz} Hz has frequencies up to {rate_hz / 2:g} Hz, got {frequencies}")

        self._config, self._scale = config, _SCALES[config.scale]
        filters_FK = build_mel_filters(rate_hz, config.n_fft, config.mels, config.f_min_hz, config.f_max_hz)
        length = config.window_samples or config.n_fft
        # A window of more samples sums up more of them: it is lowered so that the power of a sound stays the same.
        scale = (counted.window_samples or counted.n_fft) / length
        window = torch.hann_window(length, dtype=torch.float64) * scale
        self.register_buffer("filters_FK", filters_FK, persistent=False)
        self.register_buffer("window", window, persistent=False)

    def draw(self, clips: int, samples: int, generator: torch.Generator) -> "AudioAugmentation":
        """Return a random augmentation: a gain for each clip, and masks."""
        config = self._config
        gain_db_B = time_mask_BL = frequency_mask_BF = None
        if config.gain_db:
            gain_db_B = torch.empty(clips).uniform_(-config.gain_db, config.gain_db, generator=generator)
        if config.time_masks:
            shape, frames = (clips, config.time_masks), samples // config.hop + 1
            time_mask_BL = draw_masks(shape, frames, config.time_mask_frames, generator)
        if config.frequency_masks:
            shape = clips, config.frequency_masks
            frequency_mask_BF = draw_masks(shape, config.mels, config.frequency_mask_bins, generator)
        return AudioAugmentation(gain_db_B, time_mask_BL, frequency_mask_BF)

    @compute_exactly
    def prepare(self, audio_BS: Tensor, augmentation: "AudioAugmentation | None" = None) -> Tensor:
        """Return the normalised log-mel, with the given augmentation or none; masks are set to 0, the mean."""
        augmentation = move_draws(augmentation, audio_BS.device)
        gain_db_B = augmentation.gain_db_B if augmentation else None
        features_BFL = self.compute_levels(audio_BS, gain_db_B).sub_(self._scale.mean).div_(self._scale.sd)
        if augmentation:
            augmentation.mask(features_BFL)
        return features_BFL.unsqueeze(1)

    def compute_levels(self, audio_BS: Tensor, gain_db_B: Tensor | None = None) -> Tensor:
        """Return the log-mel `[B, F, L]` in the units of its scale, before normalisation.

        Args:
            audio_BS: int16 samples.
            gain_db_B: gain of each clip, on the device of the samples. It multiplies power, so nothing clips, and
                sounds below the floor may rise above it.
        """
        if torch.compiler.is_compiling():  # a graph that is written to a file knows no number of clips
            mel_BFL = self._compute_mel(audio_BS)
        else:
            mel_BFL = torch.cat([self._compute_mel(part) for part in torch.split(audio_BS, _count_at_once(audio_BS))])
        if gain_db_B is not None:
            mel_BFL *= (10 ** (gain_db_B / 10))[:, None, None]
        return mel_BFL.clamp_(min=self._scale.floor).log_().mul_(self._scale.unit)

    def _compute_mel(self, audio_BS: Tensor) -> Tensor:
        return self.filters_FK @ self.compute_power(audio_BS).to(self.filters_FK.dtype)

    def compute_power(self, audio_BS: Tensor) -> Tensor:
        """Return the power spectrogram `[B, K, L]` of samples as fractions of full scale.

        It is float64 on a CPU and float32 on other devices (`choose_spectrum_dtype`). The audio is padded with silence
        at both ends, so that frame *i* is centred on sample *i* × hop.
        """
        window = self.window.to(choose_spectrum_dtype(audio_BS.device))
        spectrum_BKL = torch.stft(
            audio_BS.to(window.dtype) / _INT16,
            self._config.n_fft,
            self._config.hop,
            len(window),
            window=window,
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        return spectrum_BKL.real.square().addcmul_(spectrum_BKL.imag, spectrum_BKL.imag)


def _count_at_once(audio_BS: Tensor) -> int:
    """Return of how many clips the spectrogram is computed at once: on a CPU, of as many as its caches hold."""
    clips, samples = audio_BS.shape
    if audio_BS.device.type != "cpu":
        return max(1, clips)
    return max(1, _SAMPLES_IN_CACHE * torch.get_num_threads() // max(1, samples))


@dataclass(frozen=True, slots=True)
class AudioAugmentation:
    """The augmentation of each clip's audio: its gain, and which frames and mel bins are masked (bool)."""

    gain_db_B: Tensor | None
    time_mask_BL: Tensor | None
    frequency_mask_BF: Tensor | None

    def __getitem__(self, clips: slice) -> Self:
        """Return the augmentation of some of the clips."""
        parts = (self.gain_db_B, self.time_mask_BL, self.frequency_mask_BF)
        return type(self)(*(None if part is None else part[clips] for part in parts))

    def mask(self, features_BFL: Tensor) -> None:
        """Set masked frames and bins to 0, in place."""
        if self.time_mask_BL is not None:
            features_BFL.masked_fill_(self.time_mask_BL[:, None], 0)
        if self.frequency_mask_BF is not None:
            features_BFL.masked_fill_(self.frequency_mask_BF[:, :, None], 0)


def draw_masks(shape: tuple[int, int], length: int, widest: int, generator: torch.Generator) -> Tensor:
    """Return which positions any of a clip's masks hides, bool `[B, length]`.

    A mask's width is uniform in 0 to `widest`, and its position uniform where it fits.

    Args:
        shape: clips × masks, `[B, M]`.
        length: number of positions.
        widest: largest width of a mask.
        generator: random generator on the CPU.
    """
    width_share_BM1, place_share_BM1 = torch.rand(2, *shape, 1, generator=generator)
    width_BM1 = (width_share_BM1 * (min(widest, length) + 1)).floor()
    begin_BM1 = (place_share_BM1 * (length - width_BM1 + 1)).floor()
    position_L = torch.arange(length)
    hidden_BML: Tensor = (position_L >= begin_BM1) & (position_L < begin_BM1 + width_BM1)
    return hidden_BML.any(1)
