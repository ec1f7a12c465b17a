"""What turns windows of clips into features: a run's towers, encoders of one's own, or plain statistics.

Shapes: `B` windows, `T` frames, `P` rows of planar YUV 4:2:0 (3/2 of the side `Z`), `S` samples, `E` features.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Collection
from pathlib import Path

import torch
from torch import Tensor

from talkies.config import Config
from talkies.core import Modality, RunError, UsageError
from talkies.evaluation.transfer.clip_spec import ClipSpec
from talkies.evaluation.transfer.protocol import Protocol
from talkies.models import Encoder
from talkies.models.tower import compute_model_stamp
from talkies.runs import load_encoder
from talkies.transforms import AudioTransformConfig, LogMel, TransformConfig, VideoTransform, VideoTransformConfig


class Features(ABC):
    """Frozen features of windows; `stamp` tells all that they depend on, `clip_spec` says what they are shown."""

    def __init__(self, name: str, stamp: str, clip_spec: ClipSpec) -> None:
        self.name, self.stamp, self.clip_spec = name, stamp, clip_spec

    @property
    @abstractmethod
    def towers(self) -> frozenset[Modality]:
        """Which of pictures and sound there are features of."""

    def check(self, towers: Collection[Modality]) -> None:
        """Do nothing if there are features of these towers.

        Raises:
            UsageError: if there are none of one, or it cannot take what it would be shown.
        """
        if lacking := sorted(set(towers) - self.towers):
            raise UsageError(f"{self.name} has no {lacking[0]} encoder; name a run, or give encoders, that have one")

    @abstractmethod
    def video(self, video_BTPZ: Tensor) -> Tensor:
        """Return features `[B, E]` of uint8 pictures, on the CPU; asked for only if `towers` has them."""

    @abstractmethod
    def audio(self, audio_BS: Tensor) -> Tensor:
        """Return features `[B, E]` of int16 sound, on the CPU; asked for only if `towers` has them."""


class TowerFeatures(Features):
    """What frozen encoders give before any head, in evaluation mode."""

    def __init__(
        self,
        name: str,
        clip_spec: ClipSpec,
        transforms: TransformConfig,
        video: Encoder | None = None,
        audio: Encoder | None = None,
    ) -> None:
        """Take one encoder or two; their inputs are made ready as `transforms` says, at the size of `clip_spec`."""
        if video is None and audio is None:
            raise UsageError(f"{name} has no encoder; give one of pictures, one of sound, or both")
        self.transforms = resize_transforms(transforms, clip_spec.size)
        weights = "".join(
            f"{type(encoder).__qualname__} {compute_model_stamp(encoder)}" if encoder else "-" for encoder in (video, audio)
        )
        super().__init__(name, compute_stamp(weights, self.transforms), clip_spec)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.video_encoder, self.audio_encoder = video, audio
        self._pictures = VideoTransform(self.transforms.video).to(self._device)
        self._sound = LogMel(self.transforms.audio, clip_spec.audio_rate_hz).to(self._device)
        for encoder in (video, audio):
            if encoder is not None:
                encoder.eval().to(self._device)

    def check(self, towers: Collection[Modality]) -> None:
        """Do nothing if the video encoder, where it is wanted, takes what it would be shown."""
        super().check(towers)
        if "video" in towers and self.video_encoder is not None:
            self.video_encoder.check_input((self.clip_spec.frames, self.clip_spec.size, self.clip_spec.size))

    @property
    def towers(self) -> frozenset[Modality]:
        """Which encoders there are."""
        encoders: dict[Modality, Encoder | None] = {"video": self.video_encoder, "audio": self.audio_encoder}
        return frozenset(tower for tower, encoder in encoders.items() if encoder)

    @torch.inference_mode()
    def video(self, video_BTPZ: Tensor) -> Tensor:
        """Return the video encoder's features."""
        if self.video_encoder is None:
            raise UsageError(f"{self.name} has no video encoder; give one")
        features_BE: Tensor = self.video_encoder(self._pictures.prepare(video_BTPZ.to(self._device)))
        return features_BE.float().cpu()

    @torch.inference_mode()
    def audio(self, audio_BS: Tensor) -> Tensor:
        """Return the audio encoder's features."""
        if self.audio_encoder is None:
            raise UsageError(f"{self.name} has no audio encoder; give one")
        features_BE: Tensor = self.audio_encoder(self._sound.prepare(audio_BS.to(self._device)))
        return features_BE.float().cpu()


