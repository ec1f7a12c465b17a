"""Frozen features of windows: from the encoders of a run, from any other encoders, or plain signal statistics.

Shapes: `B` windows, `T` frames, `P` rows of planar YUV 4:2:0 (3/2 of the side `Z`), `S` samples, `E` features.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Collection
from pathlib import Path

import torch
from torch import Tensor

from talkies.clips.clip_spec import ClipSpec
from talkies.config import Config
from talkies.core import AudioInput, Modality, RunError, UsageError, VideoInput, to_device
from talkies.core.precision import FLOAT32, Precision, choose_device
from talkies.evaluation.transfer.protocol import Protocol
from talkies.models import Encoder
from talkies.models.tower import compute_model_stamp
from talkies.runs import ClipEncoder, load_model
from talkies.transforms import AudioTransformConfig, LogMel, TransformConfig, VideoTransform, VideoTransformConfig
from talkies.transforms.audio import AudioTransform
from talkies.transforms.audio_inputs import build_audio_transform


class Features(ABC):
    """A function from windows to feature vectors.

    `name` identifies it in results, `stamp` is a hash of all that the features depend on, and `clip_spec` is the input
    that it takes. `precision` is that of the encoders.
    """

    precision = FLOAT32

    def __init__(self, name: str, stamp: str, clip_spec: ClipSpec) -> None:
        self.name, self.stamp, self.clip_spec = name, stamp, clip_spec

    @property
    @abstractmethod
    def modalities(self) -> frozenset[Modality]:
        """The modalities that can be encoded."""

    def check(self, modalities: Collection[Modality]) -> None:
        """Check that some modalities can be encoded.

        Raises:
            UsageError: if one cannot, or its encoder does not accept the input of `clip_spec`.
        """
        if missing := sorted(set(modalities) - self.modalities):
            raise UsageError(f"{self.name} has no {missing[0]} encoder; name a model, or give encoders, that have one")

    @abstractmethod
    def encode_video(self, video_BTPZ: Tensor) -> Tensor:
        """Return features `[B, E]` of uint8 video, on the CPU; called only if `modalities` has video."""

    @abstractmethod
    def encode_audio(self, audio_BS: Tensor) -> Tensor:
        """Return features `[B, E]` of int16 audio, on the CPU; called only if `modalities` has audio."""


class TowerFeatures(Features):
    """The output of frozen encoders before any projection head, in evaluation mode."""

    def __init__(
        self,
        name: str,
        clip_spec: ClipSpec,
        transforms: TransformConfig,
        video: Encoder | None = None,
        audio: Encoder | None = None,
        *,
        precision: Precision = FLOAT32,
    ) -> None:
        """Take one encoder or both.

        Args:
            name: the name in results.
            clip_spec: the input of the encoders.
            transforms: how the input is prepared; frames are resized to the size of `clip_spec`.
            video: the video encoder, if there is one.
            audio: the audio encoder, if there is one.
            precision: the precision in which the encoders were trained; on a GPU they encode in the same.

        Raises:
            UsageError: if there is no encoder.
        """
        if video is None and audio is None:
            raise UsageError(f"{name} has no encoder; give a video encoder, an audio encoder, or both")
        self.transforms = resize_transforms(transforms, clip_spec.size)
        weights = "".join(_identify(encoder) if encoder else "-" for encoder in (video, audio))
        super().__init__(name, compute_stamp(weights, self.transforms), clip_spec)

        self._device = choose_device()
        self.precision = precision.for_encoding(self._device.type)
        self.video_encoder, self.audio_encoder = video, audio
        self._video_transform = self.build_video_transform().to(self._device)
        self._audio_transform = self.build_audio_transform().to(self._device)
        for encoder in (video, audio):
            if encoder is not None:
                encoder.eval().to(self._device)

    def check(self, modalities: Collection[Modality]) -> None:
        """Check that some modalities can be encoded, and that the video encoder accepts its input."""
        super().check(modalities)
        if "video" not in modalities or self.video_encoder is None:
            return
        own, size = self.video_input, self.clip_spec.size
        if own and own.size != size:
            raise UsageError(
                f"{self.name} takes pictures of {own.size} px, and the protocol sets {size}; leave size out, or "
                "fine-tune with --protocol finetune-own, in which every encoder has its own input"
            )
        self.video_encoder.check_input((self.clip_spec.frames, size, size))

    @property
    def video_input(self) -> VideoInput | None:
        """What the video encoder takes, if it is a public one."""
        own = self.video_encoder.input if self.video_encoder is not None else None
        return own if isinstance(own, VideoInput) else None

    @property
    def audio_input(self) -> AudioInput | None:
        """What the audio encoder takes, if it is a public one."""
        own = self.audio_encoder.input if self.audio_encoder is not None else None
        return None if isinstance(own, VideoInput) else own

    def build_video_transform(self, config: VideoTransformConfig | None = None) -> VideoTransform:
        """Return a new transform from uint8 video to the video encoder's input; its own, or another of its size."""
        return VideoTransform(config or self.transforms.video, self.video_input)

    def build_audio_transform(self) -> AudioTransform:
        """Return a new transform from int16 audio to the audio encoder's input."""
        spec = self.clip_spec
        return build_audio_transform(self.transforms.audio, spec.audio_rate_hz, self.audio_input, spec.audio_seconds)

    @property
    def modalities(self) -> frozenset[Modality]:
        """The modalities that have an encoder."""
        encoders: dict[Modality, Encoder | None] = {"video": self.video_encoder, "audio": self.audio_encoder}
        return frozenset(modality for modality, encoder in encoders.items() if encoder)

    def encode_video(self, video_BTPZ: Tensor) -> Tensor:
        """Return the video encoder's features `[B, E]`."""
        if self.video_encoder is None:
            raise UsageError(f"{self.name} has no video encoder; give one")
        with self.precision.encode_on(self._device.type):
            prepared = self._video_transform.prepare(to_device(video_BTPZ, self._device))
            features_BE: Tensor = self.video_encoder(self.video_encoder.arrange_input(prepared))
            return features_BE.float().cpu()

    def encode_audio(self, audio_BS: Tensor) -> Tensor:
        """Return the audio encoder's features `[B, E]`."""
        if self.audio_encoder is None:
            raise UsageError(f"{self.name} has no audio encoder; give one")
        with self.precision.encode_on(self._device.type):
            prepared = self._audio_transform.prepare(to_device(audio_BS, self._device))
            features_BE: Tensor = self.audio_encoder(self.audio_encoder.arrange_input(prepared))
            return features_BE.float().cpu()


