"""Open a media file, choose its tracks, and put FFmpeg's failures in plain words."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from talkies.core import MediaError

av.logging.set_level(None)  # FFmpeg's own chatter does not belong on our user's terminal


@contextmanager
def open_media(path: Path) -> Iterator[InputContainer]:
    """Yield the open container of a media file.

    Raises:
        MediaError: `missing` if there is no such file, `empty` if it has no bytes, `unreadable` if FFmpeg knows no
            way to read it.
    """
    if not path.is_file():
        raise MediaError("missing", f"{path} is not a file; name a film, or a folder of films")
    if path.stat().st_size == 0:
        raise MediaError("empty", f"{path.name} is empty (0 bytes)")
    try:
        container = av.open(str(path), metadata_errors="ignore")
    except (FFmpegError, ValueError) as error:
        raise MediaError(
            "unreadable", f"{path.name} is not media that FFmpeg can read ({_words(error)}); name a film file"
        ) from error
    with container:
        yield container


def video_track(container: InputContainer) -> VideoStream | None:
    """Return the first track of moving pictures (cover art is none) that FFmpeg can decode, or nothing."""
    streams = (stream for stream in container.streams.video if _is_decodable(stream))
    return next((stream for stream in streams if not stream.disposition & Disposition.attached_pic), None)


def audio_track(container: InputContainer) -> AudioStream | None:
    """Return the first audio track that FFmpeg can decode, or nothing."""
    return next((stream for stream in container.streams.audio if _is_decodable(stream)), None)


def _is_decodable(stream: AudioStream | VideoStream) -> bool:
    # PyAV gives a stream of an unknown codec no codec context.
    return stream.codec_context is not None


def _words(error: Exception) -> str:
    text = error.strerror if isinstance(error, FFmpegError) and error.strerror else str(error)
    return text[:1].lower() + text[1:]
