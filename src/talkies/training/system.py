"""The system that is trained: transform, two-tower model and objective as one module.

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

Scalars = dict[str, Tensor]


class View(NamedTuple):
    """The embeddings of one augmentation of a batch, as unit vectors, and their norms before normalisation.

    It is a tuple because the wrappers of modules pass tuples; `embeddings` is what the objective takes.
    """

    video_BD: Tensor
    audio_BD: Tensor
    film_B: Tensor
    start_B: Tensor
    norm_video_B: Tensor
    norm_audio_B: Tensor

    @property
    def embeddings(self) -> Embeddings:
        """The embeddings of both modalities as one value."""
        return Embeddings(self.video_BD, self.audio_BD, self.film_B, self.start_B)


class EmbeddingGradients(NamedTuple):
    """The loss's gradients with respect to the embeddings `[B, D]` of each view, and to the log-temperature.

    `log_temperature` is None where the temperature is fixed.
    """

    video: tuple[Tensor, ...]
    audio: tuple[Tensor, ...]
    log_temperature: Tensor | None

    def select_chunk(self, clips: slice, *, is_last: bool) -> "EmbeddingGradients":
        """Return the gradients of a chunk of clips; only the last chunk has that of the temperature."""
        return EmbeddingGradients(
            video=tuple(gradient_BD[clips] for gradient_BD in self.video),
            audio=tuple(gradient_BD[clips] for gradient_BD in self.audio),
            log_temperature=self.log_temperature if is_last else None,
        )


class ContrastiveSystem(nn.Module):
    """Transform, model and objective as one module, so that one wrapper (DDP, FSDP) holds them all.

    Its forward returns the loss of a step. The other three implement gradient caching (Gao et al. 2021,
    arXiv:2101.06983), for batches too large to encode at once: `encode` without a graph, differentiate the loss with
    respect to the embeddings (`embedding_gradients`), and backpropagate a surrogate (`surrogate_loss`).
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
        return self._compute_loss(self.encode(batch, augmentations), step)

    def encode(self, batch: ClipBatch, augmentations: Sequence[Augmentation]) -> tuple[View, ...]:
        """Return the embeddings of a batch, one view for each augmentation."""
        return tuple(self._encode_view(batch, augmentation) for augmentation in augmentations)

    def embedding_gradients(self, views: Sequence[View], step: int) -> tuple[Scalars, Scalars, EmbeddingGradients]:
        """Return the losses and the report of `forward`, and the gradients with respect to these embeddings."""
        # Make the embeddings leaves of a graph that holds only the objective.
        video = tuple(view.video_BD.detach().requires_grad_() for view in views)
        audio = tuple(view.audio_BD.detach().requires_grad_() for view in views)
        views = [
            view._replace(video_BD=video_BD, audio_BD=audio_BD)
            for view, video_BD, audio_BD in zip(views, video, audio, strict=True)
        ]

        # Differentiate the total loss.
        log_temperature = self.objective.log_temperature
        learns_temperature = log_temperature.requires_grad
        with torch.enable_grad():
            losses, report = self._compute_loss(views, step)
            inputs = (*video, *audio, *([log_temperature] if learns_temperature else []))
            gradients = torch.autograd.grad(torch.stack(list(losses.values())).sum(), inputs)

        losses = {name: loss.detach() for name, loss in losses.items()}
        count = len(views)
        return (
            losses,
            report,
            EmbeddingGradients(
                video=gradients[:count],
                audio=gradients[count : 2 * count],
                log_temperature=gradients[-1] if learns_temperature else None,
            ),
        )

    def surrogate_loss(
        self, batch: ClipBatch, augmentations: Sequence[Augmentation], gradients: EmbeddingGradients
    ) -> Tensor:
        """Return a scalar whose gradient with respect to the weights is this chunk's share of the loss's gradient."""
        views = self.encode(batch, augmentations)
        embeddings = (*(view.video_BD for view in views), *(view.audio_BD for view in views))
        products = [
            (embedding_BD * gradient_BD).sum()
            for embedding_BD, gradient_BD in zip(embeddings, gradients.video + gradients.audio, strict=True)
        ]
        if gradients.log_temperature is not None:
            products.append((self.objective.log_temperature * gradients.log_temperature).sum())
        return torch.stack(products).sum()

    def _compute_loss(self, views: Sequence[View], step: int) -> tuple[Scalars, Scalars]:
        output = self.objective([view.embeddings for view in views], step)
        norms = {"norm_video": views[0].norm_video_B.mean(), "norm_audio": views[0].norm_audio_B.mean()}
        return output.losses, output.report | norms

    def _encode_view(self, batch: ClipBatch, augmentation: Augmentation) -> View:
        # Prepare the encoders' inputs in the memory format of their weights.
        ready = self.transform.prepare(batch, augmentation)
        video_BCTHW, audio_B1FL = ready.video_BCTHW, ready.audio_B1FL
        if self._channels_last:
            audio_B1FL = audio_B1FL.contiguous(memory_format=torch.channels_last)
        else:
            video_BCTHW = video_BCTHW.contiguous()

        with torch.autocast(video_BCTHW.device.type, torch.bfloat16, enabled=self._half):
            projections = [_to_full_precision(rows) for rows in self.model.project(video_BCTHW, audio_B1FL)]

        video_BD, audio_BD = (functional.normalize(rows_BD, dim=1) for rows_BD in projections)
        norms = [rows_BD.detach().norm(dim=1) for rows_BD in projections]
        return View(video_BD, audio_BD, batch.film_B, batch.start_B, *norms)


def merge_views(parts: Sequence[Sequence[View]], chunks: Sequence[slice]) -> list[View]:
    """Return the views of several chunks of a batch as those of all its clips, in the order of the batch.

    Args:
        parts: the views of each chunk.
        chunks: which clips of the batch each chunk has; together every clip once.
    """
    return [
        View(*(_merge_rows(rows, chunks) for rows in zip(*views, strict=True))) for views in zip(*parts, strict=True)
    ]


def _merge_rows(rows: Sequence[Tensor], chunks: Sequence[slice]) -> Tensor:
    merged = rows[0].new_empty((sum(map(len, rows)), *rows[0].shape[1:]))
    for chunk_rows, chunk in zip(rows, chunks, strict=True):
        merged[chunk] = chunk_rows
    return merged


def _to_full_precision(rows_BD: Tensor) -> Tensor:
    return rows_BD if rows_BD.dtype == torch.float64 else rows_BD.float()
