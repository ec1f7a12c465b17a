"""Bring any film onto the library's grid, in one pass over the file.

Time zero is the moment of the first picture. Picture *i* of the result is the source picture that is on screen at
*i*/fps, whatever the source's frame rate is; sample *j* of the result is the sound at *j*/rate. Both are cut at the
end of the last picture; where the source has no sound, the result has silence.

    source    |  0  |  1  |  2  |  3  |  4  |  5  |      24 fps
    result    |   0    |   1    |   2    |   3    |      16 fps: shows source pictures 0, 1, 3, 4
"""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.reformatter import VideoReformatter

from talkies.core import Grid, Int16s, MediaError, Span, UInt8s, format_path
from talkies.media.audio_timeline import AudioTimeline
from talkies.media.frames import Deinterlacer, FrameNormaliser
from talkies.media.missing_pts import UNDATED, DecodingTimes
from talkies.media.packet_stats import LONGEST_LAST_PICTURE_SECONDS
from talkies.media.probe import MediaInfo
from talkies.media.source import open_media, packets_of
from talkies.media.timeline import Timeline
from talkies.media.tracks import moving_pictures

MOST_ASPECT = 8.0
"""Pictures longer than this many times their height, or higher, are not a film's."""


@dataclass(frozen=True, slots=True)
class ResampledFrame:
    """Frame number `index` of the result, scaled, in YUV 4:2:0 (BT.601, limited range); `again` if it shows the same
    source picture as the one before.
    """

    index: int
    frame: av.VideoFrame
    again: bool
    reformatter: VideoReformatter

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.frame.width, self.frame.height

    def yuv_PW(self) -> UInt8s:
        """Return the planar picture: luma rows, then the rows of both chroma planes."""
        return self.frame.to_ndarray().astype(np.uint8, copy=False)

    def bgr_HWC(self) -> UInt8s:
        """Return the picture as blue, green, red, as OpenCV wants it."""
        return (
            self.reformatter.reformat(self.frame, format="bgr24", threads=1).to_ndarray().astype(np.uint8, copy=False)
        )


@dataclass(frozen=True, slots=True)
class ResampledAudio:
    """The next samples of the result: int16 mono, each following the one before without a gap."""

    samples_S: Int16s


@dataclass(slots=True)
class ResampleReport:
    """What the pass met: pictures and samples given, packets seen and damaged, the sound's own start and end.

    `origin_seconds` is the time of picture 0 on the source's mended timeline; `damaged` are the spans of frames whose
    picture or sound could not be decoded as it was.
    """

    frames: int = 0
    samples: int = 0
    video_packets: int = 0
    audio_packets: int = 0
    damaged_video_packets: int = 0
    damaged_audio_packets: int = 0
    decoded_sound: bool = False
    origin_seconds: float = 0.0
    sound_start_seconds: float | None = None
    sound_end_seconds: float | None = None
    sound_gaps: int = 0
    sound_heard_seconds: float = 0.0
    damaged: list[Span] = field(default_factory=list)

    @property
    def sound_clock_is_broken(self) -> bool:
        """Whether the times of the sound leave far too little room for it: most of it was cut as overlapping."""
        told = (self.sound_end_seconds or 0.0) - (self.sound_start_seconds or 0.0)
        return self.sound_heard_seconds > 1.5 * told + 0.5

    @property
    def damaged_packets(self) -> int:
        """Packets of either kind that could not be decoded as they were."""
        return self.damaged_video_packets + self.damaged_audio_packets


