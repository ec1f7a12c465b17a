"""A batch of clips made ready for the two encoders."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from talkies.config import Config
from talkies.core import ClipBatch
from talkies.transforms.audio import AudioAugmentation, AudioTransformConfig, LogMel
from talkies.transforms.video import VideoAugmentation, VideoTransform, VideoTransformConfig


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
        self.config = config
        self.video = VideoTransform(config.video)
        self.audio = LogMel(config.audio, rate_hz)

    def forward(self, batch: ClipBatch, generator: torch.Generator | None = None) -> ModelInput:
        """Return the encoders' input; with a generator (on the CPU), augmented."""
        augmentation = self.draw(len(batch), batch.audio_BS.shape[1], generator) if generator else None
        return self.prepare(batch, augmentation)

    def draw(self, clips: int, samples: int, generator: torch.Generator) -> "Augmentation":
        """Return at random how so many clips, of so many samples, are to be augmented: pictures draw first."""
        return Augmentation(self.video.draw(clips, generator), self.audio.draw(clips, samples, generator))

    def prepare(self, batch: ClipBatch, augmentation: "Augmentation | None" = None) -> ModelInput:
        """Return the encoders' input: augmented as was drawn, or whole."""
        video, audio = (augmentation.video, augmentation.audio) if augmentation else (None, None)
        # Half the digits are not enough: they keep neither the levels of a byte nor the decibels of a soft sound.
        with torch.autocast(batch.video_BTPW.device.type, enabled=False):
            return ModelInput(self.video.prepare(batch.video_BTPW, video), self.audio.prepare(batch.audio_BS, audio))


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How each clip of a batch is augmented; drawn for the whole batch, it is cut as the batch is."""

    video: VideoAugmentation
    audio: AudioAugmentation

    def __getitem__(self, clips: slice) -> Self:
        """Return the augmentation of some of the clips."""
        return type(self)(self.video[clips], self.audio[clips])
