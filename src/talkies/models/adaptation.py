"""What of each tower is trained: all of it, a part, adapters beside it, only its head, or nothing."""

import re
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator
from torch import nn

from talkies.config import Config
from talkies.core import ConfigError, Modality, format_count
from talkies.models.depth import count_layers, measure_heights
from talkies.models.lora import add_adapters
from talkies.models.public.base import PublicTower
from talkies.models.public.frames import FrameEncoder
from talkies.models.tower import Encoder

_TRAIN = re.compile(r"none|head|last:[1-9]\d*|lora|all")


class TowerAdaptation(Config):
    """How one tower is trained.

    Attributes:
        train: `all`; `last:N`: the head and the last N blocks; `lora`: the head and low-rank adapters (Hu et al. 2021,
            arXiv:2106.09685); `head`: only the head; `none`: nothing, and the embedding is the public encoder's own, so
            that its words still meet it (locked tuning, Zhai et al. 2022, arXiv:2111.07991).
        learning_rate_multiplier: of the optimiser's learning rate, for the encoder; the head has the rate itself.
        layer_decay: the learning rate of a block is this much of that of the block after it.
        lora_rank: the rank of the adapters.
        lora_alpha: their scale is this over the rank.
        distillation_weight: weight of a loss that keeps the features near those of the public encoder (1 − their
            cosine); 0: none.
    """

    train: str = "all"
    learning_rate_multiplier: Annotated[float, Field(gt=0)] = 1.0
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    lora_rank: Annotated[int, Field(ge=1, le=1024)] = 8
    lora_alpha: Annotated[float, Field(gt=0)] = 16.0
    distillation_weight: Annotated[float, Field(ge=0)] = 0.0

    @field_validator("train")
    @classmethod
    def _check_train(cls, text: str) -> str:
        if not _TRAIN.fullmatch(text):
            raise ValueError(f"it is none, head, last:N, lora or all, got '{text}'")
        return text

    @model_validator(mode="after")
    def _check_distillation(self) -> Self:
        if self.distillation_weight and not self.moves_encoder:
            raise ValueError(
                f"with train = {self.train} the features are those of the public encoder, so there is nothing that "
                "distillation_weight could keep near them; set it to 0, or train to last:N, lora or all"
            )
        return self

    @property
    def moves_encoder(self) -> bool:
        """Whether training changes the features."""
        return self.train not in ("none", "head")

    @property
    def last_blocks(self) -> int | None:
        """N of `last:N`; None otherwise."""
        return int(self.train.removeprefix("last:")) if self.train.startswith("last:") else None


class AdaptationConfig(Config):
    """What of each tower is trained, and how.

    Attributes:
        video: of the video tower.
        audio: of the audio tower.
        views: in how many fixed ways a clip is augmented, of which each step takes one; 0: it is not augmented; None:
            it is augmented anew at every step.
        cache: whether features of frozen towers are computed once, kept in the library, and heads trained on them.
    """

    video: TowerAdaptation = TowerAdaptation()
    audio: TowerAdaptation = TowerAdaptation()
    views: Annotated[int, Field(ge=0, le=1024)] | None = None
    cache: bool = False

    @model_validator(mode="after")
    def _check_views_are_fixed(self) -> Self:
        if self.cache and self.views is None:
            raise ValueError(
                "cache keeps the features of fixed views of each clip; set adaptation.views to their number (0: "
                "without augmentation)"
            )
        return self

    @model_validator(mode="after")
    def _check_something_is_trained(self) -> Self:
        if self.video.train == self.audio.train == "none":
            raise ValueError(
                "with train = none for both video and audio nothing is trained; set one of them to head, last:N, lora "
                "or all (to use public encoders as they are, no run is needed: --model ADDRESS)"
            )
        return self

    def of(self, modality: Modality) -> TowerAdaptation:
        """Return how the tower of a modality is trained."""
        return self.video if modality == "video" else self.audio


def adapt_tower(
    encoder: Encoder,
    head: nn.Module,
    public: PublicTower | None,
    adaptation: TowerAdaptation,
    *,
    name: str,
    embedding_dim: int,
) -> nn.Module:
    """Freeze what is not trained of an encoder, add adapters to it if asked for, and return its head.

    Args:
        encoder: the encoder, changed in place.
        head: a new head.
        public: what a public encoder came with; None for an encoder of talkies.
        adaptation: what is trained.
        name: the encoder's name or address, for messages.
        embedding_dim: the width of the model's embeddings.

    Raises:
        ConfigError: if the tower cannot be trained so.
    """
    if adaptation.train == "none":
        head = _take_native_head(public, name, encoder.modality, embedding_dim).requires_grad_(False)
    elif adaptation.moves_encoder and not any(True for _ in encoder.parameters()):
        raise ConfigError(
            f"{name} cannot be trained: it has no weights that could change; set adaptation.{encoder.modality}.train "
            "to head, or to none"
        )
    if adaptation.distillation_weight and public is None:
        raise ConfigError(
            f"adaptation.{encoder.modality}.distillation_weight keeps features near those of a public encoder, and "
            f"{name} is an encoder of talkies, which starts from random weights; set it to 0"
        )
    _freeze(encoder, adaptation, name)
    if adaptation.train != "none" and isinstance(encoder, FrameEncoder) and encoder.pool is not None:
        encoder.pool.requires_grad_(True)
    encoder.train()
    return head


def _freeze(encoder: Encoder, adaptation: TowerAdaptation, name: str) -> None:
    """Freeze what is not trained of an encoder; `lora` also adds the adapters."""
    match adaptation.train:
        case "all":
            return
        case "lora":
            add_adapters(encoder, name, adaptation.lora_rank, adaptation.lora_alpha)
        case "none" | "head":
            encoder.requires_grad_(False)
        case _:
            _freeze_first_blocks(encoder, adaptation, name)


def _freeze_first_blocks(encoder: Encoder, adaptation: TowerAdaptation, name: str) -> None:
    count, trained = count_layers(encoder), adaptation.last_blocks
    assert trained is not None
    if trained > count:
        accepted = f"set it to last:{count} or fewer" if count else "set it to head"
        raise ConfigError(
            f"adaptation.{encoder.modality}.train is {adaptation.train}, and {name} has "
            f"{format_count(count, 'block')}; {accepted}, or to all"
        )
    heights = measure_heights(encoder)
    for parameter_name, parameter in encoder.named_parameters():
        parameter.requires_grad_(heights[parameter_name] <= trained)


def _take_native_head(public: PublicTower | None, name: str, modality: Modality, embedding_dim: int) -> nn.Module:
    if public is None:
        raise ConfigError(
            f"adaptation.{modality}.train = none needs a public encoder, whose own embedding is then used, and {name} "
            "is an encoder of talkies; set it to head, or name an address"
        )
    if public.native_dim != embedding_dim:
        raise ConfigError(
            f"{name} is not trained (train = none), so the model's embeddings have its own {public.native_dim} "
            f"dimensions, and model.embedding_dim is {embedding_dim}; set model.embedding_dim={public.native_dim}"
        )
    return public.native_head
