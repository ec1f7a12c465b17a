"""The audio transforms by what an encoder takes: the log-mel of talkies, or the form that a public encoder declares.

Shapes: `B` clips, `S` samples.
"""

import torch
from torch import Tensor

from talkies.core import AudioInput, ConfigError, WaveformInput
from talkies.transforms.audio import AudioAugmentation, AudioTransform, AudioTransformConfig, LogMel

_INT16 = 32768.0
_VARIANCE_FLOOR = 1e-7  # as in transformers


def build_audio_transform(
    config: AudioTransformConfig, rate_hz: int, input_: AudioInput | None = None
) -> AudioTransform:
    """Return the transform from int16 samples to the input of an audio encoder.

    Args:
        config: the log-mel of talkies, and the augmentation.
        rate_hz: samples a second of the clips.
        input_: what a public encoder takes; None: the log-mel of talkies.
    """
    return LogMel(config, rate_hz) if input_ is None else Waveform(config, rate_hz, input_)


class Waveform(AudioTransform):
    """From int16 samples `[B, S]` to the samples that a public encoder takes, as fractions of full scale."""

    def __init__(self, config: AudioTransformConfig, rate_hz: int, input_: WaveformInput) -> None:
        """Build the transform.

        Raises:
            ConfigError: if the clips have fewer samples a second than the encoder needs.
        """
        super().__init__()
        if rate_hz != input_.rate_hz:
            raise ConfigError(f"sound of {rate_hz} Hz cannot be given to an encoder of {input_.rate_hz} Hz")
        self._config, self._input = config, input_

    def draw(self, clips: int, _samples: int, generator: torch.Generator) -> AudioAugmentation:
        """Return a random augmentation: a gain for each clip, which only matters to encoders that do not normalise."""
        gain_db_B = None
        if self._config.gain_db:
            gain_db_B = torch.empty(clips).uniform_(-self._config.gain_db, self._config.gain_db, generator=generator)
        return AudioAugmentation(gain_db_B, None, None)

    def prepare(self, audio_BS: Tensor, augmentation: AudioAugmentation | None = None) -> Tensor:
        """Return samples `[B, S]`, with the given augmentation or none."""
        samples_BS = audio_BS.float() / _INT16
        if augmentation and augmentation.gain_db_B is not None:
            samples_BS *= (10 ** (augmentation.gain_db_B / 20)).to(samples_BS.device, non_blocking=True)[:, None]
        if self._input.normalise:
            mean_B1, variance_B1 = samples_BS.mean(1, keepdim=True), samples_BS.var(1, correction=0, keepdim=True)
            samples_BS = (samples_BS - mean_B1) / (variance_B1 + _VARIANCE_FLOOR).sqrt()
        return samples_BS
