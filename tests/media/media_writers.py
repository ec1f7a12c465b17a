"""Writers of media files for tests: pictures that encode their own number, and files with freely chosen tracks."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from talkies.media import FilmWriter, X264Settings

RATE_HZ = 16_000
_BITS_SHAPE = (2, 5)  # a number below 1024, one block a bit: big enough to survive H.264 and scaling


class CodedFilms:
    """Writes films whose picture number *n* shows *n* as ten black or white blocks, and reads the number back."""

    rate_hz = RATE_HZ

    def picture(self, number: int, width: int, height: int) -> npt.NDArray[np.uint8]:
        """Return uint8 `[H, W, 3]` that shows `number`."""
        bits = np.array([number >> bit & 1 for bit in range(10)], np.uint8).reshape(_BITS_SHAPE)
        rows, columns = (np.arange(n) * k // n for n, k in zip((height, width), _BITS_SHAPE, strict=True))
        return np.repeat(16 + 220 * bits[rows][:, columns, None], 3, axis=2).astype(np.uint8)

    def number_in(self, luma_HW: npt.NDArray[np.uint8]) -> int:
        """Return the number that a picture shows, from the middle of each block; every block must be plain."""
        height, width = luma_HW.shape
        number = 0
        for bit in range(10):
            row, column = divmod(bit, _BITS_SHAPE[1])
            block = luma_HW[
                height * (4 * row + 1) // 8 : height * (4 * row + 3) // 8,
                width * (4 * column + 1) // 20 : width * (4 * column + 3) // 20,
            ].astype(float)
            assert abs(block.mean() - 128) > 60, "a block is neither black nor white: two pictures are mixed"
            number |= int(block.mean() > 128) << bit
        return number

    def constant_rate(
        self, path: Path, frames: int, fps: Fraction | int, size: tuple[int, int] = (160, 120), gop: int = 48
    ) -> Path:
        """Write `frames` pictures at `fps` with B-frames, as ordinary films have, and a quiet tone."""
        rate, written = self.rate_hz, 0
        tone = (3000 * np.sin(2 * np.pi * 440 * np.arange(round(frames * rate / fps) + 1) / rate)).astype(np.int16)
        coding = X264Settings(gop=gop, crf=20, b_frames=2, tune=None)
        with FilmWriter(path, size, fps, rate, coding) as writer:
            for number in range(frames):
                writer.write_rgb(self.picture(number, *size))
                end = round((number + 1) * rate / Fraction(fps))
                writer.write_audio(tone[written:end])
                written = end
        return path

    def proxy(self, path: Path, frames: int, size: tuple[int, int] = (160, 120), gop: int = 16) -> Path:
        """Write a proxy as ingest writes it, at 16 frames a second."""
        with FilmWriter(path, size, 16, self.rate_hz, X264Settings(gop=gop)) as writer:
            for number in range(frames):
                writer.write_rgb(self.picture(number, *size))
                writer.write_audio(np.zeros(self.rate_hz // 16, np.int16))
        return path

    def timed(
        self,
        path: Path,
        picture_seconds: Iterable[Fraction | float] = (),
        sounds: Iterable[tuple[float, npt.NDArray[np.int16]]] = (),
        size: tuple[int, int] = (160, 120),
        rate_hz: int = RATE_HZ,
    ) -> Path:
        """Write a Matroska file (lossless pictures and sound) with each picture and each run of samples at its time.

        Times are kept to a millisecond. A list that is empty makes no track. Samples `[S, 2]` make a stereo track.
        """
        pictures, runs = list(picture_seconds), list(sounds)
        with av.open(str(path), "w") as container:
            packets = []
            if pictures:
                packets += _picture_packets(self, container, pictures, size)
            if runs:
                packets += _sound_packets(container, runs, rate_hz)
            for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
                container.mux(packet)
        return path


def _picture_packets(
    coded: CodedFilms, container: Any, seconds: list[Fraction | float], size: tuple[int, int]
) -> list[av.Packet]:
    stream = container.add_stream("ffv1", rate=1000)
    stream.width, stream.height, stream.pix_fmt = *size, "yuv444p"  # with half-size chroma no size could be odd
    stream.codec_context.time_base = Fraction(1, 1000)
    packets = []
    for number, moment in enumerate(seconds):
        frame = av.VideoFrame.from_ndarray(coded.picture(number, *size), format="rgb24").reformat(format="yuv444p")
        frame.pts, frame.time_base = round(moment * 1000), Fraction(1, 1000)
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def _sound_packets(container: Any, runs: list[tuple[float, npt.NDArray[np.int16]]], rate_hz: int) -> list[av.Packet]:
    layout = "mono" if runs[0][1].ndim == 1 else "stereo"
    stream = container.add_stream("pcm_s16le", rate=rate_hz, layout=layout)
    packets = []
    for begin, samples in runs:
        for offset in range(0, len(samples), rate_hz // 10):  # a packet each tenth of a second
            part = np.ascontiguousarray(samples[offset : offset + rate_hz // 10])
            frame = av.AudioFrame.from_ndarray(part.reshape(1, -1), format="s16", layout=layout)
            frame.sample_rate, frame.time_base = rate_hz, Fraction(1, rate_hz)
            frame.pts = round(begin * rate_hz) + offset
            packets += stream.encode(frame)
    return packets + stream.encode(None)


class Reel:
    """A media file that is made track by track, and written whole by `write`."""

    def __init__(self, path: Path, container: str | None = None, **options: str) -> None:
        self._path = path
        self._container: Any = av.open(str(path), "w", format=container, options=options)
        self._packets: list[Any] = []

    def pictures(
        self,
        pictures: Sequence[npt.NDArray[np.uint8] | av.VideoFrame],
        ticks: Sequence[int] | None = None,
        fps: int = 25,
        codec: str = "libx264",
        pix_fmt: str = "yuv420p",
        options: dict[str, str] | None = None,
        **settings: Any,
    ) -> "Reel":
        """Add a track of pictures (red, green, blue, or frames of `pix_fmt`), each at its tick of 1/`fps` seconds."""
        frames = [self._frame(picture, pix_fmt) for picture in pictures]
        stream = self._container.add_stream(codec, rate=fps, options=options or {})
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, pix_fmt
        stream.codec_context.time_base = Fraction(1, fps)
        self._apply(stream, settings)
        for tick, frame in zip(ticks or range(len(frames)), frames, strict=True):
            frame.pts, frame.time_base = tick, Fraction(1, fps)
            self._packets += stream.encode(frame)
        self._packets += stream.encode(None)
        return self

    def sound(
        self,
        samples_CS: npt.NDArray[np.int16],
        begin_seconds: float = 0.0,
        codec: str = "pcm_s16le",
        rate_hz: int = RATE_HZ,
        layout: str = "mono",
        **settings: Any,
    ) -> "Reel":
        """Add a track of sound, from one moment on."""
        stream = self._container.add_stream(codec, rate=rate_hz, layout=layout)
        self._apply(stream, settings)
        for offset in range(0, samples_CS.shape[1], 1024):
            part = np.ascontiguousarray(samples_CS[:, offset : offset + 1024].T).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(part, format="s16", layout=layout)
            frame.sample_rate, frame.time_base = rate_hz, Fraction(1, rate_hz)
            frame.pts = round(begin_seconds * rate_hz) + offset
            self._packets += stream.encode(frame)
        self._packets += stream.encode(None)
        return self

    def packet(self, codec: str, seconds: float, content: bytes) -> "Reel":
        """Add a track that has one packet."""
        packet = av.Packet(content)
        packet.stream, packet.time_base = self._container.add_stream(codec), Fraction(1, 1000)
        packet.pts = packet.dts = round(seconds * 1000)
        packet.duration = 1000
        self._packets.append(packet)
        return self

    def write(self) -> Path:
        """Write the file with its packets in the order of time."""
        with self._container as container:
            for packet in sorted(self._packets, key=lambda packet: packet.dts * packet.time_base):
                container.mux(packet)
        return self._path

    @staticmethod
    def _frame(picture: npt.NDArray[np.uint8] | av.VideoFrame, pix_fmt: str) -> av.VideoFrame:
        if isinstance(picture, av.VideoFrame):
            return picture
        return av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pix_fmt)

    @staticmethod
    def _apply(stream: Any, settings: dict[str, Any]) -> None:
        """Set what a track says of itself: which way up, `disposition`, attributes of its coding, else its metadata."""
        for name, value in settings.items():
            if name == "rotation":
                stream.set_display_rotation(value)
            elif name == "matrix":
                stream.set_display_matrix(value)
            elif name == "disposition":
                stream.disposition = value
            elif hasattr(stream.codec_context, name):
                setattr(stream.codec_context, name, value)
            else:
                stream.metadata[name] = value
