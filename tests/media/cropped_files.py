"""Media files with a crop in their container, made from plain ones: Matroska's PixelCrop, and MP4's clean aperture."""

import struct
from collections.abc import Sequence
from pathlib import Path

MKV_VIDEO = b"\xe0"
CROP_IDS = {"top": b"\x54\xbb", "bottom": b"\x54\xaa", "left": b"\x54\xcc", "right": b"\x54\xdd"}
MKV_DISPLAY_WIDTH, MKV_DISPLAY_HEIGHT = b"\x54\xb0", b"\x54\xba"
_PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")


def add_pixel_crop(path: Path, result: Path, display: tuple[int, int] | None = None, **crop: int) -> None:
    """Write a copy of a Matroska file with other PixelCrop elements and display size in its (first) `Video` element.

    The element keeps its length: what it held besides width and height makes room, and `Void` fills the rest.
    """
    data = bytearray(path.read_bytes())
    start, size = find_video_element(data)
    width, height = (_read_number(data, start, size, element) for element in (b"\xb0", b"\xba"))
    elements = [(b"\xb0", width), (b"\xba", height), *((CROP_IDS[side], value) for side, value in crop.items())]
    if display:
        elements += [(MKV_DISPLAY_WIDTH, display[0]), (MKV_DISPLAY_HEIGHT, display[1])]
    body = b"".join(name + b"\x82" + value.to_bytes(2, "big") for name, value in elements)
    room = size - len(body)
    assert room == 0 or room >= 2, f"{len(body)} bytes do not fit into {size}"
    void = b"\xec" + bytes([0x80 | (room - 2)]) + bytes(room - 2) if room else b""
    data[start : start + size] = body + void
    result.write_bytes(data)


def find_video_element(data: bytes | bytearray) -> tuple[int, int]:
    """Return where the content of the first `Video` element of a file of FFmpeg's muxer starts, and its length."""
    at = data.index(MKV_VIDEO, data.index(b"\x16\x54\xae\x6b"))
    while data[at + 2 : at + 3] != b"\xb0" and data[at + 9 : at + 10] != b"\xb0":  # it starts with PixelWidth
        at = data.index(MKV_VIDEO, at + 1)
    if data[at + 1] == 0x01:  # eight bytes of length
        return at + 9, int.from_bytes(data[at + 2 : at + 9], "big")
    return at + 2, data[at + 1] & 0x7F


def _read_number(data: bytes | bytearray, start: int, size: int, name: bytes) -> int:
    at = data.index(name, start, start + size)
    length = data[at + len(name)] & 0x7F
    return int.from_bytes(data[at + len(name) + 1 : at + len(name) + 1 + length], "big")


def make_clap(
    width: tuple[int, int], height: tuple[int, int], right: tuple[int, int] = (0, 1), down: tuple[int, int] = (0, 1)
) -> bytes:
    """Return a `clap` box: width and height of the clean aperture, and where its centre lies from the picture's."""
    return struct.pack(">I4sIIIIiIiI", 40, b"clap", *width, *height, *right, *down)


def add_boxes(path: Path, result: Path, boxes: bytes, *, without: Sequence[bytes] = ()) -> None:
    """Write a copy of an MP4 file (its `moov` after its `mdat`) with more boxes in the first sample entry of its video.

    Args:
        path: the file.
        result: the copy.
        boxes: what to add.
        without: names of the boxes that are renamed to `free` in the entry.
    """
    data = bytearray(path.read_bytes())
    sizes, start, end = [], 0, len(data)
    for name in _PARENTS:
        at = _find_box(data, name, start, end)
        sizes.append(at)
        start, end = at + 8, at + struct.unpack_from(">I", data, at)[0]
        start += 8 if name == b"stsd" else 0
    entry = start
    sizes.append(entry)
    entry_end = entry + struct.unpack_from(">I", data, entry)[0]
    for name in without:
        at = data.find(name, entry, entry_end)
        if at >= 0:
            data[at : at + 4] = b"free"
    for at in sizes:
        struct.pack_into(">I", data, at, struct.unpack_from(">I", data, at)[0] + len(boxes))
    data[entry_end:entry_end] = boxes
    result.write_bytes(data)


def set_track_size(path: Path, width: float, height: float) -> None:
    """Change the display size in the first track header of an MP4 file."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4
    struct.pack_into(">II", data, at + 76, round(width * 65536), round(height * 65536))
    path.write_bytes(data)


def _find_box(data: bytes | bytearray, name: bytes, start: int, end: int) -> int:
    while start < end:
        if data[start + 4 : start + 8] == name:
            return start
        start += struct.unpack_from(">I", data, start)[0]
    raise AssertionError(f"there is no {name!r}")
