"""Colour conversion and jitter: from luma and chroma to red, green and blue, as one affine map for each clip.

Shapes: `B` clips, `C` = 3 colours (or luma and two chromas), `N` pixels.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Self

import torch
from torch import Tensor

_RGB_FROM_YUV = {
    "bt601": ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0)),  # ITU-R BT.601-7
    "bt709": ((1.0, 0.0, 1.5748), (1.0, -0.187324, -0.468124), (1.0, 1.8556, 0.0)),  # ITU-R BT.709-6
}
_LIMITED = (219.0, 224.0, 224.0), (16.0, 128.0, 128.0)  # range and zero of luma and chroma
_FULL = (255.0, 255.0, 255.0), (0.0, 128.0, 128.0)


@dataclass(frozen=True, slots=True)
class ColourJitter:
    """Random changes of each clip's colours, applied in the order of the attributes; all are affine in luma and chroma.

    Attributes:
        brightness_B: factor of all colours.
        contrast_B: factor of the distance to the clip's mean luma.
        saturation_B: factor of chroma.
        hue_B: rotation of chroma, in turns, as in FFmpeg's `hue` filter.
    """

    brightness_B: Tensor
    contrast_B: Tensor
    saturation_B: Tensor
    hue_B: Tensor

    def __getitem__(self, clips: slice) -> Self:
        """Return the jitter of some of the clips."""
        parts = (self.brightness_B, self.contrast_B, self.saturation_B, self.hue_B)
        return type(self)(*(part[clips] for part in parts))

    def compute_matrix(self) -> Tensor:
        """Return the linear part of the map, `[B, 3, 3]`, for luma and chroma measured from their zeros."""
        luma_B = self.brightness_B * self.contrast_B
        angle_B = self.hue_B * 2 * math.pi
        cos_B, sin_B = (luma_B * self.saturation_B * wave(angle_B) for wave in (torch.cos, torch.sin))
        zero_B = torch.zeros_like(luma_B)
        rows = (luma_B, zero_B, zero_B), (zero_B, cos_B, -sin_B), (zero_B, sin_B, cos_B)
        return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)

    def compute_lift(self) -> Tensor:
        """Return the constant part of the map, `[B]`: the share of the clip's mean luma that is added to luma."""
        return self.brightness_B * (1 - self.contrast_B)


def yuv_to_rgb(
    yuv_BCN: Tensor,
    matrix: Literal["bt601", "bt709"] = "bt601",
    *,
    full_range: bool = False,
    jitter: ColourJitter | None = None,
) -> Tensor:
    """Return red, green and blue `[B, C, N]` in 0–1, clipped once, after the jitter.

    Args:
        yuv_BCN: luma and two chromas in 0–255, float.
        matrix: the colour matrix of the video.
        full_range: whether luma and chroma use 0–255, and not 16–235 and 16–240.
        jitter: random changes of colours, one for each clip.
    """
    matrix_CC, zero_C = _conversion(matrix, full_range, yuv_BCN.dtype, yuv_BCN.device)

    # Compose conversion and jitter into one matrix for each clip.
    composed = matrix_CC if jitter is None else matrix_CC @ jitter.compute_matrix().to(matrix_CC)
    matrix_BCC = composed.expand(yuv_BCN.shape[0], 3, 3)

    # The constant part subtracts the zeros of luma and chroma, and adds what contrast keeps of the mean luma.
    offset_BC = -(matrix_BCC @ zero_C)
    if jitter is not None:
        extents, zeros = _FULL if full_range else _LIMITED
        mean_luma_B = (yuv_BCN[:, 0].mean(1) - zeros[0]) / extents[0]
        offset_BC += (jitter.compute_lift().to(mean_luma_B) * mean_luma_B)[:, None]

    # One matrix product reads memory once; the same arithmetic channel by channel reads it four times as often.
    return torch.baddbmm(offset_BC[:, :, None], matrix_BCC, yuv_BCN).clamp_(0, 1)


@lru_cache(maxsize=16)
def _conversion(matrix: str, full_range: bool, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the matrix `[3, 3]` from luma and chroma to colours, and their zeros `[3]`; copied to a device once."""
    with torch.inference_mode(False):  # so that they may be used outside that mode too
        extent_C, zero_C = (torch.tensor(part, dtype=dtype) for part in (_FULL if full_range else _LIMITED))
        return (torch.tensor(_RGB_FROM_YUV[matrix], dtype=dtype) / extent_C).to(device), zero_C.to(device)
