"""The transform from a batch of clips to the input of both encoders, with augmentation in training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from talkies.config import Config
from talkies.core import AudioInput, ClipBatch, VideoInput
from talkies.transforms.audio import AudioAugmentation, AudioTransformConfig
from talkies.transforms.audio_inputs import build_audio_transform
from talkies.transforms.draws import concatenate_draws, move_draws
from talkies.transforms.video import VideoAugmentation, VideoTransform, VideoTransformConfig


class TransformConfig(Config):
    """The transforms of video and audio."""

    video: VideoTransformConfig
    audio: AudioTransformConfig = AudioTransformConfig()


@dataclass(frozen=True, slots=True)
class ModelInput:
    """The input of the encoders, normalised: RGB `video_BCTHW` and log-mel `audio_B1FL`.

    A public audio encoder takes its own form instead: samples `[B, S]`, or a spectrogram in its own layout.
    """

    video_BCTHW: Tensor
    audio_B1FL: Tensor


class ClipTransform(nn.Module):
    """Both transforms, on whatever device the batch is."""

    def __init__(
        self,
        config: TransformConfig,
        rate_hz: int,
        video_input: VideoInput | None = None,
        audio_input: AudioInput | None = None,
        *,
        audio_seconds: float | None = None,
    ) -> None:
        """Build the transforms.

        Args:
            config: the size of the video, the spectrogram, and the augmentation of both.
            rate_hz: samples a second of the clips' audio.
            video_input: what a public video encoder takes; its size and colours are then used, not the config's.
            audio_input: what a public audio encoder takes, likewise.
            audio_seconds: how much sound the clips have; None: checked with the first batch.

        Raises:
            ConfigError: if the clips' sound is not what a public audio encoder takes.
        """
        super().__init__()
        self.config = config
        self.video = VideoTransform(config.video, video_input)
        self.audio = build_audio_transform(config.audio, rate_hz, audio_input, audio_seconds)

    def forward(self, batch: ClipBatch, generator: torch.Generator | None = None) -> ModelInput:
        """Return the encoders' input, augmented at random if there is a generator (on the CPU)."""
        augmentation = self.draw(len(batch), batch.audio_BS.shape[1], generator) if generator else None
        return self.prepare(batch, augmentation)

    def draw(self, clips: int, samples: int, generator: torch.Generator) -> "Augmentation":
        """Return a random augmentation of a batch: video draws first.

        Args:
            clips: clips of the batch.
            samples: audio samples of each clip.
            generator: random generator on the CPU.
        """
        return Augmentation(self.video.draw(clips, generator), self.audio.draw(clips, samples, generator))

    def prepare(self, batch: ClipBatch, augmentation: "Augmentation | None" = None) -> ModelInput:
        """Return the encoders' input, with the given augmentation or none."""
        video, audio = (augmentation.video, augmentation.audio) if augmentation else (None, None)
        return ModelInput(self.video.prepare(batch.video_BTPW, video), self.audio.prepare(batch.audio_BS, audio))


@dataclass(frozen=True, slots=True)
class Augmentation:
    """The augmentation of each clip of a batch; it is sliced as the batch is."""

    video: VideoAugmentation
    audio: AudioAugmentation

    def __getitem__(self, clips: slice) -> Self:
        """Return the augmentation of some of the clips."""
        return type(self)(self.video[clips], self.audio[clips])

    def to(self, device: torch.device) -> Self:
        """Return the augmentation on `device`; the copies are queued, and this process does not wait for them."""
        moved: Self = move_draws(self, device)
        return moved

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Return the augmentations of several batches, drawn by one transform, as those of all their clips."""
        return cls(concatenate_draws([part.video for part in parts]), concatenate_draws([part.audio for part in parts]))
