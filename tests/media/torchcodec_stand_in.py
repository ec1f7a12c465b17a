"""What `torchcodec.decoders` has, made with PyAV: NV12 planes, late frames, and faults when they are wanted."""

import io
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import torch
from torch import Tensor


@dataclass
class StandIn:
    """The module. `late` is by how many packets frames come late; the other fields are faults."""

    late: int = 2
    shift_seconds: float = 0.0  # of every frame's time
    pixel_format: str = "nv12"
    fails_at: int | None = None  # the packet that cannot be decoded
    stops_at: int | None = None  # the packet after which the file seems to end
    fallback: str = ""
    opening_error: str = ""
    opened: list[str] = field(default_factory=list)

    def Demuxer(self, source: io.RawIOBase) -> "_Demuxer":
        return _Demuxer(self, source)

    def VideoDecoder(self, source: Any, *, device: str, seek_mode: str) -> Any:
        if self.opening_error:
            raise RuntimeError(self.opening_error)
        return SimpleNamespace(get_frame_at=lambda index: index, cpu_fallback=self.fallback)


class _Demuxer:
    def __init__(self, module: StandIn, source: io.RawIOBase) -> None:
        self.module, self._container = module, av.open(source)
        self._video = self._container.streams.video[0]
        self.streams = [self]
        self._packets = self._read()
        self.generation = 0

    def make_decoder(self, device: str) -> "_Decoder":
        self.module.opened.append(device)
        return _Decoder(self, self._video.codec_context.extradata)

    def _read(self) -> Iterator[Any]:
        for number, packet in enumerate(self._container.demux(self._video)):
            if packet.dts is None or number == self.module.stops_at:
                return
            yield packet

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self.generation, next(self._packets)

    def seek(self, seconds: float) -> None:
        self._container.seek(int(seconds / self._video.time_base), stream=self._video)
        self._packets = self._read()
        self.generation += 1


class _Decoder:
    def __init__(self, demuxer: _Demuxer, extradata: bytes) -> None:
        self._demuxer, self._extradata = demuxer, extradata
        self.reset()

    def reset(self) -> None:
        self._context = av.VideoCodecContext.create("h264", "r")
        self._context.extradata = self._extradata
        self._waiting: deque[Any] = deque()
        self._drained, self._generation = False, self._demuxer.generation

    def decode(self, packet: tuple[int, Any]) -> list[Any]:
        generation, inner = packet
        if self._drained or generation != self._generation:
            raise RuntimeError("reset() was not called")
        module = self._demuxer.module
        if module.fails_at is not None and round(inner.pts * inner.time_base * 16) == module.fails_at:
            raise RuntimeError("Failed to send packet to decoder (status -1)\nmore")
        self._waiting += self._context.decode(inner)
        return [self._make(self._waiting.popleft()) for _ in range(len(self._waiting) - module.late)]

    def drain(self) -> list[Any]:
        self._drained = True
        frames = [*self._waiting, *self._context.decode(None)]
        self._waiting.clear()
        return [self._make(frame) for frame in frames]

    def _make(self, frame: Any) -> Any:
        seconds = float(frame.pts * self._demuxer._video.time_base) + self._demuxer.module.shift_seconds
        return SimpleNamespace(
            pts_seconds=seconds,
            width=frame.width,
            height=frame.height,
            pixel_format=self._demuxer.module.pixel_format,
            planes=_view_nv12(frame.to_ndarray(), frame.height),
        )


def _view_nv12(planar_PW: np.ndarray[Any, Any], height: int) -> tuple[Tensor, ...]:
    """Luma in rows longer than the picture, and the two chroma planes woven into each other, as a GPU has them."""
    width = planar_PW.shape[1]
    luma = torch.zeros(height, width + 32, dtype=torch.uint8)
    luma[:, :width] = torch.from_numpy(planar_PW[:height])
    chroma = torch.from_numpy(planar_PW[height:].reshape(2, height // 2, width // 2).copy())
    woven = chroma.permute(1, 2, 0).contiguous().flatten(1)
    return luma[:, :width], woven[:, 0::2], woven[:, 1::2]
