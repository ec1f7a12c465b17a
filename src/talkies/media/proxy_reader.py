"""An open proxy of a library (H.264 in MP4), whichever device decodes it: frames by number, checked by their times.

Shapes: `T` frames, `P` rows of a planar YUV 4:2:0 picture (3/2 of its height `H`), `W` columns.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from av.error import FFmpegError

from talkies.core import MediaError, Rectangle, UInt8s
from talkies.core.yuv import middle_offset, picture_height, yuv_rows
from talkies.media.library_file import INGEST_AGAIN, LibraryFile
from talkies.media.packet_table import PacketTable, TableError


class ProxyReader(LibraryFile, ABC):
    """An open proxy of constant rate: reads frames by number and checks that the decoder returned those frames.

    It continues to read the file that it opened, also when another file replaces it under the same name.
    """

    def __init__(self, path: Path, fps: int) -> None:
        """Open the file.

        Raises:
            MediaError: if it is missing or not a proxy.
        """
        super().__init__(path, "a proxy")
        self._fps = fps
        try:
            self._file_bytes = os.fstat(self._file.fileno()).st_size
            self._table = PacketTable.read(self._file.fileno())
            self._start_decoder()
        except (TableError, FFmpegError, OSError) as error:
            self.close()
            raise MediaError("unreadable", f"{path} cannot be opened as a proxy ({error}){INGEST_AGAIN}") from error
        self._next_frame = -1  # the frame that the decoder would return next; -1 if it needs a key frame first

    def __len__(self) -> int:
        """Return the number of frames in the proxy's packet table."""
        return len(self._table)

    @property
    def height(self) -> int:
        """The height of the pictures in pixels."""
        return self._table.height

    @property
    def width(self) -> int:
        """The width of the pictures in pixels."""
        return self._table.width

    def read(self, frames: range) -> UInt8s:
        """Return frames (ascending) as uint8 `[T, P, W]`, planar YUV 4:2:0.

        Raises:
            MediaError: as `read_into`.
        """
        video_TPW = np.empty((len(frames), yuv_rows(self.height), self.width), np.uint8)
        self.read_into(frames, video_TPW)
        return video_TPW

    def read_into(self, frames: range, video_TPW: UInt8s) -> None:
        """Fill a buffer with frames, cropped to its size in their middle.

        Args:
            frames: the numbers of the frames, ascending.
            video_TPW: the buffer; its pictures may be smaller than the proxy's, but not larger.

        Raises:
            MediaError: if the file ends before, is damaged, or returns another picture than the one requested.
        """
        height, width = picture_height(video_TPW.shape[1]), video_TPW.shape[2]
        top, left = middle_offset(self.height, height), middle_offset(self.width, width)
        self.read_parts(frames, [(Rectangle(top, left, width, height), video_TPW)])

    def read_parts(self, frames: range, parts: Sequence[tuple[Rectangle, UInt8s]]) -> None:
        """Fill buffers with parts of frames, each frame decoded once.

        Args:
            frames: the numbers of the frames, ascending.
            parts: even parts of the pictures, and the buffer `[T, P, W]` for each, of its size.

        Raises:
            MediaError: as `read_into`.
        """
        if not frames or frames.start < 0 or frames.step < 0:
            raise ValueError(f"frames to read are an ascending range from 0, got {frames}")
        assert all(len(frames) == len(buffer) for _, buffer in parts), "a buffer has one picture for each frame"
        if not all(self._has_part(part) for part, _ in parts):
            raise self._create_error("wrong_size", f"has pictures of {self.width} × {self.height} pixels")
        if frames[-1] >= len(self):
            raise self._create_truncated(next(number for number in frames if number >= len(self)))
        self._fill(frames, parts)

    @abstractmethod
    def _start_decoder(self) -> None:
        """Begin with a new decoder, which has seen nothing yet."""

    @abstractmethod
    def _fill(self, frames: range, parts: Sequence[tuple[Rectangle, UInt8s]]) -> None:
        """Fill the buffers of parts that the pictures have with frames that the table has."""

    def _has_part(self, part: Rectangle) -> bool:
        is_inside = part.top + part.height <= self.height and part.left + part.width <= self.width
        return min(part.top, part.left) >= 0 and is_inside

    def _find_first_to_decode(self, frame: int) -> int:
        """Return the key frame at or before a frame, or the decoder's next frame if that is nearer."""
        key_frame_K = self._table.key_frame_K
        key_frame = int(key_frame_K[np.searchsorted(key_frame_K, frame, side="right") - 1])
        return self._next_frame if key_frame <= self._next_frame <= frame else key_frame

    def _is_at(self, number: int, tick: int) -> bool:
        """Return whether a time of the file, in its ticks, is that of a frame."""
        return tick * self._fps == number * self._table.ticks_hz

    def _create_wrong_time(self, number: int, returned_seconds: Sequence[float]) -> MediaError:
        times = " and ".join(f"the one at {round(seconds, 4)} s" for seconds in returned_seconds) or "none"
        return self._create_error(
            "wrong_time", f"was asked for the frame at {self._format_seconds(number)} s and returned {times}"
        )

    def _create_damaged(self, number: int, cause: str = "") -> MediaError:
        return self._create_error("damaged", f"is damaged at {self._format_seconds(number)} s{cause}")

    def _create_truncated(self, number: int) -> MediaError:
        return self._create_error("truncated", f"ends before {self._format_seconds(number)} s")

    def _format_seconds(self, number: int) -> str:
        return str(round(number / self._fps, 4))

    def _create_error(self, code: str, message: str) -> MediaError:
        # After damage, even a flushed decoder has been seen to return other pictures: start with a new one.
        self._start_decoder()
        return MediaError(code, f"{self._path} {message}{INGEST_AGAIN}")
