"""The audio transforms by what an encoder takes: the log-mel of talkies, or the form that a public encoder declares."""

from talkies.core import AudioInput, ClapInput, FilterbankInput, WhisperInput
from talkies.transforms.audio import AudioTransform, AudioTransformConfig, LogMel
from talkies.transforms.public_audio import Waveform
from talkies.transforms.spectrograms import ClapSpectrogram, Filterbank, WhisperSpectrogram


def build_audio_transform(
    config: AudioTransformConfig, rate_hz: int, input_: AudioInput | None = None, seconds: float | None = None
) -> AudioTransform:
    """Return the transform from int16 samples to the input of an audio encoder.

    Args:
        config: the log-mel of talkies, and the augmentation.
        rate_hz: samples a second of the clips.
        input_: what a public encoder takes; None: the log-mel of talkies.
        seconds: how much sound the clips have, if it is known.

    Raises:
        ConfigError: if the clips have fewer samples a second than a public encoder needs, or more or less sound than
            it takes.
    """
    match input_:
        case None:
            return LogMel(config, rate_hz)
        case WhisperInput():
            return WhisperSpectrogram(config, rate_hz, input_, seconds)
        case FilterbankInput():
            return Filterbank(config, rate_hz, input_, seconds)
        case ClapInput():
            return ClapSpectrogram(config, rate_hz, input_, seconds)
        case _:
            return Waveform(config, rate_hz, input_, seconds)
