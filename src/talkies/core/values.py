"""The values that packages exchange: clip requests, clips, batches and embeddings, frozen and checked when made.

Shapes: `B` clips, `T` frames, `P` rows of a planar YUV 4:2:0 picture (3/2 of its height), `W` columns, `S` samples,
`D` embedding dimensions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Self

import numpy as np
import torch
from torch import Tensor

from talkies.core.arrays import Int16s, Int64s, UInt8s
from talkies.core.film_id import FilmId
from talkies.core.time import Span

OF_REQUESTS = torch.empty(0, dtype=torch.int64)
"""In place of the first frames of a batch: those of its requests."""


def to_device(tensor: Tensor, device: torch.device | str) -> Tensor:
    """Return a tensor on `device`; a copy from the CPU is queued, and this process does not wait for it.

    Only page-locked memory can be copied so; other memory is copied into such memory first.
    """
    if torch.device(device).type in ("cpu", "meta") or tensor.device.type != "cpu":
        return tensor.to(device)
    return (tensor if tensor.is_pinned() else tensor.pin_memory()).to(device, non_blocking=True)


def _describe_shape(value: object) -> str:
    """Return an array as `uint8[16, 192, 128]`, a tuple as its length, and anything else as it prints."""
    if isinstance(value, np.ndarray | Tensor):
        dtype = str(value.dtype).removeprefix("torch.")
        return f"{dtype}[{', '.join(map(str, value.shape))}]"
    if isinstance(value, tuple):
        return f"({len(value)})"
    return repr(value)


class _ShapeRepr:
    """Gives a dataclass a `repr` that prints the shapes of arrays instead of their numbers."""

    __slots__ = ()

    def __repr__(self) -> str:
        shown = [each.name for each in fields(self) if each.repr]  # type: ignore[arg-type]
        shapes = {name: _describe_shape(getattr(self, name)) for name in shown}
        return f"{type(self).__name__}({', '.join(f'{name}={shape}' for name, shape in shapes.items())})"


@dataclass(frozen=True, slots=True, order=True)
class ClipRequest:
    """One clip to be read: a film, and a window of frames on the library's grid.

    With an `audio_shift_frames` the clip's audio is that of another moment: that many frames after its video, or
    before it if negative. `place` says where along the long side of the pictures their square is: 0 at the left or
    top, 1 at the right or bottom, 0.5 in the middle.

    Raises:
        ValueError: if the audio would start before the film, or the square is outside the picture.
    """

    film_id: FilmId
    window: Span
    audio_shift_frames: int = 0
    place: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.place <= 1:
            raise ValueError(f"the place of a clip's square is from 0 to 1, got {self.place}")
        if self.window.start_frame + self.audio_shift_frames < 0:
            raise ValueError(
                f"the audio of a clip must start at frame 0 or later, "
                f"got {self.window} shifted by {self.audio_shift_frames} frames"
            )

    @property
    def audio_window(self) -> Span:
        """The window that the audio is read from."""
        shift = self.audio_shift_frames
        return Span(self.window.start_frame + shift, self.window.end_frame + shift)


def list_starts(requests: Sequence[ClipRequest]) -> Tensor:
    """Return the first frame of each clip's window, int64 `[B]` on the CPU."""
    return torch.tensor([request.window.start_frame for request in requests], dtype=torch.int64)


@dataclass(frozen=True, slots=True, repr=False)
class Clip(_ShapeRepr):
    """One decoded clip: `video_TPW` uint8 planar YUV 4:2:0, `audio_S` int16 mono.

    Raises:
        ValueError: if the arrays are not of these shapes and types.
    """

    request: ClipRequest
    video_TPW: UInt8s
    audio_S: Int16s

    def __post_init__(self) -> None:
        if self.video_TPW.ndim != 3 or self.video_TPW.dtype != np.uint8:
            raise ValueError(f"a clip's video is uint8 [T, P, W], got {_describe_shape(self.video_TPW)}")
        if self.audio_S.ndim != 1 or self.audio_S.dtype != np.int16:
            raise ValueError(f"a clip's audio is int16 [S], got {_describe_shape(self.audio_S)}")


