"""Which of a file's tracks a film is made of."""

from collections.abc import Mapping, Sequence
from typing import Annotated, TypeVar

from av.audio.stream import AudioStream
from av.stream import Disposition
from av.video.stream import VideoStream
from pydantic import Field

from talkies.config import Config

_ASIDE = (
    Disposition.comment | Disposition.hearing_impaired | Disposition.visual_impaired | Disposition.dub
    | Disposition.karaoke | Disposition.lyrics
)  # fmt: skip
_STILL = Disposition.attached_pic | Disposition.timed_thumbnails

AnyStream = TypeVar("AnyStream", AudioStream, VideoStream)


class AudioChoice(Config):
    """Which sound to take of a film with several: that of a `language` (as the file names it: `eng`, `fra` …), or
    `track` number 1, 2 …; without either the track that the file calls its default.
    """

    language: Annotated[str, Field(min_length=2, max_length=16)] | None = None
    track: Annotated[int, Field(ge=1)] | None = None


def moving_pictures(streams: Sequence[VideoStream]) -> list[VideoStream]:
    """Return the tracks that are films rather than cover art or thumbnails."""
    return [stream for stream in streams if not stream.disposition & _STILL]


def is_decodable(stream: AudioStream | VideoStream) -> bool:
    """Return whether FFmpeg has a decoder for a track."""
    # PyAV gives a stream of an unknown codec no codec context.
    return stream.codec_context is not None


def best_video(streams: Sequence[VideoStream], packets: Mapping[int, int]) -> VideoStream | None:
    """Return the track of moving pictures that a player would show, or nothing; `packets` counts them by track index.

    One that can be decoded and is not empty goes before one that is not; of those the largest picture, then the first.
    """
    return max(moving_pictures(streams), key=lambda s: (*_usable(s, packets), _area(s), -s.index), default=None)


def best_audio(
    streams: Sequence[AudioStream], packets: Mapping[int, int], choice: AudioChoice | None = None
) -> AudioStream | None:
    """Return the sound that a player would play (or the one chosen), or nothing if there is none (or not that one)."""
    choice = choice or AudioChoice()
    if choice.track is not None:
        return streams[choice.track - 1] if choice.track <= len(streams) else None
    wanted = [s for s in streams if choice.language is None or speaks(s, choice.language)]
    return max(wanted, key=lambda s: (*_usable(s, packets), *_prominence(s), -s.index), default=None)


def speaks(stream: AudioStream, language: str) -> bool:
    """Return whether a track is said to be in a language, by its code: `en` is `eng`, `fr-FR` is `fr`."""
    said, asked = (code.lower().partition("-")[0] for code in (stream.language or "", language))
    return bool(said) and _three_letters(said) == _three_letters(asked)


def _usable(stream: AudioStream | VideoStream, packets: Mapping[int, int]) -> tuple[bool, bool]:
    return packets.get(stream.index, 0) > 0, is_decodable(stream)


def _area(stream: VideoStream) -> int:
    return stream.codec_context.width * stream.codec_context.height if is_decodable(stream) else 0


def _prominence(stream: AudioStream) -> tuple[bool, bool]:
    return not stream.disposition & _ASIDE, bool(stream.disposition & Disposition.default)


_TWO_TO_THREE = {
    "af": "afr", "am": "amh", "ar": "ara", "az": "aze", "be": "bel", "bg": "bul", "bn": "ben", "bo": "bod",
    "bs": "bos", "ca": "cat", "cs": "ces", "cy": "cym", "da": "dan", "de": "deu", "el": "ell", "en": "eng",
    "es": "spa", "et": "est", "eu": "eus", "fa": "fas", "fi": "fin", "fr": "fra", "ga": "gle", "gl": "glg",
    "gu": "guj", "he": "heb", "hi": "hin", "hr": "hrv", "hu": "hun", "hy": "hye", "id": "ind", "is": "isl",
    "it": "ita", "ja": "jpn", "ka": "kat", "kk": "kaz", "km": "khm", "kn": "kan", "ko": "kor", "la": "lat",
    "lo": "lao", "lt": "lit", "lv": "lav", "mi": "mri", "mk": "mkd", "ml": "mal", "mn": "mon", "mr": "mar",
    "ms": "msa", "my": "mya", "nb": "nob", "ne": "nep", "nl": "nld", "nn": "nno", "no": "nor", "pa": "pan",
    "pl": "pol", "pt": "por", "ro": "ron", "ru": "rus", "si": "sin", "sk": "slk", "sl": "slv", "sq": "sqi",
    "sr": "srp", "sv": "swe", "sw": "swa", "ta": "tam", "te": "tel", "th": "tha", "tl": "tgl", "tr": "tur",
    "uk": "ukr", "ur": "urd", "vi": "vie", "xh": "xho", "yi": "yid", "zh": "zho", "zu": "zul",
}  # fmt: skip
_OTHER_NAMES = {
    "alb": "sqi", "arm": "hye", "baq": "eus", "bur": "mya", "chi": "zho", "cze": "ces", "dut": "nld", "fre": "fra",
    "geo": "kat", "ger": "deu", "gre": "ell", "ice": "isl", "mac": "mkd", "mao": "mri", "may": "msa", "per": "fas",
    "rum": "ron", "slo": "slk", "tib": "bod", "wel": "cym",
}  # fmt: skip
"""ISO 639-1 and the bibliographic codes of ISO 639-2, to its terminological ones."""


def _three_letters(code: str) -> str:
    return _OTHER_NAMES.get(code) or _TWO_TO_THREE.get(code) or code
