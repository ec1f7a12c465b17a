"""Read the part of the picture that a container wants shown: Matroska's PixelCrop, and the clean aperture of MP4.

FFmpeg 8 parses both, but PyAV 18 does not pass them on, and no decoder applies them. Only the few headers on the way
to them are read, whatever a file claims about its sizes: nothing is read whole, nested deeply, or followed for ever.

Sources: RFC 9559 (Matroska), 5.1.4.1.28; ISO/IEC 14496-12, 12.1.4 (`clap`); FFmpeg's `mov_read_clap`.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from talkies.config import Config

_MAX_ELEMENTS = 20_000  # headers that are read of one file
_MAX_ENTRY_BYTES = 1 << 16  # of one sample entry or one track's `Video` element
_MATROSKA_FORMATS = "matroska"
_MP4_FORMATS = "mp4"

_SEGMENT, _CLUSTER, _TRACKS, _TRACK_ENTRY = 0x18538067, 0x1F43B675, 0x1654AE6B, 0xAE
_TRACK_TYPE, _CODEC_ID, _VIDEO, _TYPE_VIDEO = 0x83, 0x86, 0xE0, 1
_PIXEL_SIZES = {0xB0: "width", 0xBA: "height"}
_PIXEL_CROPS = {0x54BB: "top", 0x54AA: "bottom", 0x54CC: "left", 0x54DD: "right"}
_SIDES = frozenset(_PIXEL_CROPS.values())
_SAMPLE_ENTRY_FIELDS_BYTES = 78
_BOXES_TO_ENTRY = (b"mdia", b"minf", b"stbl", b"stsd")


class FrameCrop(Config):
    """The pixels at each edge of a coded picture that its container hides, before any rotation.

    `pixel_aspect` is the shape of a pixel where the container gives it only through the size of the cropped picture;
    `ignored` says in one sentence why a crop that the container declares is not applied.
    """

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0
    pixel_aspect: str | None = None
    ignored: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is cut."""
        return not (self.top or self.bottom or self.left or self.right)

    def fits(self, width: int, height: int) -> bool:
        """Return whether some of a picture of this size is left."""
        return self.left + self.right < width and self.top + self.bottom < height


def read_crop(path: Path, container: str, number: int, track_id: int, size: tuple[int, int]) -> FrameCrop | None:
    """Return the crop that a container declares for a video track, or None if it declares none.

    A crop that leaves nothing of the picture is ignored, and the result says so. A file that cannot be parsed
    declares none.

    Args:
        path: the file.
        container: FFmpeg's name of its format.
        number: counts the file's video tracks from 0; tells the tracks of Matroska apart.
        track_id: FFmpeg's id of the track; tells the tracks of MP4 apart.
        size: width and height of the coded pictures.
    """
    try:
        with path.open("rb") as file:
            reader = _BoundedReader(file, file.seek(0, 2))
            if _MATROSKA_FORMATS in container:
                videos = _read_videos(reader)
                crops = {side: field.value for side, field in videos[number].items() if side in _SIDES}
                return _check_crop(crops, size)
            if _MP4_FORMATS in container:
                return _read_clean_aperture(reader, track_id, size)
    except (_UnparsableError, OSError, IndexError):
        pass
    return None


def find_senseless_pixel_crops(path: Path) -> list[tuple[int, int]]:
    """Return where a file holds the values of PixelCrops that leave nothing of their track's pictures.

    FFmpeg refuses to open a Matroska file that has one.

    Returns:
        The first byte and the number of bytes of each value; none if the file is not Matroska.
    """
    try:
        with path.open("rb") as file:
            reader = _BoundedReader(file, file.seek(0, 2))
            videos = _read_videos(reader)
    except (_UnparsableError, OSError):
        return []

    places = []
    for video in videos:
        crops = {side: video_field for side, video_field in video.items() if side in _SIDES}
        crop = FrameCrop.model_validate({side: crop_field.value for side, crop_field in crops.items()})
        size = (video[name].value if name in video else 0 for name in _PIXEL_SIZES.values())
        if not crop.fits(*size):
            places += [(crop_field.start, crop_field.bytes) for crop_field in crops.values()]
    return places


class _UnparsableError(Exception):
    """The file's structure is not what it should be."""


