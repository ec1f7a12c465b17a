"""From a decoded picture to one of the library: the right way up, square pixels, standard range, YUV 4:2:0, small."""

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
from talkies.media.source import open_media
from talkies.media.tone_mapping import ToneMapper, Transfer

_TRANSFERS = {int(ColorTrc.SMPTE2084): Transfer.PQ, int(ColorTrc.ARIB_STD_B67): Transfer.HLG}
_MATRICES = {
    1: Colorspace.ITU709, 4: Colorspace.FCC, 5: Colorspace.ITU601, 6: Colorspace.ITU601, 7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020, 10: Colorspace.BT2020,
}  # fmt: skip
"""Matrix coefficients as files number them (ISO/IEC 23091-2), to swscale's."""
_HD_ROWS = 576
"""Pictures of more rows than this that do not say so are coded by BT.709, as players take them."""
_ANY_ASPECT = 100.0


class FrameNormaliser:
    """Develops the pictures of one film; the first decides the size, and a later change of size is scaled to it.

    The shorter side becomes `short_side` pixels; `pixel_aspect` is how much wider than high the source's pixels are,
    `most_aspect` how many times its short side the long one may be.
    """

    def __init__(self, short_side: int, pixel_aspect: Fraction, most_aspect: float) -> None:
        self._short_side, self._pixel_aspect, self._most_aspect = short_side, float(pixel_aspect), most_aspect
        self._size: tuple[int, int] | None = None
        # One reformatter for each conversion of a film: made anew for each frame it costs twenty times the scaling.
        self._scaler, self._coder = VideoReformatter(), VideoReformatter()
        self._mappers: dict[Transfer, ToneMapper] = {}

    def develop(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Return the picture as it is shown, in YUV 4:2:0 (BT.601, limited range).

        Raises:
            MediaError: `bad_shape` if it is too long or too high for a film.
        """
        way = _way_up(frame)
        if self._size is None:
            self._size = self._size_of(frame, way)
        width, height = self._size[::-1] if way.transposed else self._size
        transfer = _TRANSFERS.get(int(frame.color_trc))
        small = self._mapped(frame, width, height, transfer) if transfer else self._scaled(frame, width, height)
        return small if way.upright else way.turned(small)

    def _scaled(self, frame: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
        return self._scaler.reformat(
            frame,
            width,
            height,
            format="yuv420p",
            src_colorspace=_colours_of(frame),
            src_color_range=ColorRange(frame.color_range),
            dst_colorspace=Colorspace.ITU601,
            dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.AREA,
            threads=1,
        )

    def _mapped(self, frame: av.VideoFrame, width: int, height: int, transfer: Transfer) -> av.VideoFrame:
        deep = self._scaler.reformat(
            frame,
            width,
            height,
            format="rgb48le",
            src_colorspace=_colours_of(frame),
            src_color_range=ColorRange(frame.color_range),
            interpolation=Interpolation.AREA,
            threads=1,
        )
        if transfer not in self._mappers:
            self._mappers[transfer] = ToneMapper(transfer)
        shown = av.VideoFrame.from_ndarray(
            self._mappers[transfer](deep.to_ndarray().astype(np.uint16, copy=False)), format="rgb24"
        )
        return self._coder.reformat(
            shown, format="yuv420p", dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.MPEG, threads=1
        )

    def _size_of(self, frame: av.VideoFrame, way: "_Way") -> tuple[int, int]:
        width, height = frame.width * self._pixel_aspect, float(frame.height)
        if way.transposed:
            width, height = height, width
        if not 1 / self._most_aspect <= width / height <= self._most_aspect:
            raise MediaError(
                "bad_shape",
                f"a picture of {width:.0f} × {height:.0f} pixels is no film's; "
                f"one side may be {self._most_aspect:g} times the other at most",
            )
        ratio = self._short_side / min(width, height)
        return _even(width * ratio), _even(height * ratio)


def picture_at_start(path: Path, track: int, pixel_aspect: Fraction, short_side: int) -> UInt8s | None:
    """Return the first picture of a track that can be decoded, as red, green, blue `[H, W, 3]`, or nothing.

    Raises:
        MediaError: if the file cannot be read, or the picture is no film's.
    """
    with open_media(path) as container:
        try:
            for frame in container.decode(container.streams[track]):
                if isinstance(frame, av.VideoFrame):
                    small = FrameNormaliser(short_side, pixel_aspect, _ANY_ASPECT).develop(frame)
                    return small.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
        except (FFmpegError, IndexError):  # the latter as in `packets_of`
            pass
    return None


class Deinterlacer:
    """Passes progressive pictures on, and makes whole pictures of interlaced ones (FFmpeg's bwdif filter)."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._form: tuple[int, int, str] | None = None

    def push(self, frame: av.VideoFrame) -> Iterator[av.VideoFrame]:
        """Yield the pictures that are ready, in order, with their times; interlaced ones come one later."""
        form = frame.width, frame.height, frame.format.name
        if self._graph is not None and form != self._form:
            yield from self.flush()
        if self._graph is None and not frame.interlaced_frame:
            yield frame
            return
        if self._graph is None:
            self._graph, self._form = _bwdif(frame), form
        self._graph.push(frame)
        yield from self._ready()

    def flush(self) -> Iterator[av.VideoFrame]:
        """Yield what is left."""
        if self._graph is not None:
            self._graph.push(None)
            yield from self._ready()
            self._graph = None

    def _ready(self) -> Iterator[av.VideoFrame]:
        while self._graph is not None:
            try:
                frame = self._graph.pull()
            except (BlockingIOError, FFmpegError):  # it wants more, or it is at its end
                return
            if isinstance(frame, av.VideoFrame):
                yield frame


def _bwdif(frame: av.VideoFrame) -> Graph:
    graph = Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
    graph.link_nodes(source, graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink"))
    graph.configure()
    return graph


class _Way:
    """How a picture must be turned to be upright: transposed first, then flipped left to right and top to bottom."""

    def __init__(self, transposed: bool = False, flip_x: bool = False, flip_y: bool = False) -> None:
        self.transposed, self._flip_x, self._flip_y = transposed, flip_x, flip_y
        self.upright = not (transposed or flip_x or flip_y)

    def turned(self, frame: av.VideoFrame) -> av.VideoFrame:
        planes = _planes(frame)
        if self.transposed:
            planes = [plane.T for plane in planes]
        steps = slice(None, None, -1 if self._flip_y else 1), slice(None, None, -1 if self._flip_x else 1)
        turned = [plane[steps] for plane in planes]
        packed = np.concatenate([plane.reshape(-1) for plane in turned]).reshape(-1, turned[0].shape[1])
        made = av.VideoFrame.from_ndarray(np.ascontiguousarray(packed), format="yuv420p")
        made.colorspace, made.color_range = Colorspace.ITU601, ColorRange.MPEG
        return made


def _way_up(frame: av.VideoFrame) -> _Way:
    """Return the way that a frame's display matrix tells, to the nearest quarter of a turn.

    The matrix (ISO/IEC 14496-12, 6.2.2) takes a pixel at x, y to x' = a x + c y, y' = b x + d y.
    """
    try:
        data = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV gives up on side data of a kind that it does not know
        return _TURNS[round(frame.rotation / 90) % 4]
    if data is None:
        return _UPRIGHT
    a, b, _, c, d = np.frombuffer(cast("bytes", data), np.int32)[:5]
    if abs(int(a)) >= abs(int(b)):
        return _Way(False, bool(a < 0), bool(d < 0))
    return _Way(True, bool(c < 0), bool(b < 0))


_UPRIGHT = _Way()
_TURNS = _UPRIGHT, _Way(True, False, True), _Way(False, True, True), _Way(True, True, False)
"""By quarters of a turn counter-clockwise, as PyAV tells a rotation."""


def _planes(frame: av.VideoFrame) -> list[UInt8s]:
    """Return views of the luma and both chroma planes of a YUV 4:2:0 frame."""
    width, height = frame.width, frame.height
    yuv = frame.to_ndarray().astype(np.uint8, copy=False).reshape(-1)
    luma, chroma = width * height, (width // 2) * (height // 2)
    return [
        yuv[:luma].reshape(height, width),
        yuv[luma : luma + chroma].reshape(height // 2, width // 2),
        yuv[luma + chroma :].reshape(height // 2, width // 2),
    ]


def _colours_of(frame: av.VideoFrame) -> Colorspace:
    """Return the matrix that a frame's colours are coded by; one that does not say has that of its size."""
    untold = Colorspace.ITU709 if frame.height > _HD_ROWS else Colorspace.ITU601
    return _MATRICES.get(int(frame.colorspace), untold)


def _even(length: float) -> int:
    return max(2, 2 * round(length / 2))
