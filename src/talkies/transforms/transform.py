"""A batch of clips made ready for the two encoders."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from talkies.config import Config
from talkies.core import ClipBatch
from talkies.transforms.audio import AudioTransformConfig, LogMel
from talkies.transforms.video import VideoTransform, VideoTransformConfig


class TransformConfig(Config):
    """How pictures and sounds are made ready."""

    video: VideoTransformConfig
    audio: AudioTransformConfig = AudioTransformConfig()


@dataclass(frozen=True, slots=True)
class ModelInput:
    """What the encoders take: colour `video_BCTHW` and log-mel `audio_B1FL`, normalised."""

    video_BCTHW: Tensor
    audio_B1FL: Tensor


class ClipTransform(nn.Module):
    """Both transforms, on whatever device the batch is; `rate_hz` is that of the batch's sound."""

    def __init__(self, config: TransformConfig, rate_hz: int) -> None:
        super().__init__()
        self.video = VideoTransform(config.video)
        self.audio = LogMel(config.audio, rate_hz)

    def forward(self, batch: ClipBatch, generator: torch.Generator | None = None) -> ModelInput:
        """Return the encoders' input; with a generator (on the CPU), augmented: pictures draw first, then sounds."""
        # Half the digits are not enough: they keep neither the levels of a byte nor the decibels of a soft sound.
        with torch.autocast(batch.video_BTPW.device.type, enabled=False):
            return ModelInput(self.video(batch.video_BTPW, generator), self.audio(batch.audio_BS, generator))
