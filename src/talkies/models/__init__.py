"""Networks only: encoders, heads, and the two-tower model."""

from talkies.models.registry import AUDIO_ENCODERS, VIDEO_ENCODERS, ModelConfig, build_model
from talkies.models.tower import Encoder, Head, Tower, TwoTower, stamp_of, stamp_of_weights, still_norms
from talkies.models.winograd import fast_on_cpu, keep_freed_memory

__all__ = [
    "AUDIO_ENCODERS",
    "VIDEO_ENCODERS",
    "Encoder",
    "Head",
    "ModelConfig",
    "Tower",
    "TwoTower",
    "build_model",
    "fast_on_cpu",
    "keep_freed_memory",
    "stamp_of",
    "stamp_of_weights",
    "still_norms",
]
