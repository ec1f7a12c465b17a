"""Two towers that meet in one space.

Shapes: `B` clips, `C T H W` pictures, `F L` log-mel, `E` features of an encoder, `D` embedding.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from inspect import signature
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from talkies.core import Modality

_GRAPHS = 64  # of all blocks of one class


class Encoder(nn.Module, ABC):
    """From the prepared input of a tower to features `[B, out_dim]`: blocks that run one after the other, and a pool.

    With `recompute`, training keeps only what passes between the blocks, and each is run again when its gradient is due
    (Chen et al. 2016, arXiv:1604.06174): less memory, a third more work, and the same numbers.
    """

    tower: ClassVar[Modality]
    out_dim: int
    recompute: bool = False

    @abstractmethod
    def parts(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return the blocks in order, each with its stage: `stem`, then `layer1`, `layer2` and so on."""

    @abstractmethod
    def pool(self, x: Tensor) -> Tensor:
        """Return the features `[B, out_dim]` of what the last block gave: the mean over all positions."""

    def check_input(self, shape: Sequence[int]) -> None:
        """Do nothing if the encoder takes inputs of this shape: T × H × W of pictures, F × L of a spectrogram.

        Raises:
            ConfigError: saying which it takes.
        """

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of each clip, `[B, out_dim]`."""
        for _, block in self.parts():
            x = self._through(block, x)
        return self.pool(x)

    def stages(self, x: Tensor) -> dict[str, Tensor]:
        """Return what the last block of each stage gives, in order and before the pool."""
        outputs: dict[str, Tensor] = {}
        for stage, block in self.parts():
            x = outputs[stage] = self._through(block, x)
        return outputs

    def compile_parts(self, backend: str = "inductor") -> None:
        """Compile each block where it is; names of weights stay as they are.

        Each has graphs of its own. Blocks of one class would else share PyTorch's few, and those that come last run
        uncompiled, or differently when they are run again for `recompute`, which is an error.
        """
        torch._dynamo.config.optimize_ddp = False  # it would cut blocks in two, and not alike when they run again
        alone = {"isolate_recompiles": True} if "isolate_recompiles" in signature(torch.compile).parameters else {}
        if not alone:  # an older PyTorch: all share their graphs, so let there be enough for all
            torch._dynamo.config.cache_size_limit = max(torch._dynamo.config.cache_size_limit, _GRAPHS)
        for _, block in self.parts():
            block.compile(backend=backend, dynamic=False, **alone)

    def _through(self, block: nn.Module, x: Tensor) -> Tensor:
        if not (self.recompute and self.training and torch.is_grad_enabled()):
            return cast("Tensor", block(x))
        # Nothing in an encoder is drawn at random, so the generators' state need not be kept for the second run.
        again = checkpoint(
            block,
            x,
            use_reentrant=False,
            preserve_rng_state=False,
            context_fn=lambda: (nullcontext(), frozen_batch_norm_statistics(block)),
        )
        return cast("Tensor", again)


class Layers(nn.Sequential):
    """Layers in a row, as a block that can be compiled: of PyTorch's own classes its compiler compiles no whole."""

    def forward(self, x: Tensor) -> Tensor:
        """Return what the last layer gives."""
        for layer in self:
            x = layer(x)
        return x


@contextmanager
def frozen_batch_norm_statistics(module: nn.Module) -> Iterator[None]:
    """Within the block, the batch norms of `module` learn nothing of what passes: for a batch that is run again.

    In training they normalise by the batch as ever, and leave their running statistics and their counters alone.
    """
    norms = [part for part in module.modules() if isinstance(part, _BatchNorm)]
    before = [(norm, norm.momentum, norm.num_batches_tracked) for norm in norms]
    try:
        for norm in norms:
            # A counter to throw away: one for all devices wants to have some.
            count = norm.num_batches_tracked
            norm.momentum, norm.num_batches_tracked = 0.0, None if count is None else count.clone()
        yield
    finally:
        for norm, momentum, count in before:
            norm.momentum, norm.num_batches_tracked = momentum, count


class Head(nn.Sequential):
    """A projection of two layers, from features `[B, E]` to `[B, D]`."""

    def __init__(self, in_dim: int, hidden_dim: int, out_dim: int) -> None:
        super().__init__(
            nn.Linear(in_dim, hidden_dim, bias=False),
            nn.BatchNorm1d(hidden_dim),
            nn.ReLU(inplace=True),
            nn.Linear(hidden_dim, out_dim),
        )


class TwoTower(nn.Module):
    """A video and an audio encoder, each with its head."""

    def __init__(self, video: Encoder, audio: Encoder, embedding_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.video, self.audio, self.embedding_dim = video, audio, embedding_dim
        self.video_head = Head(video.out_dim, hidden_dim, embedding_dim)
        self.audio_head = Head(audio.out_dim, hidden_dim, embedding_dim)

    def forward(self, video_BCTHW: Tensor, audio_B1FL: Tensor) -> tuple[Tensor, Tensor]:
        """Return both embeddings `[B, D]`, of length one."""
        return self.embed_video(self.video(video_BCTHW)), self.embed_audio(self.audio(audio_B1FL))

    def project(self, video_BCTHW: Tensor, audio_B1FL: Tensor) -> tuple[Tensor, Tensor]:
        """Return both embeddings `[B, D]` as the heads give them, of any length."""
        return self.video_head(self.video(video_BCTHW)), self.audio_head(self.audio(audio_B1FL))

    def embed_video(self, features_BE: Tensor) -> Tensor:
        """Return the embeddings of video features."""
        return functional.normalize(self.video_head(features_BE), dim=1)

    def embed_audio(self, features_BE: Tensor) -> Tensor:
        """Return the embeddings of audio features."""
        return functional.normalize(self.audio_head(features_BE), dim=1)


def stamp_of(model: nn.Module) -> str:
    """Return twelve hexadecimal digits that tell a model by its weights."""
    return stamp_of_weights(model.state_dict())


def stamp_of_weights(weights: Mapping[str, Tensor]) -> str:
    """Return twelve hexadecimal digits that tell tensors by their names, shapes, types and bytes."""
    digest = hashlib.blake2b(digest_size=6)
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