class _BoundedReader:
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
            raise _UnparsableError
        return data

    def read_header(self, at: int, most_bytes: int) -> bytes:
        """Return the first bytes of an element, at most `most_bytes`."""
        self._headers_left -= 1
        if self._headers_left < 0:
            raise _UnparsableError
        self._file.seek(at)
        return self._file.read(most_bytes)


@dataclass(frozen=True, slots=True)
class _Element:
    """An element of a file: its name, and where its content starts and ends."""

    name: int | bytes
    start: int
    end: int


# Matroska


@dataclass(frozen=True, slots=True)
class _Field:
    """A number in a file, and the bytes that hold it."""

    value: int
    start: int
    bytes: int


def _read_videos(reader: _BoundedReader) -> list[dict[str, _Field]]:
    """Return the sizes and crops of each video track that are declared before the first cluster of unknown size."""
    for segment in _iterate_ebml(reader, 0, reader.size):
        if segment.name != _SEGMENT:
            continue
        for element in _iterate_ebml(reader, segment.start, segment.end):
            if element.name == _TRACKS:
                entries = _iterate_ebml(reader, element.start, element.end)
                return [_read_fields(reader, video) for entry in entries if (video := _find_video(reader, entry))]
            if element.name == _CLUSTER and element.end == segment.end:  # nothing behind it can be found
                return []
        return []
    return []


def _find_video(reader: _BoundedReader, entry: _Element) -> _Element | None:
    """Return the `Video` element of a track of pictures, for which FFmpeg makes a stream; None for other tracks."""
    if entry.name != _TRACK_ENTRY:
        return None
    track_type, has_codec, video = 0, False, _Element(_VIDEO, entry.end, entry.end)
    for element in _iterate_ebml(reader, entry.start, entry.end):
        if element.name == _TRACK_TYPE:
            track_type = _read_unsigned(reader, element)
        elif element.name == _CODEC_ID:
            has_codec = element.end > element.start
        elif element.name == _VIDEO:
            video = element
    return video if track_type == _TYPE_VIDEO and has_codec else None


def _read_fields(reader: _BoundedReader, video: _Element) -> dict[str, _Field]:
    names = {**_PIXEL_SIZES, **_PIXEL_CROPS}
    return {
        names[element.name]: _Field(_read_unsigned(reader, element), element.start, element.end - element.start)
        for element in _iterate_ebml(reader, video.start, video.end)
        if isinstance(element.name, int) and element.name in names
    }


def _iterate_ebml(reader: _BoundedReader, start: int, end: int) -> Iterator[_Element]:
    """Yield the EBML elements in a part of the file; one of unknown size, or too long for it, lasts to its end."""
    while start < end:
        header = reader.read_header(start, 12)
        id_bytes = _count_bytes(header[:1])
        size_bytes = _count_bytes(header[id_bytes : id_bytes + 1])
        content = start + id_bytes + size_bytes
        if id_bytes > 4 or len(header) < id_bytes + size_bytes:
            raise _UnparsableError
        mask = (1 << 7 * size_bytes) - 1
        size = int.from_bytes(header[id_bytes : id_bytes + size_bytes], "big") & mask
        element_end = end if size == mask else min(end, content + size)
        yield _Element(int.from_bytes(header[:id_bytes], "big"), content, element_end)
        start = max(element_end, content)


def _count_bytes(first: bytes) -> int:
    """Return the length of an EBML number, which the leading zeros of its first byte give."""
    if not first or not first[0]:
        raise _UnparsableError
    return 9 - first[0].bit_length()


def _read_unsigned(reader: _BoundedReader, element: _Element) -> int:
    length = element.end - element.start
    if length > 8:
        raise _UnparsableError
    return int.from_bytes(reader.read(element.start, length), "big")


# MP4 and QuickTime


def _read_clean_aperture(reader: _BoundedReader, track_id: int, size: tuple[int, int]) -> FrameCrop | None:
    """Return the crop of the track with this id."""
    for movie in _iterate_boxes(reader, 0, reader.size):
        if movie.name != b"moov":
            continue
        for track in _iterate_boxes(reader, movie.start, movie.end):
            header = _find_box(reader, track, b"tkhd") if track.name == b"trak" else None
            if header is None:
                continue
            id_in_file, track_width, track_height = _read_track_header(reader, header)
            if id_in_file == track_id:
                boxes = _read_sample_entry(reader, track)
                return _convert_clap(boxes, size, (track_width, track_height)) if b"clap" in boxes else None
        return None
    return None


