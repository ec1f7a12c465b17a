"""A run's two encoders, ready for clips and for files.

Shapes: `B` clips, `T` frames, `P` rows of planar YUV 4:2:0 pictures, `W` columns, `S` samples, `D` embedding,
`E` features.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from talkies.clips import ClipConfig, FileWindows, read_file_windows
from talkies.core import (
    MODALITIES,
    ClipBatch,
    ClipShape,
    Embeddings,
    Float32s,
    Float64s,
    Modality,
    UsageError,
    to_device,
)
from talkies.core.precision import FLOAT32, Precision, choose_device
from talkies.library import Profile
from talkies.models import EncoderAddress, TwoTower, find_dims
from talkies.models.public import TextEncoder, open_text
from talkies.runs.texts import TextSpace, explain_no_words
from talkies.transforms import ClipTransform, TransformConfig

_BATCH_CLIPS = 16


@dataclass(frozen=True, slots=True)
class Encoded:
    """The output of the encoders for B clips: embeddings, and the features before the heads, `[B, E]`."""

    embeddings: Embeddings
    video_BE: Tensor
    audio_BE: Tensor

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Return the outputs for several batches as one, in their order."""
        names = ("video_BD", "audio_BD", "film_B", "start_B")
        embeddings = Embeddings(*(torch.cat([getattr(part.embeddings, name) for part in parts]) for name in names))
        return cls(embeddings, torch.cat([p.video_BE for p in parts]), torch.cat([p.audio_BE for p in parts]))


@dataclass(frozen=True, slots=True, repr=False)
class EncodedFile:
    """The embeddings of a media file's clips; a modality that the file lacks is None.

    Clip *b* lasts from `start_B[b]` to `end_B[b]` seconds; the rows of `video_BD` and `audio_BD` have length one.
    """

    start_B: Float64s
    end_B: Float64s
    video_BD: Float32s | None
    audio_BD: Float32s | None

    def __len__(self) -> int:
        return len(self.start_B)

    def __repr__(self) -> str:
        arrays = {"video_BD": self.video_BD, "audio_BD": self.audio_BD}
        shapes = (f"{name}={'None' if rows is None else list(rows.shape)}" for name, rows in arrays.items())
        return f"EncodedFile({len(self)} clips, {', '.join(shapes)})"


