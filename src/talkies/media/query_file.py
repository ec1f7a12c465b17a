"""A file that somebody shows: a picture, a sound or a clip, whatever it is.

Shapes: `N` pictures, `P` rows of a planar YUV 4:2:0 picture (3/2 of its height), `W` columns.
"""

import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from talkies.core import Grid, MediaError, SourceError, UInt8s, describe_os_error, format_path
from talkies.media.decode_file import DecodedFile, Parts, decode_file
from talkies.media.frames import FrameNormaliser
from talkies.media.probe import probe
from talkies.media.resample import MOST_ASPECT
from talkies.runtime import ProgressCallback

ACCEPTED = "a picture (JPEG, PNG, WebP, GIF, BMP, TIFF), a sound or a clip that FFmpeg reads"
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
_WORDS = ("tty", "bin", "xbin", "adf", "idf")  # FFmpeg draws the letters of a text
_MOST_PIXELS = 64_000_000
_LEAST_SIDE = 8
# What Pillow raises at damaged files.
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, struct.error, ArithmeticError, LookupError, TypeError)


@dataclass(frozen=True, slots=True)
class QueryFile:
    """A file that somebody shows, and what to bring it to."""

    path: Path
    grid: Grid
    short_side: int


def read_query_file(shown: QueryFile, _: ProgressCallback | None = None) -> DecodedFile:
    """Return what a picture, a sound or a clip of at most five minutes holds, on a grid; what it lacks is None.

    A single picture is one picture of no sound. Of a clip with both, time zero is its first picture.

    Raises:
        MediaError: if it is none of them, is damaged or too large, or as `decode_file`.
        SourceError: if the system does not let it be read.
    """
    path = shown.path
    picture_PW = _still(path, shown.short_side)
    if picture_PW is not None:
        return DecodedFile(picture_PW[None], None, 0)
    try:
        info = probe(path)
    except MediaError as error:
        raise MediaError(error.code, f"{error}; give {ACCEPTED}") from error
    if info.container in _WORDS:
        raise MediaError("no_media", f"{format_path(path.name)} is a text; give {ACCEPTED}")
    seen = info.video is not None and info.video.decodes
    heard = info.audio is not None and info.audio.decodes
    if not seen and not heard:
        raise MediaError("nothing_decodes", f"{format_path(path.name)} has no picture or sound to decode; give {ACCEPTED}")
    parts: Parts = "both" if seen and heard else "video" if seen else "audio"
    media = decode_file(path, parts, shown.grid, shown.short_side)
    there = [part for part in (media.video_NPW, media.audio_S) if part is not None and len(part)]
    if not there:
        raise MediaError("empty", f"{format_path(path.name)} holds no picture and no sound; give {ACCEPTED}")
    sound_S = media.audio_S if media.audio_S is not None and len(media.audio_S) else None
    return DecodedFile(media.video_NPW, sound_S, media.damaged_packets)


def _still(path: Path, short_side: int) -> UInt8s | None:
    """Return a picture `[P, W]` of a file that is a single one, or nothing of another."""
    name = format_path(path.name)
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:
        raise SourceError(f"{name} cannot be read ({describe_os_error(error)}); give {ACCEPTED}") from error
    if not start:
        raise MediaError("empty", f"{name} is empty; give {ACCEPTED}")
    try:
        with Image.open(path, formats=_FORMATS) as image:
            if getattr(image, "n_frames", 1) > 1 and image.format == "GIF":
                return None  # it moves
            _check_size(image, name)
            rgb_HWC = np.asarray(_in_colour(ImageOps.exif_transpose(image), name))
    except UnidentifiedImageError:
        return None
    except Image.DecompressionBombError as error:
        raise MediaError("too_large", f"{name} has too many pixels; give a smaller picture") from error
    except _DAMAGE as error:
        raise MediaError("damaged", f"{name} is a damaged picture; give {ACCEPTED}") from error
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb_HWC), format="rgb24")
    return (
        FrameNormaliser(short_side, Fraction(1), MOST_ASPECT).develop(frame).to_ndarray().astype(np.uint8, copy=False)
    )


def _in_colour(image: Image.Image, name: str) -> Image.Image:
    """Return a picture in 8 bits a colour; what is transparent lies on white, as a page would show it."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise MediaError(
            "unknown_white",
            f"{name} has 32 bits a pixel, and nothing says which of its numbers is white; save it with 8",
        )
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen).convert("RGB")
    return image.convert("RGB")


def _check_size(image: Image.Image, name: str) -> None:
    if image.width * image.height > _MOST_PIXELS or min(image.size) < _LEAST_SIDE:
        raise MediaError(
            "too_large" if min(image.size) >= _LEAST_SIDE else "too_small",
            f"{name} has {image.width} × {image.height} pixels; give a picture of {_LEAST_SIDE} pixels a side "
            f"or more, and {_MOST_PIXELS / 1e6:.0f} million at most",
        )
