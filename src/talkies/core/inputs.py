"""What an encoder takes: the size and colours of its pictures, or the form of its sound.

Public encoders declare their input as one of these values, read from the checkpoint's own description of its
preprocessing; `transforms` then makes exactly that on the device of the batch. Encoders of talkies declare none: theirs
is what the recipe's `transforms` section says.
"""

from dataclasses import dataclass
from typing import Literal

Filter = Literal["bilinear", "bicubic"]
ClapPadding = Literal["repeatpad", "repeat", "pad"]

FILTERBANK_WINDOW, FILTERBANK_HOP = 400, 160


@dataclass(frozen=True, slots=True)
class VideoInput:
    """The pictures that an encoder takes: RGB `[B, 3, T, size, size]`, `(colour − mean) / sd` of colours in 0–1.

    The square of a clip is resized to `resize` × `resize` pixels, and its middle `size` × `size` is used.

    Attributes:
        size: height and width of the pictures, in pixels.
        resize: the side that the clip's square is resized to first, at least `size`.
        filter: the antialiased filter that resizes, as in PIL.
        mean: of red, green and blue.
        sd: of red, green and blue.
        frames: how many frames a clip must have; None for any number.
        multiple: what the number of frames must be a multiple of.
        usual_frames: how many frames a clip has if nobody says otherwise.
        usual_fps: how many frames a second it then has.
        offset: how many pixels are left out before the middle; None: half of what is left out, rounded down.

    Raises:
        ValueError: if what is used is not all within the resized square.
    """

    size: int
    resize: int
    filter: Filter = "bilinear"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    sd: tuple[float, float, float] = (0.229, 0.224, 0.225)
    frames: int | None = None
    multiple: int = 1
    usual_frames: int = 4
    usual_fps: float = 2.0
    offset: int | None = None

    def __post_init__(self) -> None:
        if self.resize < self.size:
            raise ValueError(f"the middle {self.size} pixels of {self.resize} are more than there are")
        if not 0 <= self.first_pixel <= self.resize - self.size:
            raise ValueError(f"{self.size} pixels from {self.offset} on are not within {self.resize}")

    @property
    def first_pixel(self) -> int:
        """The first row, and the first column, of the resized square that is used."""
        return (self.resize - self.size) // 2 if self.offset is None else self.offset


@dataclass(frozen=True, slots=True)
class WaveformInput:
    """The samples that an encoder takes, `[B, S]` or `[B, 1, S]`, as fractions of full scale.

    Attributes:
        rate_hz: samples a second.
        normalise: whether each clip has mean 0 and variance 1.
        channel_axis: whether the shape is `[B, 1, S]`, and not `[B, S]`.
        multiple: what the number of samples is padded to a multiple of, by reflection.
        least_samples: the fewest samples that the encoder can take.
        most_samples: the most; None if there is no limit.
        usual_seconds: how much sound a clip has if nobody says otherwise.
    """

    rate_hz: int
    normalise: bool = False
    channel_axis: bool = False
    multiple: int = 1
    least_samples: int = 1
    most_samples: int | None = None
    usual_seconds: float = 2.0


@dataclass(frozen=True, slots=True)
class Needs:
    """What a model needs of a library: the least that its profile must give.

    Attributes:
        short_side: the shorter side of the pictures in pixels, `VideoInput.size` for a public encoder; None: any.
        fps: the pictures a second of the model's clips; the library's must be a multiple of it. None: any.
        audio_rate_hz: samples of sound a second, at least; None: any.

    Raises:
        ValueError: if a number is not a positive integer.
    """

    short_side: int | None = None
    fps: int | None = None
    audio_rate_hz: int | None = None

    def __post_init__(self) -> None:
        for name in ("short_side", "fps", "audio_rate_hz"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value <= 0):
                raise ValueError(f"{name} must be a positive whole number, got {value!r}")

    def describe(self) -> str:
        """Return the needs in words: `pictures of 224 px at 8 a second and sound of 48 kHz`."""
        rate = f" at {self.fps} a second" if self.fps else ""
        parts = []
        if self.short_side or self.fps:
            parts.append("pictures" + (f" of {self.short_side} px" if self.short_side else "") + rate)
        if self.audio_rate_hz:
            parts.append(f"sound of {self.audio_rate_hz / 1000:g} kHz")
        return " and ".join(parts) or "nothing"


@dataclass(frozen=True, slots=True)
class WhisperInput:
    """The log-mel `[B, F, L]` that Whisper takes (Radford et al. 2022, arXiv:2212.04356).

    Decimal logarithms of power, at least 8 under the clip's loudest bin, then (x + 4) / 4. Shorter clips are padded
    with silence.

    Attributes:
        rate_hz: samples a second.
        mels: number of mel bins, F.
        n_fft: length of the Fourier transform, in samples.
        hop: step from one frame to the next, in samples.
        most_samples: how much sound the spectrogram lasts; L = most_samples // hop.
        least_samples: the fewest samples that the encoder can take.
        usual_seconds: how much sound a clip has if nobody says otherwise.
    """

    rate_hz: int
    mels: int
    n_fft: int
    hop: int
    most_samples: int
    least_samples: int = 1
    usual_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class FilterbankInput:
    """The log-mel filterbank `[B, L, F]` of Kaldi, as AST takes it (Gong et al. 2021, arXiv:2104.01778).

    Frames of 400 samples every 160, without their mean, with pre-emphasis of 0.97. Frames that a shorter clip lacks
    are 0 before normalisation.

    Attributes:
        rate_hz: samples a second.
        mels: number of mel bins, F.
        frames: number of frames, L.
        mean: what is subtracted of the logarithms.
        sd: what the difference is divided by.
        usual_seconds: how much sound a clip has if nobody says otherwise.
    """

    rate_hz: int
    mels: int
    frames: int
    mean: float = 0.0
    sd: float = 1.0
    usual_seconds: float = 10.0

    @property
    def least_samples(self) -> int:
        """The fewest samples that the encoder can take: one frame."""
        return FILTERBANK_WINDOW

    @property
    def most_samples(self) -> int:
        """The most samples whose frames the encoder can take."""
        return FILTERBANK_WINDOW + self.frames * FILTERBANK_HOP - 1


@dataclass(frozen=True, slots=True)
class ClapInput:
    """The log-mel `[B, C, L, F]` in decibels that CLAP takes (Wu et al. 2023, arXiv:2211.06687).

    Attributes:
        rate_hz: samples a second.
        mels: number of mel bins, F.
        n_fft: length of the Fourier transform, in samples.
        hop: step from one frame to the next, in samples.
        most_samples: how much sound the spectrogram lasts; L = most_samples // hop + 1.
        f_min_hz: lowest frequency.
        f_max_hz: highest frequency.
        fused: whether there are C = 4 spectrograms of a clip, the same four for one that is not longer than
            `most_samples`; else C = 1. The mel scale is then that of HTK, and not that of Slaney.
        padding: how a shorter clip is extended: by repeating it as often as it fits and silence (`repeatpad`), by
            repeating it (`repeat`), or by silence (`pad`).
        least_samples: the fewest samples that the encoder can take.
        usual_seconds: how much sound a clip has if nobody says otherwise.
    """

    rate_hz: int
    mels: int
    n_fft: int
    hop: int
    most_samples: int
    f_min_hz: float
    f_max_hz: float
    fused: bool = False
    padding: ClapPadding = "repeatpad"
    least_samples: int = 1
    usual_seconds: float = 10.0


SpectrogramInput = WhisperInput | FilterbankInput | ClapInput
AudioInput = WaveformInput | SpectrogramInput
