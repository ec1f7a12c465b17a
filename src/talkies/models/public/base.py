"""The base of encoders that others trained, and what one brings: its own projection, and its text encoder.

Shapes: `B` clips, `T` frames, `E` features, `N` texts, `D` embedding.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from torch import Tensor, nn

from talkies.core import AudioInput, ConfigError, Modality, VideoInput
from talkies.models.public.recompute import set_checkpointing, wake_checkpointed_layers
from talkies.models.public.record import PublicBase
from talkies.models.tower import Encoder, compute_weights_stamp


class PublicEncoder(Encoder):
    """An encoder whose network others made and trained.

    `network` is their module. It runs without dropout, and its batch norms keep the statistics that they came with:
    then a clip has the same features whenever and wherever it is encoded. What of it features do not depend on, such as
    decoders and tokens for masks, is not part of it.

    Subclasses implement `extract`, and `finish` if some layers after it are new.
    """

    input: VideoInput | AudioInput
    network: Any  # modules of other libraries have attributes of their own
    base: PublicBase | None = None  # where its weights came from

    def __init__(
        self, network: nn.Module, modality: Modality, input_: VideoInput | AudioInput, out_dim: int, address: str
    ) -> None:
        """Take over a network.

        Args:
            network: the module that its library loaded.
            modality: what it encodes.
            input_: what it takes.
            out_dim: width of its features, E.
            address: where it came from, for messages.
        """
        super().__init__()
        self._recompute = False
        self.network, self.modality, self.input, self.out_dim, self.address = (
            network,
            modality,
            input_,
            out_dim,
            address,
        )
        remove_dropout(network)

    @property
    def recompute(self) -> bool:
        """Whether training keeps only the outputs of the layers, and runs each again for its gradient."""
        return self._recompute

    @recompute.setter
    def recompute(self, recompute: bool) -> None:
        self._recompute = recompute
        set_checkpointing(self.network, recompute)
        self.train(self.training)

    @abstractmethod
    def extract(self, x: Tensor) -> Tensor:
        """Return what the network makes of its input: features `[B, E]`, or `[B, T, E]` if a learned pool follows."""

    def finish(self, extracted: Tensor) -> Tensor:
        """Return the features `[B, E]` of what `extract` returned."""
        return extracted

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of each clip, `[B, E]`."""
        return self.finish(self.extract(x))

    def train(self, mode: bool = True) -> Self:
        """Set the training mode; the network stays in evaluation mode, in which it runs as it was published."""
        super().train(mode)
        self.network.eval()
        if self._recompute:
            wake_checkpointed_layers(self.network, mode)
        return self

    def check_input(self, shape: Sequence[int]) -> None:
        """Check that the encoder takes clips of T × H × W of video.

        Raises:
            ConfigError: if it takes another number of frames.
        """
        if not isinstance(self.input, VideoInput):
            return
        frames = shape[0]
        if self.input.frames is not None and frames != self.input.frames:
            raise ConfigError(
                f"{self.address} takes clips of {self.input.frames} frames, got {frames}; set "
                f"clip.frames={self.input.frames}"
            )
        if frames % self.input.multiple:
            raise ConfigError(
                f"{self.address} takes clips of a multiple of {self.input.multiple} frames, got {frames}; set "
                f"clip.frames to one"
            )


class TextEncoder(ABC):
    """Encodes texts into the embedding space of a public encoder's clips."""

    modalities: tuple[Modality, ...]
    """The modalities whose embeddings its texts may be compared with."""

    @abstractmethod
    def encode(self, texts: Sequence[str], modality: Modality) -> Tensor:
        """Return embeddings of texts as unit vectors, float32 `[N, D]` on the CPU, for comparison with a modality."""


@dataclass(frozen=True, slots=True)
class PublicTower:
    """An encoder with what it came with.

    Attributes:
        encoder: the encoder.
        native_head: its own projection from features into an embedding space; the identity if it has none.
        native_dim: the width of that space, D.
        space: identifies the space: embeddings of two towers of one checkpoint that were trained into one space have
            the same; a tower that shares its space with nothing has its own address.
        text_address: the address from which `open_text` loads the text encoder of that space; None if there is none.
        license: the licence of the weights as the checkpoint states it; empty if it states none.
        files: small files that describe the network, by name: what is needed to build it without the weights.
        folder: where the checkpoint is on this machine; empty if it is no folder.
        revision: the commit of a checkpoint from the hub; empty for others.
        has: which kinds of weights the checkpoint has, by the texts that their names start with.
        weights_stamp: identifies the weights; empty: computed from the tensors.
        whole: the network as its library loaded it, of which the encoder may be a part.
        is_described: whether it was built from its description alone, with random weights.
    """

    encoder: PublicEncoder
    native_head: nn.Module
    native_dim: int
    space: str
    text_address: str | None = None
    license: str = ""
    files: dict[str, str] = field(default_factory=dict)
    folder: str = ""
    revision: str = ""
    has: dict[str, bool] = field(default_factory=dict)
    weights_stamp: str = ""
    whole: Any = None
    is_described: bool = False


def describe_base(tower: PublicTower, address: str) -> PublicBase:
    """Return what a run keeps about the encoder that it begins with, before anything of it changes."""
    return PublicBase(
        address=address,
        folder=tower.folder,
        revision=tower.revision,
        stamp=tower.weights_stamp or compute_tower_stamp(tower),
        license=tower.license,
        files=tower.files,
        has=tower.has,
        text_address=tower.text_address,
    )


def compute_tower_stamp(tower: PublicTower) -> str:
    """Return the stamp of the weights of a public encoder and its own projection."""
    weights = {f"network.{name}": tensor for name, tensor in tower.encoder.network.state_dict().items()}
    weights |= {f"head.{name}": tensor for name, tensor in tower.native_head.state_dict().items()}
    return compute_weights_stamp(weights)


def remove_dropout(network: nn.Module) -> None:
    """Set the probability of every dropout layer to 0, so that training is deterministic and as exact as inference."""
    for module in network.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0


def silence_dropout(config: Any) -> None:
    """Set every rate of dropout, layer drop and drop path in a transformers config, and in those within it, to 0."""
    for name, value in vars(config).items():
        if hasattr(value, "to_dict"):
            silence_dropout(value)
        elif isinstance(value, float) and ("drop" in name):
            setattr(config, name, 0.0)
