"""Networks only: encoders, heads, and the two-tower model."""

from talkies.models.registry import AUDIO_ENCODERS, VIDEO_ENCODERS, ModelConfig, build_model
from talkies.models.tower import Encoder, Head, TwoTower, frozen_batch_norm_statistics, stamp_of, stamp_of_weights
from talkies.models.winograd import fast_on_cpu, keep_freed_memory

__all__ = [
    "AUDIO_ENCODERS",
    "VIDEO_ENCODERS",
    "Encoder",
    "Head",
    "ModelConfig",
    "TwoTower",
    "build_model",
    "fast_on_cpu",
    "frozen_batch_norm_statistics",
    "keep_freed_memory",
    "stamp_of",
    "stamp_of_weights",
]