class Statistics(Features):
    """No learning at all: of sound the mean and standard deviation of each log-mel band over time; of pictures those of
    luma and both chromas, and how far each changes from frame to frame.
    """

    def __init__(self, clip_spec: ClipSpec, audio: AudioTransformConfig) -> None:
        super().__init__("statistics", compute_stamp("statistics-1", audio), clip_spec)
        self._sound = LogMel(audio, clip_spec.audio_rate_hz)

    @property
    def towers(self) -> frozenset[Modality]:
        """Both."""
        return frozenset({"video", "audio"})

    @torch.inference_mode()
    def video(self, video_BTPZ: Tensor) -> Tensor:
        """Return nine numbers a window."""
        side = video_BTPZ.shape[-1]
        luma, chroma = video_BTPZ[:, :, :side], video_BTPZ[:, :, side:].flatten(2)
        blue, red = chroma.view(*chroma.shape[:2], 2, -1).unbind(2)
        parts = []
        for plane in (luma, blue, red):
            levels = plane.flatten(2).float() / 255  # [B, T, pixels]
            steps = levels.diff(dim=1).abs().mean((1, 2)) if levels.shape[1] > 1 else torch.zeros(len(levels))
            parts += [levels.mean((1, 2)), levels.std((1, 2)), steps]
        return torch.stack(parts, dim=1)

    @torch.inference_mode()
    def audio(self, audio_BS: Tensor) -> Tensor:
        """Return two numbers a band."""
        levels_BFL = self._sound.levels(audio_BS)
        return torch.cat([levels_BFL.mean(2), levels_BFL.std(2)], dim=1)


def load_run_features(run: Path, step: int | None, protocol: Protocol, name: str) -> TowerFeatures:
    """Return the towers of a run at its newest checkpoint, or at that of `step`, shown what the protocol says.

    Raises:
        RunError: if there is no such run or checkpoint.
        UsageError: if an encoder cannot take what the protocol would show it.
    """
    encoder = load_encoder(run, step)
    clip, profile, size = encoder.clip, encoder.profile, encoder.transforms.video.size
    wanted = protocol.size or size
    clip_spec = resolve_clip_spec(
        protocol,
        ClipSpec(
            clip.frames, clip.fps, round(profile.short_side * wanted / size / 2) * 2, wanted, clip.audio_seconds,
            profile.audio_rate_hz,
        ),
    )  # fmt: skip
    return TowerFeatures(name, clip_spec, encoder.transforms, encoder.model.video, encoder.model.audio)


def load_untrained_features(run: Path, protocol: Protocol) -> TowerFeatures | None:
    """Return the towers of a run before its first step, or nothing where they were not kept."""
    try:
        return load_run_features(run, 0, protocol, "untrained")
    except RunError:
        return None


def resolve_clip_spec(protocol: Protocol, own: ClipSpec) -> ClipSpec:
    """Return what is shown under a protocol; what it leaves open is as the encoder's own.

    Raises:
        UsageError: if the sound's rate is no multiple of the frames a second.
    """
    try:
        return ClipSpec(
            protocol.frames or own.frames,
            protocol.fps or own.fps,
            own.short_side,
            own.size,
            protocol.audio_seconds or own.audio_seconds,
            own.audio_rate_hz,
        )
    except ValueError as error:
        raise UsageError(f"the protocol cannot be followed: {error}") from error


def resize_transforms(transforms: TransformConfig, size: int) -> TransformConfig:
    """Return transforms that give pictures of `size`."""
    video = VideoTransformConfig.model_validate({**transforms.video.model_dump(), "size": size})
    return TransformConfig(video=video, audio=transforms.audio)


def compute_stamp(first: str, *configs: Config) -> str:
    """Return twelve hexadecimal digits that tell a text and configs."""
    digest = hashlib.blake2b(first.encode(), digest_size=6)
    for config in configs:
        digest.update(config.model_dump_json().encode())
    return digest.hexdigest()
