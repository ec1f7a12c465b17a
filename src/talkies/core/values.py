"""The values that travel: requests, clips, batches and embeddings, frozen and checked when they are made.

Shapes: `B` clips, `T` frames, `P` rows of a planar YUV 4:2:0 picture (3/2 of its height), `W` columns, `S` samples,
`D` embedding dimensions.
"""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import torch
from torch import Tensor

from talkies.core.arrays import Int16s, UInt8s
from talkies.core.film_id import FilmId
from talkies.core.time import Span


def _shape_of(value: object) -> str:
    if isinstance(value, np.ndarray | Tensor):
        kind = str(value.dtype).removeprefix("torch.")
        return f"{kind}[{', '.join(map(str, value.shape))}]"
    if isinstance(value, tuple):
        return f"({len(value)})"
    return repr(value)


class _ShownByShape:
    """Gives a dataclass a `repr` that prints shapes in place of numbers."""

    __slots__ = ()

    def __repr__(self) -> str:
        inside = ", ".join(f"{field.name}={_shape_of(getattr(self, field.name))}" for field in fields(self))  # type: ignore[arg-type]
        return f"{type(self).__name__}({inside})"


@dataclass(frozen=True, slots=True, order=True)
class ClipRequest:
    """One clip that is wanted: which film, and which window of frames on the library's grid.

    With a `audio_shift_frames` its sound is that of another moment, so many frames after its pictures (or before).

    Raises:
        ValueError: if the sound would begin before the film.
    """

    film_id: FilmId
    window: Span
    audio_shift_frames: int = 0

    def __post_init__(self) -> None:
        if self.window.start_frame + self.audio_shift_frames < 0:
            raise ValueError(f"the sound of {self.window} cannot be that of {self.audio_shift_frames} frames later")

    @property
    def audio_window(self) -> Span:
        """The window that the sound is of."""
        shift = self.audio_shift_frames
        return Span(self.window.start_frame + shift, self.window.end_frame + shift)


@dataclass(frozen=True, slots=True, repr=False)
class Clip(_ShownByShape):
    """One decoded clip: `video_TPW` uint8 planar YUV 4:2:0, `audio_S` int16 mono.

    Raises:
        ValueError: if the arrays are not of these shapes and types.
    """

    request: ClipRequest
    video_TPW: UInt8s
    audio_S: Int16s

    def __post_init__(self) -> None:
        if self.video_TPW.ndim != 3 or self.video_TPW.dtype != np.uint8:
            raise ValueError(f"a clip's video is uint8 [T, P, W], got {_shape_of(self.video_TPW)}")
        if self.audio_S.ndim != 1 or self.audio_S.dtype != np.int16:
            raise ValueError(f"a clip's audio is int16 [S], got {_shape_of(self.audio_S)}")


@dataclass(frozen=True, slots=True, repr=False)
class ClipBatch(_ShownByShape):
    """Clips on one device: `video_BTPW` uint8 planar YUV 4:2:0, `audio_BS` int16, `film_B` int64 film numbers.

    Two rows have the same film number exactly when their requests name the same film.

    Raises:
        ValueError: if the parts do not agree on B.
    """

    requests: tuple[ClipRequest, ...]
    video_BTPW: Tensor
    audio_BS: Tensor
    film_B: Tensor

    def __post_init__(self) -> None:
        parts = (self.video_BTPW, self.audio_BS, self.film_B)
        if [part.ndim for part in parts] != [4, 2, 1] or {len(part) for part in parts} != {len(self.requests)}:
            raise ValueError(f"the parts of a batch do not belong together: {self}")

    def __len__(self) -> int:
        return len(self.requests)

    def __getitem__(self, clips: slice) -> Self:
        """Return some of the clips, without a copy."""
        parts = (self.video_BTPW[clips], self.audio_BS[clips], self.film_B[clips])
        return type(self)(self.requests[clips], *parts)

    @property
    def start_B(self) -> Tensor:
        """At which frame of its film's grid each clip begins, int64."""
        starts = [request.window.start_frame for request in self.requests]
        return torch.tensor(starts, dtype=torch.int64).to(self.film_B.device, non_blocking=True)

    def to(self, device: torch.device | str) -> Self:
        """Return the batch on `device`; from pinned memory the copy does not wait."""
        video, audio, film = (
            part.to(device, non_blocking=True) for part in (self.video_BTPW, self.audio_BS, self.film_B)
        )
        return type(self)(self.requests, video, audio, film)

    def pin_memory(self) -> Self:
        """Return the batch in page-locked memory, for the loader."""
        video, audio, film = (part.pin_memory() for part in (self.video_BTPW, self.audio_BS, self.film_B))
        return type(self)(self.requests, video, audio, film)


@dataclass(frozen=True, slots=True, repr=False)
class Embeddings(_ShownByShape):
    """Both towers' embeddings of the same B clips: unit rows `video_BD` and `audio_BD`, film numbers `film_B`, and at
    which frame of its film's grid each clip begins, `start_B` int64.

    Raises:
        ValueError: if the parts do not agree on B and D.
    """

    video_BD: Tensor
    audio_BD: Tensor
    film_B: Tensor
    start_B: Tensor

    def __post_init__(self) -> None:
        if self.video_BD.ndim != 2 or self.video_BD.shape != self.audio_BD.shape:
            raise ValueError(f"both towers give [B, D] of one shape, got {self}")
        if self.film_B.shape != self.video_BD.shape[:1]:
            raise ValueError(f"there is one film number for each clip, got {self}")
        if self.start_B.shape != self.film_B.shape:
            raise ValueError(f"each clip begins at one frame, got {self}")

    def __len__(self) -> int:
        return len(self.film_B)
