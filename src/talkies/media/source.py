"""Open a media file, and tell a file that is no media from a system that will not let us read it."""

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Stream

from talkies.core import MediaError, SourceError, describe_os_error, format_path

av.logging.set_level(None)  # FFmpeg's own chatter does not belong on our user's terminal

_REFUSALS = frozenset(
    {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.ENXIO, errno.ENOTCONN}
)
"""What the system says of a file that it will not open; every other fault of opening is the file's own."""
_OPTIONS = {
    "protocol_whitelist": "file",
    # A file that only names others is no film: films are keyed by their own bytes, so those must hold them.
    "format_whitelist": ",".join(sorted(av.formats_available - {"concat", "hls", "image2", "vobsub"})),
}


@contextmanager
def open_media(path: Path) -> Iterator[InputContainer]:
    """Yield the open container of a media file; nothing but this file is read, and a playlist of others is no media.

    Raises:
        MediaError: `missing` if there is no such file, `empty` if it has no bytes, `unreadable` if FFmpeg knows no
            way to read it.
        SourceError: if the system does not let it be read.
    """
    if not path.is_file():
        raise MediaError("missing", f"{format_path(path)} is not a file; name a film, or a folder of films")
    try:
        if path.stat().st_size == 0:
            raise MediaError("empty", f"{format_path(path.name)} is empty (0 bytes)")
        # Without its protocol, a name such as `Part 1: the sea.mp4` would be taken for an address.
        container = av.open(f"file:{path}", metadata_errors="ignore", options=_OPTIONS)
    except (FFmpegError, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno in _REFUSALS:
            raise SourceError(f"{format_path(path.name)} cannot be read ({describe_os_error(error)})") from error
        raise MediaError(
            "unreadable",
            f"{format_path(path.name)} is not media that FFmpeg can read ({_words(error)}); name a film file",
        ) from error
    with container:
        yield container


def packets_of(container: InputContainer, tracks: Sequence[Stream]) -> Iterator["av.Packet[Any]"]:
    """Yield the packets of some tracks in the order of the file.

    Raises:
        FFmpegError: where the file cannot be read on.
    """
    try:
        for packet in container.demux(tracks) if tracks else ():
            if packet.size:
                yield packet
    except IndexError:  # PyAV stumbles at the end over tracks that turned up on the way
        return


def _words(error: Exception) -> str:
    text = error.strerror if isinstance(error, FFmpegError) and error.strerror else str(error)
    return text[:1].lower() + text[1:]