def _read_track_header(reader: _BoundedReader, header: _Element) -> tuple[int, Fraction, Fraction]:
    """Return a track's id, and the width and height that it is shown in."""
    is_long = reader.read(header.start, 1)[0] == 1
    track_id = struct.unpack(">I", reader.read(header.start + (20 if is_long else 12), 4))[0]
    width, height = struct.unpack(">II", reader.read(header.start + (88 if is_long else 76), 8))
    return track_id, Fraction(width, 65536), Fraction(height, 65536)


def _read_sample_entry(reader: _BoundedReader, track: _Element) -> dict[bytes, bytes]:
    """Return the boxes of a track's first sample entry, by name."""
    element = track
    for name in _BOXES_TO_ENTRY:
        found = _find_box(reader, element, name)
        if found is None:
            return {}
        element = found
    entry = next(_iterate_boxes(reader, element.start + 8, element.end), None)
    if entry is None or entry.end - entry.start > _MAX_ENTRY_BYTES:
        return {}
    boxes: dict[bytes, bytes] = {}
    for box in _iterate_boxes(reader, entry.start + _SAMPLE_ENTRY_FIELDS_BYTES, entry.end, at_end=True):
        assert isinstance(box.name, bytes), "MP4 names its boxes by four bytes"
        boxes.setdefault(box.name, reader.read(box.start, box.end - box.start))
    return boxes


def _find_box(reader: _BoundedReader, parent: _Element, name: bytes) -> _Element | None:
    return next((box for box in _iterate_boxes(reader, parent.start, parent.end) if box.name == name), None)


def _iterate_boxes(reader: _BoundedReader, start: int, end: int, *, at_end: bool = False) -> Iterator[_Element]:
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
            raise _UnparsableError
        yield _Element(name, content, start + size)
        start += size


def _convert_clap(
    boxes: dict[bytes, bytes], size: tuple[int, int], track_size: tuple[Fraction, Fraction]
) -> FrameCrop | None:
    """Return the crop of a clean aperture: its size, and how far its centre is from the picture's."""
    if len(boxes[b"clap"]) < 32:
        return FrameCrop(ignored="its container's crop (clap) is cut short, and is ignored")
    numbers = struct.unpack(">IIIIiIiI", boxes[b"clap"][:32])
    if not all(numbers[1::2]):
        return FrameCrop(ignored="its container's crop (clap) divides by zero, and is ignored")
    width, height, right, down = (Fraction(*numbers[i : i + 2]) for i in (0, 2, 4, 6))

    # Whole pixels: half a pixel too many at the left or top goes to the other side.
    sides = {}
    for extent, aperture, offset, (first, last) in (
        (size[0], width, right, ("left", "right")),
        (size[1], height, down, ("top", "bottom")),
    ):
        before = (extent - aperture) / 2 + offset
        sides[first] = before.__floor__()
        sides[last] = extent - sides[first] - round(aperture)
    crop = _check_crop(sides, size, (width, height))
    if crop is None or crop.ignored:
        return crop

    # Without a box that gives the shape of a pixel, FFmpeg takes it from the track's size, as if nothing were cut.
    if b"pasp" not in boxes and all(track_size) and track_size != (Fraction(size[0]), Fraction(size[1])):
        aspect = track_size[0] / (size[0] - crop.left - crop.right) * (size[1] - crop.top - crop.bottom) / track_size[1]
        crop = crop.model_copy(update={"pixel_aspect": str(aspect.limit_denominator(1000))})
    return crop


def _check_crop(
    sides: dict[str, int], size: tuple[int, int], shown: tuple[Fraction, Fraction] | None = None
) -> FrameCrop | None:
    """Return a crop for pictures of this size; one that says why it is ignored, or None, if nothing can be cut."""
    if not any(sides.values()):
        return None
    if all(side >= 0 for side in sides.values()):
        crop = FrameCrop.model_validate(sides)
        if crop.fits(*size):
            return crop
    if shown is None:
        asked = ", ".join(f"{value} at the {side}" for side, value in sides.items() if value)
        asked = f"cuts {asked}"
    else:
        asked = f"shows {float(shown[0]):g} × {float(shown[1]):g}"
    text = f"its container's crop {asked} of a picture of {size[0]} × {size[1]} pixels, and is ignored"
    return FrameCrop(ignored=text)
