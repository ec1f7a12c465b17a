"""The encoders by name or address, and the model that a config describes."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Literal

import torch
from pydantic import Field, field_validator
from torch import nn

from talkies.config import Config
from talkies.core import ConfigError, Modality, suggest_nearest
from talkies.models.adaptation import AdaptationConfig, TowerAdaptation, adapt_tower
from talkies.models.address import EncoderAddress
from talkies.models.public.base import PublicTower, describe_base
from talkies.models.public.frames import FrameEncoder
from talkies.models.public.modules import list_plugins
from talkies.models.public.open import open_tower
from talkies.models.r2plus1d import R2Plus1D18
from talkies.models.resnet import ResNet18
from talkies.models.tiny import TinyAudio, TinyVideo
from talkies.models.tower import Encoder, Head, TwoTower
from talkies.models.vit import AudioTransformer, VideoTransformer

VIDEO_ENCODERS: dict[str, Callable[[], Encoder]] = {
    "tiny": TinyVideo,
    "r2plus1d18": R2Plus1D18,
    "vit_tiny": partial(VideoTransformer, dim=96, depth=4, heads=3),
    "vit_s": VideoTransformer,
}
AUDIO_ENCODERS: dict[str, Callable[[], Encoder]] = {
    "tiny": TinyAudio,
    "resnet18": ResNet18,
    "vit_tiny": partial(AudioTransformer, dim=96, depth=4, heads=3),
    "vit_s": AudioTransformer,
}


class ModelConfig(Config):
    """The names or addresses of both encoders, and the sizes of their projection heads.

    `frame_pool` is how an encoder of pictures makes one vector of a clip's frames: their mean, or weights that are
    learned with the head.
    """

    video: str
    audio: str
    embedding_dim: Annotated[int, Field(ge=2, le=8192)] = 128
    hidden_dim: Annotated[int, Field(ge=2, le=16_384)] = 256
    frame_pool: Literal["mean", "attention"] = "mean"

    @field_validator("video")
    @classmethod
    def _check_video(cls, name: str) -> str:
        return _check_encoder_name(name, VIDEO_ENCODERS, "video")

    @field_validator("audio")
    @classmethod
    def _check_audio(cls, name: str) -> str:
        return _check_encoder_name(name, AUDIO_ENCODERS, "audio")


def build_model(
    config: ModelConfig,
    adaptation: AdaptationConfig | None = None,
    towers: Mapping[Modality, PublicTower] | None = None,
) -> TwoTower:
    """Return the model: encoders of talkies and new heads with fresh random weights from PyTorch's global generator.

    Public encoders have the weights that they came with.

    Args:
        config: the encoders and the sizes of the heads.
        adaptation: what of each tower is trained; None: all.
        towers: public encoders that are opened already; others are opened at their addresses.

    Raises:
        ConfigError: if a public encoder cannot be loaded, or its tower cannot be adapted so.
    """
    adaptation, towers = adaptation or AdaptationConfig(), towers or {}
    # Both encoders, then both heads: in this order, a seed has given the same weights from the first version on.
    video, public_video = _build_encoder(config, adaptation.video, "video", towers.get("video"))
    audio, public_audio = _build_encoder(config, adaptation.audio, "audio", towers.get("audio"))
    video_head = _build_head(config, adaptation.video, video, public_video)
    audio_head = _build_head(config, adaptation.audio, audio, public_audio)
    return TwoTower(video, audio, config.embedding_dim, config.hidden_dim, video_head=video_head, audio_head=audio_head)


def is_public(config: ModelConfig, modality: Modality) -> bool:
    """Return whether the encoder of a modality is a public one, and not one of talkies."""
    name = config.video if modality == "video" else config.audio
    return name not in (VIDEO_ENCODERS if modality == "video" else AUDIO_ENCODERS)


def _build_encoder(
    config: ModelConfig, adaptation: TowerAdaptation, modality: Modality, public: PublicTower | None
) -> tuple[Encoder, PublicTower | None]:
    """Return an encoder, and what a public one came with."""
    name = config.video if modality == "video" else config.audio
    encoders = VIDEO_ENCODERS if modality == "video" else AUDIO_ENCODERS
    if name in encoders:
        encoder: Encoder = encoders[name]()
    else:
        # Loading may draw random numbers, which a resumed run does not: new layers follow from the seed alone.
        with torch.random.fork_rng(devices=[]):
            public = public or open_tower(EncoderAddress.parse(name), modality)
        public.encoder.base = public.encoder.base or describe_base(public, name)
        encoder = public.encoder
        if config.frame_pool == "attention" and isinstance(encoder, FrameEncoder):
            encoder.add_attention_pool()
        if adaptation.train not in ("none", "head") and not any(True for _ in encoder.parameters()):
            raise ConfigError(
                f"{name} has no weights that can be trained; set adaptation.{modality}.train=head, or none"
            )
    return encoder, public


def _build_head(
    config: ModelConfig, adaptation: TowerAdaptation, encoder: Encoder, public: PublicTower | None
) -> nn.Module:
    """Return the head of an encoder, and freeze what of both is not trained."""
    name = config.video if encoder.modality == "video" else config.audio
    head = Head(encoder.out_dim, config.hidden_dim, config.embedding_dim)
    return adapt_tower(encoder, head, public, adaptation, name=name, embedding_dim=config.embedding_dim)


def _check_encoder_name(name: str, encoders: Mapping[str, object], modality: Modality) -> str:
    if name in encoders or EncoderAddress.parse(name).scheme is not None:
        return name
    known = [*encoders, *list_plugins()]
    if name not in known:
        raise ValueError(
            f"no {modality} encoder '{name}'{suggest_nearest(name, known)}; there are: {', '.join(known)}, or name the "
            "address of another, such as hf:FOLDER_OR_ID"
        )
    return name
