"""Colours: from luma and chroma to red, green and blue, jittered on the way; all of it one affine map of each clip.

Shapes: `B` clips, `C` = 3 colours (or luma and two chromas), `N` pixels.
"""

import math
from dataclasses import dataclass
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
    """What the colours of each clip go through, in this order, `[B]` each, drawn and kept on the CPU.

    Colours are multiplied by `brightness_B`; their distance to the clip's mean luma by `contrast_B`; chroma by
    `saturation_B`; chroma is turned by `hue_B` turns (as FFmpeg's `hue` does). All are affine in luma and chroma.
    """

    brightness_B: Tensor
    contrast_B: Tensor
    saturation_B: Tensor
    hue_B: Tensor

    def __getitem__(self, clips: slice) -> Self:
        """Return the jitter of some of the clips."""
        parts = (self.brightness_B, self.contrast_B, self.saturation_B, self.hue_B)
        return type(self)(*(part[clips] for part in parts))

    def matrix_BCC(self) -> Tensor:
        """Return the linear part, of luma and chroma measured from their zeros, `[B, 3, 3]`."""
        luma_B = self.brightness_B * self.contrast_B
        angle_B = self.hue_B * 2 * math.pi
        cos_B, sin_B = (luma_B * self.saturation_B * wave(angle_B) for wave in (torch.cos, torch.sin))
        none_B = torch.zeros_like(luma_B)
        rows = (luma_B, none_B, none_B), (none_B, cos_B, -sin_B), (none_B, sin_B, cos_B)
        return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)

    def lift_B(self) -> Tensor:
        """Return the constant part, which is of luma: how much of the clip's mean luma is added."""
        return self.brightness_B * (1 - self.contrast_B)


def yuv_to_rgb(
    yuv_BCN: Tensor,
    matrix: Literal["bt601", "bt709"] = "bt601",
    *,
    full_range: bool = False,
    jitter: ColourJitter | None = None,
) -> Tensor:
    """Return red, green, blue `[B, C, N]` in 0–1 from luma and chroma `[B, C, N]` in 0–255.

    Levels beyond black and white are clipped once, after the jitter.
    """
    extent_C, zero_C = (torch.tensor(part, dtype=yuv_BCN.dtype) for part in (_FULL if full_range else _LIMITED))
    matrix_CC = torch.tensor(_RGB_FROM_YUV[matrix], dtype=yuv_BCN.dtype) / extent_C
    matrix_BCC = (matrix_CC if jitter is None else matrix_CC @ jitter.matrix_BCC().to(matrix_CC)).expand(
        yuv_BCN.shape[0], 3, 3
    )
    offset_BC = -(matrix_BCC @ zero_C).to(yuv_BCN.device, non_blocking=True)
    if jitter is not None:
        mean_luma_B = (yuv_BCN[:, 0].mean(1) - zero_C[0]) / extent_C[0]
        offset_BC += (jitter.lift_B().to(mean_luma_B) * mean_luma_B)[:, None]
    # One matrix product: channel by channel the same arithmetic goes over memory four times as often.
    matrix_BCC = matrix_BCC.to(yuv_BCN.device, non_blocking=True)
    return torch.baddbmm(offset_BC[:, :, None], matrix_BCC, yuv_BCN).clamp_(0, 1)
