"""Read the headers of a container: the elements of Matroska (EBML) and the boxes of MP4 and QuickTime.

Whatever a file claims about its sizes, only the headers on the way to what is wanted are read: nothing is read whole,
nested deeply, or followed for ever.

Sources: RFC 8794 (EBML), RFC 9559 (Matroska); ISO/IEC 14496-12 (MP4).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_MAX_ELEMENTS = 20_000  # headers that are read of one file
_MEDIA_BOXES = frozenset({b"mdat", b"moof"})
_OTHER_BOXES = {b"ftyp", b"styp", b"moov", b"free", b"skip", b"wide", b"sidx", b"uuid", b"meta", b"emsg", b"prft"}
_BOXES_TO_ENTRY = (b"mdia", b"minf", b"stbl", b"stsd")


class UnparsableError(Exception):
    """The file's structure is not what it should be."""


class HeaderReader:
    """Reads a few bytes at a time, anywhere in a file, and refuses to go on for ever."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._headers_left = _MAX_ELEMENTS
        self.size = size

    def read(self, at: int, count: int) -> bytes:
        """Return exactly `count` bytes."""
        self._file.seek(at)
        data = self._file.read(count)
        if len(data) != count:
            raise UnparsableError
        return data

    def read_header(self, at: int, most_bytes: int) -> bytes:
        """Return the first bytes of an element, at most `most_bytes`."""
        self._headers_left -= 1
        if self._headers_left < 0:
            raise UnparsableError
        self._file.seek(at)
        return self._file.read(most_bytes)


@dataclass(frozen=True, slots=True)
class Element:
    """An element of a file: its name, and where its content starts and ends."""

    name: int | bytes
    start: int
    end: int


def iterate_ebml(reader: HeaderReader, start: int, end: int) -> Iterator[Element]:
    """Yield the EBML elements in a part of the file; one of unknown size, or too long for it, lasts to its end."""
    while start < end:
        header = reader.read_header(start, 12)
        id_bytes = _count_bytes(header[:1])
        size_bytes = _count_bytes(header[id_bytes : id_bytes + 1])
        content = start + id_bytes + size_bytes
        if id_bytes > 4 or len(header) < id_bytes + size_bytes:
            raise UnparsableError
        mask = (1 << 7 * size_bytes) - 1
        size = int.from_bytes(header[id_bytes : id_bytes + size_bytes], "big") & mask
        element_end = end if size == mask else min(end, content + size)
        yield Element(int.from_bytes(header[:id_bytes], "big"), content, element_end)
        start = max(element_end, content)


def _count_bytes(first: bytes) -> int:
    """Return the length of an EBML number, which the leading zeros of its first byte give."""
    if not first or not first[0]:
        raise UnparsableError
    return 9 - first[0].bit_length()


def read_unsigned(reader: HeaderReader, element: Element) -> int:
    """Return the number that an EBML element holds."""
    length = element.end - element.start
    if length > 8:
        raise UnparsableError
    return int.from_bytes(reader.read(element.start, length), "big")


def iterate_tracks(reader: HeaderReader) -> Iterator[Element]:
    """Yield the track boxes of an MP4 file."""
    for movie in iterate_boxes(reader, 0, reader.size):
        if movie.name == b"moov":
            yield from (box for box in iterate_boxes(reader, movie.start, movie.end) if box.name == b"trak")
            return


def read_track_id(reader: HeaderReader, track: Element) -> int | None:
    """Return the id of a track of an MP4 file, which is also FFmpeg's id of it."""
    header = find_box(reader, track, b"tkhd")
    if header is None:
        return None
    is_long = reader.read(header.start, 1)[0] == 1
    return int.from_bytes(reader.read(header.start + (20 if is_long else 12), 4), "big")


def find_sample_entry(reader: HeaderReader, track: Element) -> Element | None:
    """Return the first sample entry of a track of an MP4 file: its name says how the track is coded."""
    element = track
    for name in _BOXES_TO_ENTRY:
        found = find_box(reader, element, name)
        if found is None:
            return None
        element = found
    return next(iterate_boxes(reader, element.start + 8, element.end), None)


def find_box(reader: HeaderReader, parent: Element, name: bytes) -> Element | None:
    """Return the first box of a name inside another box."""
    return next((box for box in iterate_boxes(reader, parent.start, parent.end) if box.name == name), None)


def iterate_boxes(reader: HeaderReader, start: int, end: int, *, at_end: bool = False) -> Iterator[Element]:
    """Yield the boxes in a part of the file; `at_end` accepts that what is left at the end is no box."""
    while start + 8 <= end:
        header = reader.read_header(start, 16)
        if len(header) < 8:
            return
        size, name, content = int.from_bytes(header[:4], "big"), header[4:8], start + 8
        if size == 1 and len(header) == 16:
            size, content = int.from_bytes(header[8:], "big"), start + 16
        elif size == 0:
            size = end - start
        if start + size < content or start + size > end:
            if at_end:
                return
            raise UnparsableError
        yield Element(name, content, start + size)
        start += size


def is_cut_off(path: Path) -> bool:
    """Return whether an MP4 file in fragments ends within one: a box of media claims more bytes than the file has.

    In a file of a single piece, such a claim is only wrong: its tables tell whether anything is missing.
    """
    try:
        with path.open("rb") as file:
            reader = HeaderReader(file, file.seek(0, 2))
            start, in_fragments = 0, False
            while len(header := reader.read_header(start, 16)) >= 8:
                size, name = int.from_bytes(header[:4], "big"), header[4:8]
                if size == 1 and len(header) == 16:
                    size = int.from_bytes(header[8:], "big")
                if size < 8 or name not in _MEDIA_BOXES | _OTHER_BOXES:
                    return False
                start += size
                in_fragments |= name == b"moof"
                if start > reader.size:
                    return in_fragments and name in _MEDIA_BOXES
    except (UnparsableError, OSError):
        pass
    return False
