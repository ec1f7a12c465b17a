"""The system that is trained: transform, two-tower model and objective as one module.

Shapes: `B` clips of this rank or of a chunk of them, `D` embedding.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkies.core import ClipBatch, ClipStarts, Embeddings, Modality
from talkies.core.precision import FLOAT32, Precision
from talkies.models import AdaptationConfig, TwoTower, convert_to_full_precision, set_layout
from talkies.models.public import PublicEncoder
from talkies.objectives import BatchKeys, ContrastiveObjective
from talkies.training.distillation import Distillation
from talkies.training.features.values import TrainingBatch, ViewFeatures, ViewSource
from talkies.transforms import Augmentation, ClipTransform

Scalars = dict[str, Tensor]
_Pair = tuple[Tensor, Tensor]  # of video and of audio

_DIFFERENTIATED = ("video_BD", "audio_BD", "distance_video_B", "distance_audio_B")


class View(NamedTuple):
    """The embeddings of one augmentation of a batch, as unit vectors, and their norms before normalisation.

    The distances are those of the features from the public encoder's; zeros without distillation.
    It is a tuple because the wrappers of modules pass tuples; `embeddings` is what the objective takes.
    """

    video_BD: Tensor
    audio_BD: Tensor
    film_B: Tensor
    start_B: Tensor
    norm_video_B: Tensor
    norm_audio_B: Tensor
    distance_video_B: Tensor
    distance_audio_B: Tensor

    def distance_B(self, modality: Modality) -> Tensor:
        """Return the distances of a modality's features, `[B]`."""
        return self.distance_video_B if modality == "video" else self.distance_audio_B

    @property
    def embeddings(self) -> Embeddings:
        """The embeddings of both modalities as one value."""
        return Embeddings(self.video_BD, self.audio_BD, self.film_B, self.start_B)


