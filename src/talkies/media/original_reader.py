"""Random access to a source film: the pictures and the sound of any moment, resampled to the library's grid.

Training reads the library's own files, which are faster; this is the reference that they are compared with.
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
from talkies.media.missing_pts import CONTAINERS_WITHOUT_PTS
from talkies.media.probing import MediaInfo
from talkies.media.resample import MAX_ASPECT_RATIO
from talkies.media.source import open_media, read_packets

_PREROLL_SECONDS = Fraction(1)  # audio decoders need some packets before their output is correct
_TIME_TOLERANCE_SECONDS = Fraction(1, 1_000_000)
_SAME_PICTURE_SECONDS = 0.001


class OriginalReader:
    """An open source film that reads pictures and sound by frame number on the library's grid.

    Args:
        path: the source file.
        info: its probe from when it was ingested.
        origin_seconds: the time of frame 0 in the source.
        grid: the frame rate and sample rate of the library.
        short_side: the shorter side of the pictures in pixels.
        channels: the channels of the sound (counted from 1) that were mixed; all of them by default.

    Raises:
        MediaError: if it is missing, unreadable, or its timestamps do not allow seeking.
    """

    def __init__(
        self,
        path: Path,
        info: MediaInfo,
        origin_seconds: float,
        grid: Grid,
        short_side: int,
        *,
        channels: tuple[int, ...] = (),
    ) -> None:
        if info.video is None or info.audio is None or info.jumps or info.container in CONTAINERS_WITHOUT_PTS:
            raise MediaError("unseekable", f"the timestamps of {path.name} do not allow seeking")
        self._path, self._grid, self._channels = path, grid, channels
        self._origin = Fraction(origin_seconds).limit_denominator(1_000_000)
        self._tracks = info.video.index, info.audio.index
        video = info.video
        self._last_picture = video.times.last_start_seconds, video.times.end_seconds
        self._normaliser = FrameNormaliser(short_side, Fraction(video.pixel_aspect), MAX_ASPECT_RATIO, video.crop)

        self._exit_stack = ExitStack()
        self._container = self._exit_stack.enter_context(open_media(path))
        self._container.streams[self._tracks[0]].codec_context.thread_count = 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit_stack.close()

    def read(self, frames: range, audio_span: Span) -> tuple[UInt8s, Int16s]:
        """Return the pictures on screen at some frames, and the samples of a span of frames.

        Args:
            frames: frame numbers on the grid, ascending.
            audio_span: half-open frame numbers on the grid.

        Returns:
            Pictures `[T, P, W]` in planar YUV 4:2:0, and samples `[S]`.

        Raises:
            MediaError: if the file ends before, or cannot be decoded there.
        """
        samples = len(audio_span) * self._grid.samples_per_frame
        audio = AudioTimeline(self._grid, channels=self._channels)
        audio.origin = self._compute_time(audio_span.start_frame)
        pieces: list[Int16s] = []
        pictures = _PicturesAtTimes([self._compute_time(frame) for frame in frames], self._normaliser)

        # Decode from a little before the clip until both are complete.
        start = self._compute_time(min(frames.start, audio_span.start_frame)) - _PREROLL_SECONDS
        try:
            self._container.seek(int(start * av.time_base), backward=True)
            for frame in self._decode():
                if isinstance(frame, av.VideoFrame):
                    pictures.push(frame)
                else:
                    pieces.extend(audio.push(frame))
                if pictures.complete and sum(map(len, pieces)) >= samples:
                    break
        except FFmpegError as error:
            raise MediaError("damaged", f"{self._path.name} cannot be decoded at {float(start):.3f} s") from error

        pictures.finish(self._last_picture)
        if not pictures.complete:
            end = float(self._compute_time(frames[-1]))
            raise MediaError("truncated", f"{self._path.name} ends before {end:.3f} s")
        pieces.extend(audio.flush(samples))
        return np.stack(pictures.pictures), np.concatenate(pieces)[:samples]

    def _compute_time(self, frame: int) -> Fraction:
        """Return the time of a frame of the grid in seconds of the source."""
        return self._origin + Fraction(frame, self._grid.fps)

    def _decode(self) -> Iterator[av.VideoFrame | av.AudioFrame]:
        """Yield deinterlaced pictures and audio frames from the current position on."""
        deinterlacer = Deinterlacer()
        for frame in self._decode_packets():
            if isinstance(frame, av.VideoFrame):
                yield from deinterlacer.push(frame)
            else:
                yield frame
        yield from deinterlacer.flush()

    def _decode_packets(self) -> Iterator[av.VideoFrame | av.AudioFrame]:
        """Yield the frames of both tracks as they are decoded, then those that the decoders still hold."""
        streams = [self._container.streams[index] for index in self._tracks]
        for packet in read_packets(self._container, streams):
            yield from packet.decode()
        for stream in streams:
            for frame in stream.decode(None):  # type: ignore[attr-defined]
                frame.time_base = stream.time_base  # PyAV does not set it on frames from a flush
                yield frame


class _PicturesAtTimes:
    """Collects the picture on screen at each of some times, which are in order, in seconds of the source."""

    def __init__(self, times: list[Fraction], normaliser: FrameNormaliser) -> None:
        self._times = times
        self._normaliser = normaliser
        self._last: av.VideoFrame | None = None
        self.pictures: list[UInt8s] = []

    @property
    def complete(self) -> bool:
        return len(self.pictures) == len(self._times)

    def push(self, frame: av.VideoFrame) -> None:
        """Take the next picture; the one before it is on screen until then."""
        if frame.pts is None or frame.time_base is None:
            return
        start = frame.pts * frame.time_base
        if self._last is None and start > self._times[0] + _TIME_TOLERANCE_SECONDS:
            raise MediaError("unseekable", f"seeking to {float(self._times[0]):.3f} s led to {float(start):.3f} s")
        self._show_last_until(start)
        self._last = frame

    def finish(self, last_picture: tuple[float | None, float | None]) -> None:
        """Show the film's last picture for its duration, or as long as the probe says.

        Args:
            last_picture: where it starts and ends by the probe, in seconds of the source; None where that is unknown.
        """
        if self._last is None or self._last.pts is None or self._last.time_base is None:
            return
        start, (last_start, last_end) = self._last.pts * self._last.time_base, last_picture
        end = start + (self._last.duration or 0) * self._last.time_base
        if last_start is not None and last_end is not None and abs(start - last_start) <= _SAME_PICTURE_SECONDS:
            end = max(end, Fraction(last_end))
        self._show_last_until(end)

    def _show_last_until(self, end: Fraction) -> None:
        picture_PW: UInt8s | None = None
        while (
            self._last is not None
            and not self.complete
            and self._times[len(self.pictures)] < end - _TIME_TOLERANCE_SECONDS
        ):
            if picture_PW is None:
                picture_PW = self._normaliser.normalise(self._last).to_ndarray().astype(np.uint8, copy=False)
            self.pictures.append(picture_PW)
