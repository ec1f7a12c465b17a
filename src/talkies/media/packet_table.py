"""Where a proxy's packets are in its file: the tables of an MP4, read without FFmpeg, which would decode to open it.

The boxes and their fields are those of ISO/IEC 14496-12 (sections 8.4 to 8.7).

Shapes: `N` packets of the first video track, in order of decoding, which in a proxy is also the order of presentation
(it has no B-frames); `K` key frames, `C` chunks, `R` runs of chunks.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from talkies.core import Int64s

_MAX_BOXES = 1000  # inside one box; a file with more is not a film
_VIDEO_ENTRY_BYTES = 86  # of a video sample description, before the boxes inside it


class TableError(Exception):
    """The bytes are not the tables of a proxy; the message continues a sentence about the file."""


@dataclass(frozen=True, slots=True, eq=False)
class PacketTable:
    """The position, size and presentation time of each packet of a proxy, and what its decoder needs to know.

    Attributes:
        offset_N: the position of each packet in the file, in bytes.
        bytes_N: the size of each packet.
        tick_N: the presentation time of each packet's picture, in ticks.
        key_frame_K: the numbers of the packets at which decoding can start.
        ticks_hz: ticks per second.
        width: the width of the pictures in pixels.
        height: the height of the pictures in pixels.
        decoder_config: the configuration of the H.264 decoder (avcC).
    """

    offset_N: Int64s
    bytes_N: Int64s
    tick_N: Int64s
    key_frame_K: Int64s
    ticks_hz: int
    width: int
    height: int
    decoder_config: bytes

    def __len__(self) -> int:
        return len(self.offset_N)

    @classmethod
    def read(cls, file: int) -> Self:
        """Return the table of an open MP4 file, given its file descriptor.

        Raises:
            TableError: if it has none, or not that of a proxy.
            OSError: if the file cannot be read.
        """
        try:
            for track in _find_boxes(_read_movie_box(file), b"trak"):
                media = _find_box(track, b"mdia")
                if bytes(_find_box(media, b"hdlr")[8:12]) == b"vide":
                    return cls._from_track(track, media, os.fstat(file).st_size)
        except (struct.error, ValueError, IndexError, OverflowError) as error:
            raise TableError("it has no readable packet table") from error
        raise TableError("it has no video track")

    @classmethod
    def _from_track(cls, track: memoryview, media: memoryview, file_bytes: int) -> Self:
        _check_edit_list(track)
        tables = _find_box(_find_box(media, b"minf"), b"stbl")
        if _find_boxes(tables, b"ctts"):
            raise TableError("its pictures are decoded in another order than shown")

        bytes_N = _read_sizes(_find_box(tables, b"stsz"), file_bytes)
        video_entry = _find_box(_find_box(tables, b"stsd")[8:], b"avc1")
        width, height = struct.unpack_from(">HH", video_entry, 24)
        header = _find_box(media, b"mdhd")
        is_64_bit = header[0]
        return cls(
            key_frame_K=_read_key_frames(tables, len(bytes_N)),
            offset_N=_read_offsets(tables, bytes_N),
            bytes_N=bytes_N,
            tick_N=_read_times(_find_box(tables, b"stts"), len(bytes_N)),
            ticks_hz=struct.unpack_from(">I", header, 20 if is_64_bit else 12)[0],
            width=width,
            height=height,
            decoder_config=bytes(_find_box(video_entry[_VIDEO_ENTRY_BYTES - 8 :], b"avcC")),
        )


# Boxes: a length, a kind of four letters, the content.


def _read_movie_box(file: int) -> memoryview:
    """Return the content of the box that holds all tables (`moov`)."""
    position, file_bytes = 0, os.fstat(file).st_size
    for _ in range(_MAX_BOXES):
        header = os.pread(file, 16, position)
        length, kind = struct.unpack_from(">I4s", header)
        header_bytes = 8
        if length == 1:  # the length follows in 64 bits
            (length,) = struct.unpack_from(">Q", header, 8)
            header_bytes = 16

        if kind == b"moov":
            if not header_bytes <= length <= file_bytes - position:
                raise TableError("it ends within its packet table")
            return memoryview(os.pread(file, length - header_bytes, position + header_bytes))
        if length < header_bytes:
            break
        position += length
    raise ValueError("no moov")


def _iterate_boxes(content: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield the kind and the content of each box."""
    position = 0
    for _ in range(_MAX_BOXES):
        if position + 8 > len(content):
            return
        length, kind = struct.unpack_from(">I4s", content, position)
        if not 8 <= length <= len(content) - position:
            raise ValueError("a box is longer than the box around it")
        yield kind, content[position + 8 : position + length]
        position += length


