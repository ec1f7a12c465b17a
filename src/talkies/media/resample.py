"""Resample any film to the library's frame rate and sample rate, in one pass over the file.

Time zero is the first picture. Frame *i* of the result is the source picture on screen at *i*/fps, whatever the
source's frame rate is; sample *j* of the result is the sound at *j*/rate. Both end with the last picture; where the
source has no sound, the result has silence.

    source    |  0  |  1  |  2  |  3  |  4  |  5  |      24 fps
    result    |   0    |   1    |   2    |   3    |      16 fps: shows source pictures 0, 1, 3, 4
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError

from talkies.core import Grid, Int16s, MediaError, Span, format_path
from talkies.media.audio_timeline import AudioTimeline
from talkies.media.damage import DamagedTimes
from talkies.media.frame_timeline import FrameTimeline, ResampledFrame
from talkies.media.frames import Deinterlacer, FrameNormaliser
from talkies.media.missing_pts import CONTAINERS_WITHOUT_PTS, PtsFromDts
from talkies.media.probing import MediaInfo, Timeline, select_moving_pictures
from talkies.media.source import open_media, read_packets

MAX_ASPECT_RATIO = 8.0
"""A picture whose long side is more than this many times its short side is not a film's."""

AnyFrame = av.VideoFrame | av.AudioFrame


@dataclass(frozen=True, slots=True)
class ResampledAudio:
    """The next samples of the result: int16 mono `[S]`, contiguous with the samples before."""

    samples_S: Int16s


@dataclass(slots=True)
class ResampleReport:
    """Counts and times of one pass: frames and samples emitted, packets read and damaged, extent of the audio.

    `origin_seconds` is the time of frame 0 on the source's corrected timeline; audio times are relative to it;
    `damaged_spans` are frames whose picture or sound could not be decoded as stored. `lost_audio_seconds` is for how
    long the mono mix lost the sound, so that only some channels were used; `dominant_channels` (counted from 1) are
    those that should have been used for the whole film, empty if the mix is right. Of the damaged video packets,
    `damaged_start_packets` come before the first picture that can be decoded.
    """

    frames: int = 0
    samples: int = 0
    video_packets: int = 0
    audio_packets: int = 0
    damaged_video_packets: int = 0
    damaged_start_packets: int = 0
    damaged_audio_packets: int = 0
    origin_seconds: float = 0.0
    audio_start_seconds: float | None = None
    audio_end_seconds: float | None = None
    audio_gaps: int = 0
    decoded_audio_seconds: float = 0.0
    lost_audio_seconds: float = 0.0
    dominant_channels: tuple[int, ...] = ()
    damaged_spans: list[Span] = field(default_factory=list)

    @property
    def audio_timestamps_are_broken(self) -> bool:
        """Whether the timestamps cover much less time than the decoded audio, so that most was cut as overlap."""
        extent = (self.audio_end_seconds or 0.0) - (self.audio_start_seconds or 0.0)
        return self.decoded_audio_seconds > 1.5 * extent + 0.5

    @property
    def damaged_packets(self) -> int:
        """Packets of either modality that could not be decoded as stored."""
        return self.damaged_video_packets + self.damaged_audio_packets


