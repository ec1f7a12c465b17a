"""Where a proxy's packets lie: the tables of an MP4 file, read without FFmpeg, which would decode to open it.

The boxes and their fields are those of ISO/IEC 14496-12 (sections 8.4 to 8.7); N counts the packets of the first
video track, in the order in which they are decoded and, for a proxy has no B-frames, shown.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from talkies.core import Int64s

_MOST_BOXES = 1000  # in one box: what holds more is not a film
_PICTURE_ENTRY_BYTES = 86  # of a sample description, before the boxes inside it
_INT64 = Int64s


class TableError(Exception):
    """The bytes are not the tables of a proxy; the text goes on after the file's name."""


@dataclass(frozen=True, slots=True, eq=False)
class PacketTable:
    """`offset_N` and `bytes_N` say where each packet lies in the file, `tick_N` when its picture is shown.

    A second has `ticks_hz` ticks; `key_K` numbers the packets that decoding can begin with; `setup` is what an H.264
    decoder must know beforehand (avcC); the pictures are `width` × `height` pixels.
    """

    offset_N: _INT64
    bytes_N: _INT64
    tick_N: _INT64
    key_K: _INT64
    ticks_hz: int
    width: int
    height: int
    setup: bytes

    def __len__(self) -> int:
        return len(self.offset_N)

    @classmethod
    def read(cls, file: int) -> Self:
        """Return the table of the open MP4 file of that descriptor.

        Raises:
            TableError: if there is none, or it is not that of a proxy.
            OSError: if the file cannot be read.
        """
        try:
            for track in _boxes_named(_film_box(file), b"trak"):
                media = _box(track, b"mdia")
                if bytes(_box(media, b"hdlr")[8:12]) == b"vide":
                    return cls._of_track(track, media, os.fstat(file).st_size)
        except (struct.error, ValueError, IndexError, OverflowError) as error:
            raise TableError("it holds no table of pictures that can be read") from error
        raise TableError("it holds no pictures")

    @classmethod
    def _of_track(cls, track: memoryview, media: memoryview, file_bytes: int) -> Self:
        _check_edits(track)
        tables = _box(_box(media, b"minf"), b"stbl")
        if _boxes_named(tables, b"ctts"):
            raise TableError("it holds pictures that are decoded in another order than shown")
        bytes_N = _sizes(_box(tables, b"stsz"), file_bytes)
        keys = _boxes_named(tables, b"stss")
        key_K = _numbers(keys[0], 1)[:, 0] - 1 if keys else np.arange(len(bytes_N))
        if not len(key_K) or key_K[0] != 0 or (np.diff(key_K) <= 0).any() or key_K[-1] >= len(bytes_N):
            raise ValueError("the key frames are not in order")
        picture = _box(_box(tables, b"stsd")[8:], b"avc1")
        width, height = struct.unpack_from(">HH", picture, 24)
        header = _box(media, b"mdhd")
        return cls(
            offset_N=_offsets(tables, bytes_N),
            bytes_N=bytes_N,
            tick_N=_times(_box(tables, b"stts"), len(bytes_N)),
            key_K=key_K,
            ticks_hz=struct.unpack_from(">I", header, 20 if header[0] else 12)[0],
            width=width,
            height=height,
            setup=bytes(_box(picture[_PICTURE_ENTRY_BYTES - 8 :], b"avcC")),
        )


def _film_box(file: int) -> memoryview:
    """Return what is in the box of all tables (`moov`)."""
    place, end = 0, os.fstat(file).st_size
    for _ in range(_MOST_BOXES):
        head = os.pread(file, 16, place)
        length, kind = struct.unpack_from(">I4s", head)
        skip = 8
        if length == 1:  # the true length follows
            (length,), skip = struct.unpack_from(">Q", head, 8), 16
        if kind == b"moov":
            if not skip <= length <= end - place:
                raise TableError("it ends within its table of pictures")
            return memoryview(os.pread(file, length - skip, place + skip))
        if length < skip:
            break
        place += length
    raise ValueError("no moov")


def _boxes(inside: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield the kind and the content of each box."""
    place = 0
    for _ in range(_MOST_BOXES):
        if place + 8 > len(inside):
            return
        length, kind = struct.unpack_from(">I4s", inside, place)
        if not 8 <= length <= len(inside) - place:
            raise ValueError("a box is longer than what it is in")
        yield kind, inside[place + 8 : place + length]
        place += length


def _boxes_named(inside: memoryview, kind: bytes) -> list[memoryview]:
    return [content for found, content in _boxes(inside) if found == kind]


def _box(inside: memoryview, kind: bytes) -> memoryview:
    found = _boxes_named(inside, kind)
    if not found:
        raise ValueError(f"there is no box {kind!r}")
    return found[0]


def _numbers(box: memoryview, columns: int, kind: str = ">u4", start: int = 4) -> _INT64:
    """Return the rows of a box that counts them first."""
    (count,) = struct.unpack_from(">I", box, start)
    return np.frombuffer(box, kind, count * columns, start + 4).astype(np.int64).reshape(count, columns)


def _check_edits(track: memoryview) -> None:
    """Refuse a track whose pictures are not shown at the ticks that the table says."""
    for edits in _boxes_named(track, b"edts"):
        box = _box(edits, b"elst")
        (count,) = struct.unpack_from(">I", box, 4)
        (begin,) = struct.unpack_from(*((">q", box, 16) if box[0] else (">i", box, 12)))
        if count != 1 or begin != 0:
            raise TableError("it holds pictures that are shown at other times than stored")


def _sizes(box: memoryview, file_bytes: int) -> _INT64:
    (each,) = struct.unpack_from(">I", box, 4)
    if not each:
        return _numbers(box, 1, start=8)[:, 0]
    (count,) = struct.unpack_from(">I", box, 8)
    if count * each > file_bytes:
        raise ValueError("there are more packets than bytes")
    return np.full(count, each, np.int64)


def _times(box: memoryview, packets: int) -> _INT64:
    runs = _numbers(box, 2)
    if runs[:, 0].sum() != packets:
        raise ValueError("there are not as many times as packets")
    lasts = np.repeat(runs[:, 1], runs[:, 0])
    return np.cumsum(lasts) - lasts


def _offsets(tables: memoryview, bytes_N: _INT64) -> _INT64:
    """Return where packets begin: they lie in chunks without gaps, and runs of chunks hold the same number of them."""
    short = _boxes_named(tables, b"stco")
    chunk_C = _numbers(short[0], 1)[:, 0] if short else _numbers(_box(tables, b"co64"), 1, ">i8")[:, 0]
    runs = _numbers(_box(tables, b"stsc"), 3)
    chunks_R = np.diff(np.append(runs[:, 0] - 1, len(chunk_C)))
    if runs[0, 0] != 1 or (chunks_R <= 0).any() or (runs[:, 1] * chunks_R).sum() != len(bytes_N):
        raise ValueError("the chunks do not hold the packets")
    packets_C = np.repeat(runs[:, 1], chunks_R)
    before_N = np.cumsum(bytes_N) - bytes_N
    first_C = np.cumsum(packets_C) - packets_C
    shift_C = chunk_C - before_N[np.minimum(first_C, len(bytes_N) - 1)]
    offset_N: _INT64 = before_N + np.repeat(shift_C, packets_C)
    return offset_N
