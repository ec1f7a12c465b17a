"""Pictures: crop, flip and resize in YUV, then colour, all of a batch at once.

Shapes: `B` clips, `T` frames, `P` = 3/2·H rows of planar YUV 4:2:0, `H W` pixels, `C` = 3 colours, `Z` output size.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from talkies.config import Config

_MEAN, _SD = 0.45, 0.225  # of natural video, as the field's 3-D networks are fed
_RGB_FROM_YUV = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))  # ITU-R BT.601
_YUV_RANGE, _YUV_ZERO = (219.0, 224.0, 224.0), (16.0, 128.0, 128.0)  # limited range


class VideoTransformConfig(Config):
    """Pictures are `size` × `size`: in training, crops of `crop_area_min` of the area or more,
    mirrored with chance `flip`.
    """  # noqa: D205

    size: Annotated[int, Field(ge=16, le=1024)]
    crop_area_min: Annotated[float, Field(gt=0, le=1)] = 0.5
    flip: Annotated[float, Field(ge=0, le=1)] = 0.5


def yuv_to_rgb(yuv_BCN: Tensor) -> Tensor:
    """Return red, green, blue `[B, C, N]` in 0–1 from luma and chroma `[B, C, N]` in 0–255: BT.601, limited range."""
    matrix = yuv_BCN.new_tensor(_RGB_FROM_YUV) / yuv_BCN.new_tensor(_YUV_RANGE)
    offset = -(matrix @ yuv_BCN.new_tensor(_YUV_ZERO))
    # One matrix product: channel by channel the same arithmetic goes over memory four times as often.
    return torch.baddbmm(offset[None, :, None], matrix.expand(len(yuv_BCN), 3, 3), yuv_BCN).clamp_(0, 1)


class VideoTransform(nn.Module):
    """From planar YUV 4:2:0 uint8 `[B, T, P, W]` to normalised colour `[B, C, T, Z, Z]`.

    Crop, mirror and resize (antialiased, as PIL's bilinear) are linear along each axis: one matrix a clip and axis,
    so a whole batch is two matrix products. Being linear, they come before the colours, while chroma is half-size.
    """

    def __init__(self, config: VideoTransformConfig) -> None:
        super().__init__()
        self._config = config

    def forward(self, video_BTPW: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the model's input: with a generator (on the CPU) cropped and mirrored at random, without one whole."""
        batch, frames, rows, width = video_BTPW.shape
        height = rows * 2 // 3
        crops = self._crops(batch, generator)
        luma = video_BTPW[:, :, :height].float()
        chroma = video_BTPW[:, :, height:].reshape(batch, frames * 2, height // 2, width // 2).float()
        y_BTHW = self._resized(luma, crops)
        uv_BTHW = self._resized(chroma, crops)
        yuv = torch.stack((y_BTHW, uv_BTHW[:, 0::2], uv_BTHW[:, 1::2]), dim=1)
        rgb = yuv_to_rgb(yuv.flatten(2)).view(yuv.shape)
        return rgb.sub_(_MEAN).div_(_SD).contiguous(memory_format=torch.channels_last_3d)

    def _resized(self, planes_BTHW: Tensor, crops: "_Crops") -> Tensor:
        height, width = planes_BTHW.shape[2:]
        down_BZH = resize_matrix(crops.top_B, crops.side_B, height, self._config.size)
        across_BZW = resize_matrix(crops.left_B, crops.side_B, width, self._config.size)
        across_BZW = torch.where(crops.mirrored_B[:, None, None], across_BZW.flip(1), across_BZW)
        down_BZH, across_BZW = (matrix.to(planes_BTHW.device, non_blocking=True) for matrix in (down_BZH, across_BZW))
        return down_BZH[:, None] @ (planes_BTHW @ across_BZW.mT[:, None])

    def _crops(self, batch: int, generator: torch.Generator | None) -> "_Crops":
        if generator is None:
            return _Crops(
                torch.zeros(batch), torch.zeros(batch), torch.ones(batch), torch.zeros(batch, dtype=torch.bool)
            )
        side = torch.empty(batch).uniform_(self._config.crop_area_min, 1, generator=generator).sqrt()
        top, left = (torch.rand(batch, generator=generator) * (1 - side) for _ in range(2))
        return _Crops(top, left, side, torch.rand(batch, generator=generator) < self._config.flip)


@dataclass(frozen=True, slots=True)
class _Crops:
    """The crop of each clip `[B]`: its top, left and side as shares of the whole, and whether it is mirrored."""

    top_B: Tensor
    left_B: Tensor
    side_B: Tensor
    mirrored_B: Tensor


def resize_matrix(begin_B: Tensor, extent_B: Tensor, length: int, size: int) -> Tensor:
    """Return `[B, size, length]`: each row the weights of one output pixel over `length` input pixels, summing to one.

    `begin_B` and `extent_B` are where the crop begins and how long it is, as shares of the whole. The filter is a
    triangle as wide as the output's pixels, or as the input's where these are wider.
    """
    scale_B11 = (extent_B * length / size)[:, None, None]
    centre_BZ1 = (begin_B * length)[:, None, None] + (torch.arange(size)[None, :, None] + 0.5) * scale_B11
    distance_BZL = (torch.arange(length) + 0.5 - centre_BZ1).abs()
    weight_BZL = (1 - distance_BZL / scale_B11.clamp(min=1)).clamp(min=0)
    return weight_BZL / weight_BZL.sum(2, keepdim=True)