class Statistics(Features):
    """Features without any learning, as a baseline.

    Of audio: mean and standard deviation over time of each log-mel band. Of video: mean and standard deviation of luma
    and of both chroma planes, and the mean change of each from frame to frame.
    """

    def __init__(self, clip_spec: ClipSpec, audio: AudioTransformConfig) -> None:
        super().__init__("statistics", compute_stamp("statistics-1", audio), clip_spec)
        self._log_mel = LogMel(audio, clip_spec.audio_rate_hz)

    @property
    def modalities(self) -> frozenset[Modality]:
        """Both."""
        return frozenset({"video", "audio"})

    @torch.inference_mode()
    def encode_video(self, video_BTPZ: Tensor) -> Tensor:
        """Return nine statistics of each window, `[B, 9]`."""
        side = video_BTPZ.shape[-1]
        luma, chroma = video_BTPZ[:, :, :side], video_BTPZ[:, :, side:].flatten(2)
        u, v = chroma.view(*chroma.shape[:2], 2, -1).unbind(2)

        statistics = []
        for plane in (luma, u, v):
            values = plane.flatten(2).float() / 255  # [B, T, pixels]
            has_steps = values.shape[1] > 1
            steps_B = values.diff(dim=1).abs().mean((1, 2)) if has_steps else torch.zeros(len(values))
            statistics += [values.mean((1, 2)), values.std((1, 2)), steps_B]
        return torch.stack(statistics, dim=1)

    @torch.inference_mode()
    def encode_audio(self, audio_BS: Tensor) -> Tensor:
        """Return two statistics of each mel band, `[B, 2F]`."""
        levels_BFL = self._log_mel.compute_levels(audio_BS)
        return torch.cat([levels_BFL.mean(2), levels_BFL.std(2)], dim=1)