class FilmResampler:
    """One pass over a film: iterate for its frames and audio on the grid, then read `report`.

    Args:
        path: the source file.
        info: its probe, which says which tracks to take.
        grid: the frame rate and sample rate of the result.
        short_side: the shorter side of the result's pictures in pixels.
        threads: threads that decode video.
        max_aspect_ratio: how many times its short side the long side of a picture may be.
        ignore_audio_timestamps: place audio end to end from its first timestamp on, for files whose other timestamps
            are broken.
        channels: the channels of the sound (counted from 1) that are mixed; all of them by default.
        video_only: emit `ResampledFrame`s only; the file needs no audio track.
    """

    def __init__(
        self,
        path: Path,
        info: MediaInfo,
        grid: Grid,
        short_side: int,
        threads: int = 1,
        *,
        max_aspect_ratio: float = MAX_ASPECT_RATIO,
        ignore_audio_timestamps: bool = False,
        channels: tuple[int, ...] = (),
        video_only: bool = False,
    ) -> None:
        self._path, self._info, self._grid = path, info, grid
        self._threads = threads
        self._video_only = video_only

        pixel_aspect = Fraction(info.video.pixel_aspect) if info.video else Fraction(1)
        crop = info.video.crop if info.video else None
        normaliser = FrameNormaliser(short_side, pixel_aspect, max_aspect_ratio, crop)
        self._deinterlacer = Deinterlacer()
        self._frames = FrameTimeline(grid.fps, normaliser, _read_last_picture_seconds(info))
        self._audio = AudioTimeline(grid, ignore_audio_timestamps, channels)
        self._pending_audio: deque[Int16s] = deque()  # audio that is ahead of the frames emitted so far

        self._damaged_times = DamagedTimes()
        self._pts_from_dts = PtsFromDts() if info.container in CONTAINERS_WITHOUT_PTS else None
        self.report = ResampleReport()

    def __iter__(self) -> Iterator[ResampledFrame | ResampledAudio]:
        """Yield frames in order and audio in order, interleaved about as in the source.

        Raises:
            MediaError: `no_video`, `no_audio`, or as `open_media`; `undecodable_video` if no picture can be decoded.
        """
        video_index, audio_index = self._find_tracks()
        with open_media(self._path) as container:
            for frame in self._decode_tracks(container, video_index, audio_index):
                if isinstance(frame, av.VideoFrame):
                    for picture in self._deinterlacer.push(frame):
                        yield from self._push_picture(picture)
                else:
                    yield from self._emit_audio(self._audio.push(frame))

        for picture in self._deinterlacer.flush():
            yield from self._push_picture(picture)
        yield from self._finish()

    def _find_tracks(self) -> tuple[int, int | None]:
        """Return the stream indices of the video and the audio track; no audio index with `video_only`."""
        video, audio = self._info.video, self._info.audio
        name = format_path(self._path.name)
        if video is None:
            wanted = "" if self._video_only else "; talkies needs both"
            raise MediaError("no_video", f"{name} has no video track{wanted}")
        if self._video_only:
            return video.index, None
        if audio is None:
            raise MediaError("no_audio", f"{name} has no audio track; talkies needs both")
        return video.index, audio.index

    # Decoding

    def _decode_tracks(
        self, container: InputContainer, video_index: int, audio_index: int | None
    ) -> Iterator[AnyFrame]:
        """Yield the decoded frames of the chosen tracks, with timestamps on the corrected timeline."""
        context = container.streams[video_index].codec_context
        context.thread_type, context.thread_count = "AUTO", self._threads

        timeline = Timeline(self._info.clock, is_judged=False)
        wanted = [video_index] if audio_index is None else [video_index, audio_index]
        tracks = [*select_moving_pictures(container.streams.video), *container.streams.audio]
        try:
            for packet in read_packets(container, tracks):
                timeline.correct(packet)  # packets of all tracks, as in `probe`, so that the result is the same
                if packet.stream_index in wanted:
                    yield from self._decode_packet(packet)
        except FFmpegError:  # the rest of the file is unreadable: keep what was read; the probe reports it
            pass

        for index in wanted:
            yield from self._drain_decoder(container, index)

    def _decode_packet(self, packet: "av.Packet[Any]") -> list[AnyFrame]:
        is_video = packet.stream.type == "video"
        if is_video:
            self.report.video_packets += 1
        else:
            self.report.audio_packets += 1

        try:
            frames: list[AnyFrame] = [*packet.decode()]
        except FFmpegError:
            self._record_damage(packet, is_video)
            return []

        if self._pts_from_dts and is_video:
            self._pts_from_dts.assign(packet, [frame for frame in frames if isinstance(frame, av.VideoFrame)])
        for frame in frames:
            if frame.is_corrupt:
                self._record_damage(frame, is_video)
        return frames

    def _drain_decoder(self, container: InputContainer, index: int) -> list[AnyFrame]:
        """Return the frames that a track's decoder still holds after the last packet."""
        stream = container.streams[index]
        try:
            frames: list[AnyFrame] = [*stream.decode(None)]  # type: ignore[attr-defined]
        except FFmpegError:
            return []

        for frame in frames:
            frame.time_base = stream.time_base  # PyAV does not set it on frames from a flush
            if self._pts_from_dts and isinstance(frame, av.VideoFrame):
                frame.pts = None  # it continues where the last one ended
        return frames

    def _record_damage(self, item: "av.Packet[Any] | AnyFrame", is_video: bool) -> None:
        if is_video:
            self.report.damaged_video_packets += 1
            self.report.damaged_start_packets += self._frames.origin is None
        else:
            self.report.damaged_audio_packets += 1

        if item.pts is not None and item.time_base is not None:
            start = item.pts * item.time_base
            duration = (item.duration or 0) * item.time_base
            self._damaged_times.add(start, start + max(duration, Fraction(1, self._grid.fps)))

    # Emitting

    def _push_picture(self, picture: av.VideoFrame) -> Iterator[ResampledFrame | ResampledAudio]:
        yield from self._emit_frames(self._frames.push(picture))
        if self._audio.origin is None:
            self._audio.origin = self._frames.origin

    def _emit_frames(self, frames: Iterable[ResampledFrame]) -> Iterator[ResampledFrame | ResampledAudio]:
        for frame in frames:
            self.report.frames += 1
            yield frame
        yield from self._release_audio()

    def _emit_audio(self, pieces: Iterable[Int16s]) -> Iterator[ResampledAudio]:
        """Queue audio, and emit it up to the end of the frames; what is ahead of the last frame is dropped."""
        for samples_S in pieces:  # one by one: hours of silence must not fill the memory
            self._pending_audio.append(samples_S)
            yield from self._release_audio()
        yield from self._release_audio()

    def _release_audio(self) -> Iterator[ResampledAudio]:
        """Yield the queued audio up to the end of the frames, if it is about a second or the last of the film."""
        missing_samples = self.report.frames * self._grid.samples_per_frame - self.report.samples
        if not missing_samples or (missing_samples < self._grid.audio_rate_hz and not self._frames.finished):
            return

        pieces: list[Int16s] = []
        while self._pending_audio and missing_samples:
            samples_S = self._pending_audio.popleft()
            if len(samples_S) > missing_samples:
                self._pending_audio.appendleft(samples_S[missing_samples:])
            pieces.append(samples_S[:missing_samples])
            missing_samples -= len(pieces[-1])
            self.report.samples += len(pieces[-1])
        if pieces:
            yield ResampledAudio(np.concatenate(pieces))

    def _finish(self) -> Iterator[ResampledFrame | ResampledAudio]:
        """Yield the last frames and the audio under them, and complete the report."""
        origin = self._frames.origin
        if origin is None:
            raise MediaError("undecodable_video", f"no picture of {format_path(self._path.name)} can be decoded")

        yield from self._emit_frames(self._frames.flush())
        if not self._video_only:
            yield from self._emit_audio(self._audio.flush(self.report.frames * self._grid.samples_per_frame))

        report = self.report
        report.origin_seconds = float(origin)
        report.audio_gaps = self._audio.gaps
        report.decoded_audio_seconds = float(self._audio.decoded_seconds)
        report.lost_audio_seconds = self._audio.lost_seconds
        report.dominant_channels = self._audio.dominant_channels
        if self._audio.start is not None and self._audio.end is not None:
            report.audio_start_seconds = float(self._audio.start - origin)
            report.audio_end_seconds = float(self._audio.end - origin)
        report.damaged_spans = self._damaged_times.to_spans(origin, self._grid.fps, report.frames)


def _read_last_picture_seconds(info: MediaInfo) -> Fraction | None:
    times = info.video.times if info.video else None
    if times is None or times.last_start_seconds is None or times.end_seconds is None:
        return None
    return Fraction(times.end_seconds - times.last_start_seconds).limit_denominator(1_000_000)
