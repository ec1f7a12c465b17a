"""Films of minutes whose every picture tells its own number, and that flash and beep at ten known moments.

    | bits  0 …  3 | F |      sixteen blocks, black or white, are the picture's number
    | bits  4 …  7 | L |      the column beside them lights up at the ten moments
    | bits  8 … 11 | A |
    | bits 12 … 15 | S |H

Rendering is cheap because pictures are encoded once, a closed group at a time: all films are made of the same groups
but for the few that flash, and differ in the times and the container that the packets are given.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property
from heapq import merge
from itertools import accumulate, cycle
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

PLACES = tuple(Fraction(n, 600) for n in (6, 61, 127, 193, 259, 326, 391, 457, 523, 578))
"""A film flashes and beeps at the first moment after each of these shares of it that the grid can tell."""
TICK = Fraction(1, 16)
"""A proxy's frame; pictures that begin a millisecond or less before a tick are as good as on it."""
NEAR = Fraction(1, 1000)
FLASH_SECONDS, BEEP_SECONDS, BEEP_HZ = Fraction(1, 8), Fraction(1, 20), 1000

_BLOCK = 32  # pixels
_SIZE = 5 * _BLOCK, 4 * _BLOCK
_BLACK, _WHITE = 16, 235
_GROUP = 48  # pictures
_REORDERED = 2  # pictures by which decoding runs ahead
_CODED_STEP = 3750  # the pictures' own headers tell ticks of 90 kHz, and no rate
_SOUND_HZ = 48_000
_MUXING = {
    ".ts": {"mpegts_copyts": "1"},  # the times that packets have, and no delay added
    ".mp4": {"movie_timescale": str(_SOUND_HZ)},  # an edit list can be no more exact than this
}


@dataclass(frozen=True)
class Recipe:
    """A film to render; all times are as the container holds them, in seconds.

    Pictures last `steps`, again and again, in whole ticks of `time_base`; the first begins at `pictures_from`, the
    sound at `sound_from`. An edit list takes out what is before zero, and `seconds` are left.
    """

    suffix: str
    steps: tuple[Fraction, ...]
    time_base: Fraction
    sound_codec: str
    pictures_from: Fraction = Fraction(0)
    sound_from: Fraction = Fraction(0)
    seconds: int = 180

    @cached_property
    def ticks(self) -> list[int]:
        """When each picture begins, in ticks of the time base, and when the last one ends."""
        end = max(self.pictures_from, Fraction(0)) + self.seconds
        ticks = []
        for moment in accumulate(cycle(self.steps), initial=self.pictures_from):
            ticks.append(round(moment / self.time_base))
            if moment >= end:
                break
        return ticks


@dataclass(frozen=True)
class NumberedFilm:
    """A rendered film: its pictures are numbered from `first`, on screen from the times `begins`, and end at `end`.

    All times are exact, in seconds after the first picture that is shown; it flashes and beeps at `moments`.
    """

    path: Path
    first: int
    begins: tuple[Fraction, ...]
    end: Fraction

    @cached_property
    def moments(self) -> tuple[Fraction, ...]:
        """The beginnings of ten pictures, each at a tick of the grid or less than a millisecond before."""
        near = [begin for begin in self.begins if -begin % TICK < NEAR]
        return tuple(next(begin for begin in near if begin >= place * self.end) for place in PLACES)

    def numbers_on_screen(self) -> npt.NDArray[np.int64]:
        """Return the number of the picture on screen at each tick of the grid `[T]`."""
        ticks = range(math.ceil(self.end / TICK))
        return np.array([self.first + bisect_right(self.begins, tick * TICK) - 1 for tick in ticks])


def render(recipe: Recipe, folder: Path) -> NumberedFilm:
    """Write the film of a recipe to a folder."""
    stamps = [tick * recipe.time_base for tick in recipe.ticks]
    first = next(number for number, stamp in enumerate(stamps) if stamp >= 0)
    origin = stamps[first]
    film = NumberedFilm(
        folder / f"film{recipe.suffix}", first, tuple(s - origin for s in stamps[first:-1]), stamps[-1] - origin
    )
    lit = [any(m <= stamp - origin < m + FLASH_SECONDS for m in film.moments) for stamp in stamps[:-1]]
    options = _MUXING.get(recipe.suffix, {})
    with av.open(str(film.path), "w", options=options) as container:
        video: Any = container.add_stream("libx264", rate=1 / recipe.steps[0])
        _prepare(video.codec_context)
        video.time_base = recipe.time_base
        audio: Any = container.add_stream(recipe.sound_codec, rate=_SOUND_HZ, layout="mono")
        pictures = _picture_packets(recipe, lit, video)
        sounds = _sound_packets(recipe, [origin + moment for moment in film.moments], stamps[-1], audio)
        for packet in merge(pictures, sounds, key=lambda packet: float(packet.dts * packet.time_base)):
            container.mux(packet)
    return film


