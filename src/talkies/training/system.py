"""What learns, as one module.

Shapes: `B` clips of this rank or of a chunk of them, `D` embedding.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkies.core import ClipBatch, Embeddings
from talkies.models import TwoTower
from talkies.objectives import ContrastiveObjective
from talkies.transforms import Augmentation, ClipTransform


class View(NamedTuple):
    """A batch's embeddings, and how long they were before they were made unit vectors.

    A tuple, as the wrappers of modules want it; `embeddings` is what the objective takes.
    """

    video_BD: Tensor
    audio_BD: Tensor
    film_B: Tensor
    start_B: Tensor
    norm_video_B: Tensor
    norm_audio_B: Tensor

    @property
    def embeddings(self) -> Embeddings:
        """Both towers' embeddings as a value."""
        return Embeddings(self.video_BD, self.audio_BD, self.film_B, self.start_B)


class EmbeddingGradients(NamedTuple):
    """The loss's gradient to both embeddings of each view, and to the logarithm of the temperature if that learns."""

    video: tuple[Tensor, ...]
    audio: tuple[Tensor, ...]
    log_temperature: Tensor | None

    def of(self, clips: slice, is_last: bool) -> "Slopes":
        """Return those of a chunk; the temperature has its gradient once, with the last."""
        video, audio = (tuple(part[clips] for part in parts) for parts in (self.video, self.audio))
        return EmbeddingGradients(video, audio, self.log_temperature if is_last else None)


Scalars = dict[str, Tensor]


class ContrastiveSystem(nn.Module):
    """Transform, model and objective as one module, so that one wrapper (DDP, FSDP) holds them all.

    Its forward is a whole step's loss. The other three are that loss in parts, for batches too large to encode at
    once: what clips look like, how the loss slopes there, and a number whose gradient is that of the loss.
    """

    def __init__(
        self,
        transform: ClipTransform,
        model: TwoTower,
        objective: ContrastiveObjective,
        *,
        half: bool = False,
        channels_last: bool = True,
    ) -> None:
        super().__init__()
        self.transform, self.model, self.objective = transform, model, objective
        self._half, self._channels_last = half, channels_last
        if channels_last:
            model.video.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
            model.audio.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, batch: ClipBatch, augmentations: Sequence[Augmentation], step: int) -> tuple[Scalars, Scalars]:
        """Return the losses of a batch, augmented once for each view, and its report."""
        return self._judged(self.encode(batch, augmentations), step)

    def encode(self, batch: ClipBatch, augmentations: Sequence[Augmentation]) -> tuple[View, ...]:
        """Return what the model makes of a batch, once for each view."""
        return tuple(self._view(batch, augmentation) for augmentation in augmentations)

    def embedding_gradients(self, views: Sequence[View], step: int) -> tuple[Scalars, Scalars, EmbeddingGradients]:
        """Return a step's losses and report, as `forward` does, and the gradient of its loss to these embeddings."""
        video, audio = (
            tuple(part_BD.detach().requires_grad_() for part_BD in parts)
            for parts in ([view.video_BD for view in views], [view.audio_BD for view in views])
        )
        views = [
            view._replace(video_BD=video_BD, audio_BD=audio_BD)
            for view, video_BD, audio_BD in zip(views, video, audio, strict=True)
        ]
        learns = self.objective.log_temperature.requires_grad
        with torch.enable_grad():
            losses, report = self._judged(views, step)
            wanted = (*video, *audio, *([self.objective.log_temperature] if learns else []))
            found = torch.autograd.grad(torch.stack(list(losses.values())).sum(), wanted)
        losses = {name: loss.detach() for name, loss in losses.items()}
        count = len(views)
        return losses, report, EmbeddingGradients(found[:count], found[count : 2 * count], found[-1] if learns else None)

    def surrogate_loss(
        self, batch: ClipBatch, augmentations: Sequence[Augmentation], embedding_gradients: EmbeddingGradients
    ) -> Tensor:
        """Return a number whose gradient to the weights is what this chunk adds to the loss's."""
        views = self.encode(batch, augmentations)
        parts = (*(view.video_BD for view in views), *(view.audio_BD for view in views))
        numbers = [
            (part * slope).sum()
            for part, slope in zip(parts, embedding_gradients.video + embedding_gradients.audio, strict=True)
        ]
        if embedding_gradients.log_temperature is not None:
            numbers.append((self.objective.log_temperature * embedding_gradients.log_temperature).sum())
        return torch.stack(numbers).sum()

    def _judged(self, views: Sequence[View], step: int) -> tuple[Scalars, Scalars]:
        output = self.objective([view.embeddings for view in views], step)
        norms = {"norm_video": views[0].norm_video_B.mean(), "norm_audio": views[0].norm_audio_B.mean()}
        return output.losses, output.report | norms

    def _view(self, batch: ClipBatch, augmentation: Augmentation) -> View:
        ready = self.transform.prepare(batch, augmentation)
        video_BCTHW, audio_B1FL = ready.video_BCTHW, ready.audio_B1FL
        if self._channels_last:
            audio_B1FL = audio_B1FL.contiguous(memory_format=torch.channels_last)
        else:
            video_BCTHW = video_BCTHW.contiguous()
        with torch.autocast(video_BCTHW.device.type, torch.bfloat16, enabled=self._half):
            raw = [part.float() for part in self.model.project(video_BCTHW, audio_B1FL)]
        video_BD, audio_BD = (functional.normalize(part, dim=1) for part in raw)
        norms = [part.detach().norm(dim=1) for part in raw]
        return View(video_BD, audio_BD, batch.film_B, batch.start_B, *norms)


def concatenate_views(parts: Sequence[Sequence[View]]) -> list[View]:
    """Return the views of several chunks as those of all their clips."""
    return [View(*(torch.cat(part) for part in zip(*chunks, strict=True))) for chunks in zip(*parts, strict=True)]
