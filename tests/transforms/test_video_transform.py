"""The video transform against slow references: crops, flips, resizing."""

import re
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from talkies.config import check
from talkies.core import ConfigError
from talkies.transforms import VideoTransform, VideoTransformConfig
from talkies.transforms.video import resize_matrix

RAMP_PIXELS, RAMP_STEP = 48, 4


def gray(luma_BTHW: Tensor) -> Tensor:
    """Planar pictures of that luma, without colour."""
    batch, frames, height, width = luma_BTHW.shape
    chroma = torch.full((batch, frames, height // 2, width), 128)
    return torch.cat([luma_BTHW, chroma], dim=2).to(torch.uint8)


def noise(batch: int, frames: int, height: int, width: int) -> Tensor:
    """Planar pictures of random luma and colour, bytes of the limited range."""
    return torch.randint(16, 236, (batch, frames, height * 3 // 2, width), dtype=torch.uint8)


def luma_of(output_BCTHW: Tensor) -> Tensor:
    """The luma of gray output, in bytes before rounding."""
    return (output_BCTHW[:, 0] * 0.225 + 0.45) * 219 + 16


def transform(size: int, **settings: float) -> VideoTransform:
    return VideoTransform(VideoTransformConfig(size=size, **settings))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@dataclass(frozen=True)
class Crops:
    """Drawn crops as shares of the picture, and whether each is mirrored."""

    left_B: Tensor
    top_B: Tensor
    width_B: Tensor
    height_B: Tensor
    mirrored_B: Tensor

    @property
    def side_B(self) -> Tensor:
        torch.testing.assert_close(self.height_B, self.width_B, rtol=0, atol=1e-4)
        return self.width_B


def edge_and_side(luma_BZ: Tensor) -> tuple[Tensor, Tensor]:
    """Where the crops begin and how long they are, read off a line of 64 pixels along a ramp."""
    place_BZ = (luma_BZ - 16) / RAMP_STEP + 0.5
    pixel_B = (place_BZ[:, 48] - place_BZ[:, 16]) / 32
    return (place_BZ[:, 16] - 16.5 * pixel_B) / RAMP_PIXELS, pixel_B * 64 / RAMP_PIXELS


def crops_of(seed: int, clips: int, area_min: float, flip: float, aspect_max: float = 1.0) -> Crops:
    across = (16 + RAMP_STEP * torch.arange(RAMP_PIXELS)).expand(clips, 1, RAMP_PIXELS, RAMP_PIXELS)
    cropping = transform(64, crop_area_min=area_min, flip=flip, crop_aspect_max=aspect_max)
    row_BZ = luma_of(cropping(gray(across), seeded(seed)))[:, 0, 32]
    column_BZ = luma_of(cropping(gray(across.mT), seeded(seed)))[:, 0, :, 32]
    mirrored_B = row_BZ[:, 0] > row_BZ[:, -1]
    left_B, width_B = edge_and_side(torch.where(mirrored_B[:, None], row_BZ.flip(1), row_BZ))
    top_B, height_B = edge_and_side(column_BZ)
    return Crops(left_B, top_B, width_B, height_B, mirrored_B)


def test_gray_pictures_at_their_own_size_keep_every_level() -> None:
    luma = torch.arange(256).view(1, 1, 16, 16)
    output_CHW = transform(16)(gray(luma))[0, :, 0]
    levels = ((output_CHW * 0.225 + 0.45) * 255).round().long()
    expected = ((luma[0, 0] - 16) * 255 / 219).round().clamp(0, 255).long()
    assert all(torch.equal(channel, expected) for channel in levels)


@pytest.mark.parametrize(("height", "width", "size"), [(32, 32, 16), (32, 32, 20), (24, 40, 16), (32, 32, 48)])
def test_resizing_is_that_of_an_antialiased_bilinear_filter(height: int, width: int, size: int) -> None:
    luma = torch.randint(16, 236, (2, 3, height, width))
    expected = functional.interpolate(luma.float(), (size, size), mode="bilinear", antialias=True)
    got = transform(size)(gray(luma))
    torch.testing.assert_close(luma_of(got) / 255, expected / 255, rtol=0, atol=1e-4)


def test_colours_are_taken_from_planes_that_were_each_resized() -> None:
    pictures = noise(2, 1, 32, 32)
    planes = pictures[:, :, :32], *(half.reshape(2, 1, 16, 16) for half in pictures[:, :, 32:].chunk(2, dim=2))
    y, u, v = (functional.interpolate(p.float(), (20, 20), mode="bilinear", antialias=True)[:, 0] for p in planes)
    luma, blue, red = (y - 16) / 219, (u - 128) / 112, (v - 128) / 112
    green = luma - 0.299 / 0.587 * 0.701 * red - 0.114 / 0.587 * 0.886 * blue
    expected = torch.stack([luma + 0.701 * red, green, luma + 0.886 * blue], dim=1).clamp(0, 1)
    torch.testing.assert_close(transform(20)(pictures)[:, :, 0] * 0.225 + 0.45, expected, rtol=0, atol=1e-4)


def test_halving_weighs_four_pixels_as_a_triangle_does() -> None:
    matrix_ZL = resize_matrix(torch.zeros(1), torch.ones(1), 8, 4)[0] * 8
    assert matrix_ZL[1].tolist() == pytest.approx([0, 1, 3, 3, 1, 0, 0, 0])
    assert matrix_ZL[2].tolist() == pytest.approx([0, 0, 0, 1, 3, 3, 1, 0])


def test_each_clip_of_a_batch_is_transformed_as_it_would_be_alone() -> None:
    pictures = noise(3, 2, 32, 32)
    alone = torch.cat([transform(24)(picture[None]) for picture in pictures])
    torch.testing.assert_close(transform(24)(pictures), alone, rtol=0, atol=1e-5)


def test_output_has_colours_before_time_and_lies_in_memory_as_the_encoders_want_it() -> None:
    output = transform(16)(noise(2, 5, 32, 48))
    assert output.shape == (2, 3, 5, 16, 16)
    assert output.is_contiguous(memory_format=torch.channels_last_3d)


def test_without_a_generator_nothing_is_drawn() -> None:
    pictures = noise(2, 2, 32, 32)
    assert torch.equal(transform(24)(pictures), transform(24)(pictures))
    assert torch.equal(transform(24)(pictures), transform(24, crop_area_min=0.1, flip=1.0)(pictures))


def test_the_same_generator_gives_the_same_pictures_whatever_the_global_one_does() -> None:
    pictures = noise(4, 2, 32, 32)
    first = transform(24)(pictures, seeded(3))
    torch.manual_seed(99)
    assert torch.equal(transform(24)(pictures, seeded(3)), first)


def test_other_generators_give_other_pictures() -> None:
    pictures = noise(4, 2, 32, 32)
    outputs = [transform(24)(pictures, seeded(seed)) for seed in range(4)]
    assert all(not torch.equal(outputs[0], other) for other in outputs[1:])


def test_clips_of_a_batch_are_cropped_each_in_its_own_way_and_frames_of_a_clip_alike() -> None:
    still = noise(1, 1, 32, 32).expand(4, 3, -1, -1)
    output_BCTHW = transform(24, flip=0.0)(still, seeded(0))
    assert all(not torch.equal(output_BCTHW[0], other) for other in output_BCTHW[1:])
    assert torch.equal(output_BCTHW[:, :, :1].expand_as(output_BCTHW), output_BCTHW)


def test_a_mirrored_picture_is_the_picture_read_from_right_to_left() -> None:
    pictures = noise(3, 2, 32, 32)
    as_it_is, mirrored = (transform(24, flip=flip)(pictures, seeded(5)) for flip in (0.0, 1.0))
    assert torch.equal(mirrored, as_it_is.flip(-1))
    assert not torch.equal(mirrored, as_it_is)


def test_the_whole_area_uncropped_and_unmirrored_is_the_picture_itself() -> None:
    pictures = noise(3, 2, 32, 32)
    augmented = transform(24, crop_area_min=1.0, flip=0.0)(pictures, seeded(5))
    torch.testing.assert_close(augmented, transform(24)(pictures), rtol=0, atol=1e-5)


def test_crops_are_squares_inside_the_picture_of_the_area_asked_for() -> None:
    crops = crops_of(seed=1, clips=200, area_min=0.4, flip=0.5)
    for edge_B in (crops.left_B, crops.top_B):
        assert edge_B.min() >= -1e-3
        assert (edge_B + crops.side_B).max() <= 1 + 1e-3
    assert 0.4 - 1e-3 <= crops.side_B.square().min() < 0.43
    assert 0.97 < crops.side_B.square().max() <= 1 + 1e-3


def test_crops_are_drawn_evenly_in_area_and_in_both_directions() -> None:
    crops = crops_of(seed=2, clips=400, area_min=0.4, flip=0.5)
    roomy_B = crops.side_B < 0.95
    across_B, down_B = (edge_B[roomy_B] / (1 - crops.side_B[roomy_B]) for edge_B in (crops.left_B, crops.top_B))
    for place_B in (across_B, down_B):
        assert place_B.quantile(torch.tensor([0.1, 0.5, 0.9])).tolist() == pytest.approx([0.1, 0.5, 0.9], abs=0.1)
    assert torch.corrcoef(torch.stack([across_B, down_B]))[0, 1].abs() < 0.2
    assert crops.side_B.square().mean().item() == pytest.approx(0.7, abs=0.03)


def test_crops_wider_or_higher_keep_the_area_drawn_and_stay_inside_the_picture() -> None:
    square, shaped = (crops_of(seed=4, clips=400, area_min=0.2, flip=0.0, aspect_max=aspect) for aspect in (1.0, 2.0))
    torch.testing.assert_close(shaped.width_B * shaped.height_B, square.side_B.square(), rtol=0, atol=1e-3)
    for begin_B, extent_B in ((shaped.left_B, shaped.width_B), (shaped.top_B, shaped.height_B)):
        assert begin_B.min() >= -1e-3
        assert (begin_B + extent_B).max() <= 1 + 1e-3


def test_aspects_of_crops_are_drawn_evenly_in_their_logarithm_as_far_as_they_fit() -> None:
    crops = crops_of(seed=6, clips=1500, area_min=0.2, flip=0.0, aspect_max=2.0)
    octaves_B = (crops.width_B / crops.height_B).log2()
    roomy_B = crops.width_B * crops.height_B < 0.5  # half the area: any aspect up to two fits
    deciles = octaves_B[roomy_B].quantile(torch.tensor([0.0, 0.1, 0.5, 0.9, 1.0]))
    assert deciles.tolist() == pytest.approx([-1, -0.8, 0, 0.8, 1], abs=0.12)
    assert octaves_B[~roomy_B].abs().max() < 1


@pytest.mark.parametrize("chance", [0.0, 0.2, 1.0])
def test_pictures_are_mirrored_with_the_chance_asked_for(chance: float) -> None:
    mirrored_B = crops_of(seed=3, clips=300, area_min=0.5, flip=chance).mirrored_B
    five_sigma = 5 * (chance * (1 - chance) / 300) ** 0.5
    assert mirrored_B.float().mean().item() == pytest.approx(chance, abs=five_sigma + 1e-9)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"size": 8}, "'size' got 8: input should be greater than or equal to 16"),
        ({"size": 64, "crop_area_min": 0.0}, "'crop_area_min' got 0.0: input should be greater than 0"),
        ({"size": 64, "crop_aspect_max": 0.5}, "'crop_aspect_max' got 0.5: input should be greater than or equal to 1"),
        ({"size": 64, "hue": 0.6}, "'hue' got 0.6: input should be less than or equal to 0.5"),
        ({"size": 64, "contrast": -0.1}, "'contrast' got -0.1: input should be greater than or equal to 0"),
        ({"size": 64, "flip": 1.5}, "'flip' got 1.5: input should be less than or equal to 1"),
    ],
)
def test_numbers_out_of_bounds_are_refused(values: dict[str, float], sentence: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        check(VideoTransformConfig, values, "recipe x")