def load_run_features(run: str | Path, step: int | None, protocol: Protocol, name: str) -> TowerFeatures:
    """Return the features of a run's encoders, or of public ones, with the input that a protocol sets.

    Args:
        run: the run's folder, or the address of public encoders.
        step: the step of a checkpoint; the newest if not given, untrained at 0.
        protocol: may set frames, frame rate, size and seconds of audio.
        name: the name in results.

    Raises:
        RunError: if there is no such run or checkpoint.
        UsageError: if an encoder does not accept the input that the protocol sets.
    """
    encoder = load_model(run, step)
    towers, spec = select_towers(encoder), find_clip_spec(encoder, protocol)
    return TowerFeatures(name, spec, encoder.transforms, *towers, precision=encoder.precision)


def load_untrained_features(run: str | Path, protocol: Protocol) -> TowerFeatures | None:
    """Return the features of a run's encoders before the first step, or None if that checkpoint was not kept."""
    try:
        return load_run_features(run, 0, protocol, "untrained")
    except RunError:
        return None


def select_towers(encoder: ClipEncoder) -> tuple[Encoder | None, Encoder | None]:
    """Return a model's video and audio encoder; None for a modality that it does not have."""
    model, has = encoder.model, encoder.modalities
    return (model.video if "video" in has else None), (model.audio if "audio" in has else None)


def find_clip_spec(encoder: ClipEncoder, protocol: Protocol) -> ClipSpec:
    """Return a model's own input for labelled clips, with what a protocol sets.

    Public encoders as they came get pictures and sound of the size and rate that they take; a run's get those of the
    films that it was trained on.
    """
    clip, profile = encoder.clip, encoder.profile
    video, audio = encoder.model.video_input, encoder.model.audio_input
    own_size = video.size if video else encoder.transforms.video.size
    size = protocol.size or own_size
    short_side = video.resize if video and encoder.is_public else profile.short_side
    rate_hz = audio.rate_hz if audio and encoder.is_public else profile.audio_rate_hz
    own = ClipSpec(
        frames=clip.frames,
        fps=clip.fps,
        short_side=round(short_side * size / own_size / 2) * 2,  # as much of the picture as in training
        size=size,
        audio_seconds=clip.audio_seconds,
        audio_rate_hz=rate_hz,
    )
    return resolve_clip_spec(protocol, own)


def resolve_clip_spec(protocol: Protocol, own: ClipSpec) -> ClipSpec:
    """Return the input under a protocol.

    Args:
        protocol: may set frames, frame rate and seconds of audio.
        own: the encoder's own input, for all that the protocol does not set.

    Raises:
        UsageError: if the audio rate is not a multiple of the frame rate.
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
    """Return transforms whose frames have `size` pixels a side."""
    video = VideoTransformConfig.model_validate({**transforms.video.model_dump(), "size": size})
    return TransformConfig(video=video, audio=transforms.audio)


def _identify(encoder: Encoder) -> str:
    """Return what identifies an encoder: its class and weights, and the input that a public one declares."""
    own = f" {encoder.input}" if encoder.input else ""
    return f"{type(encoder).__qualname__} {compute_model_stamp(encoder)}{own}"


def compute_stamp(text: str, *configs: Config) -> str:
    """Return a hash of a text and configs, twelve hexadecimal digits."""
    digest = hashlib.blake2b(text.encode(), digest_size=6)
    for config in configs:
        digest.update(config.model_dump_json().encode())
    return digest.hexdigest()