def _prepare(context: Any) -> None:
    context.width, context.height, context.pix_fmt = *_SIZE, "yuv420p"
    context.time_base = Fraction(1, 24 * _CODED_STEP)
    context.thread_count = 1
    context.options = {
        "preset": "ultrafast",
        "crf": "23",
        "x264-params": f"scenecut=0:keyint={_GROUP}:bframes=2:b-adapt=0",
    }


@cache
def _group(first: int, lit: tuple[bool, ...]) -> list[tuple[int, bytes]]:
    """Return the pictures from number `first` on in the order of decoding, the first a key frame: number and data."""
    context: Any = av.CodecContext.create("libx264", "w")
    _prepare(context)
    context.framerate = 24
    packets = []
    for place, flashes in enumerate(lit):
        frame = av.VideoFrame.from_ndarray(_picture(first + place, flashes), format="yuv420p")
        frame.pts = place * _CODED_STEP
        packets += context.encode(frame)
    packets += context.encode(None)
    return [(first + packet.pts // _CODED_STEP, bytes(packet)) for packet in packets]


def _picture(number: int, flashes: bool) -> npt.NDArray[np.uint8]:
    """Return a picture as planar YUV 4:2:0."""
    bits = np.full((4, 5), flashes, bool)
    bits[:, :4] = (number >> np.arange(16) & 1).reshape(4, 4)
    luma_HW = np.where(bits, _WHITE, _BLACK).repeat(_BLOCK, 0).repeat(_BLOCK, 1)
    return np.concatenate([luma_HW, np.full((_SIZE[1] // 2, _SIZE[0]), 128)]).astype(np.uint8)


def _picture_packets(recipe: Recipe, lit: list[bool], stream: Any) -> Iterator[Any]:
    ticks = recipe.ticks
    step = ticks[1] - ticks[0]
    decoding = [ticks[0] - _REORDERED * step, ticks[0] - step, *ticks]
    for start in range(0, len(lit), _GROUP):
        for place, (number, data) in enumerate(_group(start, tuple(lit[start : start + _GROUP]))):
            packet: Any = av.Packet(data)
            packet.stream, packet.time_base, packet.is_keyframe = stream, recipe.time_base, place == 0
            packet.pts, packet.dts = ticks[number], decoding[start + place]
            packet.duration = ticks[number + 1] - ticks[number]
            yield packet


def _sound_packets(recipe: Recipe, beeps: list[Fraction], end: Fraction, stream: Any) -> Iterator[Any]:
    samples = np.zeros(round((end - recipe.sound_from) * _SOUND_HZ), np.int16)
    for beep in beeps:
        start = round((beep - recipe.sound_from) * _SOUND_HZ)
        sound = beep_at(_SOUND_HZ)
        samples[start : start + len(sound)] = 16_000 * sound
    for start in range(0, len(samples), _SOUND_HZ):
        frame = av.AudioFrame.from_ndarray(samples[None, start : start + _SOUND_HZ], format="s16", layout="mono")
        frame.sample_rate, frame.time_base = _SOUND_HZ, Fraction(1, _SOUND_HZ)
        frame.pts = round(recipe.sound_from * _SOUND_HZ) + start
        yield from stream.encode(frame)
    yield from stream.encode(None)


def beep_at(rate_hz: int) -> npt.NDArray[np.float64]:
    """Return the samples of a beep at full scale."""
    return np.sin(2 * np.pi * BEEP_HZ / rate_hz * np.arange(round(BEEP_SECONDS * rate_hz)))


def read_pictures(luma_THW: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return the number that each picture tells `[T]`, and whether it flashes `[T]`, from the middles of its blocks."""
    block = luma_THW.shape[1] // 4
    blocks = luma_THW.reshape(-1, 4, block, 5, block)
    middle = slice(block // 4, 3 * block // 4)
    means_T45 = blocks[:, :, middle, :, middle].mean(axis=(2, 4))
    assert (np.abs(means_T45 - 126) > 60).all(), "a block is neither black nor white: two pictures are mixed"
    white_T45 = means_T45 > 126
    numbers_T = white_T45[:, :, :4].reshape(-1, 16) @ (1 << np.arange(16))
    flash_T4 = white_T45[:, :, 4]
    assert (flash_T4.all(axis=1) == flash_T4.any(axis=1)).all(), "part of a picture flashes: two pictures are mixed"
    return numbers_T, flash_T4.all(axis=1)
