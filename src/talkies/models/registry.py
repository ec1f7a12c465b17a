"""The encoders by name, and the model that a config describes."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated

from pydantic import Field, field_validator

from talkies.config import Config
from talkies.core import Modality, suggest_nearest
from talkies.models.r2plus1d import R2Plus1D18
from talkies.models.resnet import ResNet18
from talkies.models.tiny import TinyAudio, TinyVideo
from talkies.models.tower import Encoder, TwoTower
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
    """The names of both encoders, and the sizes of their projection heads."""

    video: str
    audio: str
    embedding_dim: Annotated[int, Field(ge=2, le=8192)] = 128
    hidden_dim: Annotated[int, Field(ge=2, le=16_384)] = 256

    @field_validator("video")
    @classmethod
    def _check_video(cls, name: str) -> str:
        return _check_encoder_name(name, VIDEO_ENCODERS, "video")

    @field_validator("audio")
    @classmethod
    def _check_audio(cls, name: str) -> str:
        return _check_encoder_name(name, AUDIO_ENCODERS, "audio")


def build_model(config: ModelConfig) -> TwoTower:
    """Return the model with fresh random weights from PyTorch's global generator."""
    video = VIDEO_ENCODERS[config.video]()
    audio = AUDIO_ENCODERS[config.audio]()
    return TwoTower(video, audio, config.embedding_dim, config.hidden_dim)


def _check_encoder_name(name: str, encoders: Mapping[str, object], modality: Modality) -> str:
    if name not in encoders:
        raise ValueError(
            f"no {modality} encoder '{name}'{suggest_nearest(name, encoders)}; there are: {', '.join(encoders)}"
        )
    return name