def _find_boxes(content: memoryview, kind: bytes) -> list[memoryview]:
    return [inner for inner_kind, inner in _iterate_boxes(content) if inner_kind == kind]


def _find_box(content: memoryview, kind: bytes) -> memoryview:
    boxes = _find_boxes(content, kind)
    if not boxes:
        raise ValueError(f"there is no box {kind!r}")
    return boxes[0]


def _read_rows(box: memoryview, columns: int, dtype: str = ">u4", start: int = 4) -> Int64s:
    """Return the rows of a table whose number is stored at byte `start`, before them."""
    (count,) = struct.unpack_from(">I", box, start)
    return np.frombuffer(box, dtype, count * columns, start + 4).astype(np.int64).reshape(count, columns)


# The tables of a track.


def _check_edit_list(track: memoryview) -> None:
    """Check that pictures are shown at the times in the table: no edit list shifts or cuts them."""
    for edits in _find_boxes(track, b"edts"):
        box = _find_box(edits, b"elst")
        is_64_bit = box[0]
        (count,) = struct.unpack_from(">I", box, 4)
        (media_start,) = struct.unpack_from(">q", box, 16) if is_64_bit else struct.unpack_from(">i", box, 12)
        if count != 1 or media_start != 0:
            raise TableError("its pictures are shown at other times than stored")


def _read_key_frames(tables: memoryview, packets: int) -> Int64s:
    boxes = _find_boxes(tables, b"stss")
    key_frame_K = _read_rows(boxes[0], 1)[:, 0] - 1 if boxes else np.arange(packets)  # without a box, all are
    if not len(key_frame_K) or key_frame_K[0] != 0 or key_frame_K[-1] >= packets or (np.diff(key_frame_K) <= 0).any():
        raise ValueError("the key frames are not in order")
    return key_frame_K


def _read_sizes(box: memoryview, file_bytes: int) -> Int64s:
    """Return the size of each packet in bytes."""
    (common_size,) = struct.unpack_from(">I", box, 4)
    if not common_size:
        return _read_rows(box, 1, start=8)[:, 0]
    (count,) = struct.unpack_from(">I", box, 8)
    if count * common_size > file_bytes:
        raise ValueError("there are more packets than bytes")
    return np.full(count, common_size, np.int64)


def _read_times(box: memoryview, packets: int) -> Int64s:
    """Return the time of each packet in ticks; the table holds runs of (packets, duration)."""
    runs = _read_rows(box, 2)
    if runs[:, 0].sum() != packets:
        raise ValueError("there are not as many times as packets")
    duration_N = np.repeat(runs[:, 1], runs[:, 0])
    return np.cumsum(duration_N) - duration_N


def _read_offsets(tables: memoryview, bytes_N: Int64s) -> Int64s:
    """Return the position of each packet in the file.

    Packets are stored in chunks without gaps; runs of chunks hold the same number of packets each.
    """
    narrow = _find_boxes(tables, b"stco")
    chunk_offset_C = (
        _read_rows(narrow[0], 1)[:, 0] if narrow else _read_rows(_find_box(tables, b"co64"), 1, ">i8")[:, 0]
    )
    runs = _read_rows(_find_box(tables, b"stsc"), 3)  # first chunk (from 1), packets in each chunk, description
    first_chunk_R, packets_R = runs[:, 0] - 1, runs[:, 1]
    chunks_R = np.diff(np.append(first_chunk_R, len(chunk_offset_C)))
    if first_chunk_R[0] != 0 or (chunks_R <= 0).any() or (packets_R * chunks_R).sum() != len(bytes_N):
        raise ValueError("the chunks do not hold the packets")

    # A packet's offset is its chunk's, plus the sizes of the packets before it in the chunk.
    packets_C = np.repeat(packets_R, chunks_R)
    first_packet_C = np.cumsum(packets_C) - packets_C
    bytes_before_N = np.cumsum(bytes_N) - bytes_N
    shift_C = chunk_offset_C - bytes_before_N[np.minimum(first_packet_C, len(bytes_N) - 1)]
    offset_N: Int64s = bytes_before_N + np.repeat(shift_C, packets_C)
    return offset_N
