"""The video transform: crop, flip and resize in YUV, then colour, for a whole batch at once.

Shapes: `B` clips, `T` frames, `P` = 3/2·H rows of planar YUV 4:2:0, `H W` pixels, `C` = 3 colours, `Z` output size.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from talkies.config import Config
from talkies.core import VideoInput, split_planes
from talkies.core.inputs import Filter
from talkies.transforms.colour import ColourJitter, yuv_to_rgb
from talkies.transforms.draws import move_draws
from talkies.transforms.exact import compute_exactly

_MEAN, _SD = 0.45, 0.225  # of natural video, as in the training of common 3-D networks

_Probability = Annotated[float, Field(ge=0, le=1)]
_Strength = Annotated[float, Field(ge=0, le=4)]


class VideoTransformConfig(Config):
    """The size of the video, and its augmentation in training; all frames of a clip get the same.

    Attributes:
        size: height and width of the output, in pixels.
        crop_area_min: smallest area of a random crop, as a share of the picture.
        crop_aspect_max: how many times as wide or as high as the picture's own shape a crop may be; 1 keeps the shape.
        flip: probability of mirroring left and right.
        brightness: strength s of a random factor within [max(0, 1-s), 1+s].
        contrast: likewise.
        saturation: likewise.
        hue: largest rotation of hue either way, in turns.
        grey: probability of removing colour.
    """

    size: Annotated[int, Field(ge=16, le=1024)]
    crop_area_min: Annotated[float, Field(gt=0, le=1)] = 0.5
    crop_aspect_max: Annotated[float, Field(ge=1, le=4)] = 1.0
    flip: _Probability = 0.5
    brightness: _Strength = 0.0
    contrast: _Strength = 0.0
    saturation: _Strength = 0.0
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    grey: _Probability = 0.0


class VideoTransform(nn.Module):
    """From planar YUV 4:2:0 uint8 `[B, T, P, W]` to normalised RGB `[B, C, T, Z, Z]`.

    Crop, mirror and resize (antialiased, as PIL's filters) are linear along each axis: with one matrix for each clip
    and axis, a whole batch is two matrix products. They come before the colours, while chroma has half the size.

    A public encoder that uses the middle of a larger picture gets the middle of each random crop likewise.
    """

    mean_C111: Tensor
    sd_C111: Tensor

    def __init__(self, config: VideoTransformConfig, input_: VideoInput | None = None) -> None:
        """Build the transform.

        Args:
            config: the size of the output, and its augmentation.
            input_: what a public encoder takes; None: the config's size, and the colours of common 3-D networks.
        """
        super().__init__()
        self._config = config
        self._input = input_ or VideoInput(config.size, config.size, mean=(_MEAN,) * 3, sd=(_SD,) * 3)
        for name, values in (("mean_C111", self._input.mean), ("sd_C111", self._input.sd)):
            self.register_buffer(name, torch.tensor(values)[:, None, None, None], persistent=False)

    def forward(self, video_BTPW: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the model's input, augmented at random if there is a generator (on the CPU)."""
        return self.prepare(video_BTPW, self.draw(len(video_BTPW), generator) if generator else None)

    def draw(self, clips: int, generator: torch.Generator) -> "VideoAugmentation":
        """Return a random augmentation of `clips` clips; the draws depend on their number, never on their content."""
        return VideoAugmentation(self._draw_crops(clips, generator), self._draw_jitter(clips, generator))

    @compute_exactly
    def prepare(self, video_BTPW: Tensor, augmentation: "VideoAugmentation | None" = None) -> Tensor:
        """Return the model's input, with the given augmentation or none."""
        device = video_BTPW.device
        if augmentation is None:
            augmentation = VideoAugmentation(Crops.none(len(video_BTPW), device), None)
        else:
            augmentation = move_draws(augmentation, device)
        crops, jitter = augmentation.crops, augmentation.jitter

        luma_BTHW, chroma_BT2HW = split_planes(video_BTPW)
        y_BTHW = self._resize(luma_BTHW.float(), crops)
        uv_BTHW = self._resize(chroma_BT2HW.flatten(1, 2).float(), crops)
        return self.normalise_colours(torch.stack((y_BTHW, uv_BTHW[:, 0::2], uv_BTHW[:, 1::2]), dim=1), jitter)

    def normalise_colours(self, yuv_BCTHW: Tensor, jitter: ColourJitter | None = None) -> Tensor:
        """Return normalised RGB `[B, C, T, Z, Z]`, channels last in memory.

        Args:
            yuv_BCTHW: luma and two chromas in 0–255, `[B, C, T, Z, Z]`.
            jitter: random changes of colours, one for each clip.
        """
        rgb_BCTHW = yuv_to_rgb(yuv_BCTHW.flatten(2), jitter=jitter).view(yuv_BCTHW.shape)
        mean_C111, sd_C111 = (each.to(rgb_BCTHW.device) for each in (self.mean_C111, self.sd_C111))
        return rgb_BCTHW.sub_(mean_C111).div_(sd_C111).contiguous(memory_format=torch.channels_last_3d)

    def _resize(self, planes_BTHW: Tensor, crops: "Crops") -> Tensor:
        """Return planes cropped, mirrored and resized, `[B, T, Z, Z]`."""
        batch, frames, height, width = planes_BTHW.shape
        down_BZH = input_matrix(crops.top_B, crops.height_B, height, self._input)
        across_BZW = input_matrix(crops.left_B, crops.width_B, width, self._input)
        across_BZW = torch.where(crops.mirrored_B[:, None, None], across_BZW.flip(1), across_BZW)

        # All rows of a clip's frames are one tall matrix: a product for each frame would copy `across` for each.
        narrow_BRZ = planes_BTHW.flatten(1, 2) @ across_BZW.mT
        return down_BZH[:, None] @ narrow_BRZ.view(batch, frames, height, -1)

    def _draw_crops(self, batch: int, generator: torch.Generator) -> "Crops":
        """Return random crops and flips."""
        side_B = torch.empty(batch).uniform_(self._config.crop_area_min, 1, generator=generator).sqrt()
        height_B = width_B = side_B
        if self._config.crop_aspect_max > 1:
            # Uniform in log aspect, within the aspects at which a crop of this area fits: the area stays as drawn.
            most_B = (-2 * side_B.log()).clamp(max=math.log(self._config.crop_aspect_max))
            stretch_B = (most_B * (torch.rand(batch, generator=generator) - 0.5)).exp()
            height_B, width_B = (side_B / stretch_B).clamp(max=1), (side_B * stretch_B).clamp(max=1)

        top_B, left_B = (torch.rand(batch, generator=generator) * (1 - extent) for extent in (height_B, width_B))
        mirrored_B = torch.rand(batch, generator=generator) < self._config.flip
        return Crops(top_B, left_B, height_B, width_B, mirrored_B)

    def _draw_jitter(self, batch: int, generator: torch.Generator) -> ColourJitter | None:
        """Return a random colour jitter, or None if the config changes no colours."""
        config = self._config
        strengths = config.brightness, config.contrast, config.saturation
        if not any((*strengths, config.hue, config.grey)):
            return None

        ranges = [*((max(0.0, 1 - strength), 1 + strength) for strength in strengths), (-config.hue, config.hue)]
        brightness_B, contrast_B, saturation_B, hue_B = (
            torch.empty(batch).uniform_(low, high, generator=generator) for low, high in ranges
        )
        has_colour_B = torch.rand(batch, generator=generator) >= config.grey
        return ColourJitter(brightness_B, contrast_B, saturation_B * has_colour_B, hue_B)


@dataclass(frozen=True, slots=True)
class Crops:
    """The crop of each clip, `[B]`: its position and extent as shares of the picture, and whether it is mirrored."""

    top_B: Tensor
    left_B: Tensor
    height_B: Tensor
    width_B: Tensor
    mirrored_B: Tensor

    @classmethod
    def none(cls, clips: int, device: torch.device | str = "cpu") -> Self:
        """Return crops of the whole picture for `clips` clips, on `device`."""
        zero_B, one_B = torch.zeros(clips, device=device), torch.ones(clips, device=device)
        return cls(zero_B, zero_B, one_B, one_B, zero_B.bool())

    def __getitem__(self, clips: slice) -> Self:
        """Return the crops of some of the clips."""
        parts = (self.top_B, self.left_B, self.height_B, self.width_B, self.mirrored_B)
        return type(self)(*(part[clips] for part in parts))


@dataclass(frozen=True, slots=True)
class VideoAugmentation:
    """The augmentation of each clip's video."""

    crops: Crops
    jitter: ColourJitter | None

    def __getitem__(self, clips: slice) -> Self:
        """Return the augmentation of some of the clips."""
        return type(self)(self.crops[clips], self.jitter[clips] if self.jitter else None)


def input_matrix(begin_B: Tensor, extent_B: Tensor, length: int, input_: VideoInput) -> Tensor:
    """Return `[B, size, length]`: the weights of the pixels that an encoder takes over those of a picture, by one axis.

    The crop is resized to `input_.resize` pixels, and the middle `input_.size` of them are taken.

    Args:
        begin_B: where the crop starts, as a share of the whole.
        extent_B: how long the crop is, as a share of the whole.
        length: number of input pixels.
        input_: what the encoder takes.
    """
    first = input_.first_pixel
    matrix_BRL = resize_matrix(begin_B, extent_B, length, input_.resize, filter_=input_.filter)
    return matrix_BRL[:, first : first + input_.size]


def resize_matrix(begin_B: Tensor, extent_B: Tensor, length: int, size: int, *, filter_: Filter = "bilinear") -> Tensor:
    """Return `[B, size, length]`: each row holds the weights of one output pixel over the input pixels, summing to one.

    It is made on the device of `begin_B`. The filter is as wide as two (bilinear) or four (bicubic) output pixels, or
    input pixels where these are wider.

    Args:
        begin_B: where the crop starts, as a share of the whole.
        extent_B: how long the crop is, as a share of the whole.
        length: number of input pixels.
        size: number of output pixels.
        filter_: `bilinear`, a triangle, or `bicubic`, Keys' cubic of a = -1/2 (Keys 1981); both as in PIL.
    """
    scale_B11 = (extent_B * length / size)[:, None, None]
    position_Z, position_L = (torch.arange(count, device=begin_B.device) + 0.5 for count in (size, length))
    centre_BZ1 = (begin_B * length)[:, None, None] + position_Z[None, :, None] * scale_B11
    distance_BZL = (position_L - centre_BZ1).abs()
    if filter_ == "bilinear":
        weight_BZL = (1 - distance_BZL / scale_B11.clamp(min=1)).clamp(min=0)
    else:
        x_BZL = distance_BZL / scale_B11.clamp(min=1)
        inner_BZL = (1.5 * x_BZL - 2.5) * x_BZL**2 + 1
        outer_BZL = ((2.5 - 0.5 * x_BZL) * x_BZL - 4) * x_BZL + 2
        weight_BZL = torch.where(x_BZL < 1, inner_BZL, torch.where(x_BZL < 2, outer_BZL, 0))
    return weight_BZL / weight_BZL.sum(2, keepdim=True)
