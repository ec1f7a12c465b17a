"""A run's two encoders, ready for clips and for files.

Shapes: `B` clips, `T` frames, `P` rows of planar YUV 4:2:0 pictures, `W` columns, `S` samples, `D` embedding,
`E` features.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from talkies.clips import ClipConfig
from talkies.config import check, read_yaml
from talkies.core import ClipBatch, ClipShape, Embeddings, Float32s, Float64s, RunError
from talkies.library import Profile
from talkies.models import ModelConfig, TwoTower, build_model
from talkies.runs.exported_model import check_step, is_exported_model, read_exported_model, read_weights
from talkies.runs.file_windows import Windows, windows_of_file
from talkies.runs.run_folder import RunFolder
from talkies.transforms import ClipTransform, TransformConfig

_BATCH_CLIPS = 16


@dataclass(frozen=True, slots=True)
class Encoded:
    """What the encoders make of a batch: embeddings, and the features before the heads, `[B, E]`."""

    embeddings: Embeddings
    video_BE: Tensor
    audio_BE: Tensor


@dataclass(frozen=True, slots=True, repr=False)
class EncodedFile:
    """A media file as embeddings: B clips, each from `start_B` to `end_B` seconds of it, and of each a row of length
    one, `video_BD` and `audio_BD`; a side that the file lacks is None.
    """

    start_B: Float64s
    end_B: Float64s
    video_BD: Float32s | None
    audio_BD: Float32s | None

    def __len__(self) -> int:
        return len(self.start_B)

    def __repr__(self) -> str:
        sides = {"video_BD": self.video_BD, "audio_BD": self.audio_BD}
        shapes = (f"{name}={'None' if rows is None else list(rows.shape)}" for name, rows in sides.items())
        return f"EncodedFile({len(self)} clips, {', '.join(shapes)})"


class ClipEncoder:
    """Encodes batches of clips, and files; `stamp` tells the weights, `profile` the grid that they learnt from."""

    def __init__(
        self,
        model: TwoTower,
        transform: ClipTransform,
        clip: ClipConfig,
        profile: Profile,
        stamp: str,
        run: Path,
        step: int,
    ) -> None:
        self.clip, self.profile, self.stamp, self.run, self.step = clip, profile, stamp, run, step
        self.transforms = transform.config
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = model.eval().to(self._device)
        self._transform = transform.eval().to(self._device)

    @property
    def shape(self) -> ClipShape:
        """What a clip is made of, on the grid of `profile`."""
        return self.clip.on(self.profile.fps)

    @property
    def dim(self) -> int:
        """How many dimensions an embedding has."""
        return self.model.embedding_dim

    @torch.inference_mode()
    def encode(self, batch: ClipBatch) -> Encoded:
        """Return embeddings and features of a batch, on the CPU."""
        ready = self._transform(batch.to(self._device))
        video_BE, audio_BE = self.model.video(ready.video_BCTHW), self.model.audio(ready.audio_B1FL)
        video_BD, audio_BD = self.model.embed_video(video_BE), self.model.embed_audio(audio_BE)
        embeddings = Embeddings(
            *(part.cpu() for part in (video_BD.float(), audio_BD.float(), batch.film_B, batch.start_B))
        )
        return Encoded(embeddings, video_BE.float().cpu(), audio_BE.float().cpu())

    def encode_file(self, path: str | Path, stride_seconds: float | None = None) -> EncodedFile:
        """Return what a media file looks and sounds like: a clip each `stride_seconds`, without them clip by clip.

        Films are read once, in bounded memory; files of sound or of pictures alone may last up to five minutes.

        Raises:
            MediaError: if it cannot be read, or is shorter than a clip.
            UsageError: if the stride is shorter than a frame.
        """
        starts, sides = list[int](), (list[Tensor](), list[Tensor]())
        for windows in windows_of_file(Path(path), self.profile, self.shape, stride_seconds, _BATCH_CLIPS):
            starts += windows.starts
            for rows, encoded in zip(sides, self._encode_windows(windows), strict=True):
                rows += [encoded] if encoded is not None else []
        start_B = np.array(starts, np.float64) / self.profile.fps
        video_BD, audio_BD = (torch.cat(rows).numpy() if rows else None for rows in sides)
        return EncodedFile(start_B, start_B + self.shape.window_frames / self.profile.fps, video_BD, audio_BD)

    @torch.inference_mode()
    def _encode_windows(self, windows: Windows) -> tuple[Tensor | None, Tensor | None]:
        video_BD = audio_BD = None
        if windows.video_BTPW is not None:
            pictures = self._transform.video(torch.from_numpy(windows.video_BTPW).to(self._device))
            video_BD = self.model.embed_video(self.model.video(pictures)).float().cpu()
        if windows.audio_BS is not None:
            sound = self._transform.audio(torch.from_numpy(windows.audio_BS).to(self._device))
            audio_BD = self.model.embed_audio(self.model.audio(sound)).float().cpu()
        return video_BD, audio_BD


def load_encoder(path: str | Path, step: int | None = None) -> ClipEncoder:
    """Return the encoders of a run at its newest checkpoint, or at that of `step` (0: untrained), or of an exported
    folder.

    Raises:
        RunError: if there is no such run, checkpoint or folder, or it is damaged.
    """
    path = Path(path)
    return _of_artefact(path, step) if is_exported_model(path) else _of_run(path, step)


def _of_run(run: Path, step: int | None) -> ClipEncoder:
    folder = RunFolder(run)
    checkpoint, record = folder.checkpoint(step), folder.record()
    values, where = read_yaml(folder.config_path), str(folder.config_path)
    clip = check(ClipConfig, values.get("clip", {}), where)
    transforms = check(TransformConfig, values.get("transforms", {}), where)
    config = check(ModelConfig, values.get("model", {}), where)
    weights = checkpoint.encoder_weights()
    own = {name.removeprefix("model."): tensor for name, tensor in weights.items() if name.startswith("model.")}
    model = _model(config, own, f"the weights in {checkpoint.folder} are not of the model in {where}")
    profile = Profile.model_validate(record.profile)
    transform = ClipTransform(transforms, profile.audio_rate_hz)
    return ClipEncoder(model, transform, clip, profile, checkpoint.state().stamp, run, checkpoint.step)


def _of_artefact(folder: Path, step: int | None) -> ClipEncoder:
    artefact = read_exported_model(folder)
    check_step(folder, artefact, step)
    weights = read_weights(folder, artefact)
    model = _model(artefact.model, weights, f"the weights in {folder} are not of the model in its config.json")
    transform = ClipTransform(artefact.transforms, artefact.profile.audio_rate_hz)
    return ClipEncoder(model, transform, artefact.clip, artefact.profile, artefact.stamp, folder, artefact.step)


def _model(config: ModelConfig, weights: Mapping[str, Tensor], fault: str) -> TwoTower:
    model = build_model(config)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise RunError(fault) from error
    model.video.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # the transform's layout
    return model
