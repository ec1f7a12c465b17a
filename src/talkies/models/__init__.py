"""Networks: encoders for video and audio, projection heads, and the two-tower model made of them."""

from talkies.models.registry import AUDIO_ENCODERS, VIDEO_ENCODERS, ModelConfig, build_model
from talkies.models.tower import (
    Encoder,
    Head,
    TwoTower,
    compute_model_stamp,
    compute_weights_stamp,
    frozen_batch_norm_statistics,
)

__all__ = [
    "AUDIO_ENCODERS",
    "VIDEO_ENCODERS",
    "Encoder",
    "Head",
    "ModelConfig",
    "TwoTower",
    "build_model",
    "compute_model_stamp",
    "compute_weights_stamp",
    "frozen_batch_norm_statistics",
]
