"""Random access to a film as it came: the pictures and the sound of any moment, brought onto the library's grid.

A library's own files are there so that nobody has to do this for training; it is what they are compared with.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.error import FFmpegError

from talkies.core import Grid, Int16s, MediaError, Span, UInt8s
from talkies.media.audio_timeline import AudioTimeline
from talkies.media.frames import Deinterlacer, FrameNormaliser
from talkies.media.missing_pts import UNDATED
from talkies.media.probe import MediaInfo
from talkies.media.resample import MOST_ASPECT
from talkies.media.source import open_media

_RUN_UP = Fraction(1)  # seconds: decoders of sound need some packets before what they give can be believed
_SAME = Fraction(1, 1_000_000)  # seconds: times that are no further apart are one


class Original:
    """An open source file, its `info` as probed when it was ingested; frame 0 of the grid is at `origin_seconds` in it.

    Raises:
        MediaError: if it is missing, unreadable, or its clock is such that a moment cannot be found by seeking.
    """

    def __init__(self, path: Path, info: MediaInfo, origin_seconds: float, grid: Grid, short_side: int) -> None:
        if info.video is None or info.audio is None or info.jumps or info.container in UNDATED:
            raise MediaError("unseekable", f"the moments of {path.name} cannot be found by seeking")
        self._path, self._grid = path, grid
        self._origin = Fraction(origin_seconds).limit_denominator(1_000_000)
        self._tracks = info.video.index, info.audio.index
        self._developer = FrameNormaliser(short_side, Fraction(info.video.pixel_aspect), MOST_ASPECT)
        self._closing = ExitStack()
        self._container = self._closing.enter_context(open_media(path))
        self._container.streams[self._tracks[0]].codec_context.thread_count = 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    def read(self, frames: range, sound: Span) -> tuple[UInt8s, Int16s]:
        """Return the pictures `[T, P, W]` that are on screen at `frames` of the grid, and the samples of `sound`.

        Raises:
            MediaError: if the file ends before, or cannot be decoded there.
        """
        begin = self._moment(min(frames.start, sound.start_frame)) - _RUN_UP
        sounds = AudioTimeline(self._grid)
        sounds.origin = self._moment(sound.start_frame)
        samples = len(sound) * self._grid.samples_per_frame
        shown, heard, count = _Shown([self._moment(frame) for frame in frames], self._developer), list[Int16s](), 0
        try:
            self._container.seek(int(begin * av.time_base), backward=True)
            for frame in self._decoded():
                if isinstance(frame, av.VideoFrame):
                    shown.push(frame)
                else:
                    heard.extend(sounds.push(frame))
                    count = sum(map(len, heard))
                if shown.complete and count >= samples:
                    break
        except FFmpegError as error:
            raise MediaError("damaged", f"{self._path.name} cannot be decoded at {float(begin):.3f} s") from error
        shown.finish()
        if not shown.complete:
            raise MediaError("truncated", f"{self._path.name} ends before {float(self._moment(frames[-1])):.3f} s")
        heard.extend(sounds.flush(samples))
        return np.stack(shown.pictures), np.concatenate(heard)[:samples]

    def _moment(self, frame: int) -> Fraction:
        return self._origin + Fraction(frame, self._grid.fps)

    def _decoded(self) -> Iterator[av.VideoFrame | av.AudioFrame]:
        interlaced = Deinterlacer()
        for packet in self._container.demux([self._container.streams[index] for index in self._tracks]):
            for frame in packet.decode():
                if isinstance(frame, av.VideoFrame):
                    yield from interlaced.push(frame)
                elif isinstance(frame, av.AudioFrame):
                    yield frame


class _Shown:
    """Collects the picture that is on screen at each of some moments, which are in order."""

    def __init__(self, moments: list[Fraction], developer: FrameNormaliser) -> None:
        self._moments, self._developer = moments, developer
        self._last: av.VideoFrame | None = None
        self.pictures: list[UInt8s] = []

    @property
    def complete(self) -> bool:
        return len(self.pictures) == len(self._moments)

    def push(self, frame: av.VideoFrame) -> None:
        if frame.pts is None or frame.time_base is None:
            return
        begin = frame.pts * frame.time_base
        if self._last is None and begin > self._moments[0] + _SAME:
            raise MediaError("unseekable", f"seeking {float(self._moments[0]):.3f} s led to {float(begin):.3f} s")
        self._show_until(begin)
        self._last = frame

    def finish(self) -> None:
        """Show the film's last picture to the end."""
        if self._last is not None and self._last.pts is not None and self._last.time_base is not None:
            lasting = (self._last.duration or 0) * self._last.time_base
            self._show_until(self._last.pts * self._last.time_base + lasting)

    def _show_until(self, moment: Fraction) -> None:
        picture: UInt8s | None = None
        while self._last is not None and not self.complete and self._moments[len(self.pictures)] < moment - _SAME:
            if picture is None:
                picture = self._developer.develop(self._last).to_ndarray().astype(np.uint8, copy=False)
            self.pictures.append(picture)
