"""Colour jitter against a slow reference that changes red, green and blue one operation at a time, as PIL does."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from talkies.transforms import ColourJitter, VideoTransform, VideoTransformConfig, yuv_to_rgb

LUMA = np.array([0.299, 0.587, 0.114])
STRENGTHS = {"brightness": 0.4, "contrast": 0.5, "saturation": 1.5, "hue": 0.2}

factors = st.floats(0, 3, width=32)
jitters = st.lists(st.tuples(factors, factors, factors, st.floats(-0.5, 0.5, width=32)), min_size=1, max_size=3)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def convert_slowly(yuv_CN: np.ndarray) -> np.ndarray:
    """Red, green and blue `[3, N]` of BT.601's limited range, not clipped."""
    y, cb, cr = (yuv_CN[0] - 16) / 219, (yuv_CN[1] - 128) / 112, (yuv_CN[2] - 128) / 112
    red, blue = y + 0.701 * cr, y + 0.886 * cb
    return np.stack([red, (y - LUMA[0] * red - LUMA[2] * blue) / LUMA[1], blue])


def jittered(rgb_CN: np.ndarray, brightness: float, contrast: float, saturation: float, hue: float) -> np.ndarray:
    """The colours of one clip, not clipped, after each operation in turn."""
    rgb_CN = rgb_CN * brightness
    rgb_CN = contrast * rgb_CN + (1 - contrast) * (LUMA @ rgb_CN).mean()
    luma = LUMA @ rgb_CN
    rgb_CN = saturation * rgb_CN + (1 - saturation) * luma
    luma = LUMA @ rgb_CN
    cb, cr = (rgb_CN[2] - luma) / 1.772, (rgb_CN[0] - luma) / 1.402
    turned = (cb + 1j * cr) * np.exp(2j * np.pi * hue)
    red, blue = luma + 1.402 * turned.imag, luma + 1.772 * turned.real
    return np.stack([red, (luma - LUMA[0] * red - LUMA[2] * blue) / LUMA[1], blue])


def of(*clips: tuple[float, float, float, float]) -> ColourJitter:
    return ColourJitter(*torch.tensor(clips, dtype=torch.float32).T)


def noise(clips: int, pixels: int = 50, low: int = 16, high: int = 236) -> Tensor:
    """Random luma and chroma `[B, C, N]`, in the limited range."""
    return torch.randint(low, high, (clips, 3, pixels), generator=seeded(0)).float()


def dull(clips: int) -> Tensor:
    """Luma and chroma so near the middle that jitter of one kind does not clip them."""
    return noise(clips, low=110, high=140)


@given(jitters)
def test_any_jitter_is_that_of_a_slow_reference(clips: list[tuple[float, float, float, float]]) -> None:
    yuv = noise(len(clips))
    got = yuv_to_rgb(yuv, jitter=of(*clips)).double().numpy()
    expected = [
        jittered(convert_slowly(clip), *numbers) for clip, numbers in zip(yuv.double().numpy(), clips, strict=True)
    ]
    np.testing.assert_allclose(got, np.clip(expected, 0, 1), rtol=0, atol=1e-4)


@given(st.integers(-3, 3))
def test_factors_of_one_and_whole_turns_change_nothing(turns: int) -> None:
    yuv = noise(1)
    torch.testing.assert_close(yuv_to_rgb(yuv, jitter=of((1, 1, 1, turns))), yuv_to_rgb(yuv), rtol=0, atol=1e-5)


@given(st.floats(0, 1.5, width=32))
def test_brightness_multiplies_every_colour(factor: float) -> None:
    yuv = dull(1)
    torch.testing.assert_close(
        yuv_to_rgb(yuv, jitter=of((factor, 1, 1, 0))), yuv_to_rgb(yuv) * factor, rtol=0, atol=1e-6
    )


@given(st.floats(0, 2, width=32))
def test_contrast_keeps_the_mean_luma_and_scales_what_is_about_it(factor: float) -> None:
    plain, changed = (
        torch.from_numpy(LUMA).float() @ yuv_to_rgb(dull(1), jitter=of((1, f, 1, 0)))[0] for f in (1, factor)
    )
    torch.testing.assert_close(changed - plain.mean(), (plain - plain.mean()) * factor, rtol=0, atol=1e-5)


def test_without_saturation_all_three_colours_are_the_luma() -> None:
    yuv = noise(2)
    grey = yuv_to_rgb(yuv, jitter=of((1, 1, 0, 0), (1, 1, 0, 0.3)))
    torch.testing.assert_close(grey, ((yuv[:, :1] - 16) / 219).expand_as(grey), rtol=0, atol=1e-6)


@given(st.floats(-0.5, 0.5, width=32))
def test_a_turned_hue_keeps_the_luma_and_turns_back(turns: float) -> None:
    yuv = dull(1)
    turned = yuv_to_rgb(yuv, jitter=of((1, 1, 1, turns)))
    luma = torch.from_numpy(LUMA).float() @ turned[0]
    torch.testing.assert_close(luma, (yuv[0, 0] - 16) / 219, rtol=0, atol=1e-5)
    there_and_back = of((1, 1, 1, turns)).compute_matrix() @ of((1, 1, 1, -turns)).compute_matrix()
    torch.testing.assert_close(there_and_back, torch.eye(3)[None], rtol=0, atol=1e-6)


