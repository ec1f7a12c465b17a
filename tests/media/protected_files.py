"""Encrypted films for tests: WebM with ContentEncryption, and MP4 whose tracks are protected in the way of PIFF."""

import os
import struct
from collections.abc import Callable, Iterator

_SEGMENT, _TRACKS, _TRACK_ENTRY, _CLUSTER, _BLOCK_GROUP = 0x18538067, 0x1654AE6B, 0xAE, 0x1F43B675, 0xA0
_BLOCKS, _SEEK_AND_CUES = {0xA1, 0xA3}, {0x114D9B74, 0x1C53BB6B}


def encrypt_webm(content: bytes, encrypt: Callable[[bytes], bytes]) -> bytes:
    """Return a WebM file whose tracks say that they are encrypted, with every block changed by `encrypt`."""
    return _change_elements(content, 0, len(content), encrypt)


def encrypt_whole(block: bytes) -> bytes:
    """Return a block as WebM encrypts it: a signal byte, an initialisation vector, ciphertext."""
    return b"\1" + os.urandom(8) + os.urandom(len(block))


def encrypt_parts(block: bytes) -> bytes:
    """Return a block of which the first bytes stay clear (`subsample`)."""
    clear = min(12, len(block))
    return b"\3" + os.urandom(8) + b"\1" + struct.pack(">I", clear) + block[:clear] + os.urandom(len(block) - clear)


def protect_mp4(content: bytes) -> bytes:
    """Return an MP4 file whose sample entries are protected ones (`encv`, `enca`), without what says how."""
    for entry, protected in ((b"avc1", b"encv"), (b"mp4a", b"enca")):
        at = content.index(b"stsd")
        while (at := content.index(entry, at)) and content[at - 4 : at] == b"\0\0\0\0":
            at += 4
        content = _insert_scheme(content, at, entry, protected)
    return content


def _insert_scheme(content: bytes, at: int, entry: bytes, protected: bytes) -> bytes:
    """Rename the sample entry at a place and append its protection scheme; all boxes around it grow."""
    scheme = _box(b"sinf", _box(b"frma", entry) + _box(b"schm", struct.pack(">I4sI", 0, b"piff", 0x10001)))
    end = at - 4 + int.from_bytes(content[at - 4 : at], "big")
    grown = bytearray(content[:at] + protected + content[at + 4 : end] + scheme + content[end:])
    for start in _find_boxes_around(content, at - 4):
        size = int.from_bytes(content[start : start + 4], "big") + len(scheme)
        grown[start : start + 4] = size.to_bytes(4, "big")
    return bytes(grown)


def _find_boxes_around(content: bytes, place: int, start: int = 0, end: int | None = None) -> Iterator[int]:
    """Yield where each box begins that holds a place, that of the box at the place included."""
    at, end = start, len(content) if end is None else end
    while at + 8 <= end:
        size = int.from_bytes(content[at : at + 4], "big")
        if at <= place < at + size:
            yield at
            fields = 16 if content[at + 4 : at + 8] == b"stsd" else 8
            if at < place:
                yield from _find_boxes_around(content, place, at + fields, at + size)
            return
        at += size


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def _element(id_hex: str, content: bytes) -> bytes:
    return bytes.fromhex(id_hex) + struct.pack(">Q", len(content) | 1 << 56) + content


_AES = _element("47e1", b"\5") + _element("47e2", b"0123456789abcdef") + _element("47e7", _element("47e8", b"\1"))
_ENCODINGS = _element(
    "6d80",
    _element(
        "6240",
        _element("5031", b"\0") + _element("5032", b"\1") + _element("5033", b"\1") + _element("5035", _AES),
    ),
)


def _read_number(content: bytes, at: int, *, with_marker: bool) -> tuple[int, int]:
    """Return an EBML number and where it ends."""
    length = 9 - content[at].bit_length()
    value = int.from_bytes(content[at : at + length], "big")
    return value if with_marker else value & ((1 << 7 * length) - 1), at + length


def _change_elements(content: bytes, at: int, end: int, encrypt: Callable[[bytes], bytes]) -> bytes:
    changed = b""
    while at < end:
        name, size_at = _read_number(content, at, with_marker=True)
        size, start = _read_number(content, size_at, with_marker=False)
        stop = min(end, start + size)
        body = content[start:stop]
        if name in {_SEGMENT, _TRACKS, _CLUSTER, _BLOCK_GROUP}:
            body = _change_elements(content, start, stop, encrypt)
        elif name == _TRACK_ENTRY:
            body += _ENCODINGS
        elif name in _BLOCKS:
            body = body[:4] + encrypt(body[4:])
        if name not in _SEEK_AND_CUES:
            changed += _element(content[at:size_at].hex(), body)
        at = stop
    return changed
