"""The two-tower model: a video and an audio encoder with projection heads into one embedding space.

Shapes: `B` clips, `C T H W` video, `F` mel bins, `L` spectrogram frames, `E` encoder features, `D` embedding.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from inspect import signature
from typing import Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from talkies.core import AudioInput, Modality, VideoInput

_CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}  # by the number of dimensions
_GRAPH_LIMIT = 64  # compiled graphs for all blocks of one class


class Encoder(nn.Module, ABC):
    """The base of every encoder: a network that returns features `[B, out_dim]` of clips of one modality.

    `input` is what it takes; None if that is what the `transforms` section of a recipe describes. With `recompute`,
    training keeps fewer activations and computes the others again for the gradient. `channels_last` is the memory
    format that `set_layout` chose; None before.
    """

    modality: Modality
    out_dim: int
    input: VideoInput | AudioInput | None = None
    recompute: bool = False
    channels_last: bool | None = None

    @abstractmethod
    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return the blocks in order, each with the name of its stage: `stem`, then `layer1`, `layer2` and so on."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Return the features of each clip, `[B, out_dim]`."""

    def list_final_modules(self) -> tuple[nn.Module, ...]:
        """Return the modules that run after the last block although they are registered before it."""
        return ()

    def list_uncalled_layers(self) -> tuple[nn.Module, ...]:
        """Return the linear layers whose weights are used without calling them: adapters beside them have no effect."""
        return ()

    def train(self, mode: bool = True) -> Self:
        """Set the training mode; batch norms whose weights are frozen stay in evaluation mode."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, _BatchNorm) and is_frozen(module):
                module.eval()
        return self

    def check_input(self, shape: Sequence[int]) -> None:
        """Check that the encoder accepts inputs of this shape: T × H × W of video, F × L of a spectrogram.

        Raises:
            ConfigError: if it does not; the sentence says which shapes it accepts.
        """

    def compile_blocks(self, backend: str = "inductor") -> None:
        """Compile each block in place; the names of the weights do not change.

        Each block has graphs of its own. Otherwise blocks of one class share PyTorch's small limit of graphs, and the
        last ones run uncompiled, or differently when they are recomputed, which is an error.
        """
        # DDP's optimiser splits blocks in two, and not the same way when they are recomputed.
        torch._dynamo.config.optimize_ddp = False

        options = {"isolate_recompiles": True} if "isolate_recompiles" in signature(torch.compile).parameters else {}
        if not options:  # an older PyTorch: all blocks share their graphs, so raise the limit
            torch._dynamo.config.cache_size_limit = max(torch._dynamo.config.cache_size_limit, _GRAPH_LIMIT)

        for _, block in self.named_blocks():
            block.compile(backend=backend, dynamic=False, **options)

    def arrange_input(self, x: Tensor) -> Tensor:
        """Return an input in the memory format of the weights, if `set_layout` chose one."""
        if self.channels_last is None:
            return x
        if not self.channels_last:
            return x.contiguous()
        if self.input is not None:  # a public encoder keeps the layout of its library
            return x
        return x.contiguous(memory_format=_CHANNELS_LAST[x.ndim])

    def run_block(self, block: nn.Module, x: Tensor) -> Tensor:
        """Return what a block makes of its input; with `recompute`, training runs it again for its gradient."""
        if not (self.recompute and self.training and torch.is_grad_enabled()):
            return cast("Tensor", block(x))

        # Encoders use no random numbers, so the state of the generators need not be kept for the second run.
        output = checkpoint(
            block,
            x,
            use_reentrant=False,
            preserve_rng_state=False,
            context_fn=lambda: (nullcontext(), frozen_batch_norm_statistics(block)),
        )
        return cast("Tensor", output)


class BlockEncoder(Encoder):
    """The base of the encoders of talkies: blocks that run one after the other, and a pool.

    With `recompute`, training keeps only the outputs of the blocks and runs each block again for its gradient
    (activation checkpointing; Chen et al. 2016, arXiv:1604.06174): less memory, a third more computation, and identical
    numbers.
    """

    @abstractmethod
    def pool(self, x: Tensor) -> Tensor:
        """Return the features `[B, out_dim]` of the last block's output: the mean over all positions."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of each clip, `[B, out_dim]`."""
        for _, block in self.named_blocks():
            x = self.run_block(block, x)
        return self.pool(x)

    def forward_stages(self, x: Tensor) -> dict[str, Tensor]:
        """Return the output of each stage's last block by the stage's name, in order and before the pool."""
        outputs: dict[str, Tensor] = {}
        for stage, block in self.named_blocks():
            x = outputs[stage] = self.run_block(block, x)
        return outputs


