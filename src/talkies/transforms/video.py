"""Pictures: crop, flip and resize in YUV, then colour, all of a batch at once.

Shapes: `B` clips, `T` frames, `P` = 3/2·H rows of planar YUV 4:2:0, `H W` pixels, `C` = 3 colours, `Z` output size.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from talkies.config import Config

_MEAN, _SD = 0.45, 0.225  # of natural video, as the field's 3-D networks are fed


class VideoTransformConfig(Config):
    """Pictures are `size` × `size`; in training, squares of at least `crop_area_min` of the area, mirrored with chance `flip`."""

    size: Annotated[int, Field(ge=16, le=1024)]
    crop_area_min: Annotated[float, Field(gt=0, le=1)] = 0.5
    flip: Annotated[float, Field(ge=0, le=1)] = 0.5


def yuv420_to_rgb(y_BTHW: Tensor, u_BTHW: Tensor, v_BTHW: Tensor) -> Tensor:
    """Return `[B, C, T, H, W]` in 0–1 from planes of one size in 0–255: BT.601, limited range."""
    luma, blue, red = (y_BTHW - 16) / 219, (u_BTHW - 128) / 224, (v_BTHW - 128) / 224
    channels = (luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue)
    return torch.stack(channels, dim=1).clamp_(0, 1)


class VideoTransform(nn.Module):
    """From planar YUV 4:2:0 uint8 `[B, T, P, W]` to normalised colour `[B, C, T, Z, Z]`."""

    def __init__(self, config: VideoTransformConfig) -> None:
        super().__init__()
        self._config = config

    def forward(self, video_BTPW: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the model's input; with a generator (on the CPU) crops and flips are drawn, without it the whole square is taken."""
        batch, frames, rows, width = video_BTPW.shape
        height = rows * 2 // 3
        luma = video_BTPW[:, :, :height].float()
        chroma = video_BTPW[:, :, height:].reshape(batch, frames * 2, height // 2, width // 2).float()
        size = self._config.size
        if generator is None and (height, width) == (size, size):
            sampled_y, sampled_uv = luma, functional.interpolate(chroma, (size, size), mode="bilinear")
        else:
            grid = functional.affine_grid(
                self._crops(batch, generator).to(video_BTPW.device), [batch, 1, size, size], align_corners=False
            )
            # Resizing is linear, so it may come before the colours: a quarter of the work, and chroma is half-size already.
            sampled_y, sampled_uv = (
                functional.grid_sample(planes, grid, mode="bilinear", padding_mode="border", align_corners=False)
                for planes in (luma, chroma)
            )
        uv = sampled_uv.reshape(batch, frames, 2, size, size)
        return (yuv420_to_rgb(sampled_y, uv[:, :, 0], uv[:, :, 1]) - _MEAN) / _SD

    def _crops(self, batch: int, generator: torch.Generator | None) -> Tensor:
        """Return the affine map `[B, 2, 3]` from output to input, both in [-1, 1], of each clip's crop."""
        if generator is None:
            scale, flip, shift = torch.ones(batch), torch.ones(batch), torch.zeros(batch, 2)
        else:
            area = torch.empty(batch).uniform_(self._config.crop_area_min, 1, generator=generator)
            scale = area.sqrt()
            flip = 1 - 2 * (torch.rand(batch, generator=generator) < self._config.flip).float()
            shift = (2 * torch.rand(batch, 2, generator=generator) - 1) * (1 - scale)[:, None]
        maps = torch.zeros(batch, 2, 3)
        maps[:, 0, 0], maps[:, 1, 1], maps[:, :, 2] = scale * flip, scale, shift
        return maps
