"""Vision transformers over clips and over log-mel spectrograms: one backbone, two ways to cut patches.

The backbone is that of Dosovitskiy et al. (*An Image is Worth 16x16 Words*, ICLR 2021, arXiv:2010.11929), over tubelets
as in ViViT's first model (Arnab et al., ICCV 2021, arXiv:2103.15691, section 3.2), and over patches of a spectrogram as
in AST (Gong et al., Interspeech 2021, arXiv:2104.01778), here without overlap. There is no class token: features are
the mean of all tokens. Positions are fixed sines and cosines, so a network takes clips of any length and size.

Parameters bear the names of timm's `VisionTransformer`, so weights of `vit_small_patch16` for images fit the audio one.

Shapes: `B` clips, `C T H W` pictures, `F L` log-mel, `N` tokens, `D` their width.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from talkies.core import ConfigError
from talkies.models.tower import Encoder

_STAGES = 4
_LONGEST_WAVE = 10_000.0  # as in Vaswani et al. 2017, section 3.5
_INITIAL_SD = 0.02


class _Attention(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x_BND: Tensor) -> Tensor:
        query, key, value = self.qkv(x_BND).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value)  # [B, heads, N, D / heads]
        return cast("Tensor", self.proj(seen.transpose(1, 2).flatten(2)))


class _Mlp(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x_BND: Tensor) -> Tensor:
        return cast("Tensor", self.fc2(functional.gelu(self.fc1(x_BND))))


class _Block(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(dim, eps=1e-6), _Attention(dim, heads)
        self.norm2, self.mlp = nn.LayerNorm(dim, eps=1e-6), _Mlp(dim)

    def forward(self, x_BND: Tensor) -> Tensor:
        x_BND = x_BND + self.attn(self.norm1(x_BND))
        return x_BND + cast("Tensor", self.mlp(self.norm2(x_BND)))


class _Tubelets(nn.Module):
    """From `[B, 3, T, H, W]` to tokens, one for each box of `size`."""

    def __init__(self, size: tuple[int, int, int], dim: int) -> None:
        super().__init__()
        self.size, self.proj = size, nn.Conv3d(3, dim, size, size)

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        self.check(x_BCTHW.shape[2:])
        return _tokens(self.proj(x_BCTHW), self.proj.weight.dtype)

    def check(self, shape: Sequence[int]) -> None:
        frames, height, width = shape
        if frames % self.size[0] or height % self.size[1] or width % self.size[2]:
            deep, high, wide = self.size
            raise ConfigError(
                f"this vision transformer cuts clips into boxes of {deep} frames of {high} × {wide} pixels, and cannot "
                f"cut {frames} frames of {height} × {width}; set clip.frames to a multiple of {deep}, and "
                f"transforms.video.size to one of {max(high, wide)}"
            )


class _Patches(nn.Module):
    """From `[B, 1, F, L]` to tokens, one for each square of `size`; zeros fill up the last squares of each axis."""

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.size, self.proj = size, nn.Conv2d(1, dim, size, size)

    def forward(self, x_B1FL: Tensor) -> Tensor:
        bins, frames = x_B1FL.shape[2:]
        whole_B1FL = functional.pad(x_B1FL, (0, -frames % self.size, 0, -bins % self.size))
        return _tokens(self.proj(whole_B1FL), self.proj.weight.dtype)


class _VisionTransformer(Encoder):
    """Patches, blocks of attention and of a two-layer network, each after its norm, and a norm before the mean."""

    def __init__(self, patch_embed: nn.Module, dim: int, depth: int, heads: int) -> None:
        super().__init__()
        self.out_dim, self.patch_embed = dim, patch_embed
        self.blocks = nn.Sequential(*(_Block(dim, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        for part in self.modules():
            if isinstance(part, nn.Linear | nn.Conv2d | nn.Conv3d):
                nn.init.trunc_normal_(part.weight, std=_INITIAL_SD)
                nn.init.zeros_(cast("Tensor", part.bias))

    def parts(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return the cut into tokens `[B, N, D]`, and the blocks: a layer is a quarter of them."""
        depth = len(self.blocks)
        layers = ((f"layer{1 + place * _STAGES // depth}", block) for place, block in enumerate(self.blocks))
        return ("stem", self.patch_embed), *layers

    def pool(self, x: Tensor) -> Tensor:
        """Return features `[B, D]` of tokens `[B, N, D]`."""
        return cast("Tensor", self.norm(x)).mean(1)


class VideoTransformer(_VisionTransformer):
    """Over `[B, 3, T, H, W]`, in tubelets of 2 frames of 16 × 16 pixels; by default of the size called ViT-S.

    Raises:
        ConfigError: when it is called or asked by `check_input`, if the clips cannot be cut into whole tubelets.
    """

    tower = "video"

    def __init__(self, dim: int = 384, depth: int = 12, heads: int = 6) -> None:
        super().__init__(_Tubelets((2, 16, 16), dim), dim, depth, heads)

    def check_input(self, shape: Sequence[int]) -> None:
        """Do nothing if clips of this shape, T × H × W, can be cut into whole tubelets."""
        cast("_Tubelets", self.patch_embed).check(shape)


class AudioTransformer(_VisionTransformer):
    """Over a log-mel `[B, 1, F, L]` of any size, in patches of 16 bins × 16 frames; by default of the size ViT-S."""

    tower = "audio"

    def __init__(self, dim: int = 384, depth: int = 12, heads: int = 6) -> None:
        super().__init__(_Patches(16, dim), dim, depth, heads)


def positions(grid: Sequence[int], dim: int, device: torch.device | None = None) -> Tensor:
    """Return `[N, D]`: the place of each token in a `grid`, row by row, as sines and cosines.

    Each axis of the grid has its own share of the D dimensions, half of it sines and half cosines of the place along
    that axis, at angular speeds from 1 down towards 1 / 10,000; for two axes they are those of MAE (He et al. 2022,
    arXiv:2111.06377). D must divide by twice the number of axes.
    """
    share = dim // len(grid)
    speeds_K = _LONGEST_WAVE ** -(torch.arange(share // 2, device=device) / (share // 2))
    axes = torch.meshgrid(*(torch.arange(length, device=device) for length in grid), indexing="ij")
    angles = [place.flatten()[:, None] * speeds_K for place in axes]
    return torch.cat([wave for angle_NK in angles for wave in (angle_NK.sin(), angle_NK.cos())], dim=1)


def _tokens(patches: Tensor, dtype: torch.dtype) -> Tensor:
    """Return tokens `[B, N, D]` of patches `[B, D, *grid]`, each with its place added.

    They are of the weights' `dtype`, so that in mixed precision what the blocks add up is added in full.
    """
    # Positions are computed at each call: it takes microseconds, and nothing made in inference mode stays for training.
    x_BND = patches.flatten(2).transpose(1, 2)
    return x_BND + positions(patches.shape[2:], x_BND.shape[2], x_BND.device).to(dtype)
