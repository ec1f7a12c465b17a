"""Random access to a library's own files: frames of a proxy by number, samples of training audio by number."""

import wave
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
import numpy.typing as npt
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace

from talkies.core import MediaError, Span

_WAV_HEADER_BYTES = 44


class VideoReader:
    """An open proxy of constant rate `fps`: reads frames by number, and checks that they are the ones asked for."""

    def __init__(self, path: Path, fps: int, gop: int) -> None:
        """Open the file, whose key frames are `gop` frames apart.

        Raises:
            MediaError: if it is missing or is no video.
        """
        self._path, self._fps, self._gop = path, fps, gop
        try:
            self._container = av.open(str(path))
            self._stream = self._container.streams.video[0]
        except (FFmpegError, OSError, IndexError) as error:
            raise MediaError("unreadable", f"{path} cannot be opened as a proxy; ingest its film again") from error
        self._stream.codec_context.thread_count = 1  # clips are decoded by many processes: one thread each
        self._frames: Iterator[av.VideoFrame] = iter(())
        self._next = -1  # the frame that decoding on would give

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._frames = iter(())
        self._container.close()

    @property
    def height(self) -> int:
        """The height of the pictures in pixels."""
        return self._stream.codec_context.height

    def read(self, wanted: range) -> npt.NDArray[np.uint8]:
        """Return the frames of `wanted` (ascending) as uint8 `[T, P, W]`, planar YUV 4:2:0.

        Raises:
            MediaError: if the file ends before, or the decoder gives a frame of another time than asked for.
        """
        if not wanted or wanted.start < 0:
            raise ValueError(f"frames to read are an ascending range from 0, got {wanted}")
        # Up to the next key frame, decoding on is cheaper than seeking.
        if not self._next <= wanted.start < (self._next // self._gop + 1) * self._gop:
            self._seek(wanted.start)
        pictures: list[npt.NDArray[np.uint8]] = []
        for frame in self._frames:
            number = self._number_of(frame)
            if number > wanted[len(pictures)]:
                raise MediaError(
                    "wrong_time", f"{self._path}: frame {wanted[len(pictures)]} was asked for, frame {number} came"
                )
            if frame.is_corrupt:
                raise MediaError("damaged", f"{self._path} is damaged at frame {number}; ingest its film again")
            self._next = number + 1
            if number == wanted[len(pictures)]:
                pictures.append(frame.to_ndarray().astype(np.uint8, copy=False))
                if len(pictures) == len(wanted):
                    return np.stack(pictures)
        self._next = -1
        raise MediaError(
            "truncated", f"{self._path} ends before frame {wanted[len(pictures)]}; ingest its film again to repair it"
        )

    def _seek(self, frame: int) -> None:
        base = self._stream.time_base
        assert base is not None
        try:
            self._container.seek(int(frame / (self._fps * base)), stream=self._stream, backward=True)
        except FFmpegError as error:
            raise MediaError(
                "truncated", f"{self._path} cannot be read at frame {frame}; ingest its film again"
            ) from error
        self._frames = self._decode()

    def _decode(self) -> Iterator[av.VideoFrame]:
        try:
            yield from self._container.decode(self._stream)
        except FFmpegError as error:
            raise MediaError("damaged", f"{self._path} is damaged ({error.strerror}); ingest its film again") from error

    def _number_of(self, frame: av.VideoFrame) -> int:
        if frame.pts is None or frame.time_base is None:
            raise MediaError("wrong_time", f"{self._path} holds a frame without a time; ingest its film again")
        exact = frame.pts * frame.time_base * self._fps
        if exact.denominator != 1:
            raise MediaError("wrong_time", f"{self._path} holds a frame at {float(exact / self._fps)} s, off the grid")
        return int(exact)


class SoundReader:
    """Open training audio: reads any run of samples without reading the rest (the file is mapped into memory)."""

    def __init__(self, path: Path) -> None:
        """Map the file.

        Raises:
            MediaError: if it is missing, or is not 16-bit mono WAV of the length that its header says.
        """
        self._path = path
        try:
            with wave.open(str(path), "rb") as file:
                shape = file.getnchannels(), file.getsampwidth()
                count = file.getnframes()
        except (OSError, EOFError, wave.Error) as error:
            raise MediaError(
                "unreadable", f"{path} cannot be opened as training audio; ingest its film again"
            ) from error
        if shape != (1, 2) or path.stat().st_size != _WAV_HEADER_BYTES + 2 * count:
            raise MediaError("damaged", f"{path} is not the training audio that was written; ingest its film again")
        self._samples_S = np.memmap(path, dtype="<i2", mode="r", offset=_WAV_HEADER_BYTES, shape=(count,))

    def __len__(self) -> int:
        return len(self._samples_S)

    def read(self, span: Span, samples_per_frame: int) -> npt.NDArray[np.int16]:
        """Return the int16 samples `[S]` under a span of frames.

        Raises:
            MediaError: if the span goes past the end.
        """
        start, end = span.start_frame * samples_per_frame, span.end_frame * samples_per_frame
        if end > len(self):
            raise MediaError("truncated", f"{self._path} ends before sample {end}; ingest its film again to repair it")
        return np.array(self._samples_S[start:end], dtype=np.int16)


def write_wav(path: Path, rate_hz: int) -> wave.Wave_write:
    """Return an open 16-bit mono WAV file to which `writeframes` appends little-endian samples."""
    file = wave.open(str(path), "wb")  # noqa: SIM115
    file.setnchannels(1)
    file.setsampwidth(2)
    file.setframerate(rate_hz)
    return file


def rgb_of(yuv_PW: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return a planar YUV 4:2:0 picture `[P, W]` (BT.601, limited range) as red, green, blue `[H, W, 3]`."""
    frame = av.VideoFrame.from_ndarray(yuv_PW, format="yuv420p")
    frame.colorspace, frame.color_range = Colorspace.ITU601, ColorRange.MPEG
    return frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
