"""Other ways to read a clip, each as fast as its users can have it: one thread, one open file for all clips.

A clip is T frames at `fps`, the one on screen at each moment, as uint8 red, green, blue `[T, H, W, 3]`, with its sound
as 16 kHz mono. Each says how it comes by its sound.
"""

from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Interpolation, VideoReformatter

RATE_HZ = 16_000
Picture = npt.NDArray[np.uint8]
Sound = npt.NDArray[Any]


class PyAvPeer:
    """Seek, decode, scale; the sound with a second open container, so that neither waits for the other."""

    name, sound = "PyAV: seek, decode, reformat", "decoded and resampled for each clip"

    def __init__(self, path: Path, size: tuple[int, int]) -> None:
        self._size = size
        self._pictures, self._sounds = av.open(str(path)), av.open(str(path))
        self._video, self._audio = self._pictures.streams.video[0], self._sounds.streams.audio[0]
        for stream in (self._video, self._audio):
            stream.codec_context.thread_count = 1
        self._reformatter = VideoReformatter()

    def clip(self, start: Fraction, times: Sequence[Fraction], seconds: int) -> tuple[Picture, Sound]:
        """Return the pictures on screen at `times`, and the sound of `seconds` from `start` on."""
        return np.stack(self._pictures_at(times)), self._sound_of(start, seconds)

    def _pictures_at(self, times: Sequence[Fraction]) -> list[Picture]:
        base = self._video.time_base
        self._pictures.seek(int(times[0] / base), stream=self._video)
        found: list[Picture] = []
        shown = None
        for frame in self._pictures.decode(self._video):
            while len(found) < len(times) and frame.pts * base > times[len(found)] and shown is not None:
                found.append(self._rgb(shown))
            if len(found) == len(times):
                return found
            shown = frame
        return found + [self._rgb(shown)] * (len(times) - len(found))

    def _rgb(self, frame: av.VideoFrame) -> Picture:
        width, height = self._size
        done = self._reformatter.reformat(frame, width, height, "rgb24", interpolation=Interpolation.AREA)
        return done.to_ndarray()

    def _sound_of(self, start: Fraction, seconds: int) -> Sound:
        base, wanted = self._audio.time_base, seconds * RATE_HZ
        resampler = av.AudioResampler("s16", "mono", RATE_HZ)
        self._sounds.seek(max(0, int((start - Fraction(1, 20)) / base)), stream=self._audio)
        parts: list[Sound] = []
        skip = None
        for frame in self._sounds.decode(self._audio):
            if skip is None:
                skip = round((start - frame.pts * base) * RATE_HZ)
            parts += [part.to_ndarray()[0] for part in resampler.resample(frame)]
            if sum(map(len, parts)) >= skip + wanted:
                break
        sound = np.concatenate(parts)[max(0, skip or 0) :][:wanted]
        return np.pad(sound, (0, wanted - len(sound)))


class DecordPeer:
    """`VideoReader.get_batch` at the size that is wanted, and `AudioReader`."""

    name, sound = (
        "decord: cached VideoReader, get_batch",
        "all of the film's, decoded when it is opened and kept in memory",
    )

    def __init__(self, path: Path, size: tuple[int, int]) -> None:
        import decord

        self._video = decord.VideoReader(str(path), width=size[0], height=size[1], num_threads=1)
        self._starts = self._video.get_frame_timestamp(range(len(self._video)))[:, 0].tolist()
        self._sound_S = decord.AudioReader(str(path), sample_rate=RATE_HZ, mono=True)[:].asnumpy()[0]

    def clip(self, start: Fraction, times: Sequence[Fraction], seconds: int) -> tuple[Picture, Sound]:
        """Return as PyAvPeer."""
        frames = [bisect_right(self._starts, float(moment) + 1e-4) - 1 for moment in times]
        first = round(start * RATE_HZ)
        sound = self._sound_S[first : first + seconds * RATE_HZ]
        return self._video.get_batch(frames).asnumpy(), np.pad(sound, (0, seconds * RATE_HZ - len(sound)))


class TorchcodecPeer:
    """`VideoDecoder` with the scaling inside, without a scan of the file when it is opened, and `AudioDecoder`."""

    name, sound = (
        "torchcodec: cached decoders, get_frames_in_range or get_frames_played_at",
        "decoded and resampled for each clip",
    )

    def __init__(self, path: Path, size: tuple[int, int]) -> None:
        from torchcodec.decoders import AudioDecoder, VideoDecoder
        from torchcodec.transforms import Resize

        how = {"num_ffmpeg_threads": 1, "dimension_order": "NHWC", "seek_mode": "approximate"}
        self._video = VideoDecoder(str(path), **how)
        self._fps = self._video.metadata.average_fps
        if (self._video.metadata.width, self._video.metadata.height) != size:
            self._video = VideoDecoder(str(path), transforms=[Resize(size=size[::-1])], **how)
        self._audio = AudioDecoder(str(path), sample_rate=RATE_HZ, num_channels=1)

    def clip(self, start: Fraction, times: Sequence[Fraction], seconds: int) -> tuple[Picture, Sound]:
        """Return as PyAvPeer."""
        first, step = times[0] * round(self._fps), times[1] - times[0]
        if (
            step * round(self._fps) == 1 and first.denominator == 1
        ):  # a film of this very rate: by number, which is faster
            pictures = self._video.get_frames_in_range(int(first), int(first) + len(times)).data
        else:
            pictures = self._video.get_frames_played_at([float(moment) + 1e-4 for moment in times]).data
        end = float(start) + seconds
        sound = self._audio.get_samples_played_in_range(float(start), end).data[0, : seconds * RATE_HZ].numpy()
        return pictures.numpy(), np.pad(sound, (0, seconds * RATE_HZ - len(sound)))


PEERS = (PyAvPeer, DecordPeer, TorchcodecPeer)