def test_half_a_turn_gives_the_complement() -> None:
    yuv = dull(1)
    opposite = torch.cat([yuv[:, :1], 256 - yuv[:, 1:]], dim=1)
    torch.testing.assert_close(yuv_to_rgb(yuv, jitter=of((1, 1, 1, 0.5))), yuv_to_rgb(opposite), rtol=0, atol=1e-6)


def pictures(clips: int) -> Tensor:
    """Random planar pictures of 32 × 32, three frames of each clip."""
    return torch.randint(16, 236, (clips, 3, 48, 32), dtype=torch.uint8, generator=seeded(1))


def transform(**settings: float) -> VideoTransform:
    """A transform that takes pictures whole, so that only colours are augmented."""
    return VideoTransform(VideoTransformConfig(size=24, crop_area_min=1.0, flip=0.0, **settings))


def drawn(seed: int, clips: int, grey: float = 0.0) -> list[tuple[float, ...]]:
    """What the transform draws: after four numbers for the crop, one of each kind for all clips."""
    generator = seeded(seed)
    torch.rand(4, clips, generator=generator)
    bounds = [(max(0.0, 1 - STRENGTHS[kind]), 1 + STRENGTHS[kind]) for kind in ("brightness", "contrast", "saturation")]
    kinds = [torch.empty(clips).uniform_(*ends, generator=generator) for ends in (*bounds, (-0.2, 0.2))]
    kinds[2] = torch.where(torch.rand(clips, generator=generator) < grey, 0.0, kinds[2])
    return list(zip(*(kind.tolist() for kind in kinds), strict=True))


def test_each_clip_is_jittered_by_its_own_numbers_and_all_its_frames_alike() -> None:
    video, grey = pictures(5), 0.4
    numbers = drawn(7, 5, grey)
    assert 0 < [saturation for *_, saturation, _ in numbers].count(0.0) < 5
    got = transform(grey=grey, **STRENGTHS)(video, seeded(7)) * 0.225 + 0.45
    for clip, jitter in enumerate(numbers):
        planes = video[clip : clip + 1, :, :32], *video[clip : clip + 1, :, 32:].reshape(1, 3, 2, 16, 16).unbind(2)
        small = [
            torch.nn.functional.interpolate(plane.float(), (24, 24), mode="bilinear", antialias=True)
            for plane in planes
        ]
        rgb_CN = jittered(convert_slowly(torch.stack(small).flatten(1).double().numpy()), *jitter)
        expected = torch.from_numpy(np.clip(rgb_CN, 0, 1)).view(3, 3, 24, 24)
        torch.testing.assert_close(got[clip].double(), expected, rtol=0, atol=1e-4)


def test_grey_takes_colour_with_the_chance_asked_for() -> None:
    for chance in (0.0, 0.3, 1.0):
        output = transform(grey=chance, brightness=0.1)(pictures(300)[:, :1], seeded(2))
        grey_B = (output - output[:, :1]).abs().flatten(1).amax(1) < 1e-5
        assert grey_B.float().mean().item() == pytest.approx(
            chance, abs=5 * (chance * (1 - chance) / 300) ** 0.5 + 1e-9
        )


@pytest.mark.parametrize(("strength", "least", "most"), [(0.4, 0.6, 1.4), (1.5, 0.0, 2.5)])
def test_factors_are_drawn_evenly_about_one_and_never_under_nought(strength: float, least: float, most: float) -> None:
    dark = torch.full((400, 1, 48, 32), 128, dtype=torch.uint8)
    dark[:, :, :32] = 60
    levels_B = (transform(brightness=strength)(dark, seeded(3)) * 0.225 + 0.45)[:, 0, 0, 0, 0]
    factors_B = levels_B / ((60 - 16) / 219)
    expected = [least + (most - least) * share for share in (0, 0.1, 0.5, 0.9, 1)]
    got = factors_B.quantile(torch.tensor([0, 0.1, 0.5, 0.9, 1])).tolist()
    assert got == pytest.approx(expected, abs=0.1 * (most - least))
    assert least - 1e-4 <= min(got)
    assert max(got) <= most + 1e-4


def test_without_a_generator_colours_are_left() -> None:
    video = pictures(2)
    assert torch.equal(transform(grey=0.5, **STRENGTHS)(video), transform()(video))


def test_the_same_generator_gives_the_same_bits_and_others_give_others() -> None:
    video, augmented = pictures(3), transform(grey=0.2, **STRENGTHS)
    first = augmented(video, seeded(3))
    torch.manual_seed(99)
    assert torch.equal(augmented(video, seeded(3)), first)
    assert not torch.equal(augmented(video, seeded(4)), first)


def test_what_a_clip_becomes_does_not_depend_on_what_the_others_hold() -> None:
    video, augmented = pictures(4), transform(grey=0.2, **STRENGTHS)
    changed = torch.cat([video[:2], 255 - video[2:]])
    assert torch.equal(augmented(changed, seeded(1))[:2], augmented(video, seeded(1))[:2])
