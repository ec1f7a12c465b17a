"""A trained model on disk: run folder, checkpoints, exported model, and the encoder loaded from any of them."""

from talkies.runs.address_encoder import (
    ModelAddress,
    choose_clip,
    is_model_address,
    is_same_model,
    list_addresses,
    make_address_absolute,
    parse_model_address,
)
from talkies.runs.bases import open_bases
from talkies.runs.checkpoint import Checkpoint, CheckpointState
from talkies.runs.clip_encoder import ClipEncoder, Encoded, EncodedFile
from talkies.runs.encoder_weights import (
    ExportedWeights,
    InitialWeights,
    LoadedWeights,
    export_weights,
    load_encoder_weights,
    parse_initial_weights,
)
from talkies.runs.exported_model import ExportedModel, is_exported_model, read_exported_model, read_stamp
from talkies.runs.load_encoder import build_run_encoder, load_encoder
from talkies.runs.named_model import RESULTS, load_model, make_file_name, parse_model
from talkies.runs.run_folder import RunFolder, RunRecord
from talkies.runs.run_model import RunModel, load_run_model
from talkies.runs.saved_tensors import SavedTensors

__all__ = [
    "RESULTS",
    "Checkpoint",
    "CheckpointState",
    "ClipEncoder",
    "Encoded",
    "EncodedFile",
    "ExportedModel",
    "ExportedWeights",
    "InitialWeights",
    "LoadedWeights",
    "ModelAddress",
    "RunFolder",
    "RunModel",
    "RunRecord",
    "SavedTensors",
    "build_run_encoder",
    "choose_clip",
    "export_weights",
    "is_exported_model",
    "is_model_address",
    "is_same_model",
    "list_addresses",
    "load_encoder",
    "load_encoder_weights",
    "load_model",
    "load_run_model",
    "make_address_absolute",
    "make_file_name",
    "open_bases",
    "parse_initial_weights",
    "parse_model",
    "parse_model_address",
    "read_exported_model",
    "read_stamp",
]
