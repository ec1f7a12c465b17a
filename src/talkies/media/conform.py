"""Bring any film onto the library's grid, in one pass over the file.

Time zero is the moment of the first picture. Picture *i* of the result is the source picture that is on screen at
*i*/fps, whatever the source's frame rate is; sample *j* of the result is the sound at *j*/rate. Both are cut at the
end of the last picture; where the source has no sound, the result has silence.

    source    |  0  |  1  |  2  |  3  |  4  |  5  |      24 fps
    result    |   0    |   1    |   2    |   3    |      16 fps: shows source pictures 0, 1, 3, 4
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream

from talkies.core import Grid, MediaError
from talkies.media.source import audio_track, open_media, video_track

GAP_TOLERANCE_SECONDS = Fraction(20, 1000)
"""Sound whose timestamp is off by less than this goes on where the last ended; more is a gap or an overlap."""


MOST_ASPECT = 8
"""Pictures longer than this many times their height, or higher, are not a film's."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Frame number `index` of the result, scaled, in YUV 4:2:0 (BT.601, limited range)."""

    index: int
    frame: av.VideoFrame
    reformatter: VideoReformatter

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.frame.width, self.frame.height

    def yuv_PW(self) -> npt.NDArray[np.uint8]:
        """Return the planar picture: luma rows, then the rows of both chroma planes."""
        return self.frame.to_ndarray().astype(np.uint8, copy=False)

    def bgr_HWC(self) -> npt.NDArray[np.uint8]:
        """Return the picture as blue, green, red, as OpenCV wants it."""
        return self.reformatter.reformat(self.frame, format="bgr24").to_ndarray().astype(np.uint8, copy=False)


@dataclass(frozen=True, slots=True)
class Sound:
    """The next samples of the result: int16 mono, each following the one before without a gap."""

    samples_S: npt.NDArray[np.int16]


@dataclass(slots=True)
class ConformReport:
    """What the pass met: pictures and samples given, packets seen and damaged, the sound's own start and end."""

    frames: int = 0
    samples: int = 0
    packets: int = 0
    damaged_packets: int = 0
    sound_start_seconds: float | None = None
    sound_end_seconds: float | None = None


class Conformer:
    """One pass over a film: iterate for its `Picture`s and `Sound`s on the grid, then read `report`.

    `short_side` is in pixels; `threads` decode the video.
    """

    def __init__(self, path: Path, grid: Grid, short_side: int, threads: int = 1) -> None:
        self._path, self._grid, self._threads = path, grid, threads
        self._pictures = _PictureClock(grid.fps, short_side)
        self._sounds = _SoundClock(grid)
        self._ahead: deque[npt.NDArray[np.int16]] = deque()  # sound that waits for its pictures
        self.report = ConformReport()

    def __iter__(self) -> Iterator[Picture | Sound]:
        """Yield pictures in order and sounds in order, interleaved about as the source has them.

        Raises:
            MediaError: `no_video`, `no_audio`, or as `open_media`; `no_pictures` if no packet could be decoded.
        """
        with open_media(self._path) as container:
            video, audio = video_track(container), audio_track(container)
            if video is None or audio is None:
                missing = "video" if video is None else "audio"
                raise MediaError(f"no_{missing}", f"{self._path.name} has no {missing} track; talkies needs both")
            video.codec_context.thread_type = "AUTO"
            video.codec_context.thread_count = self._threads
            self._pictures.pixel_aspect = video.sample_aspect_ratio or Fraction(1)
            for packet in self._demuxed(container, video, audio):
                for frame in self._decoded(packet):
                    if isinstance(frame, av.VideoFrame):
                        yield from self._given(self._pictures.push(frame))
                        self._sounds.origin = self._pictures.origin
                    elif isinstance(frame, av.AudioFrame):
                        yield from self._given(self._sounds.push(frame))
        if self._pictures.origin is None:
            raise MediaError("no_pictures", f"no picture of {self._path.name} can be decoded")
        yield from self._given(self._pictures.flush())
        yield from self._given(self._sounds.flush(self.report.frames))
        self.report.sound_start_seconds = self._sounds.start_seconds
        self.report.sound_end_seconds = self._sounds.end_seconds

    def _demuxed(self, container: InputContainer, video: VideoStream, audio: AudioStream) -> Iterator["av.Packet[Any]"]:
        """Yield packets up to the end, or to where the container cannot be read on (that is damage too)."""
        try:
            yield from container.demux(video, audio)
        except FFmpegError:
            self.report.damaged_packets += 1

    def _decoded(self, packet: "av.Packet[Any]") -> list[av.VideoFrame | av.AudioFrame]:
        self.report.packets += packet.size > 0
        try:
            frames: list[av.VideoFrame | av.AudioFrame] = [*packet.decode()]
        except FFmpegError:
            self.report.damaged_packets += 1
            return []
        self.report.damaged_packets += any(frame.is_corrupt for frame in frames)
        return frames

    def _given(self, parts: Iterator[Picture | Sound]) -> Iterator[Picture | Sound]:
        """Pass pictures on, and sound as far as the pictures reach: what is ahead at the end is cut."""
        for part in parts:
            if isinstance(part, Sound):
                self._ahead.append(part.samples_S)
            else:
                self.report.frames += 1
                yield part
            while self._ahead and (room := self.report.frames * self._grid.samples_per_frame - self.report.samples):
                samples = self._ahead.popleft()
                if len(samples) > room:
                    self._ahead.appendleft(samples[room:])
                self.report.samples += min(room, len(samples))
                yield Sound(samples[:room])


