"""A run's two encoders, ready for clips.

Shapes: `B` clips, `D` embedding, `E` features.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from talkies.clips import ClipConfig
from talkies.config import check, read_yaml
from talkies.core import ClipBatch, ClipShape, Embeddings, RunError
from talkies.library import Profile
from talkies.models import ModelConfig, RunFolder, TwoTower, build_model
from talkies.transforms import ClipTransform, TransformConfig


@dataclass(frozen=True, slots=True)
class Encoded:
    """What the encoders make of a batch: embeddings, and the features before the heads, `[B, E]`."""

    embeddings: Embeddings
    video_BE: Tensor
    audio_BE: Tensor


class ClipEncoder:
    """Encodes batches of clips; `stamp` tells the weights, `profile` the grid that they learnt from."""

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


def load_encoder(run: Path, step: int | None = None) -> ClipEncoder:
    """Return the encoders of a run at its newest checkpoint, or at that of `step` (0: untrained).

    Raises:
        RunError: if there is no such run or checkpoint, or it is damaged.
    """
    folder = RunFolder(run)
    checkpoint, record = folder.checkpoint(step), folder.record()
    values, where = read_yaml(folder.config_path), str(folder.config_path)
    clip = check(ClipConfig, values.get("clip", {}), where)
    transforms = check(TransformConfig, values.get("transforms", {}), where)
    model = build_model(check(ModelConfig, values.get("model", {}), where))
    weights = checkpoint.encoder_weights()
    own = {name.removeprefix("model."): tensor for name, tensor in weights.items() if name.startswith("model.")}
    try:
        model.load_state_dict(own)
    except RuntimeError as error:
        raise RunError(f"the weights in {checkpoint.folder} are not of the model in {where}") from error
    model.video.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # the transform's layout
    profile = Profile.model_validate(record.profile)
    transform = ClipTransform(transforms, profile.audio_rate_hz)
    return ClipEncoder(model, transform, clip, profile, checkpoint.state().stamp, run, checkpoint.step)
