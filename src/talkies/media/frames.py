"""Convert decoded pictures to the library's form: progressive, upright, square pixels, SDR, YUV 4:2:0, small."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.error import FFmpegError
from av.filter import Graph
from av.video.reformatter import ColorRange, Colorspace, ColorTrc, Interpolation, VideoReformatter

from talkies.core import MediaError, UInt8s
from talkies.media.crop import FrameCrop
from talkies.media.source import open_media
from talkies.media.tone_mapping import HdrTransfer, ToneMapper

_HDR_TRANSFERS = {int(ColorTrc.SMPTE2084): HdrTransfer.PQ, int(ColorTrc.ARIB_STD_B67): HdrTransfer.HLG}
_SWSCALE_MATRICES = {
    1: Colorspace.ITU709, 4: Colorspace.FCC, 5: Colorspace.ITU601, 6: Colorspace.ITU601, 7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020, 10: Colorspace.BT2020,
}  # fmt: skip
"""From matrix coefficients as files number them (ISO/IEC 23091-2) to swscale's numbers."""
_SD_MAX_ROWS = 576
"""Untagged pictures with more rows than this are decoded as BT.709, as players do; smaller ones as BT.601."""
_ANY_ASPECT_RATIO = 100.0


class FrameNormaliser:
    """Converts the pictures of one film to the library's form.

    The first picture decides the size; if the size changes later in the film, pictures are scaled to the first one's.

    Args:
        short_side: the shorter side of the result in pixels.
        pixel_aspect: width of a source pixel divided by its height.
        max_aspect_ratio: how many times its short side the long side of a picture may be.
        crop: what the container hides of each picture.
    """

    def __init__(
        self, short_side: int, pixel_aspect: Fraction, max_aspect_ratio: float, crop: FrameCrop | None = None
    ) -> None:
        self._short_side = short_side
        self._pixel_aspect = float(pixel_aspect)
        self._max_aspect_ratio = max_aspect_ratio
        self._cropper = _Cropper(crop) if crop and not crop.is_empty else None
        self._size: tuple[int, int] | None = None  # width and height of the upright result

        # One reformatter for each conversion of a film: creating one for each frame costs twenty times the scaling.
        self._scaler = VideoReformatter()
        self._yuv_encoder = VideoReformatter()
        self._tone_mappers: dict[HdrTransfer, ToneMapper] = {}

    def normalise(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Return the picture as a player shows it, in YUV 4:2:0 (BT.601, limited range).

        Raises:
            MediaError: `bad_shape` if it is too wide or too tall for a film.
        """
        matrix = _select_matrix(frame)
        if self._cropper:
            frame = self._cropper.crop(frame)
        orientation = _read_orientation(frame)
        if self._size is None:
            self._size = self._compute_size(frame, orientation)
        width, height = self._size[::-1] if orientation.transposed else self._size

        # Scale first: rotating a small picture is cheap.
        transfer = _HDR_TRANSFERS.get(int(frame.color_trc))
        if transfer is None:
            small = self._scale(frame, width, height, matrix)
        else:
            small = self._scale_and_tone_map(frame, width, height, matrix, transfer)
        return small if orientation.is_upright else orientation.apply(small)

    def _scale(self, frame: av.VideoFrame, width: int, height: int, matrix: Colorspace) -> av.VideoFrame:
        return self._scaler.reformat(
            frame,
            width,
            height,
            format="yuv420p",
            src_colorspace=matrix,
            src_color_range=ColorRange(frame.color_range),
            dst_colorspace=Colorspace.ITU601,
            dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.AREA,
            threads=1,
        )

    def _scale_and_tone_map(
        self, frame: av.VideoFrame, width: int, height: int, matrix: Colorspace, transfer: HdrTransfer
    ) -> av.VideoFrame:
        rgb_16_bit = self._scaler.reformat(
            frame,
            width,
            height,
            format="rgb48le",
            src_colorspace=matrix,
            src_color_range=ColorRange(frame.color_range),
            interpolation=Interpolation.AREA,
            threads=1,
        )
        if transfer not in self._tone_mappers:
            self._tone_mappers[transfer] = ToneMapper(transfer)
        rgb_HWC = self._tone_mappers[transfer](rgb_16_bit.to_ndarray().astype(np.uint16, copy=False))
        return self._yuv_encoder.reformat(
            av.VideoFrame.from_ndarray(rgb_HWC, format="rgb24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU601,
            dst_color_range=ColorRange.MPEG,
            threads=1,
        )

    def _compute_size(self, frame: av.VideoFrame, orientation: "_Orientation") -> tuple[int, int]:
        """Return the width and height of the upright result in pixels."""
        width, height = frame.width * self._pixel_aspect, float(frame.height)
        if orientation.transposed:
            width, height = height, width
        if not 1 / self._max_aspect_ratio <= width / height <= self._max_aspect_ratio:
            raise MediaError(
                "bad_shape",
                f"a picture of {width:.0f} × {height:.0f} pixels is too wide or too tall for a film; "
                f"one side may be at most {self._max_aspect_ratio:g} times the other",
            )
        scale = self._short_side / min(width, height)
        return _round_to_even(width * scale), _round_to_even(height * scale)


class _Cropper:
    """Cuts the edges that a container hides off pictures, without copying them (FFmpeg's crop filter)."""

    def __init__(self, crop: FrameCrop) -> None:
        self._crop = crop
        self._graph: Graph | None = None
        self._format: tuple[int, int, str] | None = None  # as in `Deinterlacer`

    def crop(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Return what is shown of a picture; all of one that is too small for the crop."""
        if not self._crop.fits(frame.width, frame.height):
            return frame
        frame_format = frame.width, frame.height, frame.format.name
        if self._graph is None or frame_format != self._format:
            self._graph, self._format = self._build_graph(frame), frame_format
        self._graph.push(frame)
        cropped = self._graph.pull()
        assert isinstance(cropped, av.VideoFrame), "the filter returns each picture at once"
        return cropped

    def _build_graph(self, frame: av.VideoFrame) -> Graph:
        crop = self._crop
        width, height = frame.width - crop.left - crop.right, frame.height - crop.top - crop.bottom
        return _build_graph(frame, "crop", f"{width}:{height}:{crop.left}:{crop.top}:exact=1")


def read_first_picture(
    path: Path, track: int, pixel_aspect: Fraction, short_side: int, crop: FrameCrop | None = None
) -> UInt8s | None:
    """Return the first picture of a track that can be decoded as RGB `[H, W, 3]`, or None if there is none.

    Args:
        path: the media file.
        track: the index of the video stream.
        pixel_aspect: width of a source pixel divided by its height.
        short_side: the shorter side of the result in pixels.
        crop: what the container hides of each picture.

    Raises:
        MediaError: if the file cannot be read, or the picture is too wide or too tall for a film.
    """
    with open_media(path) as container:
        try:
            for frame in container.decode(container.streams[track]):
                if isinstance(frame, av.VideoFrame):
                    small = FrameNormaliser(short_side, pixel_aspect, _ANY_ASPECT_RATIO, crop).normalise(frame)
                    return small.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
        except (FFmpegError, IndexError):  # IndexError: see `read_packets`
            pass
    return None


class Deinterlacer:
    """Passes progressive pictures through and deinterlaces interlaced ones (FFmpeg's bwdif filter)."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._format: tuple[int, int, str] | None = None  # width, height and pixel format that the graph takes

    def push(self, frame: av.VideoFrame) -> Iterator[av.VideoFrame]:
        """Yield the pictures that are ready, in order, with their times; the filter delays them by one picture."""
        frame_format = frame.width, frame.height, frame.format.name
        if self._graph is not None and frame_format != self._format:
            yield from self.flush()

        if self._graph is None and not frame.interlaced_frame:
            yield frame
            return
        if self._graph is None:
            self._graph = _build_graph(frame, "bwdif", "mode=send_frame:deint=interlaced")
            self._format = frame_format
        self._graph.push(frame)
        yield from self._pull_ready()

    def flush(self) -> Iterator[av.VideoFrame]:
        """Yield the pictures that the filter still holds."""
        if self._graph is not None:
            self._graph.push(None)
            yield from self._pull_ready()
            self._graph = None

    def _pull_ready(self) -> Iterator[av.VideoFrame]:
        while self._graph is not None:
            try:
                frame = self._graph.pull()
            except (BlockingIOError, FFmpegError):  # it needs more input, or has ended
                return
            if isinstance(frame, av.VideoFrame):
                yield frame


def _build_graph(frame: av.VideoFrame, name: str, settings: str) -> Graph:
    """Return a graph of one filter for pictures like this one."""
    graph = Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
    graph.link_nodes(source, graph.add(name, settings), graph.add("buffersink"))
    graph.configure()
    return graph


class _Orientation:
    """What makes a picture upright: first a transposition, then flips from left to right and from top to bottom."""

    def __init__(self, transposed: bool = False, flip_x: bool = False, flip_y: bool = False) -> None:
        self.transposed = transposed
        self._flip_x = flip_x
        self._flip_y = flip_y
        self.is_upright = not (transposed or flip_x or flip_y)

    def apply(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Return an upright copy of a YUV 4:2:0 picture."""
        planes = _split_planes(frame)
        if self.transposed:
            planes = [plane.T for plane in planes]
        row_order = slice(None, None, -1 if self._flip_y else 1)
        column_order = slice(None, None, -1 if self._flip_x else 1)
        planes = [plane[row_order, column_order] for plane in planes]

        # Pack the planes one after the other into rows of the luma's width.
        width = planes[0].shape[1]
        packed_PW = np.concatenate([plane.reshape(-1) for plane in planes]).reshape(-1, width)
        upright = av.VideoFrame.from_ndarray(np.ascontiguousarray(packed_PW), format="yuv420p")
        upright.colorspace, upright.color_range = Colorspace.ITU601, ColorRange.MPEG
        return upright


_UPRIGHT = _Orientation()
_QUARTER_TURNS = (
    _UPRIGHT,
    _Orientation(transposed=True, flip_y=True),
    _Orientation(flip_x=True, flip_y=True),
    _Orientation(transposed=True, flip_x=True),
)
"""By the number of quarter turns counter-clockwise, as PyAV reports a rotation."""


def _read_orientation(frame: av.VideoFrame) -> _Orientation:
    """Return the orientation in a frame's display matrix, to the nearest quarter turn.

    The matrix (ISO/IEC 14496-12, 6.2.2) maps a pixel at x, y to x' = a x + c y, y' = b x + d y.
    """
    try:
        matrix = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV fails on side data of an unknown kind
        return _QUARTER_TURNS[round(frame.rotation / 90) % 4]
    if matrix is None:
        return _UPRIGHT

    a, b, _, c, d = np.frombuffer(cast("bytes", matrix), np.int32)[:5]
    if abs(int(a)) >= abs(int(b)):
        return _Orientation(transposed=False, flip_x=bool(a < 0), flip_y=bool(d < 0))
    return _Orientation(transposed=True, flip_x=bool(c < 0), flip_y=bool(b < 0))


def _split_planes(frame: av.VideoFrame) -> list[UInt8s]:
    """Return views of the luma and both chroma planes of a YUV 4:2:0 frame."""
    width, height = frame.width, frame.height
    yuv = frame.to_ndarray().astype(np.uint8, copy=False).reshape(-1)
    luma_size, chroma_size = width * height, (width // 2) * (height // 2)
    return [
        yuv[:luma_size].reshape(height, width),
        yuv[luma_size : luma_size + chroma_size].reshape(height // 2, width // 2),
        yuv[luma_size + chroma_size :].reshape(height // 2, width // 2),
    ]


def _select_matrix(frame: av.VideoFrame) -> Colorspace:
    """Return the YUV matrix of a frame; an untagged frame gets the usual one for its size."""
    default = Colorspace.ITU709 if frame.height > _SD_MAX_ROWS else Colorspace.ITU601
    return _SWSCALE_MATRICES.get(int(frame.colorspace), default)


def _round_to_even(length: float) -> int:
    return max(2, 2 * round(length / 2))
