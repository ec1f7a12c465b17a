"""Films for the tests of media: pictures that say their own number, and files whose timestamps are chosen freely."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import settings

from talkies.media import FilmWriter, VideoCoding

RATE_HZ = 16_000
settings.register_profile("same-every-time", derandomize=True, deadline=None, max_examples=40, database=None)
settings.load_profile("same-every-time")

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
        coding = VideoCoding(gop=gop, crf=20, b_frames=2, tune=None)
        with FilmWriter(path, size, fps, rate, coding) as writer:
            for number in range(frames):
                writer.write_rgb(self.picture(number, *size))
                end = round((number + 1) * rate / Fraction(fps))
                writer.write_sound(tone[written:end])
                written = end
        return path

    def proxy(self, path: Path, frames: int, size: tuple[int, int] = (160, 120), gop: int = 16) -> Path:
        """Write a proxy as ingest writes it, at 16 frames a second."""
        with FilmWriter(path, size, 16, self.rate_hz, VideoCoding(gop=gop)) as writer:
            for number in range(frames):
                writer.write_rgb(self.picture(number, *size))
                writer.write_sound(np.zeros(self.rate_hz // 16, np.int16))
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


@pytest.fixture(scope="session")
def coded() -> CodedFilms:
    """The writer and reader of films whose pictures say their own number."""
    return CodedFilms()
