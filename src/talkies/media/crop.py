"""Read the part of the picture that a container wants shown: Matroska's PixelCrop, and the clean aperture of MP4.

FFmpeg 8 parses both, but PyAV 18 does not pass them on, and no decoder applies them.

Sources: RFC 9559 (Matroska), 5.1.4.1.28; ISO/IEC 14496-12, 12.1.4 (`clap`); FFmpeg's `mov_read_clap`.
"""

import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from talkies.config import Config
from talkies.media.headers import (
    Element,
    HeaderReader,
    UnparsableError,
    find_box,
    find_sample_entry,
    iterate_boxes,
    iterate_ebml,
    iterate_tracks,
    read_track_id,
    read_unsigned,
)

_MAX_ENTRY_BYTES = 1 << 16  # of one sample entry or one track's `Video` element
_MATROSKA = "matroska"
_MP4 = "mp4"

_SEGMENT, _CLUSTER, _TRACKS, _TRACK_ENTRY = 0x18538067, 0x1F43B675, 0x1654AE6B, 0xAE
_TRACK_TYPE, _CODEC_ID, _VIDEO, _TYPE_VIDEO = 0x83, 0x86, 0xE0, 1
_PIXEL_SIZES = {0xB0: "width", 0xBA: "height"}
_PIXEL_CROPS = {0x54BB: "top", 0x54AA: "bottom", 0x54CC: "left", 0x54DD: "right"}
_SIDES = frozenset(_PIXEL_CROPS.values())
_SAMPLE_ENTRY_FIELDS_BYTES = 78


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
            reader = HeaderReader(file, file.seek(0, 2))
            if _MATROSKA in container.split(","):
                videos = _read_videos(reader)
                crops = {side: field.value for side, field in videos[number].items() if side in _SIDES}
                return _check_crop(crops, size)
            if _MP4 in container.split(","):
                return _read_clean_aperture(reader, track_id, size)
    except (UnparsableError, OSError, IndexError):
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
            reader = HeaderReader(file, file.seek(0, 2))
            videos = _read_videos(reader)
    except (UnparsableError, OSError):
        return []

    places = []
    for video in videos:
        crops = {side: video_field for side, video_field in video.items() if side in _SIDES}
        crop = FrameCrop.model_validate({side: crop_field.value for side, crop_field in crops.items()})
        size = (video[name].value if name in video else 0 for name in _PIXEL_SIZES.values())
        if not crop.fits(*size):
            places += [(crop_field.start, crop_field.bytes) for crop_field in crops.values()]
    return places


# Matroska


@dataclass(frozen=True, slots=True)
class _Field:
    """A number in a file, and the bytes that hold it."""

    value: int
    start: int
    bytes: int


def _read_videos(reader: HeaderReader) -> list[dict[str, _Field]]:
    """Return the sizes and crops of each video track that are declared before the first cluster of unknown size."""
    for segment in iterate_ebml(reader, 0, reader.size):
        if segment.name != _SEGMENT:
            continue
        for element in iterate_ebml(reader, segment.start, segment.end):
            if element.name == _TRACKS:
                entries = iterate_ebml(reader, element.start, element.end)
                return [_read_fields(reader, video) for entry in entries if (video := _find_video(reader, entry))]
            if element.name == _CLUSTER and element.end == segment.end:  # nothing behind it can be found
                return []
        return []
    return []


def _find_video(reader: HeaderReader, entry: Element) -> Element | None:
    """Return the `Video` element of a track of pictures, for which FFmpeg makes a stream; None for other tracks."""
    if entry.name != _TRACK_ENTRY:
        return None
    track_type, has_codec, video = 0, False, Element(_VIDEO, entry.end, entry.end)
    for element in iterate_ebml(reader, entry.start, entry.end):
        if element.name == _TRACK_TYPE:
            track_type = read_unsigned(reader, element)
        elif element.name == _CODEC_ID:
            has_codec = element.end > element.start
        elif element.name == _VIDEO:
            video = element
    return video if track_type == _TYPE_VIDEO and has_codec else None


def _read_fields(reader: HeaderReader, video: Element) -> dict[str, _Field]:
    names = {**_PIXEL_SIZES, **_PIXEL_CROPS}
    return {
        names[element.name]: _Field(read_unsigned(reader, element), element.start, element.end - element.start)
        for element in iterate_ebml(reader, video.start, video.end)
        if isinstance(element.name, int) and element.name in names
    }


# MP4 and QuickTime


def _read_clean_aperture(reader: HeaderReader, track_id: int, size: tuple[int, int]) -> FrameCrop | None:
    """Return the crop of the track with this id."""
    for track in iterate_tracks(reader):
        if read_track_id(reader, track) == track_id:
            boxes = _read_sample_entry(reader, track)
            return _convert_clap(boxes, size, _read_track_size(reader, track)) if b"clap" in boxes else None
    return None


def _read_track_size(reader: HeaderReader, track: Element) -> tuple[Fraction, Fraction]:
    """Return the width and height that a track is shown in."""
    header = find_box(reader, track, b"tkhd")
    assert header is not None, "a track without a header has no id"
    is_long = reader.read(header.start, 1)[0] == 1
    width, height = struct.unpack(">II", reader.read(header.start + (88 if is_long else 76), 8))
    return Fraction(width, 65536), Fraction(height, 65536)


def _read_sample_entry(reader: HeaderReader, track: Element) -> dict[bytes, bytes]:
    """Return the boxes of a track's first sample entry, by name."""
    entry = find_sample_entry(reader, track)
    if entry is None or entry.end - entry.start > _MAX_ENTRY_BYTES:
        return {}
    boxes: dict[bytes, bytes] = {}
    for box in iterate_boxes(reader, entry.start + _SAMPLE_ENTRY_FIELDS_BYTES, entry.end, at_end=True):
        assert isinstance(box.name, bytes), "MP4 names its boxes by four bytes"
        boxes.setdefault(box.name, reader.read(box.start, box.end - box.start))
    return boxes


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
