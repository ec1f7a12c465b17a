"""One step: a batch in, gradients and numbers out, in one pass or in two."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule
from torch import Tensor
from torch.distributed.fsdp import FSDPModule, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from talkies.core import ClipBatch
from talkies.models import frozen_batch_norm_statistics
from talkies.training.system import ContrastiveSystem, Scalars, concatenate_views
from talkies.transforms import Augmentation

FORWARD_METHODS = ("encode", "embedding_gradients", "surrogate_loss")  # of `ContrastiveSystem`, beside its forward; a wrapper has to know them


class Stepper:
    """Computes the gradients of a step; `wrapped` is the system as Fabric set it up.

    With `chunk_clips`, in two passes: all clips are encoded without a graph, chunk by chunk, then the loss over the
    whole batch gives the gradient to each embedding, and each chunk is encoded again and pulled along it. The gradient
    is that of the one-pass step, with one difference: batch norms see chunks.
    """

    def __init__(
        self, fabric: Fabric, wrapped: _FabricModule, system: ContrastiveSystem, chunk_clips: int | None
    ) -> None:
        self._fabric, self._wrapped, self._system, self._chunk_clips = fabric, wrapped, system, chunk_clips
        if isinstance(system, FSDPModule):  # spread in place: there is no wrapper to know them
            for method in FORWARD_METHODS:
                register_fsdp_forward_method(system, method)

    def augmentations(self, batch: ClipBatch, seed: int, step: int) -> list[Augmentation]:
        """Return how this rank's clips are augmented in each view, a pure function of the seed and the step.

        It is drawn for the clips of all ranks, so that however many there are, a clip is augmented alike.
        """
        rank, ranks = self._fabric.global_rank, self._fabric.world_size
        generator = torch.Generator().manual_seed((seed * 1_000_003 + step) * 4_099 % (1 << 63))
        transform, samples = self._system.transform, batch.audio_BS.shape[1]
        mine = slice(rank * len(batch), (rank + 1) * len(batch))
        views = self._system.objective.config.views
        return [transform.draw(len(batch) * ranks, samples, generator)[mine] for _ in range(views)]

    def backward(self, batch: ClipBatch, augmentations: Sequence[Augmentation], step: int) -> Scalars:
        """Add the gradients of a step to those of the weights, and return its numbers, `loss` among them."""
        # Where parameters are spread over ranks, the forward has but a copy of this one to bound.
        self._system.objective.bound_temperature()
        if self._chunk_clips is None or len(batch) <= self._chunk_clips:
            losses, report = self._wrapped(batch, augmentations, step)
            self._fabric.backward(torch.stack(list(losses.values())).sum())
        else:
            losses, report = self._in_two_passes(batch, augmentations, step, self._chunk_clips)
        parts = {f"loss_{name}": loss.detach() for name, loss in losses.items() if len(losses) > 1}
        return {"loss": torch.stack(list(losses.values())).detach().sum(), **parts, **report}

    def _in_two_passes(
        self, batch: ClipBatch, augmentations: Sequence[Augmentation], step: int, clips: int
    ) -> tuple[Scalars, Scalars]:
        chunks = split_into_even_chunks(len(batch), clips)
        with torch.no_grad(), frozen_batch_norm_statistics(self._system.model):
            parts = [self._wrapped.encode(batch[chunk], [a[chunk] for a in augmentations]) for chunk in chunks]
            losses, report, embedding_gradients = self._wrapped.embedding_gradients(concatenate_views(parts), step)
        for chunk in chunks:
            is_last = chunk is chunks[-1]
            with self._fabric.no_backward_sync(self._wrapped, enabled=not is_last):
                cut = [augmentation[chunk] for augmentation in augmentations]
                self._fabric.backward(
                    self._wrapped.surrogate_loss(batch[chunk], cut, embedding_gradients.of(chunk, is_last))
                )
        return losses, report

    def gradient_norm(self) -> Tensor:
        """Return the length of the gradient of all that learns, a scalar."""
        norm = torch.nn.utils.get_total_norm([p.grad for p in self._system.parameters() if p.grad is not None])
        return norm.full_tensor() if isinstance(norm, DTensor) else norm


def split_into_even_chunks(clips: int, most: int) -> list[slice]:
    """Return as few chunks of at most so many clips as there can be, of equal length within one.

    Batch norms take statistics over each: a last one of a few clips would stand out, and one clip has none, so each
    has two at least.
    """
    count = max(1, min(-(-clips // most), clips // 2))
    edges = [number * clips // count for number in range(count + 1)]
    return [slice(begin, end) for begin, end in pairwise(edges)]
