"""Random access to a library's own files: frames of a proxy by number, samples of training audio by number."""

import io
import os
import wave
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
import numpy.typing as npt
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace

from talkies.core import Int16s, MediaError, Span, UInt8s, describe_os_error
from talkies.media.packet_table import PacketTable, TableError

INGEST_AGAIN = "; ingest its film again"
"""How the sentence of an error ends here; before it stand the file and what is wrong with it."""
_WAV_HEADER_BYTES = 44
_MOST_PACKETS = 64  # are read at once


class _OpenFile:
    """A file that is open until it is closed, or until nobody has it any more."""

    def __init__(self, path: Path, what: str) -> None:
        self._path = path
        try:
            self._file: io.FileIO = path.open("rb", buffering=0)
        except OSError as error:
            raise MediaError(
                "unreadable", f"{path} cannot be opened as {what} ({describe_os_error(error)}){INGEST_AGAIN}"
            ) from error
        self.close = weakref.finalize(self, self._file.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _bytes_at(self, offset: int, count: int) -> bytes:
        """Return bytes of the file; fewer where it ends before."""
        try:
            return os.pread(self._file.fileno(), count, offset)
        except OSError as error:
            raise MediaError("unreadable", f"{self._path} cannot be read ({describe_os_error(error)}){INGEST_AGAIN}") from error


class VideoReader(_OpenFile):
    """An open proxy of constant rate `fps`: reads frames by number, and checks that they are the ones asked for.

    A proxy that was opened once reads on from the file that it was, also when another takes its place.
    """

    def __init__(self, path: Path, fps: int) -> None:
        """Open the file.

        Raises:
            MediaError: if it is missing or is no proxy.
        """
        super().__init__(path, "a proxy")
        self._fps = fps
        try:
            self._bytes = os.fstat(self._file.fileno()).st_size
            self._table = PacketTable.read(self._file.fileno())
            self._decoder = _decoder_of(self._table)
            self._ticks_hz = self._table.ticks_hz
        except (TableError, FFmpegError, OSError) as error:
            self.close()
            raise MediaError("unreadable", f"{path} cannot be opened as a proxy ({error}){INGEST_AGAIN}") from error
        self._next = -1  # the frame that decoding on would give

    def __len__(self) -> int:
        """Return how many frames the proxy says it has."""
        return len(self._table)

    @property
    def height(self) -> int:
        """The height of the pictures in pixels."""
        return self._table.height

    @property
    def width(self) -> int:
        """The width of the pictures in pixels."""
        return self._table.width

    def read(self, wanted: range) -> UInt8s:
        """Return the frames of `wanted` (ascending) as uint8 `[T, P, W]`, planar YUV 4:2:0.

        Raises:
            MediaError: as `read_into`.
        """
        video_TPW = np.empty((len(wanted), self.height * 3 // 2, self.width), np.uint8)
        self.read_into(wanted, video_TPW)
        return video_TPW

    def read_into(self, wanted: range, video_TPW: UInt8s) -> None:
        """Fill `video_TPW` with the frames of `wanted` (ascending), cut to its size in their middle.

        Raises:
            MediaError: if the file ends before, is damaged, or has another picture than the one asked for.
        """
        if not wanted or wanted.start < 0 or wanted.step < 0:
            raise ValueError(f"frames to read are an ascending range from 0, got {wanted}")
        assert len(wanted) == len(video_TPW), "there is room for each frame"
        cut = _MiddleCut(self._table, video_TPW)
        if not cut.fits:
            raise self._error("wrong_size", f"has pictures of {self.width} × {self.height} pixels")
        if wanted[-1] >= len(self):
            raise self._error("truncated", f"ends before {self._seconds(next(n for n in wanted if n >= len(self)))} s")
        number, end = self._first_to_decode(wanted.start), wanted[-1] + 1
        self._next = -1  # it stays so if anything goes wrong
        while number < end:
            for packet in self._packets(number, min(end, number + _MOST_PACKETS)):
                frame = self._decode(number, packet)
                if number in wanted:
                    cut.copy(frame, wanted.index(number))
                number += 1
        self._next = end

    def _first_to_decode(self, wanted: int) -> int:
        """Return the key frame to begin with, or the frame to go on with if that is nearer."""
        key_K = self._table.key_K
        key = int(key_K[np.searchsorted(key_K, wanted, side="right") - 1])
        return self._next if key <= self._next <= wanted else key

    def _packets(self, begin: int, end: int) -> Iterator["av.Packet[Any]"]:
        """Yield the packets of frames that follow each other, read at once: in the file they lie close together."""
        table = self._table
        begin_N = table.offset_N[begin:end]
        end_N = begin_N + table.bytes_N[begin:end]
        base, tick_N = int(begin_N.min()), table.tick_N[begin:end]
        content = self._bytes_at(base, max(0, min(int(end_N.max()), self._bytes) - base))
        ends = (end_N - base).tolist()
        for number, start, stop, tick in zip(
            range(begin, end), (begin_N - base).tolist(), ends, tick_N.tolist(), strict=True
        ):
            if stop > len(content):
                raise self._error("truncated", f"ends before {self._seconds(number)} s")
            packet = av.Packet(content[start:stop])
            packet.pts = tick
            yield packet

    def _decode(self, number: int, packet: "av.Packet[Any]") -> av.VideoFrame:
        try:
            frames = self._decoder.decode(packet)
        except FFmpegError as error:
            raise self._error(
                "damaged", f"is damaged at {self._seconds(number)} s ({str(error.strerror).lower()})"
            ) from error
        frame = frames[0] if len(frames) == 1 else None
        if frame is None or frame.pts is None or frame.pts * self._fps != number * self._ticks_hz:
            raise self._error("wrong_time", self._instead_of(number, frames))
        if frame.is_corrupt or frame.width != self._table.width or frame.height != self._table.height:
            raise self._error("damaged", f"is damaged at {self._seconds(number)} s")
        return frame

    def _instead_of(self, number: int, frames: list[av.VideoFrame]) -> str:
        came = [f"the one at {_shown(frame.pts / self._ticks_hz)} s" for frame in frames if frame.pts is not None]
        return f"was asked for the frame at {self._seconds(number)} s, and gave {' and '.join(came) or 'none'}"

    def _seconds(self, number: int) -> float:
        return _shown(number / self._fps)

    def _error(self, code: str, what: str) -> MediaError:
        self._decoder = _decoder_of(self._table)  # flushed after damage, one was seen to give other pictures
        return MediaError(code, f"{self._path} {what}{INGEST_AGAIN}")


def _shown(seconds: float) -> float:
    return round(seconds, 4)


def _decoder_of(table: PacketTable) -> av.VideoCodecContext:
    decoder = av.VideoCodecContext.create("h264", "r")
    decoder.extradata = table.setup
    decoder.thread_count = 1  # clips are decoded by many processes: one thread each
    decoder.options = {"err_detect": "explode+bitstream+buffer+careful+aggressive"}
    decoder.open()
    return decoder


class _MiddleCut:
    """Copies the middle of planar pictures into an array `[T, P, W]` of pictures that may be smaller.

    A row of a plane is one item to NumPy, which is a quarter faster than to copy a row of bytes.
    """

    def __init__(self, table: PacketTable, video_TPW: UInt8s) -> None:
        frames, rows, columns = video_TPW.shape
        height = rows * 2 // 3
        self.fits = height <= table.height and columns <= table.width
        top, left = (table.height - height) // 4 * 2, (table.width - columns) // 4 * 2  # chroma has half the pixels
        luma, chroma = height * columns, height * columns // 4
        flat = video_TPW.reshape(frames, luma + 2 * chroma)
        row, half_row = np.dtype(f"V{columns}"), np.dtype(f"V{columns // 2}")
        self._corner, self._half_corner = (top, left), (top // 2, left // 2)
        self._luma_TH = flat[:, :luma].view(row)
        self._blue_TH = flat[:, luma : luma + chroma].view(half_row)
        self._red_TH = flat[:, luma + chroma :].view(half_row)

    def copy(self, frame: av.VideoFrame, place: int) -> None:
        """Copy the middle of a frame to a place of the array."""
        luma, blue, red = frame.planes
        self._luma_TH[place] = _rows(luma, self._corner, self._luma_TH)
        self._blue_TH[place] = _rows(blue, self._half_corner, self._blue_TH)
        self._red_TH[place] = _rows(red, self._half_corner, self._red_TH)


def _rows(plane: Any, corner: tuple[int, int], like_TH: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """Return rows of a plane from a corner on (a plane is a buffer, which its type does not say)."""
    line, (top, left) = plane.line_size, corner
    return np.ndarray(like_TH.shape[1:], like_TH.dtype, plane, top * line + left, (line,))


class AudioReader(_OpenFile):
    """Open training audio: reads any run of samples without reading the rest."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            MediaError: if it is missing, or is not 16-bit mono WAV of the length that its header says.
        """
        super().__init__(path, "training audio")
        try:
            with wave.open(self._file) as header:
                shape = header.getnchannels(), header.getsampwidth()
                self._samples: int = header.getnframes()
            length = os.fstat(self._file.fileno()).st_size
        except (OSError, EOFError, wave.Error) as error:
            self.close()
            raise MediaError("unreadable", f"{path} cannot be opened as training audio{INGEST_AGAIN}") from error
        if shape != (1, 2) or length != _WAV_HEADER_BYTES + 2 * self._samples:
            self.close()
            raise MediaError("damaged", f"{path} is not the training audio that was written{INGEST_AGAIN}")

    def __len__(self) -> int:
        return self._samples

    def read(self, span: Span, samples_per_frame: int) -> Int16s:
        """Return the int16 samples `[S]` under a span of frames.

        Raises:
            MediaError: as `read_into`.
        """
        samples_S = np.empty(len(span) * samples_per_frame, np.int16)
        self.read_into(span, samples_S)
        return samples_S

    def read_into(self, span: Span, samples_S: Int16s) -> None:
        """Fill `samples_S` with the samples under a span of frames.

        Raises:
            MediaError: if the span goes past the end.
        """
        start = span.start_frame * (len(samples_S) // len(span))
        content = self._bytes_at(_WAV_HEADER_BYTES + 2 * start, 2 * len(samples_S))
        if len(content) < 2 * len(samples_S):
            raise MediaError("truncated", f"{self._path} ends before sample {start + len(samples_S)}{INGEST_AGAIN}")
        samples_S[:] = np.frombuffer(content, "<i2")


def open_wav_writer(path: Path, rate_hz: int) -> wave.Wave_write:
    """Return an open 16-bit mono WAV file to which `writeframes` appends little-endian samples."""
    file = wave.open(str(path), "wb")  # noqa: SIM115
    file.setnchannels(1)
    file.setsampwidth(2)
    file.setframerate(rate_hz)
    return file


def yuv_to_rgb(yuv_PW: UInt8s) -> UInt8s:
    """Return a planar YUV 4:2:0 picture `[P, W]` (BT.601, limited range) as red, green, blue `[H, W, 3]`."""
    frame = av.VideoFrame.from_ndarray(yuv_PW, format="yuv420p")
    frame.colorspace, frame.color_range = Colorspace.ITU601, ColorRange.MPEG
    return frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
