"""Encoders of pictures that encode a clip frame by frame, and the pool over its frames.

Shapes: `B` clips, `T` frames, `C H W` pictures, `E` features.
"""

from abc import abstractmethod

from torch import Tensor, nn

from talkies.core import AudioInput, Modality, VideoInput
from talkies.models.public.base import PublicEncoder


class AttentionPool(nn.Module):
    """A learned pool over frames: the weighted mean of `[B, T, E]`, with a weight from each frame's features.

    It starts as the plain mean.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.score = nn.Linear(dim, 1, bias=False)
        nn.init.zeros_(self.score.weight)

    def forward(self, x_BTE: Tensor) -> Tensor:
        """Return features `[B, E]`."""
        weights_BT1 = self.score(x_BTE).softmax(1)
        pooled_BE: Tensor = (weights_BT1 * x_BTE).sum(1)
        return pooled_BE


class FrameEncoder(PublicEncoder):
    """An encoder of pictures: the features of a clip are pooled over its frames.

    `pool` is None for the mean, or a learned pool, which then is trained with the head.
    """

    pool: AttentionPool | None

    def __init__(
        self, network: nn.Module, modality: Modality, input_: VideoInput | AudioInput, out_dim: int, address: str
    ) -> None:
        super().__init__(network, modality, input_, out_dim, address)
        self.pool = None  # not in the class: a value there would hide the module of this name

    @abstractmethod
    def extract_pictures(self, pictures: Tensor) -> Tensor:
        """Return features `[B, E]` of pictures `[B, 3, H, W]`."""

    def add_attention_pool(self) -> None:
        """Pool over frames with learned weights instead of the mean."""
        self.pool = AttentionPool(self.out_dim)

    def extract(self, x: Tensor) -> Tensor:
        """Return features of video `[B, 3, T, H, W]`: `[B, E]`, or `[B, T, E]` if the pool is learned."""
        clips, frames = x.shape[0], x.shape[2]
        pictures = x.transpose(1, 2).flatten(0, 1).contiguous()
        features_BTE = self.extract_pictures(pictures).view(clips, frames, -1)
        return features_BTE.mean(1) if self.pool is None else features_BTE

    def finish(self, extracted: Tensor) -> Tensor:
        """Return features `[B, E]`, pooled over frames."""
        if self.pool is None:
            return extracted
        pooled_BE: Tensor = self.pool(extracted)
        return pooled_BE
