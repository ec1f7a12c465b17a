"""Random access to the proxies of a library (H.264 in MP4) on a GPU, by torchcodec and NVIDIA's decoder (NVDEC).

A decoder of H.264 has to give the same pictures to the bit, so nothing is converted: torchcodec hands out the planes
as the hardware decoded them (NV12), and their times are checked as those of the CPU's decoder are. What hardware
does not say is whether it concealed damage; the CPU's decoder refuses a damaged picture.

Shapes: `T` frames, `P` rows of a planar YUV 4:2:0 picture (3/2 of its height `H`), `W` columns.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from talkies.core import ConfigError, MediaError, Rectangle, UInt8s, WorkError
from talkies.media.library_file import INGEST_AGAIN
from talkies.media.proxy_reader import ProxyReader

_OLDEST = (0, 17)  # of torchcodec: the first one that hands out planes
_FORMATS = ("nv12", "yuv420p")  # of 8-bit 4:2:0 pictures, on a GPU and on a CPU
_TICK_ERROR = 0.01  # of a time that is a fraction of seconds in float64
_INSTEAD = "or set loader.decoder=cpu"


def check_cuda_decoding(proxy: Path) -> None:
    """Check that a GPU of this machine decodes a proxy.

    Raises:
        ConfigError: if there is no CUDA device, no torchcodec for it, or if torchcodec would use the CPU instead.
    """
    if not torch.cuda.is_available():
        raise ConfigError("loader.decoder is cuda and this machine has no CUDA device; set loader.decoder=cpu")
    decoders = _import_decoders()
    try:
        decoder = decoders.VideoDecoder(proxy, device="cuda", seek_mode="approximate")
        decoder.get_frame_at(0)
        fallback = decoder.cpu_fallback
    except (RuntimeError, ValueError) as error:
        raise ConfigError(
            f"loader.decoder is cuda and torchcodec cannot decode on the GPU ({_first_line(error)}); install its build "
            f"for CUDA and NVIDIA's driver with libnvcuvid, {_INSTEAD}"
        ) from error
    if fallback:
        raise ConfigError(
            f"loader.decoder is cuda and torchcodec would decode on the CPU ({fallback}); install NVIDIA's driver with "
            f"libnvcuvid, {_INSTEAD}"
        )


class CudaVideoReader(ProxyReader):
    """An open proxy that a GPU decodes; parts of pictures are cut there, and copied as one block for each clip."""

    def __init__(self, path: Path, fps: int, device: str) -> None:
        """Open the file.

        Raises:
            ConfigError: if torchcodec cannot be loaded.
            MediaError: if the file is missing or not a proxy.
        """
        self._device, self._decoders = device, _import_decoders()
        super().__init__(path, fps)

    def _start_decoder(self) -> None:
        self._ready: deque[Any] = deque()  # decoded and not asked for yet: hardware returns frames late
        self._is_drained = False
        with self._explain():
            self._file.seek(0)
            self._demuxer = self._decoders.Demuxer(self._file)
            self._decoder = self._demuxer.streams[0].make_decoder(self._device)

    def _fill(self, frames: range, parts: Sequence[tuple[Rectangle, UInt8s]]) -> None:
        pictures = [torch.empty(buffer.shape, dtype=torch.uint8, device=self._device) for _, buffer in parts]
        number, end = self._find_first_to_decode(frames.start), frames[-1] + 1
        if number != self._next_frame:
            self._seek(number)

        self._next_frame = -1  # if anything goes wrong, the next read starts at a key frame
        while number < end:
            planes = self._receive(number)
            if number in frames:
                for (part, _), video_TPW in zip(parts, pictures, strict=True):
                    _copy_part(planes, part, video_TPW[frames.index(number)])
            number += 1
        self._next_frame = end
        for (_, buffer), video_TPW in zip(parts, pictures, strict=True):
            torch.from_numpy(buffer).copy_(video_TPW)

    def _seek(self, key_frame: int) -> None:
        """Go to a key frame; asked for half a frame later, so that rounding cannot lead to the one before."""
        with self._explain(key_frame):
            self._demuxer.seek((key_frame + 0.5) / self._fps)
            self._decoder.reset()
        self._ready.clear()
        self._is_drained = False

    def _receive(self, number: int) -> tuple[Tensor, ...]:
        """Return the planes of the next frame, after checking that it is frame `number`."""
        while not self._ready:
            if self._is_drained:
                raise self._create_truncated(number)
            with self._explain(number):
                packet = next(self._demuxer, None)
                self._is_drained = packet is None
                self._ready += self._decoder.drain() if packet is None else self._decoder.decode(packet)

        frame = self._ready.popleft()
        tick = frame.pts_seconds * self._table.ticks_hz
        if abs(tick - round(tick)) > _TICK_ERROR or not self._is_at(number, round(tick)):
            raise self._create_wrong_time(number, [frame.pts_seconds])
        if (frame.width, frame.height) != (self.width, self.height) or frame.pixel_format not in _FORMATS:
            raise self._create_damaged(number)
        planes: tuple[Tensor, ...] = frame.planes
        return planes

    @contextmanager
    def _explain(self, number: int | None = None) -> Iterator[None]:
        """Raise the errors of torchcodec as those of talkies: at a frame, or while the file is opened."""
        try:
            yield
        except torch.OutOfMemoryError as error:
            raise WorkError(
                "the GPU has not enough memory to decode on; lower loader.workers, because each needs several hundred "
                "MB there, or set loader.decoder=cpu"
            ) from error
        except (RuntimeError, ValueError) as error:
            cause = _first_line(error)
            if number is not None:
                raise self._create_damaged(number, f" ({cause})") from error
            raise MediaError(
                "unreadable", f"{self._path} cannot be opened as a proxy ({cause}){INGEST_AGAIN}"
            ) from error


def _copy_part(planes: Sequence[Tensor], part: Rectangle, picture_PW: Tensor) -> None:
    """Copy a part of a picture's planes (luma, and two of half the rows and columns) to one planar picture."""
    flat, start = picture_PW.view(-1), 0
    for plane, divisor in zip(planes, (1, 2, 2), strict=True):
        top, left = part.top // divisor, part.left // divisor
        height, width = part.height // divisor, part.width // divisor
        flat[start : start + height * width].view(height, width).copy_(plane[top : top + height, left : left + width])
        start += height * width


def _import_decoders() -> Any:
    """Return `torchcodec.decoders`.

    Raises:
        ConfigError: if it is not installed, too old, or cannot be loaded.
    """
    wanted = f"install it: pip install 'torchcodec>={_OLDEST[0]}.{_OLDEST[1]}', with FFmpeg's libraries, {_INSTEAD}"
    try:
        found = version("torchcodec")
    except PackageNotFoundError as error:
        raise ConfigError(f"loader.decoder is cuda and torchcodec is not installed; {wanted}") from error
    numbers = tuple(int(part) for part in found.split(".")[:2])
    if numbers < _OLDEST:
        raise ConfigError(f"loader.decoder is cuda and torchcodec {found} cannot hand out planes; {wanted}")
    try:
        return import_module("torchcodec.decoders")
    except (ImportError, OSError, RuntimeError) as error:
        raise ConfigError(
            f"loader.decoder is cuda and torchcodec cannot be loaded ({_first_line(error)}); {wanted}"
        ) from error


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
