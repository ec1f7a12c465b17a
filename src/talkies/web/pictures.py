"""Pictures of films: one at a moment, or a strip of them, decoded from the proxy and kept for a while."""

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
from talkies.web.served_library import Shelf

STRIP_HEIGHT = 72
_OPEN_FILMS = 16
_KEPT_BYTES = 48_000_000
_QUALITY = 85
_ROUNDING = 1e-6  # of a frame: the time of frame n is told as a float


@dataclass(frozen=True, slots=True)
class _OpenFilm:
    """A film's reader, which is for one thread at a time, and which state of the file it reads."""

    reader: VideoReader
    turn: threading.Lock
    state: tuple[int, ...]


class Pictures:
    """Gives pictures of films as JPEG; safe for threads."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf, self._fps = shelf, shelf.library.profile.fps
        self._films: LRUCache[tuple[str, tuple[int, ...]], _OpenFilm] = LRUCache(_OPEN_FILMS)
        self._made: LRUCache[tuple[str, tuple[int, ...], str], bytes] = LRUCache(_KEPT_BYTES, len)

    def frame(self, film: FilmEntry, at_seconds: float) -> bytes:
        """Return the picture that is seen at a moment.

        Raises:
            RefusedError: if the film does not last so long, was rejected, or has gone.
            MediaError: if it cannot be decoded.
        """
        self._check_usable(film)
        if at_seconds > film.duration_seconds:
            raise RefusedError(
                400, f"{film.name} lasts {film.duration_seconds:.2f} s, and at is {at_seconds:g}; name a time inside it"
            )
        opened = self._opened(film)
        number = min(int(at_seconds * self._fps + _ROUNDING), len(opened.reader) - 1)
        key = film.film_id, opened.state, f"frame {number}"
        return self._made.get(key, lambda: _jpeg(Image.fromarray(_picture(opened, number))))

    def strip(self, film: FilmEntry, count: int) -> bytes:
        """Return `count` pictures side by side, the middle ones of as many equal parts of a film.

        Of a rejected film it is the thumbnail that ingest kept.

        Raises:
            RefusedError: if the film has gone, or is a rejected one without a thumbnail.
            MediaError: if it cannot be decoded.
        """
        if not film.usable:
            if not self._shelf.library.has_file(film.id, "strip.jpg"):
                self._check_usable(film)
            return self._shelf.file(film.film_id, "strip.jpg").read_bytes()
        opened = self._opened(film)
        return self._made.get((film.film_id, opened.state, f"strip {count}"), lambda: _jpeg(_strip(opened, count)))

    def _check_usable(self, film: FilmEntry) -> None:
        if not film.usable:
            why = film.reasons[0].text if film.reasons else "it cannot be used"
            raise RefusedError(404, f"{film.name} was rejected at ingest ({why}); there is no picture of it")

    def _opened(self, film: FilmEntry) -> _OpenFilm:
        path = self._shelf.file(film.film_id, "proxy.mp4")
        there = path.stat()  # a film that was ingested anew has other bytes
        state = there.st_ino, there.st_mtime_ns, there.st_size
        return self._films.get((film.film_id, state), lambda: _open(path, self._fps, state))


def _open(path: Path, fps: int, state: tuple[int, ...]) -> _OpenFilm:
    return _OpenFilm(VideoReader(path, fps), threading.Lock(), state)


def _picture(film: _OpenFilm, number: int) -> UInt8s:
    with film.turn:
        yuv_PW = film.reader.read(range(number, number + 1))[0]
    return yuv_to_rgb(yuv_PW)


def _strip(film: _OpenFilm, count: int) -> Image.Image:
    frames = len(film.reader)
    width = max(1, round(film.reader.width * STRIP_HEIGHT / film.reader.height))
    strip = Image.new("RGB", (count * width, STRIP_HEIGHT))
    for place in range(count):
        picture = Image.fromarray(_picture(film, frames * (2 * place + 1) // (2 * count)))
        strip.paste(picture.resize((width, STRIP_HEIGHT)), (place * width, 0))
    return strip


def _jpeg(image: Image.Image) -> bytes:
    written = io.BytesIO()
    image.save(written, "JPEG", quality=_QUALITY)
    return written.getvalue()
