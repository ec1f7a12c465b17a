"""A batch of clips of which only the features of frozen towers are known.

Shapes: `B` clips, `E` features (or `T E` where a learned pool over frames follows).
"""

from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor

from talkies.core import ClipBatch, ClipRequest
from talkies.transforms import Augmentation


class ViewFeatures(NamedTuple):
    """What both frozen towers make of one view of a batch, `[B, …]`.

    It is a tuple because the wrappers of modules pass tuples.
    """

    video: Tensor
    audio: Tensor

    def select(self, clips: slice) -> "ViewFeatures":
        """Return the features of some of the clips."""
        return ViewFeatures(self.video[clips], self.audio[clips])


@dataclass(frozen=True, slots=True)
class FeatureBatch:
    """A batch as `ClipBatch`, with features instead of pictures and sound.

    Attributes:
        requests: the clips.
        film_B: int64 film numbers.
        views: the features of each view that a step encodes.
    """

    requests: tuple[ClipRequest, ...]
    film_B: Tensor
    views: tuple[ViewFeatures, ...]

    def __len__(self) -> int:
        return len(self.requests)

    def __getitem__(self, clips: slice) -> Self:
        """Return some of the clips, without a copy."""
        views = tuple(view.select(clips) for view in self.views)
        return type(self)(self.requests[clips], self.film_B[clips], views)

    @property
    def start_B(self) -> Tensor:
        """The first frame of each clip's window, on its film's grid: int64."""
        starts = [request.window.start_frame for request in self.requests]
        return torch.tensor(starts, dtype=torch.int64).to(self.film_B.device, non_blocking=True)

    def to(self, device: torch.device | str) -> Self:
        """Return the batch on `device`."""
        views = tuple(ViewFeatures(view.video.to(device), view.audio.to(device)) for view in self.views)
        return type(self)(self.requests, self.film_B.to(device), views)


TrainingBatch = ClipBatch | FeatureBatch
ViewSource = Augmentation | ViewFeatures | None
"""What makes one view of a batch: an augmentation of its clips (None: none), or its features, known already."""


def select_clips(view: ViewSource, clips: slice) -> ViewSource:
    """Return what makes the view of some of the clips."""
    if view is None:
        return None
    return view.select(clips) if isinstance(view, ViewFeatures) else view[clips]