class ClipEncoder:
    """Encodes batches of clips, and media files, with a trained model."""

    def __init__(
        self,
        model: TwoTower,
        transform: ClipTransform,
        *,
        clip: ClipConfig,
        profile: Profile,
        stamp: str,
        run: str | Path,
        step: int,
        joint: bool = True,
        texts: Mapping[Modality, TextSpace] | None = None,
        moved: Mapping[Modality, str] | None = None,
        license: str | None = None,  # noqa: A002
        precision: Precision = FLOAT32,
    ) -> None:
        """Move the model to the GPU if there is one.

        Args:
            model: The two encoders and their heads.
            transform: Turns clips into the model's input.
            clip: What a clip is made of.
            profile: The grid and size of the films that the model was trained on.
            stamp: Identifies the weights.
            run: The folder of the run or of the exported model, or the address of public encoders.
            step: The training step of the weights; 0 for public encoders.
            joint: Whether embeddings of video and of audio lie in one space, so that they can be compared.
            texts: The text encoders whose embeddings can be compared with each modality's.
            moved: Why those of other modalities cannot any more, for messages.
            license: The licence of public weights, empty if it is not stated; None for weights that talkies trained.
            precision: The precision in which the model was trained; on a GPU it encodes in the same.
        """
        self.clip, self.profile = clip, profile
        self.stamp, self.run, self.step, self.joint = stamp, run, step, joint
        self.texts: Mapping[Modality, TextSpace] = texts or {}
        self.moved: Mapping[Modality, str] = moved or {}
        self.license = license
        self._text_encoders: dict[str, TextEncoder] = {}
        self.transforms = transform.config
        self.device = choose_device()
        self.precision = precision.for_encoding(self.device.type)
        self.model = model.eval().to(self.device)
        self._dims = find_dims(model)
        self._transform = transform.eval().to(self.device)

    @property
    def shape(self) -> ClipShape:
        """What a clip is made of, on the grid of `profile`."""
        return self.clip.to_shape(self.profile.fps)

    @property
    def is_public(self) -> bool:
        """Whether these are public encoders as they came, and not a run's."""
        return self.license is not None

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The modalities for which there is an encoder."""
        return tuple(modality for modality in MODALITIES if self.dims[modality])

    @property
    def dims(self) -> dict[Modality, int]:
        """The number of dimensions of each modality's embeddings; 0 for one that has no encoder."""
        return dict(self._dims)

    @property
    def dim(self) -> int:
        """The number of dimensions of an embedding: of the wider one where video and audio differ."""
        return max(self._dims.values())

    @property
    def text_modalities(self) -> tuple[Modality, ...]:
        """The modalities whose embeddings texts can be compared with."""
        return tuple(self.texts)

    def encode_text(self, texts: Sequence[str], modality: Modality) -> Float32s:
        """Return embeddings of texts as unit vectors `[N, D]`, to be compared with those of a modality.

        Raises:
            UsageError: if the model has no words for that modality.
        """
        if modality not in self.texts:
            raise UsageError(explain_no_words(self.run, modality, tuple(self.texts), self.moved))
        space = self.texts[modality]
        if space.address not in self._text_encoders:
            self._text_encoders[space.address] = open_text(EncoderAddress.parse(space.address))
        vectors: Float32s = self._text_encoders[space.address].encode(texts, space.modality).numpy()
        return vectors

    def encode(self, batch: ClipBatch) -> Encoded:
        """Return embeddings and features of a batch, on the CPU."""
        on_device = batch.to(self.device)
        with self.precision.encode_on(self.device.type):
            video_BE = audio_BE = torch.zeros(len(batch), 0, device=self.device)
            if self._dims["video"]:
                video_BE = self._encode_video(on_device.video_BTPW)
            if self._dims["audio"]:
                audio_BE = self._encode_audio(on_device.audio_BS)
            video_BD = self.model.embed_video(video_BE) if self._dims["video"] else video_BE
            audio_BD = self.model.embed_audio(audio_BE) if self._dims["audio"] else audio_BE
        # One copy for all, because each waits for the device.
        parts = [part.float() for part in (video_BD, audio_BD, video_BE, audio_BE)]
        every = torch.cat(parts, 1).cpu()
        video_BD, audio_BD, video_BE, audio_BE = (
            part.contiguous() for part in torch.split(every, [part.shape[1] for part in parts], 1)
        )
        return Encoded(Embeddings(video_BD, audio_BD, batch.film_B.cpu(), batch.start_B.cpu()), video_BE, audio_BE)

    def encode_batches(self, batches: Iterable[ClipBatch], on_batch: Callable[[int], None] | None = None) -> Encoded:
        """Return embeddings and features of the clips of one or more batches, in their order.

        Args:
            batches: Batches of clips, one of them in memory at a time.
            on_batch: Called after each batch with its number of clips.
        """
        parts = []
        for batch in batches:
            parts.append(self.encode(batch))
            if on_batch:
                on_batch(len(batch))
        return Encoded.concatenate(parts)

    def _encode_video(self, video_BTPW: Tensor) -> Tensor:
        features_BE: Tensor = self.model.video(self.model.video.arrange_input(self._transform.video(video_BTPW)))
        return features_BE

    def _encode_audio(self, audio_BS: Tensor) -> Tensor:
        features_BE: Tensor = self.model.audio(self.model.audio.arrange_input(self._transform.audio(audio_BS)))
        return features_BE

    def encode_windows(self, windows: FileWindows) -> tuple[Float32s | None, Float32s | None]:
        """Return embeddings `[B, D]` of the video and of the audio of a file's windows; None for a missing one."""
        video_BD = audio_BD = None
        with self.precision.encode_on(self.device.type):
            if windows.video_BTPW is not None and self._dims["video"]:
                video_BE = self._encode_video(to_device(torch.from_numpy(windows.video_BTPW), self.device))
                video_BD = self.model.embed_video(video_BE).float().cpu().numpy()
            if windows.audio_BS is not None and self._dims["audio"]:
                audio_BE = self._encode_audio(to_device(torch.from_numpy(windows.audio_BS), self.device))
                audio_BD = self.model.embed_audio(audio_BE).float().cpu().numpy()
        return video_BD, audio_BD

    def encode_file(self, path: str | Path, stride_seconds: float | None = None) -> EncodedFile:
        """Return embeddings of a media file's clips.

        Files with video and audio are streamed in bounded memory; files with only one of them may last up to five
        minutes.

        Args:
            path: The media file.
            stride_seconds: The distance between the starts of two clips; None puts them end to end.

        Raises:
            MediaError: if it cannot be read, or is shorter than a clip.
            UsageError: if the stride is shorter than a frame.
        """
        starts: list[int] = []
        video_parts: list[Float32s] = []
        audio_parts: list[Float32s] = []
        for windows in read_file_windows(
            Path(path), self.profile, self.shape, stride_seconds=stride_seconds, most=_BATCH_CLIPS
        ):
            starts += windows.start_B.tolist()
            video_BD, audio_BD = self.encode_windows(windows)
            if video_BD is not None:
                video_parts.append(video_BD)
            if audio_BD is not None:
                audio_parts.append(audio_BD)

        start_B = np.array(starts, np.float64) / self.profile.fps
        return EncodedFile(
            start_B,
            start_B + self.shape.window_frames / self.profile.fps,
            np.concatenate(video_parts) if video_parts else None,
            np.concatenate(audio_parts) if audio_parts else None,
        )


def make_transform(model: TwoTower, transforms: TransformConfig, profile: Profile, clip: ClipConfig) -> ClipTransform:
    """Return the transform from clips of a library of some profile to what a model's encoders take."""
    return ClipTransform(
        transforms,
        profile.audio_rate_hz,
        model.video_input,
        model.audio_input,
        audio_seconds=clip.audio_seconds,
    )
