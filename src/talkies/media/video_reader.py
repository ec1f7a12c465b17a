"""Random access to the proxies of a library (H.264 in MP4) on the CPU: frames by number.

Shapes: `T` frames, `P` rows of a planar YUV 4:2:0 picture (3/2 of its height `H`), `W` columns, `N` packets.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from talkies.core import Rectangle, UInt8s
from talkies.core.yuv import picture_height
from talkies.media.packet_table import PacketTable
from talkies.media.proxy_reader import ProxyReader

_MAX_PACKETS_PER_READ = 64


class VideoReader(ProxyReader):
    """An open proxy that the CPU decodes."""

    def _start_decoder(self) -> None:
        self._decoder = _create_decoder(self._table)

    def _fill(self, frames: range, parts: Sequence[tuple[Rectangle, UInt8s]]) -> None:
        croppers = [_Cropper(rectangle, buffer) for rectangle, buffer in parts]

        # Decode from the nearest key frame (or go on from the last frame) to the last frame requested.
        number, end = self._find_first_to_decode(frames.start), frames[-1] + 1
        self._next_frame = -1  # if anything goes wrong, the next read starts at a key frame
        while number < end:
            for packet in self._read_packets(number, min(end, number + _MAX_PACKETS_PER_READ)):
                frame = self._decode(number, packet)
                if number in frames:
                    for cropper in croppers:
                        cropper.copy(frame, frames.index(number))
                number += 1
        self._next_frame = end

    def _read_packets(self, start: int, end: int) -> Iterator["av.Packet[Any]"]:
        """Yield the packets of frames `[start, end)`, read in one go: in the file they are close together."""
        table = self._table
        start_N = table.offset_N[start:end]
        end_N = start_N + table.bytes_N[start:end]
        block_start = int(start_N.min())
        block_end = min(int(end_N.max()), self._file_bytes)
        block = self._read_bytes(block_start, max(0, block_end - block_start))

        starts, ends = (start_N - block_start).tolist(), (end_N - block_start).tolist()
        ticks = table.tick_N[start:end].tolist()
        for number, packet_start, packet_end, tick in zip(range(start, end), starts, ends, ticks, strict=True):
            if packet_end > len(block):
                raise self._create_truncated(number)
            packet = av.Packet(block[packet_start:packet_end])
            packet.pts = tick
            yield packet

    def _decode(self, number: int, packet: "av.Packet[Any]") -> av.VideoFrame:
        """Return frame `number`, decoded from its packet, after checking its time and size."""
        try:
            frames = self._decoder.decode(packet)
        except FFmpegError as error:
            raise self._create_damaged(number, f" ({str(error.strerror).lower()})") from error

        frame = frames[0] if len(frames) == 1 else None
        if frame is None or frame.pts is None or not self._is_at(number, frame.pts):
            returned = [frame.pts / self._table.ticks_hz for frame in frames if frame.pts is not None]
            raise self._create_wrong_time(number, returned)
        if frame.is_corrupt or frame.width != self._table.width or frame.height != self._table.height:
            raise self._create_damaged(number)
        return frame


def yuv_to_rgb(yuv_PW: UInt8s) -> UInt8s:
    """Return a planar YUV 4:2:0 picture `[P, W]` (BT.601, limited range) as RGB `[H, W, 3]`."""
    frame = av.VideoFrame.from_ndarray(yuv_PW, format="yuv420p")
    frame.colorspace, frame.color_range = Colorspace.ITU601, ColorRange.MPEG
    return frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)


class RgbConverter:
    """Converts many pictures of one size, one after the other, like `yuv_to_rgb` and several times as fast."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def convert(self, yuv_PW: UInt8s) -> UInt8s:
        """Return a planar YUV 4:2:0 picture `[P, W]` (BT.601, limited range) as RGB `[H, W, 3]`."""
        frame = av.VideoFrame.from_ndarray(yuv_PW, format="yuv420p")
        rgb = self._reformatter.reformat(
            frame,
            format="rgb24",
            src_colorspace=Colorspace.ITU601,
            src_color_range=ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
            threads=1,
        )
        return rgb.to_ndarray().astype(np.uint8, copy=False)


def _create_decoder(table: PacketTable) -> av.VideoCodecContext:
    decoder = av.VideoCodecContext.create("h264", "r")
    decoder.extradata = table.decoder_config
    decoder.thread_count = 1  # clips are decoded by many processes, each with one thread
    decoder.options = {"err_detect": "explode+bitstream+buffer+careful+aggressive"}
    decoder.open()
    return decoder


def scale_pictures(video_TPW: UInt8s, width: int, height: int) -> UInt8s:
    """Return planar YUV 4:2:0 pictures `[T, P, W]` in another size, `[T, 3/2·height, width]`; sides are even."""
    scaler = VideoReformatter()
    scaled = []
    for picture_PW in video_TPW:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture_PW), format="yuv420p")
        small = scaler.reformat(frame, width, height, format="yuv420p", interpolation=Interpolation.BICUBIC, threads=1)
        scaled.append(small.to_ndarray().astype(np.uint8, copy=False))
    return np.stack(scaled)


class _Cropper:
    """Copies a part of planar pictures into a buffer `[T, P, W]` of that size.

    Each row of a plane is one NumPy item, which is a quarter faster to copy than a row of bytes.
    """

    def __init__(self, part: Rectangle, video_TPW: UInt8s) -> None:
        frames, rows, width = video_TPW.shape
        height = picture_height(rows)
        assert (width, height) == (part.width, part.height), "the buffer has the size of the part"
        top, left = part.top, part.left  # even, because chroma has half the rows and columns
        self._luma_corner = top, left
        self._chroma_corner = top // 2, left // 2

        luma_size, chroma_size = height * width, height * width // 4
        flat = video_TPW.reshape(frames, luma_size + 2 * chroma_size)
        luma_row, chroma_row = np.dtype(f"V{width}"), np.dtype(f"V{width // 2}")
        self._luma_TH = flat[:, :luma_size].view(luma_row)
        self._u_TH = flat[:, luma_size : luma_size + chroma_size].view(chroma_row)
        self._v_TH = flat[:, luma_size + chroma_size :].view(chroma_row)

    def copy(self, frame: av.VideoFrame, index: int) -> None:
        """Copy the part of a frame to picture `index` of the buffer."""
        luma, u, v = frame.planes
        self._luma_TH[index] = _view_rows(luma, self._luma_corner, self._luma_TH)
        self._u_TH[index] = _view_rows(u, self._chroma_corner, self._u_TH)
        self._v_TH[index] = _view_rows(v, self._chroma_corner, self._v_TH)


def _view_rows(plane: Any, corner: tuple[int, int], target_TH: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """Return a view of a plane's rows from a corner on, in number and length like those of the target."""
    row_bytes, (top, left) = plane.line_size, corner
    return np.ndarray(target_TH.shape[1:], target_TH.dtype, plane, top * row_bytes + left, (row_bytes,))
