"""Open a media file and read its packets; distinguish bad media from a file that the system does not let us read."""

import errno
import io
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Stream

from talkies.core import MediaError, SourceError, describe_os_error, format_path
from talkies.media.crop import find_senseless_pixel_crops

av.logging.set_level(None)  # keep FFmpeg's log messages off the user's terminal

_SYSTEM_ERRNOS = frozenset(
    {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.ENXIO, errno.ENOTCONN}
)
"""Errors by which the system refuses to open a file; every other error means that the file is not valid media."""
_OPEN_OPTIONS = {
    "protocol_whitelist": "file",
    # A file that only refers to others is not a film: films are keyed by their own bytes, which must hold the media.
    "format_whitelist": ",".join(sorted(av.formats_available - {"concat", "hls", "image2", "vobsub"})),
    # A broadcast that moves its tracks to other PIDs goes on in the same tracks.
    "merge_pmt_versions": "1",
}


@contextmanager
def open_media(path: Path) -> Iterator[InputContainer]:
    """Yield the open container of a media file; no other file is read, and a playlist of others is not media.

    Raises:
        MediaError: `missing` if there is no such file, `empty` if it has no bytes, `unreadable` if FFmpeg cannot
            read it.
        SourceError: if the system does not let it be read.
    """
    if not path.is_file():
        raise MediaError("missing", f"{format_path(path)} is not a file; name a film, or a folder of films")
    name = format_path(path.name)
    try:
        if path.stat().st_size == 0:
            raise MediaError("empty", f"{name} is empty (0 bytes)")
        files = ExitStack()
        container = _open_container(path, files)
    except (FFmpegError, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno in _SYSTEM_ERRNOS:
            raise SourceError(f"{name} cannot be read ({describe_os_error(error)})") from error
        raise MediaError(
            "unreadable",
            f"{name} is not media that FFmpeg can read ({_describe_error(error)}); name a film file",
        ) from error
    with files, container:
        yield container


def _open_container(path: Path, files: ExitStack) -> InputContainer:
    """Return the container of a file; what has to be closed after it is added to `files`."""
    # Without the protocol, a name such as `Part 1: the sea.mp4` would be parsed as a URL.
    url = f"file:{path}"
    try:
        return av.open(url, metadata_errors="ignore", options=_OPEN_OPTIONS)
    except FFmpegError:
        hidden = find_senseless_pixel_crops(path)
        if not hidden:
            raise
    with ExitStack() as opening:
        file = opening.enter_context(_FileWithZeros(path, url, hidden))
        container = av.open(file, "r", metadata_errors="ignore", options=_OPEN_OPTIONS)
        files.push(opening.pop_all())
    return container


class _FileWithZeros(io.FileIO):
    """A file that is read as if some of its bytes were zero; `hidden` holds the first byte and length of each part."""

    def __init__(self, path: Path, name: str, hidden: Sequence[tuple[int, int]]) -> None:
        super().__init__(path)
        self.name = name
        self._hidden = hidden

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes."""
        at = self.tell()
        data = bytearray(super().read(-1 if size is None else size))
        for start, count in self._hidden:
            first, last = max(start - at, 0), min(start + count - at, len(data))
            data[first:last] = bytes(max(0, last - first))
        return bytes(data)


class PacketReader:
    """Yields the packets of some tracks in the order of the file.

    Attributes:
        late_tracks: after the last packet, whether tracks began in the file that it does not announce at its start;
            their packets are left out.
    """

    def __init__(self, container: InputContainer, tracks: Sequence[Stream]) -> None:
        self._container, self._tracks = container, tracks
        self.late_tracks = False

    def __iter__(self) -> Iterator["av.Packet[Any]"]:
        """Yield the packets.

        Raises:
            FFmpegError: where the rest of the file cannot be read.
        """
        try:
            for packet in self._container.demux(self._tracks) if self._tracks else ():
                if packet.size:
                    yield packet
        except IndexError:  # PyAV fails at the end of a file in which tracks appeared after opening
            self.late_tracks = True


def read_packets(container: InputContainer, tracks: Sequence[Stream]) -> Iterator["av.Packet[Any]"]:
    """Yield the packets of some tracks in the order of the file.

    Raises:
        FFmpegError: where the rest of the file cannot be read.
    """
    return iter(PacketReader(container, tracks))


def _describe_error(error: Exception) -> str:
    text = error.strerror if isinstance(error, FFmpegError) and error.strerror else str(error)
    return text[:1].lower() + text[1:]
