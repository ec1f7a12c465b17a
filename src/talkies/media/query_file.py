"""Decode a file to search with: a still picture, a sound or a clip.

Shapes: `N` pictures, `P` rows of a planar YUV 4:2:0 picture (3/2 of its height), `H` rows, `W` columns.
"""

import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from talkies.core import Grid, MediaError, ModalityChoice, SourceError, UInt8s, describe_os_error, format_path
from talkies.media.decode_file import MAX_QUERY_BYTES, DecodedFile, decode_file
from talkies.media.frames import FrameNormaliser
from talkies.media.probing import probe
from talkies.media.resample import MAX_ASPECT_RATIO
from talkies.runtime import ProgressCallback

ACCEPTED_FILES = "a picture (JPEG, PNG, WebP, GIF, BMP, TIFF), a sound or a clip that FFmpeg reads"
_IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
_TEXT_FORMATS = ("tty", "bin", "xbin", "adf", "idf")  # FFmpeg renders the letters of a text file as pictures
_MAX_PIXELS = 64_000_000
_MIN_SIDE = 8
# The exceptions that Pillow raises for damaged files.
_PILLOW_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, ArithmeticError, LookupError, TypeError)


@dataclass(frozen=True, slots=True)
class QueryFile:
    """A file to search with, the grid to decode it to, and the shorter side of its pictures in pixels."""

    path: Path
    grid: Grid
    short_side: int


def read_query_file(query: QueryFile, _: ProgressCallback | None = None) -> DecodedFile:
    """Return the decoded pictures and sound of a still picture, a sound or a clip of at most five minutes.

    What the file lacks is None; a still picture is one picture without sound; time zero of a clip is its first picture.

    Raises:
        MediaError: if it is none of these, is damaged or too large, or as `decode_file`.
        SourceError: if the system does not let it be read.
    """
    path, name = query.path, format_path(query.path.name)
    picture_PW = _read_still(path, query.short_side)
    if picture_PW is not None:
        return DecodedFile(picture_PW[None], None, 0)

    try:
        info = probe(path)
    except MediaError as error:
        raise MediaError(error.code, f"{error}; give {ACCEPTED_FILES}") from error
    if info.container in _TEXT_FORMATS:
        raise MediaError("no_media", f"{name} is a text; give {ACCEPTED_FILES}")

    has_video = info.video is not None and info.video.decodes
    has_audio = info.audio is not None and info.audio.decodes
    if not has_video and not has_audio:
        raise MediaError("nothing_decodes", f"{name} has no picture or sound to decode; give {ACCEPTED_FILES}")
    modalities: ModalityChoice = "both" if has_video and has_audio else "video" if has_video else "audio"

    decoded = decode_file(path, modalities, query.grid, query.short_side, max_picture_bytes=MAX_QUERY_BYTES)
    audio_S = decoded.audio_S if decoded.audio_S is not None and len(decoded.audio_S) else None
    if audio_S is None and (decoded.video_NPW is None or not len(decoded.video_NPW)):
        raise MediaError("empty", f"{name} holds no picture and no sound; give {ACCEPTED_FILES}")
    return DecodedFile(decoded.video_NPW, audio_S, decoded.damaged_packets)


def _read_still(path: Path, short_side: int) -> UInt8s | None:
    """Return the picture `[P, W]` of an image file, or None if the file is not a still image."""
    name = format_path(path.name)
    try:
        with path.open("rb") as file:
            is_empty = not file.read(16)
    except OSError as error:
        raise SourceError(f"{name} cannot be read ({describe_os_error(error)}); give {ACCEPTED_FILES}") from error
    if is_empty:
        raise MediaError("empty", f"{name} is empty; give {ACCEPTED_FILES}")

    try:
        with Image.open(path, formats=_IMAGE_FORMATS) as image:
            if getattr(image, "n_frames", 1) > 1 and image.format == "GIF":
                return None  # animated: decoded as a clip
            _check_size(image, name)
            rgb_HWC = np.asarray(_convert_to_rgb(ImageOps.exif_transpose(image), name))
    except UnidentifiedImageError:
        return None
    except Image.DecompressionBombError as error:
        raise MediaError("too_large", f"{name} has too many pixels; give a smaller picture") from error
    except _PILLOW_ERRORS as error:
        raise MediaError("damaged", f"{name} is a damaged picture; give {ACCEPTED_FILES}") from error

    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb_HWC), format="rgb24")
    normalised = FrameNormaliser(short_side, Fraction(1), MAX_ASPECT_RATIO).normalise(frame)
    return normalised.to_ndarray().astype(np.uint8, copy=False)


def _check_size(image: Image.Image, name: str) -> None:
    """Check that a picture has at least `_MIN_SIDE` pixels a side and at most `_MAX_PIXELS` in all."""
    if image.width * image.height > _MAX_PIXELS or min(image.size) < _MIN_SIDE:
        raise MediaError(
            "too_large" if min(image.size) >= _MIN_SIDE else "too_small",
            f"{name} has {image.width} × {image.height} pixels; give a picture of at least {_MIN_SIDE} pixels a side "
            f"and at most {_MAX_PIXELS / 1e6:.0f} million in all",
        )


def _convert_to_rgb(image: Image.Image, name: str) -> Image.Image:
    """Return a picture with 8 bits a channel; transparent pixels are put on white, as a web page shows them."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise MediaError(
            "unknown_white",
            f"{name} has 32 bits a pixel and does not say which value is white; save it with 8 bits",
        )
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")