class Layers(nn.Sequential):
    """A sequence of layers that compiles as one block; PyTorch does not compile its own `nn.Sequential` as a whole."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the last layer."""
        for layer in self:
            x = layer(x)
        return x


def set_layout(model: "TwoTower", *, channels_last: bool) -> None:
    """Choose the memory format of the convolutions of both encoders; the weights of public ones keep theirs.

    Args:
        model: the model, changed in place.
        channels_last: whether the channels of a position lie next to each other, and not the positions of a channel.
    """
    for encoder in (model.video, model.audio):
        encoder.channels_last = channels_last
        if channels_last and encoder.input is None:
            memory_format = _CHANNELS_LAST[5 if encoder.modality == "video" else 4]
            encoder.to(memory_format=memory_format)  # type: ignore[call-overload]


def is_frozen(module: nn.Module) -> bool:
    """Return whether a module has weights, and none of them is trained."""
    parameters = list(module.parameters())
    return bool(parameters) and not any(parameter.requires_grad for parameter in parameters)


@contextmanager
def frozen_batch_norm_statistics(module: nn.Module) -> Iterator[None]:
    """Within the block, the batch norms of `module` do not update their statistics: for a batch that runs again.

    In training they still normalise by the batch, but their running statistics and counters stay unchanged: copies take
    the updates. Everything that compiled code depends on is as before, so a block needs no graph of its own here.
    """
    norms = [child for child in module.modules() if isinstance(child, _BatchNorm) and child.training]
    saved = [(norm, norm.running_mean, norm.running_var, norm.num_batches_tracked) for norm in norms]
    try:
        for norm, mean_C, var_C, counter in saved:
            _set_statistics(norm, *(None if each is None else each.clone() for each in (mean_C, var_C, counter)))
        yield
    finally:
        for norm, mean_C, var_C, counter in saved:
            _set_statistics(norm, mean_C, var_C, counter)


def _set_statistics(norm: _BatchNorm, mean_C: Tensor | None, var_C: Tensor | None, counter: Tensor | None) -> None:
    norm.running_mean, norm.running_var, norm.num_batches_tracked = mean_C, var_C, counter


class Head(nn.Sequential):
    """A projection head of two layers, from features `[B, E]` to embeddings `[B, D]`."""

    def __init__(self, in_dim: int, hidden_dim: int, out_dim: int) -> None:
        super().__init__(
            nn.Linear(in_dim, hidden_dim, bias=False),
            nn.BatchNorm1d(hidden_dim),
            nn.ReLU(inplace=True),
            nn.Linear(hidden_dim, out_dim),
        )