class EmbeddingGradients(NamedTuple):
    """The loss's gradients with respect to the embeddings `[B, D]` of each view, and to what the objective learns.

    `distances` are those with respect to the distances of the features, `[B]`, of video and audio in turn: of all
    views, or none without distillation. `learnt` are those of the objective's learnt parameters, such as the
    temperature; none where it learns nothing.
    """

    video: tuple[Tensor, ...]
    audio: tuple[Tensor, ...]
    distances: tuple[Tensor, ...]
    learnt: tuple[Tensor, ...]

    def select_chunk(self, clips: slice, *, is_last: bool) -> "EmbeddingGradients":
        """Return the gradients of a chunk of clips; only the last chunk has those of the objective."""
        return EmbeddingGradients(
            video=tuple(gradient_BD[clips] for gradient_BD in self.video),
            audio=tuple(gradient_BD[clips] for gradient_BD in self.audio),
            distances=tuple(gradient_B[clips] for gradient_B in self.distances),
            learnt=self.learnt if is_last else (),
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
        distillation: Distillation | None = None,
        precision: Precision = FLOAT32,
        channels_last: bool = True,
    ) -> None:
        super().__init__()
        self.transform, self.model, self.objective = transform, model, objective
        self.distillation = distillation or Distillation(model, AdaptationConfig())
        self.precision = precision
        set_layout(model, channels_last=channels_last)

    def forward(
        self, batch: TrainingBatch, augmentations: Sequence[ViewSource], step: int, keys: BatchKeys | None = None
    ) -> tuple[Scalars, Scalars]:
        """Return the losses of a batch, augmented once for each view, and its report; with a queue, against keys."""
        return self._compute_loss(self.encode(batch, augmentations), step, keys, batch.starts)

    def encode(self, batch: TrainingBatch, augmentations: Sequence[ViewSource]) -> tuple[View, ...]:
        """Return the embeddings of a batch, one view for each augmentation."""
        return tuple(self._encode_view(batch, augmentation) for augmentation in augmentations)

    def embedding_gradients(
        self, views: Sequence[View], step: int, keys: BatchKeys | None = None, starts: ClipStarts | None = None
    ) -> tuple[Scalars, Scalars, EmbeddingGradients]:
        """Return the losses and the report of `forward`, and the gradients with respect to these embeddings.

        Args:
            views: the embeddings.
            step: the optimiser step, from 0.
            keys: with a queue, the candidates.
            starts: films and first frames of the clips of all ranks, where they are known.
        """
        # Make the embeddings leaves of a graph that holds only the objective.
        views = [
            view._replace(**{name: getattr(view, name).detach().requires_grad_() for name in _DIFFERENTIATED})
            for view in views
        ]
        video, audio = tuple(view.video_BD for view in views), tuple(view.audio_BD for view in views)
        distances = self._list_distances(views)

        # Differentiate the total loss.
        learnt = self.objective.learnt_parameters
        with torch.enable_grad():
            losses, report = self._compute_loss(views, step, keys, starts)
            inputs = (*video, *audio, *distances, *learnt)
            gradients = torch.autograd.grad(sum_losses(losses), inputs)

        losses = {name: loss.detach() for name, loss in losses.items()}
        count = len(views)
        return (
            losses,
            report,
            EmbeddingGradients(
                video=gradients[:count],
                audio=gradients[count : 2 * count],
                distances=gradients[2 * count : 2 * count + len(distances)],
                learnt=gradients[2 * count + len(distances) :],
            ),
        )

    def surrogate_loss(
        self, batch: TrainingBatch, augmentations: Sequence[ViewSource], gradients: EmbeddingGradients
    ) -> Tensor:
        """Return a scalar whose gradient with respect to the weights is this chunk's share of the loss's gradient."""
        views = self.encode(batch, augmentations)
        embeddings = (*(view.video_BD for view in views), *(view.audio_BD for view in views))
        products = [
            (embedding_BD * gradient_BD).sum()
            for embedding_BD, gradient_BD in zip(embeddings, gradients.video + gradients.audio, strict=True)
        ]
        products += [
            (distance_B * gradient_B).sum()
            for distance_B, gradient_B in zip(self._list_distances(views), gradients.distances, strict=True)
        ]
        if gradients.learnt:
            products += [
                (parameter * gradient).sum()
                for parameter, gradient in zip(self.objective.learnt_parameters, gradients.learnt, strict=True)
            ]
        return torch.stack(products).sum()

    def _compute_loss(
        self, views: Sequence[View], step: int, keys: BatchKeys | None, starts: ClipStarts | None
    ) -> tuple[Scalars, Scalars]:
        output = self.objective([view.embeddings for view in views], step, keys, starts)
        report = output.report | {
            "norm_video": views[0].norm_video_B.mean(),
            "norm_audio": views[0].norm_audio_B.mean(),
        }

        # Add the weighted distances of the features, as terms of their own.
        losses = dict(output.losses)
        for modality, weight in self.distillation.weights.items():
            distance = torch.stack([view.distance_B(modality).mean() for view in views]).mean()
            losses[f"distillation_{modality}"] = weight * distance
            report[f"distance_{modality}"] = distance.detach()
        return losses, report

    def _list_distances(self, views: Sequence[View]) -> tuple[Tensor, ...]:
        """Return the distances of those modalities that are distilled, for each in turn those of all views."""
        return tuple(view.distance_B(modality) for modality in self.distillation.weights for view in views)

    def extract(self, modality: Modality, clips: Tensor, augmentation: Augmentation | None) -> Tensor:
        """Return what one encoder makes of its input, before the layers that are new: `[B, E]`, or `[B, T, E]`.

        Args:
            modality: which encoder.
            clips: pictures `[B, T, P, W]` or samples `[B, S]`.
            augmentation: of these clips; None for none.
        """
        encoder = self.model.video if modality == "video" else self.model.audio
        if modality == "video":
            ready = self.transform.video.prepare(clips, augmentation.video if augmentation else None)
        else:
            ready = self.transform.audio.prepare(clips, augmentation.audio if augmentation else None)
        device_type = clips.device.type
        with self.precision.use_settings(device_type), self.precision.autocast(device_type):
            ready = encoder.arrange_input(ready)
            extracted: Tensor = encoder.extract(ready) if isinstance(encoder, PublicEncoder) else encoder(ready)
        return extracted

    def _encode_view(self, batch: TrainingBatch, view: ViewSource) -> View:
        if isinstance(view, ViewFeatures):
            rows, distances = self._project_features(view)
        else:
            assert isinstance(batch, ClipBatch)
            rows, distances = self._project_clips(batch, view)
        projections = [convert_to_full_precision(rows_BD) for rows_BD in rows]

        video_BD, audio_BD = (functional.normalize(rows_BD, dim=1) for rows_BD in projections)
        norm_video_B, norm_audio_B = (rows_BD.detach().norm(dim=1) for rows_BD in projections)
        return View(video_BD, audio_BD, batch.film_B, batch.start_B, norm_video_B, norm_audio_B, *distances)

    def _project_clips(self, batch: ClipBatch, augmentation: Augmentation | None) -> tuple[_Pair, _Pair]:
        """Return the outputs of both heads for clips, not normalised, and the distances of the features."""
        ready = self.transform.prepare(batch, augmentation)
        model, measure = self.model, self.distillation.measure
        video, audio = model.video.arrange_input(ready.video_BCTHW), model.audio.arrange_input(ready.audio_B1FL)
        with self.precision.autocast(video.device.type):
            video_BE, audio_BE = model.encode(video, audio)
            distances = measure(model.video, video, video_BE), measure(model.audio, audio, audio_BE)
            return model.project_features(video_BE, audio_BE), distances

    def _project_features(self, features: ViewFeatures) -> tuple[_Pair, _Pair]:
        """Return the same for the features of frozen encoders, which are where they were: the distances are 0."""
        with self.precision.autocast(features.video.device.type):
            video_BE, audio_BE = (
                encoder.finish(extracted) if isinstance(encoder, PublicEncoder) else extracted
                for encoder, extracted in ((self.model.video, features.video), (self.model.audio, features.audio))
            )
            zero_B = torch.zeros_like(video_BE[:, 0], dtype=torch.float32)
            return self.model.project_features(video_BE, audio_BE), (zero_B, zero_B)


def sum_losses(losses: Mapping[str, Tensor]) -> Tensor:
    """Return the sum of the losses, with a gradient that is nowhere a number if the sum is not finite.

    So a loss that is not finite is seen in the norm of the gradient, on every rank, without reading it from the device.
    """
    total = torch.stack(list(losses.values())).sum()
    return total * torch.where(total.detach().isfinite(), 1.0, math.nan)


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
