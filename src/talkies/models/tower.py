"""Two towers that meet in one space.

Shapes: `B` clips, `C T H W` pictures, `F L` log-mel, `E` features of an encoder, `D` embedding.
"""

import hashlib
from abc import ABC, abstractmethod

from torch import Tensor, nn
from torch.nn import functional


class Encoder(nn.Module, ABC):
    """From a prepared input to features `[B, out_dim]`."""

    out_dim: int

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Return the features of each clip, `[B, out_dim]`."""


class Head(nn.Sequential):
    """A projection of two layers, from features `[B, E]` to `[B, D]`."""

    def __init__(self, in_dim: int, hidden_dim: int, out_dim: int) -> None:
        super().__init__(
            nn.Linear(in_dim, hidden_dim, bias=False),
            nn.BatchNorm1d(hidden_dim),
            nn.ReLU(inplace=True),
            nn.Linear(hidden_dim, out_dim),
        )


class TwoTower(nn.Module):
    """A video and an audio encoder, each with its head."""

    def __init__(self, video: Encoder, audio: Encoder, embedding_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.video, self.audio, self.embedding_dim = video, audio, embedding_dim
        self.video_head = Head(video.out_dim, hidden_dim, embedding_dim)
        self.audio_head = Head(audio.out_dim, hidden_dim, embedding_dim)

    def forward(self, video_BCTHW: Tensor, audio_B1FL: Tensor) -> tuple[Tensor, Tensor]:
        """Return both embeddings `[B, D]`, of length one."""
        return self.embed_video(self.video(video_BCTHW)), self.embed_audio(self.audio(audio_B1FL))

    def embed_video(self, features_BE: Tensor) -> Tensor:
        """Return the embeddings of video features."""
        return functional.normalize(self.video_head(features_BE), dim=1)

    def embed_audio(self, features_BE: Tensor) -> Tensor:
        """Return the embeddings of audio features."""
        return functional.normalize(self.audio_head(features_BE), dim=1)


def stamp_of(model: nn.Module) -> str:
    """Return twelve hexadecimal digits that tell a model by its weights: names, shapes, types and bytes."""
    digest = hashlib.blake2b(digest_size=6)
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
