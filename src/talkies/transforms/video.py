"""Pictures: crop, flip and resize in YUV, then colour, all of a batch at once.

Shapes: `B` clips, `T` frames, `P` = 3/2·H rows of planar YUV 4:2:0, `H W` pixels, `C` = 3 colours, `Z` output size.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from talkies.config import Config
from talkies.core import split_planes
from talkies.transforms.colour import ColourJitter, yuv_to_rgb

_MEAN, _SD = 0.45, 0.225  # of natural video, as the field's 3-D networks are fed

_Share = Annotated[float, Field(ge=0, le=1)]
_Strength = Annotated[float, Field(ge=0, le=4)]


class VideoTransformConfig(Config):
    """Pictures are `size` × `size`. In training they are augmented, all frames of a clip alike.

    They are crops of `crop_area_min` of the area or more, of the picture's own shape or up to `crop_aspect_max` times
    as wide or as high, and mirrored with chance `flip`. `brightness`, `contrast` and `saturation` of strength s change
    by a factor within [max(0, 1-s), 1+s], `hue` by up to so many turns either way; with chance `grey` colour is lost.
    """

    size: Annotated[int, Field(ge=16, le=1024)]
    crop_area_min: Annotated[float, Field(gt=0, le=1)] = 0.5
    crop_aspect_max: Annotated[float, Field(ge=1, le=4)] = 1.0
    flip: _Share = 0.5
    brightness: _Strength = 0.0
    contrast: _Strength = 0.0
    saturation: _Strength = 0.0
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    grey: _Share = 0.0


class VideoTransform(nn.Module):
    """From planar YUV 4:2:0 uint8 `[B, T, P, W]` to normalised colour `[B, C, T, Z, Z]`.

    Crop, mirror and resize (antialiased, as PIL's bilinear) are linear along each axis: one matrix a clip and axis,
    so a whole batch is two matrix products. Being linear, they come before the colours, while chroma is half-size.
    """

    def __init__(self, config: VideoTransformConfig) -> None:
        super().__init__()
        self._config = config

    def forward(self, video_BTPW: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the model's input: with a generator (on the CPU) augmented at random, without one whole."""
        return self.prepare(video_BTPW, self.draw(len(video_BTPW), generator) if generator else None)

    def draw(self, clips: int, generator: torch.Generator) -> "VideoAugmentation":
        """Return at random how each of so many clips is to be augmented.

        A clip's draws depend on its place and on how many clips there are, never on what they hold.
        """
        return VideoAugmentation(self._crops(clips, generator), self._jitter(clips, generator))

    def prepare(self, video_BTPW: Tensor, augmentation: "VideoAugmentation | None" = None) -> Tensor:
        """Return the model's input: augmented as was drawn, or whole."""
        crops, jitter = Crops.none(len(video_BTPW)), None
        if augmentation:
            crops, jitter = augmentation.crops, augmentation.jitter
        luma, chroma = split_planes(video_BTPW)
        y_BTHW = self._resized(luma.float(), crops)
        uv_BTHW = self._resized(chroma.flatten(1, 2).float(), crops)
        return self.coloured(torch.stack((y_BTHW, uv_BTHW[:, 0::2], uv_BTHW[:, 1::2]), dim=1), jitter)

    def coloured(self, yuv: Tensor, jitter: ColourJitter | None = None) -> Tensor:
        """Return normalised colour of luma and chroma in 0–255, both `[B, C, T, Z, Z]`."""
        rgb = yuv_to_rgb(yuv.flatten(2), jitter=jitter).view(yuv.shape)
        return rgb.sub_(_MEAN).div_(_SD).contiguous(memory_format=torch.channels_last_3d)

    def _resized(self, planes_BTHW: Tensor, crops: "Crops") -> Tensor:
        batch, frames, height, width = planes_BTHW.shape
        down_BZH = resize_matrix(crops.top_B, crops.height_B, height, self._config.size)
        across_BZW = resize_matrix(crops.left_B, crops.width_B, width, self._config.size)
        across_BZW = torch.where(crops.mirrored_B[:, None, None], across_BZW.flip(1), across_BZW)
        down_BZH, across_BZW = (matrix.to(planes_BTHW.device, non_blocking=True) for matrix in (down_BZH, across_BZW))
        # All rows of a clip's frames are one tall matrix: a product for each frame would copy `across` for each.
        narrow_BRZ = planes_BTHW.flatten(1, 2) @ across_BZW.mT
        return down_BZH[:, None] @ narrow_BRZ.view(batch, frames, height, -1)

    def _crops(self, batch: int, generator: torch.Generator) -> "Crops":
        side = torch.empty(batch).uniform_(self._config.crop_area_min, 1, generator=generator).sqrt()
        height = width = side
        if self._config.crop_aspect_max > 1:
            # Evenly in log aspect, as far as a crop of this area fits: so the area stays the one drawn.
            most = (-2 * side.log()).clamp(max=math.log(self._config.crop_aspect_max))
            stretch = (most * (torch.rand(batch, generator=generator) - 0.5)).exp()
            height, width = (side / stretch).clamp(max=1), (side * stretch).clamp(max=1)
        top, left = (torch.rand(batch, generator=generator) * (1 - extent) for extent in (height, width))
        return Crops(top, left, height, width, torch.rand(batch, generator=generator) < self._config.flip)

    def _jitter(self, batch: int, generator: torch.Generator) -> ColourJitter | None:
        config = self._config
        strengths = config.brightness, config.contrast, config.saturation
        if not any((*strengths, config.hue, config.grey)):
            return None
        lows_and_highs = [*((max(0.0, 1 - s), 1 + s) for s in strengths), (-config.hue, config.hue)]
        brightness, contrast, saturation, hue = (
            torch.empty(batch).uniform_(low, high, generator=generator) for low, high in lows_and_highs
        )
        coloured = torch.rand(batch, generator=generator) >= config.grey
        return ColourJitter(brightness, contrast, saturation * coloured, hue)


@dataclass(frozen=True, slots=True)
class Crops:
    """The crop of each clip `[B]`: its place and its extent as shares of the whole, and whether it is mirrored."""

    top_B: Tensor
    left_B: Tensor
    height_B: Tensor
    width_B: Tensor
    mirrored_B: Tensor

    @classmethod
    def none(cls, clips: int) -> Self:
        """Return so many crops that are the whole picture."""
        none_B, all_B = torch.zeros(clips), torch.ones(clips)
        return cls(none_B, none_B, all_B, all_B, none_B.bool())

    def __getitem__(self, clips: slice) -> Self:
        """Return the crops of some of the clips."""
        parts = (self.top_B, self.left_B, self.height_B, self.width_B, self.mirrored_B)
        return type(self)(*(part[clips] for part in parts))


@dataclass(frozen=True, slots=True)
class VideoAugmentation:
    """How the pictures of each clip are augmented."""

    crops: Crops
    jitter: ColourJitter | None

    def __getitem__(self, clips: slice) -> Self:
        """Return the augmentation of some of the clips."""
        return type(self)(self.crops[clips], self.jitter[clips] if self.jitter else None)


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
