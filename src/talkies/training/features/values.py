"""A batch of clips of which only the features of frozen towers are known.

Shapes: `B` clips, `E` features (or `T E` where a learned pool over frames follows).
"""

from dataclasses import dataclass, field
from typing import NamedTuple, Self

import torch
from torch import Tensor

from talkies.core import ClipBatch, ClipRequest, ClipStarts, list_starts, to_device
from talkies.core.values import OF_REQUESTS
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
        start_B: the first frame of each clip's window, int64.
        starts: films and first frames of the clips of all ranks; None if they are not known.
    """

    requests: tuple[ClipRequest, ...]
    film_B: Tensor
    views: tuple[ViewFeatures, ...]
    start_B: Tensor = field(default=OF_REQUESTS, repr=False)
    starts: ClipStarts | None = None

    def __post_init__(self) -> None:
        if self.start_B is OF_REQUESTS:
            object.__setattr__(self, "start_B", list_starts(self.requests).to(self.film_B.device))

    def __len__(self) -> int:
        return len(self.requests)

    def __getitem__(self, clips: slice) -> Self:
        """Return some of the clips, without a copy."""
        views = tuple(view.select(clips) for view in self.views)
        return type(self)(self.requests[clips], self.film_B[clips], views, self.start_B[clips], self.starts)

    def to(self, device: torch.device | str) -> Self:
        """Return the batch on `device`; the copy does not wait for it."""
        views = tuple(ViewFeatures(*(to_device(part, device) for part in view)) for view in self.views)
        film_B, start_B = (to_device(part, device) for part in (self.film_B, self.start_B))
        return type(self)(self.requests, film_B, views, start_B, self.starts)


TrainingBatch = ClipBatch | FeatureBatch
ViewSource = Augmentation | ViewFeatures | None
"""What makes one view of a batch: an augmentation of its clips (None: none), or its features, known already."""


def select_clips(view: ViewSource, clips: slice) -> ViewSource:
    """Return what makes the view of some of the clips."""
    if view is None:
        return None
    return view.select(clips) if isinstance(view, ViewFeatures) else view[clips]
