"""Vision transformers for video clips and for log-mel spectrograms: one backbone with two patch embeddings.

The backbone is that of Dosovitskiy et al. (*An Image is Worth 16x16 Words*, ICLR 2021, arXiv:2010.11929). It runs over
tubelets as in ViViT's first model (Arnab et al., ICCV 2021, arXiv:2103.15691, section 3.2), and over patches of a
spectrogram as in AST (Gong et al., Interspeech 2021, arXiv:2104.01778), here without overlap. There is no class token:
features are the mean of all tokens. Positions are fixed sines and cosines, so a network accepts clips of any length and
size.

Parameters have the names of timm's `VisionTransformer`, so weights of `vit_small_patch16` for images fit the audio
encoder.

Shapes: `B` clips, `C T H W` video, `F` mel bins, `L` spectrogram frames, `N` tokens, `D` their width.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkies.core import ConfigError
from talkies.models.tower import BlockEncoder

_STAGES = 4
_LONGEST_WAVE = 10_000.0  # as in Vaswani et al. 2017, section 3.5
_INITIAL_SD = 0.02


class _Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x_BND: Tensor) -> Tensor:
        query, key, value = self.qkv(x_BND).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(query, key, value)  # [B, heads, N, D / heads]
        return cast("Tensor", self.proj(attended.transpose(1, 2).flatten(2)))


class _Mlp(nn.Module):
    """A two-layer network with a hidden width of 4 D."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x_BND: Tensor) -> Tensor:
        return cast("Tensor", self.fc2(functional.gelu(self.fc1(x_BND))))


class _Block(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(dim, eps=1e-6), _Attention(dim, heads)
        self.norm2, self.mlp = nn.LayerNorm(dim, eps=1e-6), _Mlp(dim)

    def forward(self, x_BND: Tensor) -> Tensor:
        x_BND = x_BND + self.attn(self.norm1(x_BND))
        return x_BND + cast("Tensor", self.mlp(self.norm2(x_BND)))


class _Tubelets(nn.Module):
    """The patch embedding of video `[B, 3, T, H, W]`: one token for each box of T × H × W `size`."""

    def __init__(self, size: tuple[int, int, int], dim: int) -> None:
        super().__init__()
        self.size, self.proj = size, nn.Conv3d(3, dim, size, size)

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        self.check_shape(x_BCTHW.shape[2:])
        return _make_tokens(self.proj(x_BCTHW), self.proj.weight.dtype)

    def check_shape(self, shape: Sequence[int]) -> None:
        """Check that clips of this shape, T × H × W, divide into whole boxes."""
        frames, height, width = shape
        box_frames, box_height, box_width = self.size
        if frames % box_frames or height % box_height or width % box_width:
            raise ConfigError(
                f"this vision transformer cuts clips into boxes of {box_frames} frames of {box_height} × {box_width} "
                f"pixels, and cannot cut {frames} frames of {height} × {width}; set clip.frames to a multiple of "
                f"{box_frames}, and transforms.video.size to one of {max(box_height, box_width)}"
            )


class _Patches(nn.Module):
    """The patch embedding of spectrograms `[B, 1, F, L]`: one token for each square of `size`, padded with zeros."""

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.size, self.proj = size, nn.Conv2d(1, dim, size, size)

    def forward(self, x_B1FL: Tensor) -> Tensor:
        bins, frames = x_B1FL.shape[2:]
        padded_B1FL = functional.pad(x_B1FL, (0, -frames % self.size, 0, -bins % self.size))
        return _make_tokens(self.proj(padded_B1FL), self.proj.weight.dtype)


class _VisionTransformer(BlockEncoder):
    """The shared backbone: a patch embedding, transformer blocks, and a norm before the mean over tokens."""

    def __init__(self, patch_embed: nn.Module, dim: int, depth: int, heads: int) -> None:
        super().__init__()
        self.out_dim, self.patch_embed = dim, patch_embed
        self.blocks = nn.Sequential(*(_Block(dim, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim, eps=1e-6)

        for layer in self.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d | nn.Conv3d):
                nn.init.trunc_normal_(layer.weight, std=_INITIAL_SD)
                nn.init.zeros_(cast("Tensor", layer.bias))

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return the patch embedding, and the transformer blocks in four stages of equal depth."""
        depth = len(self.blocks)
        layers = ((f"layer{1 + index * _STAGES // depth}", block) for index, block in enumerate(self.blocks))
        return ("stem", self.patch_embed), *layers

    def pool(self, x: Tensor) -> Tensor:
        """Return features `[B, D]` of tokens `[B, N, D]`."""
        return cast("Tensor", self.norm(x)).mean(1)


class VideoTransformer(_VisionTransformer):
    """A transformer for video `[B, 3, T, H, W]`, in tubelets of 2 frames of 16 × 16 pixels; ViT-S by default.

    Raises:
        ConfigError: from a call or `check_input`, if the clips cannot be cut into whole tubelets.
    """

    modality = "video"

    def __init__(self, dim: int = 384, depth: int = 12, heads: int = 6) -> None:
        super().__init__(_Tubelets((2, 16, 16), dim), dim, depth, heads)

    def check_input(self, shape: Sequence[int]) -> None:
        """Check that clips of this shape, T × H × W, can be cut into whole tubelets."""
        cast("_Tubelets", self.patch_embed).check_shape(shape)


class AudioTransformer(_VisionTransformer):
    """A transformer for log-mel spectrograms `[B, 1, F, L]`, in patches of 16 bins × 16 frames; ViT-S by default."""

    modality = "audio"

    def __init__(self, dim: int = 384, depth: int = 12, heads: int = 6) -> None:
        super().__init__(_Patches(16, dim), dim, depth, heads)


def compute_positions(grid: Sequence[int], dim: int, device: torch.device | None = None) -> Tensor:
    """Return the sine-cosine position of each token in a `grid`, row by row, as `[N, D]`.

    Each axis of the grid has its own share of the D dimensions: half of it sines and half cosines of the position along
    that axis, at angular speeds from 1 down towards 1 / 10,000. For two axes they are those of MAE (He et al. 2022,
    arXiv:2111.06377).

    Args:
        grid: how many tokens there are along each axis.
        dim: D, which must divide by twice the number of axes.
        device: where to compute the positions.
    """
    share = dim // len(grid)
    speeds_K = _LONGEST_WAVE ** -(torch.arange(share // 2, device=device) / (share // 2))
    axes = torch.meshgrid(*(torch.arange(length, device=device) for length in grid), indexing="ij")
    angles = [position.flatten()[:, None] * speeds_K for position in axes]
    return torch.cat([wave for angle_NK in angles for wave in (angle_NK.sin(), angle_NK.cos())], dim=1)


def _make_tokens(patches: Tensor, dtype: torch.dtype) -> Tensor:
    """Return tokens `[B, N, D]` of patches `[B, D, *grid]`, each with its position added.

    They have the `dtype` of the weights, so that in mixed precision the residual sums have full precision.
    """
    # Computing the positions in each call takes microseconds, and a tensor cached in inference mode breaks training.
    x_BND = patches.flatten(2).transpose(1, 2)
    return x_BND + compute_positions(patches.shape[2:], x_BND.shape[2], x_BND.device).to(dtype)
