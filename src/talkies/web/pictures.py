"""Still pictures of films as JPEG: one frame, or a strip of frames, decoded from the proxy and cached."""

import io
import threading
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from talkies.core import UInt8s
from talkies.library import FilmEntry
from talkies.media import VideoReader, yuv_to_rgb
from talkies.web.cache import LRUCache
from talkies.web.errors import RefusedError
from talkies.web.served_library import ServedLibrary

STRIP_HEIGHT = 72  # pixels
_MAX_OPEN_FILMS = 16
_CACHE_BYTES = 48_000_000
_JPEG_QUALITY = 85
_ROUNDING_FRAMES = 1e-6  # the time of frame n arrives as a float that may be a little too small

FileState = tuple[int, ...]
"""Inode, modification time and size of a file; it differs after a film was ingested again."""


@dataclass(frozen=True, slots=True)
class _OpenFilm:
    """A film's reader, which one thread may use at a time, and the state of the file it reads."""

    reader: VideoReader
    lock: threading.Lock
    state: FileState


class Pictures:
    """Encodes pictures of films as JPEG; safe for threads."""

    def __init__(self, served: ServedLibrary) -> None:
        self._served = served
        self._fps = served.library.profile.fps
        self._films: LRUCache[tuple[str, FileState], _OpenFilm] = LRUCache(_MAX_OPEN_FILMS)
        self._jpegs: LRUCache[tuple[str, FileState, str], bytes] = LRUCache(_CACHE_BYTES, len)

    def encode_frame(self, film: FilmEntry, at_seconds: float) -> bytes:
        """Return the frame that is visible at a time of a film, as JPEG.

        Args:
            film: A film that was accepted at ingest.
            at_seconds: Time in the film, 0 to its duration.

        Raises:
            RefusedError: If the film is shorter, was rejected, or no longer exists.
            MediaError: If the frame cannot be decoded.
        """
        self._check_usable(film)
        if at_seconds > film.duration_seconds:
            raise RefusedError(
                400,
                f"{film.printable_name} lasts {film.duration_seconds:.2f} s, and at is {at_seconds:g}; "
                "name a time inside it",
            )
        opened = self._open_film(film)
        frame = min(int(at_seconds * self._fps + _ROUNDING_FRAMES), len(opened.reader) - 1)
        key = film.film_id, opened.state, f"frame {frame}"
        return self._jpegs.get(key, lambda: _encode_jpeg(Image.fromarray(_read_frame(opened, frame))))

    def encode_strip(self, film: FilmEntry, count: int) -> bytes:
        """Return frames of a film side by side, as JPEG.

        The film is divided into equal parts, and each part is shown by its middle frame. For a rejected film this is
        the thumbnail that ingest stored.

        Args:
            film: Any film of the library.
            count: Number of frames.

        Raises:
            RefusedError: If the film no longer exists, or was rejected without a thumbnail.
            MediaError: If a frame cannot be decoded.
        """
        if not film.usable:
            if not self._served.library.has_file(film.id, "strip.jpg"):
                self._check_usable(film)
            return self._served.get_file_path(film.film_id, "strip.jpg").read_bytes()

        opened = self._open_film(film)
        key = film.film_id, opened.state, f"strip {count}"
        return self._jpegs.get(key, lambda: _encode_jpeg(_build_strip(opened, count)))

    def _check_usable(self, film: FilmEntry) -> None:
        if not film.usable:
            reason = film.reasons[0].text if film.reasons else "it cannot be used"
            raise RefusedError(404, f"{film.printable_name} was rejected at ingest ({reason}); it has no pictures")

    def _open_film(self, film: FilmEntry) -> _OpenFilm:
        path = self._served.get_file_path(film.film_id, "proxy.mp4")
        stat = path.stat()
        state = stat.st_ino, stat.st_mtime_ns, stat.st_size
        return self._films.get((film.film_id, state), lambda: _open_reader(path, self._fps, state))


def _open_reader(path: Path, fps: int, state: FileState) -> _OpenFilm:
    return _OpenFilm(VideoReader(path, fps), threading.Lock(), state)


def _read_frame(film: _OpenFilm, frame: int) -> UInt8s:
    """Return one frame as RGB, `[H, W, 3]`."""
    with film.lock:
        yuv_PW = film.reader.read(range(frame, frame + 1))[0]
    return yuv_to_rgb(yuv_PW)


def _build_strip(film: _OpenFilm, count: int) -> Image.Image:
    frames = len(film.reader)
    width = max(1, round(film.reader.width * STRIP_HEIGHT / film.reader.height))
    strip = Image.new("RGB", (count * width, STRIP_HEIGHT))
    for part in range(count):
        middle_frame = frames * (2 * part + 1) // (2 * count)
        picture = Image.fromarray(_read_frame(film, middle_frame))
        strip.paste(picture.resize((width, STRIP_HEIGHT)), (part * width, 0))
    return strip


def _encode_jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()
