"""What of each tower is trained: all of it, a part, adapters beside it, only its head, or nothing."""

import re
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator
from torch import nn

from talkies.config import Config
from talkies.core import ConfigError
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
        distillation_weight: weight of a loss that keeps the features near those of the public encoder; 0: none.
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


def adapt_tower(
    encoder: Encoder, head: nn.Module, public: PublicTower | None, adaptation: TowerAdaptation, embedding_dim: int
) -> tuple[Encoder, nn.Module]:
    """Return an encoder and its head, with what is not trained frozen.

    Args:
        encoder: the encoder.
        head: a new head.
        public: what a public encoder came with; None for an encoder of talkies.
        adaptation: what is trained.
        embedding_dim: the width of the model's embeddings.

    Raises:
        ConfigError: if the encoder has no embedding of its own, or it has another width than the model's.
    """
    match adaptation.train:
        case "all":
            return encoder, head
        case "none":
            return encoder.requires_grad_(False), _take_native_head(public, embedding_dim).requires_grad_(False)
        case "head":
            encoder.requires_grad_(False).eval()
            if isinstance(encoder, FrameEncoder) and encoder.pool is not None:
                encoder.pool.requires_grad_(True)
            return encoder, head
    raise NotImplementedError(adaptation.train)


def _take_native_head(public: PublicTower | None, embedding_dim: int) -> nn.Module:
    if public is None:
        raise ConfigError(
            "adaptation.*.train = none needs a public encoder, whose own embedding is then used; set it to head, or "
            "name an address"
        )
    address = public.encoder.address
    if public.native_dim != embedding_dim:
        raise ConfigError(
            f"{address} is not trained (train = none), so the model's embeddings have its own {public.native_dim} "
            f"dimensions, and model.embedding_dim is {embedding_dim}; set model.embedding_dim={public.native_dim}"
        )
    return public.native_head
