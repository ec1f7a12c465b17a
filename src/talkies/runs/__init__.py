"""A trained model on disk: run folder, checkpoints, exported model, and the encoder loaded from any of them."""

from talkies.runs.clip_encoder import ClipEncoder, Encoded, EncodedFile, load_encoder
from talkies.runs.encoder_weights import (
    ExportedWeights,
    Init,
    LoadedWeights,
    export_weights,
    load_encoder_weights,
    parse_init,
)
from talkies.runs.run_folder import Checkpoint, CheckpointState, RunFolder, RunRecord

__all__ = [
    "Checkpoint",
    "CheckpointState",
    "ClipEncoder",
    "Encoded",
    "EncodedFile",
    "ExportedWeights",
    "Init",
    "LoadedWeights",
    "RunFolder",
    "RunRecord",
    "export_weights",
    "load_encoder",
    "load_encoder_weights",
    "parse_init",
]
