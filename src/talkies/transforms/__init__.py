"""What a batch goes through on its device before the encoders: colour, crop, size, log-mel."""

from talkies.transforms.audio import AudioTransformConfig, LogMel
from talkies.transforms.colour import ColourJitter, yuv_to_rgb
from talkies.transforms.mel import mel_filters
from talkies.transforms.transform import Augmentation, ClipTransform, ModelInput, TransformConfig
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
    "mel_filters",
    "yuv_to_rgb",
]
