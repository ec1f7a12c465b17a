"""Encoders, heads, and the two-tower model."""

from talkies.models.registry import AUDIO_ENCODERS, VIDEO_ENCODERS, ModelConfig, build_model
from talkies.models.run_folder import Checkpoint, CheckpointState, RunFolder, RunRecord
from talkies.models.tower import Encoder, Head, Tower, TwoTower, stamp_of, still_norms

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
    "Tower",
    "TwoTower",
    "build_model",
    "stamp_of",
    "still_norms",
]
