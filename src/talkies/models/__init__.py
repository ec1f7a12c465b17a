"""Networks: encoders for video and audio, projection heads, and the two-tower model made of them."""

from talkies.models.adaptation import AdaptationConfig, TowerAdaptation
from talkies.models.address import EncoderAddress, is_address
from talkies.models.depth import count_layers, measure_heights
from talkies.models.learnt import (
    compute_learnt_stamp,
    find_bases,
    has_unused_weights,
    list_learnt_names,
    load_learnt,
    needs_base,
)
from talkies.models.lora import merge_adapters, remove_base_layer, without_adapters
from talkies.models.public.frames import FrameEncoder
from talkies.models.registry import AUDIO_ENCODERS, VIDEO_ENCODERS, ModelConfig, build_model, is_public
from talkies.models.tower import (
    BlockEncoder,
    Encoder,
    Head,
    NoEncoder,
    TwoTower,
    compute_model_stamp,
    compute_weights_stamp,
    convert_to_full_precision,
    encode_features,
    find_dims,
    frozen_batch_norm_statistics,
    is_frozen,
    set_layout,
)

__all__ = [
    "AUDIO_ENCODERS",
    "VIDEO_ENCODERS",
    "AdaptationConfig",
    "BlockEncoder",
    "Encoder",
    "EncoderAddress",
    "FrameEncoder",
    "Head",
    "ModelConfig",
    "NoEncoder",
    "TowerAdaptation",
    "TwoTower",
    "build_model",
    "compute_learnt_stamp",
    "compute_model_stamp",
    "compute_weights_stamp",
    "convert_to_full_precision",
    "count_layers",
    "encode_features",
    "find_bases",
    "find_dims",
    "frozen_batch_norm_statistics",
    "has_unused_weights",
    "is_address",
    "is_frozen",
    "is_public",
    "list_learnt_names",
    "load_learnt",
    "measure_heights",
    "merge_adapters",
    "needs_base",
    "remove_base_layer",
    "set_layout",
    "without_adapters",
]
