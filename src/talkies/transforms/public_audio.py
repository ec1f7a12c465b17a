"""What all audio transforms for public encoders share, and the plainest of them: the samples themselves.

Shapes: `B` clips, `S` samples of a clip, `N` samples at the encoder's rate, `L` frames, `F` mel bins.
"""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from talkies.core import AudioInput, ConfigError, WaveformInput
from talkies.transforms.audio import AudioAugmentation, AudioTransform, AudioTransformConfig, draw_masks
from talkies.transforms.draws import move_draws
from talkies.transforms.exact import choose_spectrum_dtype, compute_exactly
from talkies.transforms.resampling import Resampler

_INT16 = 32768.0
_VARIANCE_FLOOR = 1e-7  # as in transformers
_CHUNK_CLIPS = 32  # clips whose spectra are in memory at a time: a few hundred megabytes


class PublicAudioTransform(AudioTransform):
    """The base of the transforms to what a public encoder takes: the same as its library's feature extractor makes.

    Sound is first resampled to the encoder's rate. A gain acts on the samples, as a louder sound would. Masks act on
    spectrograms: `time_mask_frames` and `frequency_mask_bins` are those of the encoder's own frames and bins.
    """

    def __init__(
        self, config: AudioTransformConfig, rate_hz: int, input_: AudioInput, seconds: float | None = None
    ) -> None:
        """Build the transform.

        Args:
            config: the augmentation; its spectrogram is not used.
            rate_hz: samples a second of the clips.
            input_: what the encoder takes.
            seconds: how much sound the clips have, if it is known.

        Raises:
            ConfigError: if the clips have fewer samples a second than the encoder needs, or more or less sound than it
                takes.
        """
        super().__init__()
        if rate_hz < input_.rate_hz:
            raise ConfigError(
                f"the library's sound has {rate_hz} samples a second, and the audio encoder needs {input_.rate_hz}; "
                f"make a library that has them: talkies ingest --set profile.audio_rate_hz={input_.rate_hz}"
            )
        self._config, self._rate_hz, self._range = config, rate_hz, (input_.least_samples, input_.most_samples)
        self._needed_hz = input_.rate_hz
        self._resampler = Resampler(rate_hz, input_.rate_hz)
        if seconds is not None:
            self._check_samples(round(seconds * rate_hz))

    def draw(self, clips: int, samples: int, generator: torch.Generator) -> AudioAugmentation:
        """Return a random augmentation: a gain for each clip, and masks if there is a spectrogram."""
        config = self._config
        gain_db_B = time_mask_BL = frequency_mask_BF = None
        if config.gain_db:
            gain_db_B = torch.empty(clips).uniform_(-config.gain_db, config.gain_db, generator=generator)
        frames, bins = self.measure_spectrogram(self._resampler.count(samples))
        if config.time_masks and frames:
            time_mask_BL = draw_masks((clips, config.time_masks), frames, config.time_mask_frames, generator)
        if config.frequency_masks and bins:
            shape = clips, config.frequency_masks
            frequency_mask_BF = draw_masks(shape, bins, config.frequency_mask_bins, generator)
        return AudioAugmentation(gain_db_B, time_mask_BL, frequency_mask_BF)

    def measure_spectrogram(self, _samples: int) -> tuple[int, int]:
        """Return how many frames and mel bins of N samples may be masked; 0 of each without a spectrogram."""
        return 0, 0

    @compute_exactly
    def prepare(self, audio_BS: Tensor, augmentation: AudioAugmentation | None = None) -> Tensor:
        """Return the encoder's input, with the given augmentation or none.

        Raises:
            ConfigError: if the clips have more or less sound than the encoder takes.
        """
        self._check_samples(audio_BS.shape[1])
        augmentation = move_draws(augmentation, audio_BS.device)
        parts = []
        for begin in range(0, len(audio_BS), _CHUNK_CLIPS):
            clips = slice(begin, begin + _CHUNK_CLIPS)
            parts.append(self._prepare_some(audio_BS[clips], augmentation[clips] if augmentation else None))
        return torch.cat(parts)

    def _prepare_some(self, audio_BS: Tensor, augmentation: AudioAugmentation | None) -> Tensor:
        sound_BS = audio_BS.to(choose_spectrum_dtype(audio_BS.device)) / _INT16
        if augmentation and augmentation.gain_db_B is not None:
            gain_B = 10 ** (augmentation.gain_db_B.to(sound_BS) / 20)
            sound_BS *= gain_B[:, None]
        return self.compute(self._resampler(sound_BS), augmentation).float()

    @abstractmethod
    def compute(self, sound_BN: Tensor, augmentation: AudioAugmentation | None) -> Tensor:
        """Return the encoder's input of float samples at its rate; the masks of the augmentation are applied."""

    def _check_samples(self, samples: int) -> None:
        least, most = self._range
        resampled = self._resampler.count(samples)
        got = f"and the clips have {samples / self._rate_hz:g} s"
        if resampled < least:
            seconds = f"{least / self._needed_hz:g}"
            raise ConfigError(
                f"the audio encoder takes at least {seconds} s of sound, {got}; set clip.audio_seconds to {seconds} "
                "or more"
            )
        if most is not None and resampled > most:
            seconds = f"{most / self._needed_hz:g}"
            raise ConfigError(
                f"the audio encoder takes at most {seconds} s of sound, {got}; set clip.audio_seconds to {seconds} "
                "or less"
            )


class Waveform(PublicAudioTransform):
    """From int16 samples to samples `[B, N]` or `[B, 1, N]` at the encoder's rate, as fractions of full scale.

    A gain makes no difference to encoders that normalise each clip; there are no masks.
    """

    def __init__(
        self, config: AudioTransformConfig, rate_hz: int, input_: WaveformInput, seconds: float | None = None
    ) -> None:
        super().__init__(config, rate_hz, input_, seconds)
        self._input = input_

    def compute(self, sound_BN: Tensor, _augmentation: AudioAugmentation | None) -> Tensor:
        """Return the samples, normalised and padded as the encoder needs it."""
        if self._input.normalise:
            mean_B1, variance_B1 = sound_BN.mean(1, keepdim=True), sound_BN.var(1, correction=0, keepdim=True)
            sound_BN = (sound_BN - mean_B1) / (variance_B1 + _VARIANCE_FLOOR).sqrt()
        samples = sound_BN.shape[1]
        if missing := -samples % self._input.multiple:
            # PyTorch reflects at most once, and a short clip may need more.
            order = np.pad(np.arange(samples), (0, missing), "reflect")
            sound_BN = sound_BN[:, torch.from_numpy(order).to(sound_BN.device)]
        return sound_BN[:, None] if self._input.channel_axis else sound_BN


def mask_spectrogram(
    x: Tensor, augmentation: AudioAugmentation | None, axes: Sequence[int], value: Tensor | float
) -> Tensor:
    """Return a spectrogram with its masked frames and bins set to a value.

    Args:
        x: the spectrograms, clips first.
        augmentation: which frames (the first ones of `x`) and bins are masked; None: none.
        axes: the axes of time and of frequency.
        value: what masked values become; a tensor has as many axes as `x`.
    """
    if augmentation is None:
        return x
    for mask, axis in zip((augmentation.time_mask_BL, augmentation.frequency_mask_BF), axes, strict=True):
        if mask is None:
            continue
        mask = torch.nn.functional.pad(mask, (0, x.shape[axis] - mask.shape[1]))
        shape = [1] * x.ndim
        shape[0], shape[axis] = mask.shape
        x = torch.where(mask.view(shape), value, x)
    return x
