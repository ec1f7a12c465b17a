"""The pictures of every video and image family against its own processor, on the same clip.

Where nothing is resized they are equal. With resizing they differ a little: a processor resizes red, green and blue in
bytes, rounding after each axis, and talkies resizes luma and chroma in floats, before the colours.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from make_processor_reference import (
    EDGES,
    RECORDED,
    REFERENCE,
    convert,
    exact_options,
    load_processor,
    make_clip,
    process,
)
from safetensors.torch import load_file
from small_checkpoints import SAVERS
from torch import Tensor

from talkies.core import VideoInput
from talkies.models import EncoderAddress
from talkies.models.public import open_tower
from talkies.models.public.checkpoint import silence
from talkies.transforms import VideoTransform, VideoTransformConfig

NEED_TORCHVISION = ("vjepa2", "dinov3_vit", "dinov3_convnext")
FAMILIES = pytest.mark.parametrize("name", SAVERS)
WITHOUT_TORCHVISION = pytest.mark.parametrize("name", [name for name in SAVERS if name not in NEED_TORCHVISION])
MOST, MOST_ON_AVERAGE = 3.5, 0.55  # of 255 levels; measured over all families and sizes: 3.16 and 0.504


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small checkpoint of each family."""
    return {name: save(tmp_path_factory.mktemp(name)) for name, save in SAVERS.items()}


@pytest.fixture
def quiet() -> Iterator[None]:
    with silence():
        yield


def input_of(folder: Path) -> VideoInput:
    encoder_input = open_tower(EncoderAddress.parse(f"hf:{folder}"), "video").encoder.input
    assert isinstance(encoder_input, VideoInput)
    return encoder_input


def prepared(input_: VideoInput, clip_1TPW: Tensor) -> Tensor:
    """What talkies makes of a clip for an encoder, `[T, 3, Z, Z]`."""
    output_1CTHW = VideoTransform(VideoTransformConfig(size=input_.size), input_)(clip_1TPW)
    return output_1CTHW[0].transpose(0, 1)


def rgb(clip_1TPW: Tensor, input_: VideoInput) -> Tensor:
    """Red, green and blue of the clip in 0–255 at its own size, as the transform converts it, `[T, 3, H, W]`."""
    side = clip_1TPW.shape[-1]
    plain = VideoInput(side, side, input_.filter, mean=(0, 0, 0), sd=(1 / 255,) * 3)
    return prepared(plain, clip_1TPW)


def patches(pictures_T3HW: Tensor, like: Tensor) -> Tensor:
    """Pictures as SigLIP 2's processor cuts them, if `like` is cut so: patches of 8 × 8 pixels."""
    if like.ndim == 4:
        return pictures_T3HW
    grid = pictures_T3HW.unflatten(3, (-1, 8)).unflatten(2, (-1, 8))  # T 3 rows 8 columns 8
    return grid.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)


def levels(difference: Tensor, input_: VideoInput) -> Tensor:
    """A difference of normalised colours in levels of a byte."""
    return difference * 255 * max(input_.sd)


@WITHOUT_TORCHVISION
def test_pictures_are_the_processors_where_nothing_is_resized(name: str, folders: dict[str, Path], quiet: None) -> None:
    input_, clip = input_of(folders[name]), make_clip(EDGES[name])
    assert input_.resize == EDGES[name]
    expected = process(load_processor(folders[name]), rgb(clip, input_), **exact_options(name))
    got = patches(prepared(input_, clip), expected)
    torch.testing.assert_close(got, expected.to(got.dtype), rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", RECORDED)
def test_pictures_are_those_of_the_processor_of_torchvision_where_nothing_is_resized(
    name: str, folders: dict[str, Path]
) -> None:
    input_ = replace(input_of(folders[name]), filter="bilinear")  # as the recorded pictures' chroma was
    expected = load_file(REFERENCE)[f"{name}/exact"]
    got = patches(prepared(input_, make_clip(EDGES[name]))[:1], expected)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-3)


@WITHOUT_TORCHVISION
@pytest.mark.parametrize("times", [2, 3, 0.5])
def test_resized_pictures_differ_little_from_the_processors(
    name: str, times: float, folders: dict[str, Path], quiet: None
) -> None:
    input_, clip = input_of(folders[name]), make_clip(int(times * EDGES[name]) // 4 * 4)
    expected = process(load_processor(folders[name]), rgb(clip, input_).round().to(torch.uint8))
    off = levels((patches(prepared(input_, clip), expected) - expected).abs(), input_)
    assert off.max() < MOST
    assert off.mean() < MOST_ON_AVERAGE


@pytest.mark.parametrize("name", RECORDED)
def test_resized_pictures_differ_little_from_those_of_the_processor_of_torchvision(
    name: str, folders: dict[str, Path]
) -> None:
    input_, expected = input_of(folders[name]), load_file(REFERENCE)[f"{name}/resized"]
    got = patches(prepared(input_, make_clip(2 * EDGES[name]))[:1], expected)
    off = levels((got - expected).abs(), input_)
    assert off.max() < MOST
    assert off.mean() < MOST_ON_AVERAGE


def test_gray_pictures_are_resized_as_by_a_processor_that_rounds_nothing(folders: dict[str, Path]) -> None:
    clip = make_clip(64)
    clip[:, :, 64:] = 128  # without colour, the order of resizing and conversion does not matter
    clip[:, :, :64].clamp_(20, 230)
    for name in ("videomae", "clip", "vivit", "convnext"):
        input_ = input_of(folders[name])
        mode = input_.filter
        edge = (input_.resize, input_.resize)
        resized = torch.nn.functional.interpolate(rgb(clip, input_), edge, mode=mode, antialias=True).clamp(0, 255)
        first = (input_.resize - input_.size) // 2
        middle = resized[:, :, first : first + input_.size, first : first + input_.size] / 255
        mean, sd = (torch.tensor(each)[:, None, None] for each in (input_.mean, input_.sd))
        torch.testing.assert_close(prepared(input_, clip), (middle - mean) / sd, rtol=0, atol=1e-3)


@FAMILIES
def test_pictures_are_those_of_torchvision_itself_where_it_is_installed(name: str, folders: dict[str, Path]) -> None:
    pytest.importorskip("torchvision", exc_type=ImportError)
    input_, clip = input_of(folders[name]), make_clip(EDGES[name])
    with silence():
        expected = process(load_processor(folders[name]), rgb(clip, input_), **exact_options(name))
    torch.testing.assert_close(patches(prepared(input_, clip), expected), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", RECORDED)
def test_the_recorded_clip_is_the_one_that_is_made_today(name: str) -> None:
    clip = make_clip(EDGES[name])
    bilinear = VideoInput(32, 32, "bilinear")
    torch.testing.assert_close(rgb(clip, bilinear), convert(clip), rtol=0, atol=2e-3)