class FilmResampler:
    """One pass over a film: iterate for its `ResampledFrame`s and `ResampledAudio`s on the grid, then read `report`.

    `info` is the film's probe and says which tracks to take; `short_side` is in pixels; `threads` decode the video;
    one side of a picture may be `most_aspect` times the other; `sound_end_to_end` lays sound end to end from its first
    time on, for files in which its other times are broken. With `pictures_alone` nothing but `ResampledFrame`s come.
    """

    def __init__(
        self,
        path: Path,
        info: MediaInfo,
        grid: Grid,
        short_side: int,
        threads: int = 1,
        *,
        most_aspect: float = MOST_ASPECT,
        sound_end_to_end: bool = False,
        pictures_alone: bool = False,
    ) -> None:
        self._path, self._info, self._grid, self._threads = path, info, grid, threads
        self._pictures_alone = pictures_alone
        aspect = Fraction(info.video.pixel_aspect) if info.video else Fraction(1)
        self._pictures = _PictureClock(grid.fps, FrameNormaliser(short_side, aspect, most_aspect))
        self._interlaced = Deinterlacer()
        self._sounds = AudioTimeline(grid, sound_end_to_end)
        self._ahead: deque[Int16s] = deque()  # sound that waits for its pictures
        self._damage: list[tuple[Fraction, Fraction]] = []
        self._undated = DecodingTimes() if info.container in UNDATED else None
        self.report = ResampleReport()

    def __iter__(self) -> Iterator[ResampledFrame | ResampledAudio]:
        """Yield pictures in order and sounds in order, interleaved about as the source has them.

        Raises:
            MediaError: `no_video`, `no_audio`, or as `open_media`; `undecodable_video` if no picture can be decoded.
        """
        audio = None if self._pictures_alone or self._info.audio is None else self._info.audio.index
        if self._info.video is None or (audio is None and not self._pictures_alone):
            missing = "video" if self._info.video is None else "audio"
            wanted = "" if self._pictures_alone else "; talkies needs both"
            raise MediaError(f"no_{missing}", f"{format_path(self._path.name)} has no {missing} track{wanted}")
        with open_media(self._path) as container:
            for frame in self._decoded(container, self._info.video.index, audio):
                if isinstance(frame, av.VideoFrame):
                    for whole in self._interlaced.push(frame):
                        yield from self._shown(whole)
                else:
                    self.report.decoded_sound = True
                    yield from self._heard(self._sounds.push(frame))
        for whole in self._interlaced.flush():
            yield from self._shown(whole)
        yield from self._finished()

    def _finished(self) -> Iterator[ResampledFrame | ResampledAudio]:
        if self._pictures.origin is None:
            raise MediaError("undecodable_video", f"no picture of {format_path(self._path.name)} can be decoded")
        yield from self._given(self._pictures.flush())
        if not self._pictures_alone:
            yield from self._heard(self._sounds.flush(self.report.frames * self._grid.samples_per_frame))
        report, origin = self.report, self._pictures.origin
        report.origin_seconds = float(origin)
        report.sound_gaps, report.sound_heard_seconds = self._sounds.gaps, float(self._sounds.heard)
        if self._sounds.start is not None and self._sounds.end is not None:
            report.sound_start_seconds = float(self._sounds.start - origin)
            report.sound_end_seconds = float(self._sounds.end - origin)
        report.damaged = _spans(self._damage, origin, self._grid.fps, report.frames)

    def _decoded(
        self, container: InputContainer, video: int, audio: int | None
    ) -> Iterator[av.VideoFrame | av.AudioFrame]:
        context = container.streams[video].codec_context
        context.thread_type, context.thread_count = "AUTO", self._threads
        timeline, wanted = Timeline(), [video] if audio is None else [video, audio]
        tracks = [*moving_pictures(container.streams.video), *container.streams.audio]
        try:
            for packet in packets_of(container, tracks):
                timeline.mend(packet)  # by the packets of all tracks, as in the probe
                if packet.stream_index in wanted:
                    yield from self._frames_of(packet)
        except FFmpegError:  # the file cannot be read on: what was read counts, and the probe says so
            pass
        for index in wanted:
            yield from self._drained(container, index)

    def _frames_of(self, packet: "av.Packet[Any]") -> list[av.VideoFrame | av.AudioFrame]:
        picture = packet.stream.type == "video"
        if picture:
            self.report.video_packets += 1
        else:
            self.report.audio_packets += 1
        try:
            frames: list[av.VideoFrame | av.AudioFrame] = [*packet.decode()]
        except FFmpegError:
            self._note_damage(packet.pts, packet.duration, packet.time_base, picture)
            return []
        if self._undated and picture:
            self._undated.date(packet, [frame for frame in frames if isinstance(frame, av.VideoFrame)])
        for frame in frames:
            if frame.is_corrupt:
                self._note_damage(frame.pts, _duration_of(frame), frame.time_base, picture)
        return frames

    def _drained(self, container: InputContainer, index: int) -> list[av.VideoFrame | av.AudioFrame]:
        stream = container.streams[index]
        try:
            frames: list[av.VideoFrame | av.AudioFrame] = [*stream.decode(None)]  # type: ignore[attr-defined]
        except FFmpegError:
            return []
        for frame in frames:
            frame.time_base = stream.time_base  # PyAV leaves it out of what a flush gives
            if self._undated and isinstance(frame, av.VideoFrame):
                frame.pts = None  # it goes on where the last one ended
        return frames

    def _note_damage(self, pts: int | None, duration: int | None, base: Fraction | None, picture: bool) -> None:
        if picture:
            self.report.damaged_video_packets += 1
        else:
            self.report.damaged_audio_packets += 1
        if pts is not None and base is not None:
            begin = pts * base
            _merge(self._damage, begin, begin + max((duration or 0) * base, Fraction(1, self._grid.fps)))

    def _shown(self, frame: av.VideoFrame) -> Iterator[ResampledFrame | ResampledAudio]:
        yield from self._given(self._pictures.push(frame))
        if self._sounds.origin is None:
            self._sounds.origin = self._pictures.origin

    def _given(self, pictures: Iterator[ResampledFrame]) -> Iterator[ResampledFrame | ResampledAudio]:
        for picture in pictures:
            self.report.frames += 1
            yield picture
        yield from self._heard(iter(()))

    def _heard(self, parts: Iterator[Int16s]) -> Iterator[ResampledAudio]:
        """Pass sound on as far as the pictures reach, in pieces of about a second: what is ahead at the end is cut."""
        for samples in parts:  # one by one: hours of silence must not fill the memory
            self._ahead.append(samples)
            yield from self._reached()
        yield from self._reached()

    def _reached(self) -> Iterator[ResampledAudio]:
        missing_samples = self.report.frames * self._grid.samples_per_frame - self.report.samples
        if not missing_samples or (missing_samples < self._grid.audio_rate_hz and not self._pictures.finished):
            return
        pieces: list[Int16s] = []
        while self._ahead and missing_samples:
            samples = self._ahead.popleft()
            if len(samples) > missing_samples:
                self._ahead.appendleft(samples[missing_samples:])
            pieces.append(samples[:missing_samples])
            missing_samples -= len(pieces[-1])
            self.report.samples += len(pieces[-1])
        if pieces:
            yield ResampledAudio(np.concatenate(pieces))


