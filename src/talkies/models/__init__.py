"""Networks: encoders for video and audio, projection heads, and the two-tower model made of them."""

from talkies.models.adaptation import AdaptationConfig, TowerAdaptation
from talkies.models.address import EncoderAddress, is_address
from talkies.models.registry import AUDIO_ENCODERS, VIDEO_ENCODERS, ModelConfig, build_model
from talkies.models.tower import (
    BlockEncoder,
    Encoder,
    Head,
    NoEncoder,
    TwoTower,
    compute_model_stamp,
    compute_weights_stamp,
    find_dims,
    frozen_batch_norm_statistics,
)

__all__ = [
    "AUDIO_ENCODERS",
    "VIDEO_ENCODERS",
    "AdaptationConfig",
    "BlockEncoder",
    "Encoder",
    "EncoderAddress",
    "Head",
    "ModelConfig",
    "NoEncoder",
    "TowerAdaptation",
    "TwoTower",
    "build_model",
    "compute_model_stamp",
    "compute_weights_stamp",
    "find_dims",
    "frozen_batch_norm_statistics",
    "is_address",
]
