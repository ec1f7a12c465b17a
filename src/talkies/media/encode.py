"""Write a film: H.264 pictures at a constant rate and AAC sound in an MP4 file."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from talkies.core import Int16s, UInt8s, WorkError


@dataclass(frozen=True, slots=True)
class VideoCoding:
    """How x264 is asked to work: `gop` frames from key frame to key frame, quality `crf` (lower is better)."""

    gop: int
    crf: int = 23
    preset: str = "veryfast"
    b_frames: int = 0
    tune: str | None = "fastdecode"


class FilmWriter:
    """Writes pictures and sound to an MP4 file; used as a context, it finishes the file at the end.

    Pictures are `size` = (width, height) pixels, both even, at `fps` frames a second; sound is mono at `audio_rate_hz`,
    in `audio_kbit` thousand bits a second.
    """

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        fps: Fraction | int,
        audio_rate_hz: int,
        coding: VideoCoding,
        *,
        audio_kbit: int = 96,
    ) -> None:
        self._path, self._rate = path, audio_rate_hz
        self._frames = self._samples = 0
        self._reformatter = VideoReformatter()
        self._container = av.open(str(path), "w", options={"movflags": "+faststart"})
        options = {
            "preset": coding.preset,
            "crf": str(coding.crf),
            "x264-params": f"scenecut=0:keyint={coding.gop}:min-keyint={coding.gop}",
        }
        if coding.tune:
            options["tune"] = coding.tune
        self._video = self._container.add_stream("libx264", rate=Fraction(fps), options=options)
        self._video.width, self._video.height = size
        self._video.pix_fmt = "yuv420p"
        context = self._video.codec_context
        context.gop_size, context.max_b_frames, context.thread_count = coding.gop, coding.b_frames, 1
        context.time_base = 1 / Fraction(fps)
        context.colorspace, context.color_range = Colorspace.ITU601, ColorRange.MPEG
        self._audio = self._container.add_stream(
            "aac", rate=audio_rate_hz, layout="mono", options={"b": f"{audio_kbit}k", "aac_coder": "fast"}
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._mux(self._video, None)
                self._mux(self._audio, None)
        finally:
            self._container.close()

    def write_frame(self, frame: av.VideoFrame) -> None:
        """Append one picture that is already YUV 4:2:0 of the film's size."""
        frame.pts, frame.time_base = self._frames, self._video.codec_context.time_base
        frame.pict_type = av.video.frame.PictureType.NONE  # the source's own key frames are not ours
        self._frames += 1
        self._mux(self._video, frame)

    def write_rgb(self, rgb_HWC: UInt8s) -> None:
        """Append one picture of red, green, blue."""
        frame = av.VideoFrame.from_ndarray(rgb_HWC, format="rgb24")
        self.write_frame(
            self._reformatter.reformat(
                frame, format="yuv420p", dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.MPEG
            )
        )

    def write_sound(self, samples_S: Int16s) -> None:
        """Append mono samples."""
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples_S)[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = self._rate, self._samples, Fraction(1, self._rate)
        self._samples += len(samples_S)
        self._mux(self._audio, frame)

    def _mux(self, stream: Any, frame: av.VideoFrame | av.AudioFrame | None) -> None:
        try:
            self._container.mux(stream.encode(frame))
        except FFmpegError as error:
            raise WorkError(f"{self._path} cannot be written ({str(error.strerror).lower()})") from error