class NoEncoder(Encoder):
    """Stands for the encoder of a modality that a model does not have: its features have a width of 0."""

    out_dim = 0

    def __init__(self, modality: Modality) -> None:
        super().__init__()
        self.modality = modality

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return no blocks."""
        return ()

    def forward(self, x: Tensor) -> Tensor:
        """Return features `[B, 0]`."""
        return x.new_zeros((len(x), 0), dtype=torch.float32)


class TwoTower(nn.Module):
    """A video and an audio encoder, each with its projection head.

    A head that is given, such as the one that a public encoder came with, takes the place of a new one.
    """

    def __init__(
        self,
        video: Encoder,
        audio: Encoder,
        embedding_dim: int,
        hidden_dim: int,
        *,
        video_head: nn.Module | None = None,
        audio_head: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.video, self.audio, self.embedding_dim = video, audio, embedding_dim
        self.video_head = video_head or Head(video.out_dim, hidden_dim, embedding_dim)
        self.audio_head = audio_head or Head(audio.out_dim, hidden_dim, embedding_dim)

    @property
    def video_input(self) -> VideoInput | None:
        """What the video encoder takes, if it is a public one."""
        return self.video.input if isinstance(self.video.input, VideoInput) else None

    @property
    def audio_input(self) -> AudioInput | None:
        """What the audio encoder takes, if it is a public one."""
        return None if isinstance(self.audio.input, VideoInput) else self.audio.input

    def forward(self, video_BCTHW: Tensor, audio_B1FL: Tensor) -> tuple[Tensor, Tensor]:
        """Return the video and audio embeddings `[B, D]`, as unit vectors."""
        return self.embed_video(self.video(video_BCTHW)), self.embed_audio(self.audio(audio_B1FL))

    def encode(self, video_BCTHW: Tensor, audio_B1FL: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features `[B, E]` of both modalities; an encoder that is not trained runs without a graph."""
        return encode_features(self.video, video_BCTHW), encode_features(self.audio, audio_B1FL)

    def project(self, video_BCTHW: Tensor, audio_B1FL: Tensor) -> tuple[Tensor, Tensor]:
        """Return the outputs of both heads `[B, D]`, not normalised."""
        return self.project_features(*self.encode(video_BCTHW, audio_B1FL))

    def project_features(self, video_BE: Tensor, audio_BE: Tensor) -> tuple[Tensor, Tensor]:
        """Return the outputs of both heads `[B, D]` for features, not normalised."""
        return self.video_head(video_BE), self.audio_head(audio_BE)

    def embed_video(self, features_BE: Tensor) -> Tensor:
        """Return the embeddings `[B, D]` of video features, as unit vectors."""
        return functional.normalize(convert_to_full_precision(self.video_head(features_BE)), dim=1)

    def embed_audio(self, features_BE: Tensor) -> Tensor:
        """Return the embeddings `[B, D]` of audio features, as unit vectors."""
        return functional.normalize(convert_to_full_precision(self.audio_head(features_BE)), dim=1)


def convert_to_full_precision(rows: Tensor) -> Tensor:
    """Return rows of half precision as float32, and others as they are: eight bits are too few for unit vectors."""
    return rows if rows.dtype == torch.float64 else rows.float()


def encode_features(encoder: Encoder, x: Tensor) -> Tensor:
    """Return the features `[B, E]` of clips, without a graph if the encoder is not trained."""
    with torch.no_grad() if is_frozen(encoder) else nullcontext():
        features_BE: Tensor = encoder(x)
    return features_BE


def find_dims(model: TwoTower) -> dict[Modality, int]:
    """Return the width of each modality's embeddings: what its head returns, and 0 without an encoder."""
    towers: tuple[tuple[Modality, Encoder, nn.Module], ...] = (
        ("video", model.video, model.video_head),
        ("audio", model.audio, model.audio_head),
    )
    dims: dict[Modality, int] = {}
    for modality, encoder, head in towers:
        weight = next(iter(head.parameters()), None)
        with torch.no_grad():
            like = torch.zeros(2, encoder.out_dim) if weight is None else weight.new_zeros(2, encoder.out_dim)
            dims[modality] = head(like).shape[1] if encoder.out_dim else 0
    return dims


def compute_model_stamp(model: nn.Module) -> str:
    """Return twelve hexadecimal digits that identify a model by its weights."""
    return compute_weights_stamp(model.state_dict())


def compute_weights_stamp(weights: Mapping[str, Tensor], bases: Mapping[str, str] | None = None) -> str:
    """Return twelve hexadecimal digits that identify tensors: a hash of their names, shapes, types and bytes.

    Args:
        weights: the tensors by name.
        bases: the stamps of other weights that a model has beside these, by the name of its part.
    """
    digest = hashlib.blake2b(digest_size=6)
    for name in sorted(weights):
        tensor = weights[name]  # one at a time, for they may be read or gathered here
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    for name, stamp in sorted((bases or {}).items()):
        digest.update(f"base of {name} {stamp}".encode())
    return digest.hexdigest()
