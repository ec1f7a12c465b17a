"""What a media file holds, as far as its container tells."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from talkies.media.source import audio_track, open_media, video_track

MEDIA_SUFFIXES = frozenset(
    {".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts"}
    | {".vob", ".webm", ".wmv"}
)


@dataclass(frozen=True, slots=True)
class VideoTrack:
    """A track of moving pictures: codec, size in pixels, average frames a second where the container tells."""

    codec: str
    width: int
    height: int
    average_fps: Fraction | None


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """A track of sound: codec, sample rate in Hz, number of channels."""

    codec: str
    rate_hz: int
    channels: int


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """A media file: its container, the duration that it claims in seconds, the tracks that talkies would use."""

    container: str
    claimed_seconds: float | None
    video: VideoTrack | None
    audio: AudioTrack | None


def looks_like_media(path: Path) -> bool:
    """Return whether a file in a folder is taken for a film, by its suffix."""
    return path.suffix.lower() in MEDIA_SUFFIXES


def probe(path: Path) -> MediaInfo:
    """Return what the container of `path` says it holds.

    Raises:
        MediaError: if the file is missing, empty or unreadable.
    """
    with open_media(path) as container:
        video, audio = video_track(container), audio_track(container)
        return MediaInfo(
            container=container.format.name,
            claimed_seconds=container.duration / av.time_base if container.duration else None,
            video=_video(video) if video else None,
            audio=_audio(audio) if audio else None,
        )


def _video(stream: VideoStream) -> VideoTrack:
    context = stream.codec_context
    return VideoTrack(context.name, context.width, context.height, stream.average_rate)


def _audio(stream: AudioStream) -> AudioTrack:
    context = stream.codec_context
    return AudioTrack(context.name, context.sample_rate, context.channels)