@dataclass(frozen=True, slots=True, eq=False)
class ClipStarts:
    """The film number and the first frame of each clip of all ranks, int64 `[N]` on the CPU, in the order of ranks.

    What depends on which clips are of one film is decided from it, without waiting for the device that holds the clips.
    """

    film_N: Int64s
    start_N: Int64s

    def __len__(self) -> int:
        return len(self.film_N)

    @classmethod
    def read(cls, film_N: Tensor, start_N: Tensor) -> Self:
        """Return what two int64 tensors hold; waits for their device."""
        both_2N = torch.stack((film_N, start_N)).cpu().numpy()
        return cls(both_2N[0], both_2N[1])


@dataclass(frozen=True, slots=True, repr=False)
class ClipBatch(_ShapeRepr):
    """Clips on one device: `video_BTPW` uint8 planar YUV 4:2:0, `audio_BS` int16, `film_B` int64 film numbers.

    Two rows have the same film number exactly when their requests name the same film. `start_B` is the first frame of
    each clip's window on its film's grid, int64: by default that of the requests. `starts` are those of the batch that
    all ranks have a share of; it is not sliced with the clips. None if it is not known.

    Raises:
        ValueError: if the tensors have other dimensions, or do not agree on B.
    """

    requests: tuple[ClipRequest, ...]
    video_BTPW: Tensor
    audio_BS: Tensor
    film_B: Tensor
    start_B: Tensor = field(default=OF_REQUESTS, repr=False)
    starts: ClipStarts | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.start_B is OF_REQUESTS:
            object.__setattr__(self, "start_B", list_starts(self.requests).to(self.film_B.device))
        tensors = (self.video_BTPW, self.audio_BS, self.film_B)
        dimensions = [tensor.ndim for tensor in tensors]
        lengths = {len(tensor) for tensor in tensors}
        if dimensions != [4, 2, 1] or lengths != {len(self.requests)}:
            raise ValueError(f"the parts of a batch do not belong together: {self}")

    def __len__(self) -> int:
        return len(self.requests)

    def __getitem__(self, clips: slice) -> Self:
        """Return some of the clips, without a copy."""
        return self._change(lambda part: part[clips], self.requests[clips])

    def _change(self, change: Callable[[Tensor], Tensor], requests: tuple[ClipRequest, ...]) -> Self:
        video, audio, film, start = map(change, (self.video_BTPW, self.audio_BS, self.film_B, self.start_B))
        return type(self)(requests, video, audio, film, start, self.starts)

    def to(self, device: torch.device | str) -> Self:
        """Return the batch on `device`; the copy does not wait for it, and pins what is not pinned yet."""
        return self._change(lambda part: to_device(part, device), self.requests)

    def pin_memory(self) -> Self:
        """Return the batch in page-locked memory; PyTorch's `DataLoader` calls this."""
        return self._change(lambda part: part.pin_memory(), self.requests)


@dataclass(frozen=True, slots=True, repr=False)
class Embeddings(_ShapeRepr):
    """The video and audio embeddings of the same B clips, with the film and the first frame of each clip.

    `video_BD` and `audio_BD` have rows of unit length; a modality for which the model has no encoder has D = 0.
    `film_B` are int64 film numbers, and `start_B` is the first frame of each clip on its film's grid, int64.

    Raises:
        ValueError: if the tensors do not agree on B.
    """

    video_BD: Tensor
    audio_BD: Tensor
    film_B: Tensor
    start_B: Tensor

    def __post_init__(self) -> None:
        if self.video_BD.ndim != 2 or self.audio_BD.ndim != 2 or len(self.video_BD) != len(self.audio_BD):
            raise ValueError(f"video and audio embeddings must both be [B, D] of the same clips, got {self}")
        if self.film_B.shape != self.video_BD.shape[:1]:
            raise ValueError(f"there must be one film number for each clip, got {self}")
        if self.start_B.shape != self.film_B.shape:
            raise ValueError(f"there must be one first frame for each clip, got {self}")

    def __len__(self) -> int:
        return len(self.film_B)
