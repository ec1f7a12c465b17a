"""Select the tracks of a file that a film is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from av.audio.stream import AudioStream
from av.stream import Disposition
from av.video.stream import VideoStream
from pydantic import Field

from talkies.config import Config

_SECONDARY_AUDIO = (
    Disposition.comment | Disposition.hearing_impaired | Disposition.visual_impaired | Disposition.dub
    | Disposition.karaoke | Disposition.lyrics
)  # fmt: skip
_LEAST_SHARE_OF_PICTURES = 0.05
"""A track with fewer pictures, relative to the one with the most, is of stills (as in motion photos)."""
_STILL_PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails


class AudioChoice(Config):
    """Which audio track of a film to use: by `language`, by `track` number, or else the file's default track.

    `language` is a code as the file names it (`eng`, `fra` …); `track` counts from 1 and takes precedence.
    """

    language: Annotated[str, Field(min_length=2, max_length=16)] | None = None
    track: Annotated[int, Field(ge=1)] | None = None


def select_moving_pictures(streams: Sequence[VideoStream]) -> list[VideoStream]:
    """Return the video tracks that are not cover art or thumbnails."""
    return [stream for stream in streams if not stream.disposition & _STILL_PICTURES]


def is_decodable(stream: AudioStream | VideoStream) -> bool:
    """Return whether FFmpeg has a decoder for a track."""
    # PyAV gives a stream of an unknown codec no codec context.
    return stream.codec_context is not None


@dataclass(frozen=True, slots=True)
class TrackExtent:
    """How much a track holds: its packets, and its length in seconds by them."""

    packets: int
    seconds: float


Extents = Mapping[int, TrackExtent]
"""By stream index."""


def select_tracks(
    videos: Sequence[VideoStream],
    audios: Sequence[AudioStream],
    extents: Extents,
    choice: AudioChoice | None = None,
    *,
    programme_of: Mapping[int, int],
) -> tuple[VideoStream | None, AudioStream | None]:
    """Return the picture and the sound that a player would play, both of one programme.

    Of several programmes, one that has the sound that is asked for is preferred, then the one whose picture a player
    would show.

    Args:
        videos: the file's video tracks.
        audios: the file's audio tracks.
        extents: what each track holds.
        choice: the language or number of the audio track to use.
        programme_of: the programme of each track of a transport stream, by stream index; empty for other files.
    """
    chosen_audio = select_audio_track(audios, extents, choice)
    programmes = {programme_of[stream.index] for stream in videos if stream.index in programme_of}
    if len(programmes) < 2:
        return select_video_track(videos, extents), chosen_audio
    if choice and choice.track is not None and chosen_audio and chosen_audio.index in programme_of:
        programmes = {programme_of[chosen_audio.index]}

    def select_in(programme: int) -> tuple[VideoStream | None, AudioStream | None]:
        video = select_video_track([one for one in videos if programme_of.get(one.index) == programme], extents)
        if choice and choice.track is not None:
            return video, chosen_audio
        return video, select_audio_track(
            [one for one in audios if programme_of.get(one.index) == programme], extents, choice
        )

    def rank(tracks: tuple[VideoStream | None, AudioStream | None]) -> tuple[bool, bool]:
        video, audio = tracks
        return audio is not None, video is not None

    pairs = [select_in(programme) for programme in sorted(programmes)]
    best = max(map(rank, pairs))
    pairs = [pair for pair in pairs if rank(pair) == best]
    largest = select_video_track([video for video, _ in pairs if video], extents)
    return next((pair for pair in pairs if pair[0] is largest), pairs[0])


def select_video_track(streams: Sequence[VideoStream], extents: Extents) -> VideoStream | None:
    """Return the video track that a player would show, or None if there is none.

    Tracks that have packets and can be decoded are preferred, then those that move (of more than one picture, and not
    of far fewer than another track), then those that last at least half as long as the longest, then the largest
    picture, then the first track.

    Args:
        streams: the file's video tracks.
        extents: what each track holds.
    """
    tracks = select_moving_pictures(streams)
    usable = [stream for stream in tracks if _is_usable(stream, extents) == (True, True)]
    longest = max((extents[stream.index].seconds for stream in usable), default=0.0)
    most_pictures = max((extents[stream.index].packets for stream in usable), default=0)

    def rank(stream: VideoStream) -> tuple[bool, bool, bool, bool, int, int]:
        extent = extents.get(stream.index, TrackExtent(0, 0.0))
        moves = extent.packets > 1 and extent.packets >= _LEAST_SHARE_OF_PICTURES * most_pictures
        is_long = extent.seconds >= longest / 2
        return (*_is_usable(stream, extents), moves, is_long, _compute_area(stream), -stream.index)

    return max(tracks, key=rank, default=None)


def select_audio_track(
    streams: Sequence[AudioStream], extents: Extents, choice: AudioChoice | None = None
) -> AudioStream | None:
    """Return the audio track that a player would play, or None if there is none, or not the one chosen.

    Tracks that have packets and can be decoded are preferred, then main audio over commentary and the like, then the
    file's default, then the first track.

    Args:
        streams: the file's audio tracks.
        extents: what each track holds.
        choice: the language or number of the track to use.
    """
    choice = choice or AudioChoice()
    if choice.track is not None:
        return streams[choice.track - 1] if choice.track <= len(streams) else None

    candidates = [stream for stream in streams if choice.language is None or has_language(stream, choice.language)]
    return max(
        candidates,
        key=lambda stream: (*_is_usable(stream, extents), *_rank_audio(stream), -stream.index),
        default=None,
    )


def has_language(stream: AudioStream, language: str) -> bool:
    """Return whether a track is tagged with a language, by any of its codes: `en` is `eng`, `fr-FR` is `fr`."""
    tagged = _strip_region(stream.language or "")
    return bool(tagged) and _to_three_letters(tagged) == _to_three_letters(_strip_region(language))


def _is_usable(stream: AudioStream | VideoStream, extents: Extents) -> tuple[bool, bool]:
    """Return whether a track has packets, and whether it can be decoded."""
    extent = extents.get(stream.index)
    return extent is not None and extent.packets > 0, is_decodable(stream)


def _compute_area(stream: VideoStream) -> int:
    return stream.codec_context.width * stream.codec_context.height if is_decodable(stream) else 0


def _rank_audio(stream: AudioStream) -> tuple[bool, bool]:
    """Return whether a track is main audio, and whether it is the file's default."""
    return not stream.disposition & _SECONDARY_AUDIO, bool(stream.disposition & Disposition.default)


def _strip_region(code: str) -> str:
    return code.lower().partition("-")[0]


_ISO_639_1_CODES = {
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
"""From ISO 639-1 to ISO 639-2 (terminological)."""
_BIBLIOGRAPHIC_CODES = {
    "alb": "sqi", "arm": "hye", "baq": "eus", "bur": "mya", "chi": "zho", "cze": "ces", "dut": "nld", "fre": "fra",
    "geo": "kat", "ger": "deu", "gre": "ell", "ice": "isl", "mac": "mkd", "mao": "mri", "may": "msa", "per": "fas",
    "rum": "ron", "slo": "slk", "tib": "bod", "wel": "cym",
}  # fmt: skip
"""From ISO 639-2 (bibliographic) to ISO 639-2 (terminological)."""


def _to_three_letters(code: str) -> str:
    """Return the terminological ISO 639-2 code of a language, or the code itself if it is unknown."""
    return _BIBLIOGRAPHIC_CODES.get(code) or _ISO_639_1_CODES.get(code) or code
