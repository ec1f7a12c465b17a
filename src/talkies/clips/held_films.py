"""Decoded films held in memory, so that repeated passes over a small library decode each film once.

Shapes: `N` frames of a film, `T` frames of a clip, `P` rows of a planar YUV 4:2:0 picture, `W` columns, `S` samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from talkies.core import (
    BarSpan,
    FilmId,
    Int16s,
    MediaError,
    Rectangle,
    Span,
    UInt8s,
    join_planes,
    picture_height,
    split_planes,
    yuv_rows,
)
from talkies.media import AudioReader, ProxyReader

_MIB = 2**20
_SAMPLE_BYTES = 2


@dataclass(frozen=True, slots=True, eq=False)
class HeldPictures:
    """All pictures of a film, uint8 `[N, P, W]`; parts of them are copied as a `ProxyReader` would read them."""

    pictures_NPW: UInt8s

    @property
    def height(self) -> int:
        """The height of the pictures in pixels."""
        return picture_height(self.pictures_NPW.shape[1])

    @property
    def width(self) -> int:
        """The width of the pictures in pixels."""
        width: int = self.pictures_NPW.shape[2]
        return width

    def read_parts(self, frames: range, parts: Sequence[tuple[Rectangle, UInt8s]]) -> None:
        """Fill buffers with parts of frames.

        Args:
            frames: the numbers of the frames, ascending; the film has them all.
            parts: even parts of the pictures, within them, and the buffer `[T, P, W]` for each, of its size.
        """
        luma, chroma = split_planes(self.pictures_NPW[frames.start : frames.stop : frames.step])
        for part, buffer_TPW in parts:
            buffer_TPW[:] = join_planes(luma[(..., *_slices(part, 1))], chroma[(..., *_slices(part, 2))])


@dataclass(frozen=True, slots=True, eq=False)
class HeldSound:
    """All samples of a film, int16 `[S]`."""

    samples_S: Int16s

    def read_into(self, span: Span, samples_S: Int16s) -> None:
        """Fill a buffer with the samples of a span of frames, which the film has; its length is whole frames."""
        start = span.start_frame * (len(samples_S) // len(span))
        samples_S[:] = self.samples_S[start : start + len(samples_S)]


@dataclass(frozen=True, slots=True)
class HeldFilm:
    """A film in memory, and the bars burnt into its pictures."""

    video: HeldPictures
    sound: HeldSound
    bars: tuple[BarSpan, ...]

    def has(self, frames: range, samples: int) -> bool:
        """Return whether the film has these frames, and as many samples."""
        return frames[-1] < len(self.video.pictures_NPW) and samples <= len(self.sound.samples_S)


class HeldFilms:
    """The films that a process holds in memory: the first ones that fit, which stay.

    A film that no longer fits, or cannot be decoded from its first frame to its last, is not held. Another process
    that is sent this object gets the same allowance, and none of the films.

    Args:
        memory_mib: how many MiB the films may take together; 0 holds none.
    """

    def __init__(self, memory_mib: int = 0) -> None:
        self.memory_mib = memory_mib
        self._bytes_left = memory_mib * _MIB
        self._films: dict[FilmId, HeldFilm] = {}
        self._not_whole: set[FilmId] = set()

    def __getstate__(self) -> dict[str, Any]:
        """Return the state that another process gets: without the films."""
        return HeldFilms(self.memory_mib).__dict__

    def find(self, film_id: FilmId) -> HeldFilm | None:
        """Return a film, or None if it is not held."""
        return self._films.get(film_id)

    def hold(
        self, film_id: FilmId, video: ProxyReader, sound: AudioReader, bars: tuple[BarSpan, ...]
    ) -> HeldFilm | None:
        """Decode the whole of a film and hold it; None if it does not fit, or is damaged somewhere."""
        film_bytes = len(video) * yuv_rows(video.height) * video.width + _SAMPLE_BYTES * len(sound)
        if film_bytes > self._bytes_left or film_id in self._not_whole or not (len(video) and len(sound)):
            return None
        try:
            pictures_NPW = video.read(range(len(video)))
            samples_S = sound.read(Span(0, len(sound)), samples_per_frame=1)
        except MediaError:  # its good clips are read from its files, and the others are refused there
            self._not_whole.add(film_id)
            return None
        self._bytes_left -= film_bytes
        self._films[film_id] = HeldFilm(HeldPictures(pictures_NPW), HeldSound(samples_S), bars)
        return self._films[film_id]


def _slices(part: Rectangle, pixels: int) -> tuple[slice, slice]:
    """Return the rows and columns of a part in a plane each of whose values covers `pixels` rows and columns."""
    top, left = part.top // pixels, part.left // pixels
    return slice(top, top + part.height // pixels), slice(left, left + part.width // pixels)
