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
class X264Settings:
    """Settings of the x264 encoder.

    Attributes:
        gop: frames from one key frame to the next.
        crf: constant rate factor; lower is better quality.
        preset: the trade-off between speed and size.
        b_frames: the most B-frames in a row.
        tune: what x264 optimises for, or None.
    """

    gop: int
    crf: int = 23
    preset: str = "veryfast"
    b_frames: int = 0
    tune: str | None = "fastdecode"


class FilmWriter:
    """Writes pictures and sound to an MP4 file; as a context manager it finishes the file at the end.

    Args:
        path: the file to write.
        size: width and height of the pictures in pixels, both even.
        fps: frames per second.
        audio_rate_hz: the sample rate of the mono sound.
        settings: how to encode the pictures.
        audio_kbit: the bit rate of the sound in kbit/s.
    """

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        fps: Fraction | int,
        audio_rate_hz: int,
        settings: X264Settings,
        *,
        audio_kbit: int = 96,
    ) -> None:
        self._path = path
        self._audio_rate_hz = audio_rate_hz
        self._frames = self._samples = 0
        self._reformatter = VideoReformatter()
        self._container = av.open(str(path), "w", options={"movflags": "+faststart"})

        options = {
            "preset": settings.preset,
            "crf": str(settings.crf),
            "x264-params": f"scenecut=0:keyint={settings.gop}:min-keyint={settings.gop}",
        }
        if settings.tune:
            options["tune"] = settings.tune
        self._video = self._container.add_stream("libx264", rate=Fraction(fps), options=options)
        self._video.width, self._video.height = size
        self._video.pix_fmt = "yuv420p"
        context = self._video.codec_context
        context.gop_size, context.max_b_frames, context.thread_count = settings.gop, settings.b_frames, 1
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
                self._encode_and_mux(self._video, None)
                self._encode_and_mux(self._audio, None)
        finally:
            self._container.close()

    def write_frame(self, frame: av.VideoFrame) -> None:
        """Append one picture that is already YUV 4:2:0 of the film's size."""
        frame.pts, frame.time_base = self._frames, self._video.codec_context.time_base
        frame.pict_type = av.video.frame.PictureType.NONE  # the encoder places key frames, not the source
        self._frames += 1
        self._encode_and_mux(self._video, frame)

    def write_rgb(self, rgb_HWC: UInt8s) -> None:
        """Append one RGB picture `[H, W, 3]` of the film's size."""
        frame = av.VideoFrame.from_ndarray(rgb_HWC, format="rgb24")
        self.write_frame(
            self._reformatter.reformat(
                frame, format="yuv420p", dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.MPEG, threads=1
            )
        )

    def write_audio(self, samples_S: Int16s) -> None:
        """Append mono samples `[S]`."""
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples_S)[None], format="s16", layout="mono")
        frame.sample_rate, frame.time_base = self._audio_rate_hz, Fraction(1, self._audio_rate_hz)
        frame.pts = self._samples
        self._samples += len(samples_S)
        self._encode_and_mux(self._audio, frame)

    def _encode_and_mux(self, stream: Any, frame: av.VideoFrame | av.AudioFrame | None) -> None:
        """Encode a frame, or with None what the encoder still holds, and write the packets to the file."""
        try:
            self._container.mux(stream.encode(frame))
        except FFmpegError as error:
            raise WorkError(f"{self._path} cannot be written ({str(error.strerror).lower()})") from error
