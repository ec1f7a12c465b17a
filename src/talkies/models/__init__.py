"""Encoders, heads, and the two-tower model."""

from talkies.models.registry import AUDIO_ENCODERS, VIDEO_ENCODERS, ModelConfig, build_model
from talkies.models.run_folder import Checkpoint, CheckpointState, RunFolder, RunRecord
from talkies.models.tower import Encoder, Head, TwoTower, stamp_of

__all__ = [
    "AUDIO_ENCODERS",
    "VIDEO_ENCODERS",
    "Checkpoint",
    "CheckpointState",
    "Encoder",
    "Head",
    "ModelConfig",
    "RunFolder",
    "RunRecord",
    "TwoTower",
    "build_model",
    "stamp_of",
]
