"""Encoders, heads, and the two-tower model."""

from talkies.models.registry import AUDIO_ENCODERS, VIDEO_ENCODERS, ModelConfig, build_model
from talkies.models.run_folder import Checkpoint, CheckpointState, RunFolder, RunRecord
from talkies.models.tower import Encoder, Head, Tower, TwoTower, stamp_of, stamp_of_weights, still_norms
from talkies.models.weights import (
    ExportedWeights,
    Init,
    LoadedWeights,
    export_weights,
    load_encoder_weights,
    parse_init,
)
from talkies.models.winograd import fast_on_cpu, keep_freed_memory

__all__ = [
    "AUDIO_ENCODERS",
    "VIDEO_ENCODERS",
    "Checkpoint",
    "CheckpointState",
    "Encoder",
    "ExportedWeights",
    "Head",
    "Init",
    "LoadedWeights",
    "ModelConfig",
    "RunFolder",
    "RunRecord",
    "Tower",
    "TwoTower",
    "build_model",
    "export_weights",
    "fast_on_cpu",
    "keep_freed_memory",
    "load_encoder_weights",
    "parse_init",
    "stamp_of",
    "stamp_of_weights",
    "still_norms",
]
