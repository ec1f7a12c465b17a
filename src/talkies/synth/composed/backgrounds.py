"""The pictures and the sound of background films, decoded once for all films that show them.

A background is decoded at a size a little larger than the films', so that each place in a film can show another part
of it. Only frames that a film shows are kept, in files that every process maps into memory.

Shapes: `N` frames, `P` rows of a planar YUV 4:2:0 picture (3/2 of its height), `H` rows, `W` columns, `S` samples.
"""

import json
import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import numpy as np

from talkies.core import Float64s, Grid, Int64s, MediaError, UInt8s, format_path, text_to_path
from talkies.media import FilmResampler, ResampledFrame, RgbConverter, VideoTrack, scale_pictures
from talkies.synth.composed.script import ComposedConfig, Stretch, probe_background

_MARGIN = 1.25
"""How many times a film's sides those of its background are."""


@dataclass(frozen=True, slots=True)
class BackgroundTask:
    """A background to decode for films of one config; `spans` are the frames that they show, half-open."""

    path: str
    sha256: str
    spans: tuple[tuple[int, int], ...]
    config: ComposedConfig


class Background:
    """The stretch of a background film that one film shows, forwards and backwards in turn.

    Args:
        folder: where `write_background` wrote it.
        stretch: the stretch.
        samples_per_frame: how many samples one frame lasts.
    """

    def __init__(self, folder: Path, stretch: Stretch, samples_per_frame: int) -> None:
        self._pictures_NPW, self._row_of_frame, sound_S = open_background(folder, stretch.sha256)
        self._converter = RgbConverter()
        self._start, self._frames = stretch.start_frame, stretch.end_frame - stretch.start_frame
        start, end = (frame * samples_per_frame for frame in (stretch.start_frame, stretch.end_frame))
        self._sound_S = np.asarray(sound_S[start:end], np.float64) / 32768

    def read_picture(self, frame: int) -> UInt8s:
        """Return the picture under frame number `frame` of the film, RGB `[H, W, 3]`, larger than the film's."""
        row = self._row_of_frame[self._start + _mirror(frame, self._frames)]
        return self._converter.convert(np.asarray(self._pictures_NPW[row]))

    def read_sound(self, count: int) -> Float64s:
        """Return the first `count` samples of the theme, -1 to 1; silence where the background has no sound."""
        if not len(self._sound_S):
            return np.zeros(count)
        return self._sound_S[_mirror(np.arange(count), len(self._sound_S))]


def compute_short_side(video: VideoTrack, width: int, height: int) -> int:
    """Return the shorter side of a film's pictures with which they cover a size."""
    aspect = float(video.width * Fraction(video.pixel_aspect) / video.height)
    if video.rotation_degrees % 180:
        aspect = 1 / aspect
    side = max(height, width / aspect) if aspect >= 1 else max(width, height * aspect)
    return 2 * math.ceil(side / 2)


def cover(picture_PW: UInt8s, width: int, height: int) -> UInt8s:
    """Return a planar picture `[P, W]`, enlarged if it does not cover a size."""
    rows, columns = picture_PW.shape[0] * 2 // 3, picture_PW.shape[1]
    factor = max(width / columns, height / rows)
    if factor <= 1:
        return picture_PW
    sides = [2 * math.ceil(factor * side / 2) for side in (columns, rows)]
    return np.asarray(scale_pictures(picture_PW[None], sides[0], sides[1])[0])


def _mirror(position: int | Int64s, count: int) -> int | Int64s:
    """Return which of `count` items is at a position if they are played forwards and backwards in turn."""
    inside = position % (2 * count)
    return np.minimum(inside, 2 * count - 1 - inside)


def write_background(folder: Path, task: BackgroundTask) -> None:
    """Write the frames that are shown, one after the other, which row each frame is in, and all sound.

    Raises:
        MediaError: if the film cannot be decoded, or ends before the last of these frames.
        SourceError: if it cannot be read.
    """
    config, path = task.config, text_to_path(task.path)
    width, height = (2 * math.ceil(_MARGIN * side / 2) for side in (config.width, config.height))
    end = max(end for _, end in task.spans)
    is_shown = np.zeros(end, bool)
    for first, last in task.spans:
        is_shown[first:last] = True

    info = probe_background(path, task.sha256)
    assert info.video is not None, "a background has pictures"
    has_sound = info.audio is not None and info.audio.decodes
    grid = Grid(config.fps, config.audio_rate_hz)
    short_side = compute_short_side(info.video, width, height)
    frames = samples = 0
    shape: tuple[int, ...] = ()
    sound = [np.zeros(0, np.int16)]
    with (folder / f"{task.sha256}.yuv").open("wb") as file:
        for part in FilmResampler(path, info, grid, short_side, video_only=not has_sound):
            if isinstance(part, ResampledFrame):
                frames = part.index + 1
                if frames <= end and is_shown[part.index]:
                    picture_PW = cover(part.to_yuv(), width, height)
                    shape = picture_PW.shape
                    file.write(np.ascontiguousarray(picture_PW).tobytes())
            else:
                sound.append(part.samples_S)
                samples += len(part.samples_S)
            if frames >= end and (samples >= end * grid.samples_per_frame or not has_sound):
                break
    if frames < end:
        raise MediaError(
            "ends_early",
            f"{format_path(path.name)} ends after {frames / config.fps:.1f} s, before it claims to; name another film "
            f"as background",
        )
    np.save(folder / f"{task.sha256}.sound.npy", np.concatenate(sound))
    np.save(folder / f"{task.sha256}.rows.npy", np.cumsum(is_shown) - 1)
    (folder / f"{task.sha256}.json").write_text(json.dumps(shape))


@lru_cache(maxsize=256)
def open_background(folder: Path, sha256: str) -> tuple[UInt8s, Int64s, UInt8s]:
    """Return the pictures `[N, P, W]` that are shown, the row of each frame of the film, and the sound `[S]`."""
    rows, columns = json.loads((folder / f"{sha256}.json").read_text())
    pictures_NPW = np.memmap(folder / f"{sha256}.yuv", np.uint8, "r").reshape(-1, rows, columns)
    row_of_frame = np.load(folder / f"{sha256}.rows.npy")
    return pictures_NPW, row_of_frame, np.load(folder / f"{sha256}.sound.npy", mmap_mode="r")