class _PictureClock:
    """Gives each tick of a constant rate the picture that is on screen."""

    def __init__(self, fps: int, developer: FrameNormaliser) -> None:
        self._fps, self._developer = fps, developer
        self._colourer = VideoReformatter()
        self._shown: av.VideoFrame | None = None
        self._end = self._begin = Fraction(0)
        self._step: Fraction | None = None  # the shortest time from one picture to the next
        self._next = 0
        self.origin: Fraction | None = None
        self.finished = False

    def push(self, frame: av.VideoFrame) -> Iterator[ResampledFrame]:
        stamped = frame.pts is not None and frame.time_base is not None
        begin = Fraction(frame.pts * frame.time_base) if stamped else self._end  # type: ignore[operator]
        if self.origin is None:
            self.origin = begin
        yield from self._until(begin)
        if self._shown is not None and begin > self._begin:
            self._step = min(begin - self._begin, self._step or begin - self._begin)
        self._shown, self._begin = frame, begin
        duration = _duration_of(frame) * frame.time_base if frame.time_base else Fraction(0)
        # A last picture that is not told how long it lasts, or a tick alone, lasts as long as others do.
        least = self._step or duration or Fraction(1, self._fps)
        self._end = begin + max(least, min(duration, Fraction(LONGEST_LAST_PICTURE_SECONDS)))

    def flush(self) -> Iterator[ResampledFrame]:
        yield from self._until(self._end)
        self.finished = True

    def _until(self, moment: Fraction) -> Iterator[ResampledFrame]:
        if self._shown is None or self.origin is None:
            return
        due, small = math.ceil((moment - self.origin) * self._fps), None
        while self._next < due:
            again = small is not None
            small = small or self._developer.develop(self._shown)
            yield ResampledFrame(self._next, small, again, self._colourer)
            self._next += 1


def _duration_of(frame: av.VideoFrame | av.AudioFrame) -> int:
    return frame.duration or 0


def _merge(times: list[tuple[Fraction, Fraction]], begin: Fraction, end: Fraction) -> None:
    """Append a half-open time, joined to the last where they touch."""
    if times and times[-1][0] <= begin <= times[-1][1]:
        times[-1] = times[-1][0], max(times[-1][1], end)
    else:
        times.append((begin, end))


def _spans(times: list[tuple[Fraction, Fraction]], origin: Fraction, fps: int, frames: int) -> list[Span]:
    """Return the frames of the grid that half-open times touch, ordered and apart."""
    touched = sorted((math.floor((a - origin) * fps), math.ceil((b - origin) * fps)) for a, b in times)
    spans: list[Span] = []
    for start, end in ((max(0, a), min(frames, b)) for a, b in touched):
        if start < end:
            if spans and start <= spans[-1].end_frame:
                spans[-1] = Span(spans[-1].start_frame, max(end, spans[-1].end_frame))
            else:
                spans.append(Span(start, end))
    return spans
