"""Transforms of a batch on its device, before the encoders: crop, size and colour of video, log-mel of audio."""

from talkies.transforms.audio import AudioTransformConfig, LogMel
from talkies.transforms.colour import ColourJitter, yuv_to_rgb
from talkies.transforms.draws import concatenate_draws
from talkies.transforms.mel import build_mel_filters
from talkies.transforms.transform import (
    Augmentation,
    ClipTransform,
    ModelInput,
    TransformConfig,
)
from talkies.transforms.video import VideoTransform, VideoTransformConfig

__all__ = [
    "AudioTransformConfig",
    "Augmentation",
    "ClipTransform",
    "ColourJitter",
    "LogMel",
    "ModelInput",
    "TransformConfig",
    "VideoTransform",
    "VideoTransformConfig",
    "build_mel_filters",
    "concatenate_draws",
    "yuv_to_rgb",
]
