"""Read what a sound encoder takes from the description of its feature extractor."""

from collections.abc import Mapping
from typing import Any, cast

from talkies.core import ClapInput, ConfigError, FilterbankInput, WaveformInput, WhisperInput
from talkies.core.inputs import FILTERBANK_HOP, ClapPadding
from talkies.models.public.checkpoint import HubCheckpoint

_USUAL_SECONDS = 10.0  # of AudioSet's clips
_CLAP_PADDINGS = ("repeatpad", "repeat", "pad")


def read_waveform_input(checkpoint: HubCheckpoint, least_samples: int) -> WaveformInput:
    """Return the samples that a checkpoint's extractor makes; at least so many can be encoded."""
    values = _read_values(checkpoint)
    return WaveformInput(
        int(values["sampling_rate"]),
        normalise=bool(values.get("do_normalize", False)),
        least_samples=least_samples,
    )


def read_pe_audio_input(checkpoint: HubCheckpoint) -> WaveformInput:
    """Return the samples that the extractor of PE-AV makes."""
    values = _read_values(checkpoint)
    hop = int(values.get("hop_length", 1920))
    return WaveformInput(
        int(values["sampling_rate"]), channel_axis=True, multiple=hop, least_samples=hop, usual_seconds=8.0
    )


def read_whisper_input(checkpoint: HubCheckpoint, mels: int, frames: int) -> WhisperInput:
    """Return the log-mel that a Whisper checkpoint's extractor makes, for a network of so many mel bins and frames.

    Raises:
        ConfigError: if the extractor makes another spectrogram than the network takes.
    """
    values = _read_values(checkpoint)
    rate_hz, hop = int(values["sampling_rate"]), int(values.get("hop_length", 160))
    samples = int(values.get("chunk_length", 30)) * rate_hz
    input_ = WhisperInput(
        rate_hz,
        mels=int(values.get("feature_size", 80)),
        n_fft=int(values.get("n_fft", 400)),
        hop=hop,
        most_samples=samples,
        usual_seconds=min(_USUAL_SECONDS, samples / rate_hz),
    )
    _check_shape(checkpoint, (input_.mels, samples // hop), (mels, frames))
    return input_


def read_filterbank_input(checkpoint: HubCheckpoint, mels: int, frames: int) -> FilterbankInput:
    """Return the filterbank that an AST checkpoint's extractor makes, for a network of so many mel bins and frames.

    Raises:
        ConfigError: if the extractor makes another spectrogram than the network takes.
    """
    values = _read_values(checkpoint)
    mean, sd = 0.0, 1.0
    if values.get("do_normalize", True):
        mean, sd = float(values.get("mean", -4.2677393)), 2 * float(values.get("std", 4.5689974))
    made = int(values.get("num_mel_bins", 128)), int(values.get("max_length", 1024))
    _check_shape(checkpoint, made, (mels, frames))
    rate_hz = int(values["sampling_rate"])
    seconds = min(_USUAL_SECONDS, frames * FILTERBANK_HOP / rate_hz)
    return FilterbankInput(rate_hz, *made, mean=mean, sd=sd, usual_seconds=seconds)


def read_clap_input(checkpoint: HubCheckpoint, mels: int, *, fused: bool) -> ClapInput:
    """Return the log-mel that a CLAP checkpoint's extractor makes, for a network of so many mel bins.

    Raises:
        ConfigError: if the extractor makes another spectrogram than the network takes.
    """
    values = _read_values(checkpoint)
    rate_hz, seconds = int(values["sampling_rate"]), values.get("max_length_s", 10)
    padding = str(values.get("padding", "repeatpad"))
    if padding not in _CLAP_PADDINGS:
        raise ConfigError(
            f"{checkpoint.address} extends short sounds by '{padding}', which talkies does not have; it has "
            f"{', '.join(_CLAP_PADDINGS)}"
        )
    made = int(values.get("feature_size", 64)), 4 if values.get("truncation", "fusion") == "fusion" else 1
    _check_shape(checkpoint, made, (mels, 4 if fused else 1))
    return ClapInput(
        rate_hz,
        mels,
        n_fft=int(values.get("fft_window_size", 1024)),
        hop=int(values.get("hop_length", 480)),
        most_samples=int(seconds * rate_hz),
        f_min_hz=float(values.get("frequency_min", 0)),
        f_max_hz=float(values.get("frequency_max", 14_000)),
        fused=fused,
        padding=cast("ClapPadding", padding),
        usual_seconds=float(seconds),
    )


def _read_values(checkpoint: HubCheckpoint) -> Mapping[str, Any]:
    if "sampling_rate" not in checkpoint.preprocessor:
        raise ConfigError(
            f"{checkpoint.address} does not describe its preprocessing (a preprocessor_config.json with "
            "sampling_rate); copy that file into its folder"
        )
    return checkpoint.preprocessor


def _check_shape(checkpoint: HubCheckpoint, made: tuple[int, int], taken: tuple[int, int]) -> None:
    if made != taken:
        raise ConfigError(
            f"{checkpoint.address} makes spectrograms of {made[0]} × {made[1]} and takes {taken[0]} × {taken[1]}: its "
            "preprocessor_config.json is of another model; copy the right one into its folder"
        )
