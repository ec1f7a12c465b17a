"""The gradients of one training step, for a whole batch at once or by gradient caching, chunk by chunk."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import pairwise

import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule
from torch import Tensor
from torch.distributed.fsdp import FSDPModule, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from talkies.core import ClipBatch
from talkies.models import frozen_batch_norm_statistics
from talkies.objectives import BatchKeys
from talkies.training.features.values import FeatureBatch, TrainingBatch, ViewSource, select_clips
from talkies.training.features.views import choose_views, draw_fixed_views
from talkies.training.momentum import MomentumKeys
from talkies.training.system import ContrastiveSystem, Scalars, View, merge_views, sum_losses

# The methods of `ContrastiveSystem` that, like its forward, must run under the hooks of a wrapper.
FORWARD_METHODS = ("encode", "embedding_gradients", "surrogate_loss")


class Stepper:
    """Computes the gradients of a step; `wrapped` is the system as Fabric set it up.

    With `chunk_clips`, it uses gradient caching (Gao et al. 2021, arXiv:2101.06983): encode all clips without a graph,
    chunk by chunk; differentiate the loss of the whole batch with respect to the embeddings; then encode each chunk
    again with a graph and backpropagate a surrogate loss. The gradient equals that of the whole batch at once, except
    that batch norms see chunks. A chunk takes every n-th clip of the batch, so it has clips of as many films as it can:
    the statistics of a few films would not be those that films are encoded with.

    With `keys`, the clips are scored against keys of a momentum encoder, which encodes the batch first.
    """

    def __init__(
        self,
        fabric: Fabric,
        wrapped: _FabricModule,
        system: ContrastiveSystem,
        chunk_clips: int | None,
        *,
        fixed_views: int | None = None,
        keys: MomentumKeys | None = None,
    ) -> None:
        self._fabric, self._wrapped, self._system, self._chunk_clips = fabric, wrapped, system, chunk_clips
        self._fixed_views, self._keys = fixed_views, keys
        if isinstance(system, FSDPModule):  # sharded in place: there is no wrapper to mark the methods on
            for method in FORWARD_METHODS:
                register_fsdp_forward_method(system, method)

    def draw_augmentations(self, batch: TrainingBatch, seed: int, step: int) -> list[ViewSource]:
        """Return the augmentation of this rank's clips for each view, a pure function of the seed and the step.

        It is drawn for the clips of all ranks, so that a clip is augmented the same way on any number of ranks, and
        moved to the device once. With fixed views, it is one of each clip's. A batch of features brings those of its
        views instead.
        """
        if isinstance(batch, FeatureBatch):
            return list(batch.views)
        if self._fixed_views is not None:
            return self._draw_fixed(batch, seed, step, self._fixed_views)
        rank, ranks = self._fabric.global_rank, self._fabric.world_size
        generator = torch.Generator().manual_seed((seed * 1_000_003 + step) * 4_099 % (1 << 63))
        transform, samples = self._system.transform, batch.audio_BS.shape[1]
        own_clips = slice(rank * len(batch), (rank + 1) * len(batch))
        views = self._system.objective.config.views
        drawn = [transform.draw(len(batch) * ranks, samples, generator)[own_clips] for _ in range(views)]
        return [view.to(batch.film_B.device) for view in drawn]

    def _draw_fixed(self, batch: ClipBatch, seed: int, step: int, views: int) -> list[ViewSource]:
        """Return one of the fixed views of each clip for each view of the objective."""
        transform, samples = self._system.transform, batch.audio_BS.shape[1]
        count = self._system.objective.config.views
        if not views:
            return [None] * count
        chosen = choose_views(batch.requests, seed, step, views=views, count=count)
        drawn = [draw_fixed_views(transform, batch.requests, numbers, samples) for numbers in chosen]
        return [view if view is None else view.to(batch.film_B.device) for view in drawn]

    def backward(self, batch: TrainingBatch, augmentations: Sequence[ViewSource], step: int) -> Scalars:
        """Add a step's gradients to those of the weights, and return its numbers; `loss` is one of them."""
        with self._use_settings():
            return self._backward(batch, augmentations, step)

    def _backward(self, batch: TrainingBatch, augmentations: Sequence[ViewSource], step: int) -> Scalars:
        # The forward of a sharded system bounds only a copy of the temperature, so bound the parameter here.
        self._system.objective.bound_temperature()

        # Encode the keys before there is a graph, because their encoder's weights take the place of the model's.
        keys = self._keys.encode(lambda: self.encode(batch, augmentations), batch.starts) if self._keys else None
        extra = () if keys is None else (keys,)

        if self._chunk_clips is None or len(batch) <= self._chunk_clips:
            losses, report = self._wrapped(batch, augmentations, step, *extra)
            self._fabric.backward(sum_losses(losses))
        else:
            losses, report = self._backward_in_chunks(batch, augmentations, step, keys)
        if self._keys and keys:
            self._keys.append(keys)

        parts = {f"loss_{name}": loss.detach() for name, loss in losses.items() if len(losses) > 1}
        return {"loss": torch.stack(list(losses.values())).detach().sum(), **parts, **report}

    @torch.no_grad()
    def encode(self, batch: TrainingBatch, augmentations: Sequence[ViewSource]) -> list[View]:
        """Return the embeddings of a batch in its order, one view for each augmentation, encoded in training's chunks.

        There is no graph, and batch norms do not update their running statistics.
        """
        chunks = split_into_strided_chunks(len(batch), self._chunk_clips or len(batch))
        with self._use_settings(), frozen_batch_norm_statistics(self._system.model):
            parts = [
                self._wrapped.encode(batch[chunk], [select_clips(each, chunk) for each in augmentations])
                for chunk in chunks
            ]
        return merge_views(parts, chunks)

    def _use_settings(self) -> AbstractContextManager[None]:
        """Return a block within which the device computes in the run's precision."""
        return self._system.precision.use_settings(self._fabric.device.type, times_convolutions=True)

    def compute_gradient_norm(self) -> Tensor:
        """Return the norm of the gradient of all trained parameters, a scalar."""
        norm = torch.nn.utils.get_total_norm([p.grad for p in self._system.parameters() if p.grad is not None])
        return norm.full_tensor() if isinstance(norm, DTensor) else norm

    def _backward_in_chunks(
        self, batch: TrainingBatch, augmentations: Sequence[ViewSource], step: int, keys: BatchKeys | None
    ) -> tuple[Scalars, Scalars]:
        assert self._chunk_clips is not None
        # Encode all clips without a graph, and differentiate the loss with respect to their embeddings.
        views = self.encode(batch, augmentations)
        with torch.no_grad():
            losses, report, gradients = self._wrapped.embedding_gradients(views, step, keys, batch.starts)

        # Encode each chunk again and backpropagate its surrogate; ranks synchronise their gradients with the last.
        chunks = split_into_strided_chunks(len(batch), self._chunk_clips)
        for chunk in chunks:
            is_last = chunk is chunks[-1]
            with self._fabric.no_backward_sync(self._wrapped, enabled=not is_last):
                chunk_augmentations = [select_clips(view, chunk) for view in augmentations]
                chunk_gradients = gradients.select_chunk(chunk, is_last=is_last)
                loss = self._wrapped.surrogate_loss(batch[chunk], chunk_augmentations, chunk_gradients)
                self._fabric.backward(loss)
        return losses, report


def split_into_strided_chunks(clips: int, max_clips: int) -> list[slice]:
    """Return the fewest chunks of at most `max_clips` clips: of n chunks, each takes every n-th clip of the batch.

    The clips of a batch come film by film, so each chunk has clips of as many films as possible. The lengths are those
    of `split_into_even_chunks`.
    """
    count = len(split_into_even_chunks(clips, max_clips))
    return [slice(first, clips, count) for first in range(count)]


def split_into_even_chunks(clips: int, max_clips: int) -> list[slice]:
    """Return the fewest runs of at most `max_clips` clips; their lengths differ by at most one.

    Even chunks, because batch norms compute statistics over each, and a short last one would be an outlier. Each chunk
    has at least two clips, because one clip has no batch statistics.
    """
    count = max(1, min(-(-clips // max_clips), clips // 2))
    edges = [number * clips // count for number in range(count + 1)]
    return [slice(start, end) for start, end in pairwise(edges)]
