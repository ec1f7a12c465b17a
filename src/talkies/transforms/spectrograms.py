"""The spectrograms that public audio encoders take, as their feature extractors make them, batched and on any device.

Everything is computed in the type of the samples: float64 on a CPU, as `choose_spectrum_dtype` says, because in float32
the rounding errors of the loudest frequency hide quiet ones, which CLAP and AST hear down to -100 dB and -69 dB.

Shapes: `B` clips, `N` samples at the encoder's rate, `F` mel bins, `L` frames, `K` frequencies, `C` copies.
"""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from talkies.core import ClapInput, FilterbankInput, WhisperInput
from talkies.core.inputs import FILTERBANK_HOP, FILTERBANK_WINDOW
from talkies.transforms.audio import AudioAugmentation, AudioTransformConfig
from talkies.transforms.mel import MelScale, compute_mel_filters
from talkies.transforms.public_audio import PublicAudioTransform, mask_spectrogram

_FLOOR = 1e-10  # of power, in Whisper and CLAP
_WHISPER_RANGE, _WHISPER_MAX_HZ = 8.0, 8000.0  # decades
_KALDI_FFT, _KALDI_PREEMPHASIS, _KALDI_FLOOR, _KALDI_MIN_HZ = 512, 0.97, 1.192092955078125e-07, 20.0


