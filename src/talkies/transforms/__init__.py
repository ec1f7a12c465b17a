"""What a batch goes through on its device before the encoders: colour, crop, size, log-mel."""

from talkies.transforms.audio import AudioTransformConfig, LogMel, mel_filters
from talkies.transforms.transform import ClipTransform, ModelInput, TransformConfig
from talkies.transforms.video import VideoTransform, VideoTransformConfig, yuv_to_rgb

__all__ = [
    "AudioTransformConfig",
    "ClipTransform",
    "LogMel",
    "ModelInput",
    "TransformConfig",
    "VideoTransform",
    "VideoTransformConfig",
    "mel_filters",
    "yuv_to_rgb",
]