class _PictureClock:
    """Gives each tick of a constant rate the picture that is on screen."""

    def __init__(self, fps: int, short_side: int) -> None:
        self._fps, self._short_side = fps, short_side
        self._size: tuple[int, int] | None = None
        # One reformatter for each conversion of a film: made anew for each frame it costs twenty times the scaling.
        self._scaler, self._colourer = VideoReformatter(), VideoReformatter()
        self._shown: av.VideoFrame | None = None
        self._end = Fraction(0)
        self._next = 0
        self.origin: Fraction | None = None
        self.pixel_aspect = Fraction(1)  # how much wider than high the source's pixels are

    def push(self, frame: av.VideoFrame) -> Iterator[Picture]:
        begin = frame.pts * frame.time_base if frame.pts is not None and frame.time_base else self._end
        if self.origin is None:
            self.origin = begin
        yield from self._until(begin)
        duration = Fraction(frame.duration) * frame.time_base if frame.duration and frame.time_base else Fraction(0)
        self._shown, self._end = frame, begin + (duration or Fraction(1, self._fps))

    def flush(self) -> Iterator[Picture]:
        yield from self._until(self._end)

    def _until(self, moment: Fraction) -> Iterator[Picture]:
        if self._shown is None or self.origin is None:
            return
        scaled: av.VideoFrame | None = None
        while Fraction(self._next, self._fps) < moment - self.origin:
            scaled = scaled or self._scaled(self._shown)
            yield Picture(self._next, scaled, self._colourer)
            self._next += 1

    def _scaled(self, frame: av.VideoFrame) -> av.VideoFrame:
        if self._size is None:  # the first picture decides: a later change of size is scaled to it
            width = frame.width * float(self.pixel_aspect)
            if not 1 / MOST_ASPECT <= width / frame.height <= MOST_ASPECT:
                raise MediaError(
                    "bad_shape",
                    f"a picture of {width:.0f} × {frame.height} pixels is no film's; "
                    f"one side may be {MOST_ASPECT} times the other at most",
                )
            ratio = self._short_side / min(width, frame.height)
            self._size = _even(width * ratio), _even(frame.height * ratio)
        return self._scaler.reformat(
            frame,
            *self._size,
            format="yuv420p",
            dst_colorspace=Colorspace.ITU601,
            dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.AREA,
        )


class _SoundClock:
    """Lays decoded sound on the grid of samples by its timestamps: gaps become silence, overlaps are cut."""

    def __init__(self, grid: Grid) -> None:
        self._rate, self._samples_per_frame = grid.audio_rate_hz, grid.samples_per_frame
        self._resampler = self._new_resampler()
        self._held: list[av.AudioFrame] = []  # sound that comes before the first picture is known
        self._due: Fraction | None = None  # where the next frame of sound is expected
        self._form: tuple[str, str, int] | None = None  # a broadcast changes from stereo to 5.1 on the way
        self._given = 0
        self._to_drop = 0
        self.origin: Fraction | None = None
        self.start_seconds: float | None = None
        self.end_seconds: float | None = None

    def push(self, frame: av.AudioFrame) -> Iterator[Sound]:
        self._held.append(frame)
        if self.origin is None:
            return
        held, self._held = self._held, []
        for frame in held:
            yield from self._placed(frame, self.origin)

    def flush(self, frames: int) -> Iterator[Sound]:
        """Yield what is left, with silence up to the end of picture number `frames`."""
        held, self._held = self._held, []
        for frame in held:
            yield from self._placed(frame, self.origin or Fraction(0))
        yield from self._drained()
        if (missing := frames * self._samples_per_frame - self._given) > 0:
            yield from self._silence(missing)

    def _placed(self, frame: av.AudioFrame, origin: Fraction) -> Iterator[Sound]:
        stamped = frame.pts is not None and frame.time_base is not None
        begin = frame.pts * frame.time_base - origin if stamped else (self._due or Fraction(0))  # type: ignore[operator]
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._due is None or abs(begin - self._due) > GAP_TOLERANCE_SECONDS or form != self._form:
            self._form = form
            yield from self._drained()
            position = round(begin * self._rate)
            if position > self._given:
                yield from self._silence(position - self._given)
            self._to_drop = max(0, self._given - position)
            self._due = begin
        if self.start_seconds is None:
            self.start_seconds = float(begin)
        self._due += Fraction(frame.samples, frame.sample_rate)
        self.end_seconds = float(self._due)
        for part in self._resampler.resample(frame):
            yield from self._kept(part)

    def _drained(self) -> Iterator[Sound]:
        if self._due is not None:
            for part in self._resampler.resample(None):
                yield from self._kept(part)
            self._resampler = self._new_resampler()

    def _kept(self, part: av.AudioFrame) -> Iterator[Sound]:
        samples = part.to_ndarray().reshape(-1)[self._to_drop :].astype(np.int16, copy=False)
        self._to_drop -= min(self._to_drop, part.samples)
        if len(samples):
            self._given += len(samples)
            yield Sound(samples)

    def _silence(self, count: int) -> Iterator[Sound]:
        self._given += count
        for start in range(0, count, self._rate):  # a second at a time: a gap of hours must not fill the memory
            yield Sound(np.zeros(min(self._rate, count - start), np.int16))

    def _new_resampler(self) -> AudioResampler:
        return AudioResampler(format="s16", layout="mono", rate=self._rate)


def _even(length: float) -> int:
    return max(2, 2 * round(length / 2))