class MelTransform(PublicAudioTransform):
    """The base of the transforms to log-mels; holds the filters and the window."""

    filters_FK: Tensor
    window: Tensor

    def build_filters(
        self, n_fft: int, mels: int, ends_hz: tuple[float, float], scale: MelScale, *, window: Tensor
    ) -> None:
        """Compute the filters, and keep them with the window."""
        frequencies_hz = np.linspace(0.0, self._needed_hz // 2, n_fft // 2 + 1)
        filters_FK = torch.from_numpy(compute_mel_filters(frequencies_hz, mels, ends_hz, scale))
        self.register_buffer("filters_FK", filters_FK, persistent=False)
        self.register_buffer("window", window, persistent=False)

    def compute_mel(self, sound_BN: Tensor, hop: int) -> Tensor:
        """Return the power in each mel bin, `[B, F, L]`; frame *i* is centred on sample *i* × hop.

        The sound is mirrored at both ends.
        """
        n_fft = len(self.window)
        sound_BN = _reflect(sound_BN, n_fft // 2)
        window = self.window.to(sound_BN.dtype)
        spectrum_BKL = torch.stft(sound_BN, n_fft, hop, window=window, center=False, return_complex=True)
        power_BKL = spectrum_BKL.real.square().addcmul_(spectrum_BKL.imag, spectrum_BKL.imag)
        return self.filters_FK.to(power_BKL.dtype) @ power_BKL


class WhisperSpectrogram(MelTransform):
    """The log-mel `[B, F, L]` of Whisper, padded with silence to the length that its encoder takes.

    Masked frames and bins have the level of that silence.
    """

    def __init__(
        self, config: AudioTransformConfig, rate_hz: int, input_: WhisperInput, seconds: float | None = None
    ) -> None:
        super().__init__(config, rate_hz, input_, seconds)
        self._input = input_
        window = torch.hann_window(input_.n_fft, dtype=torch.float64)
        self.build_filters(input_.n_fft, input_.mels, (0.0, _WHISPER_MAX_HZ), "slaney", window=window)

    def measure_spectrogram(self, samples: int) -> tuple[int, int]:
        """Return the number of frames that begin in the sound, and of mel bins."""
        return -(-samples // self._input.hop), self._input.mels

    def compute(self, sound_BN: Tensor, augmentation: AudioAugmentation | None) -> Tensor:
        """Return the log-mel of samples."""
        frames, samples = self._input.most_samples // self._input.hop, sound_BN.shape[1]

        # Frames over the padding alone have no power: only those that touch the sound are computed.
        touched = min(self._input.most_samples, samples + self._input.n_fft + self._input.hop)
        padded_BN = functional.pad(sound_BN, (0, touched - samples))
        mel_BFL = self.compute_mel(padded_BN, self._input.hop)[..., :frames]
        mel_BFL = functional.pad(mel_BFL, (0, frames - mel_BFL.shape[2]))

        level_BFL = mel_BFL.clamp(min=_FLOOR).log10()
        silence_B11 = (level_BFL.amax((1, 2), keepdim=True) - _WHISPER_RANGE).clamp(min=math.log10(_FLOOR))
        level_BFL = mask_spectrogram(torch.maximum(level_BFL, silence_B11), augmentation, (2, 1), silence_B11)
        return (level_BFL + 4.0) / 4.0


class Filterbank(MelTransform):
    """Kaldi's log-mel filterbank `[B, L, F]`, as AST takes it; masked values are 0, the mean of its training data."""

    def __init__(
        self, config: AudioTransformConfig, rate_hz: int, input_: FilterbankInput, seconds: float | None = None
    ) -> None:
        super().__init__(config, rate_hz, input_, seconds)
        self._input = input_
        window = torch.hann_window(FILTERBANK_WINDOW, periodic=False, dtype=torch.float64)
        ends_hz = _KALDI_MIN_HZ, float(input_.rate_hz // 2)
        self.build_filters(_KALDI_FFT, input_.mels, ends_hz, "kaldi", window=window)

    def measure_spectrogram(self, samples: int) -> tuple[int, int]:
        """Return the number of frames in the sound, and of mel bins."""
        return (samples - FILTERBANK_WINDOW) // FILTERBANK_HOP + 1, self._input.mels

    def compute(self, sound_BN: Tensor, augmentation: AudioAugmentation | None) -> Tensor:
        """Return the filterbank of samples."""
        frames_BLW = sound_BN.unfold(1, FILTERBANK_WINDOW, FILTERBANK_HOP)
        frames_BLW = frames_BLW - frames_BLW.mean(2, keepdim=True)
        before_BLW = torch.cat([frames_BLW[..., :1], frames_BLW[..., :-1]], 2)
        frames_BLW = (frames_BLW - _KALDI_PREEMPHASIS * before_BLW) * self.window.to(frames_BLW.dtype)
        spectrum_BLK = torch.fft.rfft(frames_BLW, _KALDI_FFT)
        power_BLK = spectrum_BLK.real.square().addcmul_(spectrum_BLK.imag, spectrum_BLK.imag)
        level_BLF = (power_BLK @ self.filters_FK.T.to(power_BLK.dtype)).clamp(min=_KALDI_FLOOR).log()

        level_BLF = functional.pad(level_BLF, (0, 0, 0, self._input.frames - level_BLF.shape[1]))
        return mask_spectrogram((level_BLF - self._input.mean) / self._input.sd, augmentation, (1, 2), 0.0)


class ClapSpectrogram(MelTransform):
    """The log-mel `[B, C, L, F]` of CLAP in decibels; masked values are silent, -100 dB."""

    def __init__(
        self, config: AudioTransformConfig, rate_hz: int, input_: ClapInput, seconds: float | None = None
    ) -> None:
        super().__init__(config, rate_hz, input_, seconds)
        self._input = input_
        scale: MelScale = "htk" if input_.fused else "slaney"
        window = torch.hann_window(input_.n_fft, dtype=torch.float64)
        self.build_filters(input_.n_fft, input_.mels, (input_.f_min_hz, input_.f_max_hz), scale, window=window)

    def measure_spectrogram(self, _samples: int) -> tuple[int, int]:
        """Return the number of frames, those of the repeated sound included, and of mel bins."""
        return self._input.most_samples // self._input.hop + 1, self._input.mels

    def compute(self, sound_BN: Tensor, augmentation: AudioAugmentation | None) -> Tensor:
        """Return the spectrograms of samples."""
        most, samples = self._input.most_samples, sound_BN.shape[1]
        if self._input.padding != "pad":
            repeats = most // samples + (self._input.padding == "repeat")
            sound_BN = sound_BN.repeat(1, repeats)[:, :most]
        sound_BN = functional.pad(sound_BN, (0, most - sound_BN.shape[1]))

        mel_BFL = self.compute_mel(sound_BN, self._input.hop)
        level_BLF = mel_BFL.clamp(min=_FLOOR).log10().mul(10).transpose(1, 2)
        level_BLF = mask_spectrogram(level_BLF, augmentation, (1, 2), 10 * math.log10(_FLOOR))
        return level_BLF[:, None].expand(-1, 4 if self._input.fused else 1, -1, -1)


def _reflect(sound_BN: Tensor, margin: int) -> Tensor:
    """Return sound with both ends mirrored over `margin` samples; a sound that is shorter is mirrored repeatedly."""
    samples = sound_BN.shape[1]
    if samples > margin:
        return functional.pad(sound_BN[:, None], (margin, margin), mode="reflect")[:, 0]
    order = np.pad(np.arange(samples), margin, "reflect")
    return sound_BN[:, torch.from_numpy(order).to(sound_BN.device)]
