"""The vision transformers: patches, positions, sizes."""

import math
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from talkies.core import ConfigError
from talkies.models import AUDIO_ENCODERS, VIDEO_ENCODERS, Encoder, vit
from talkies.models.vit import AudioTransformer, VideoTransformer, compute_positions

WIDTH, MLP, DEPTH = 384, 4 * 384, 12


def fresh(kind: type[VideoTransformer] | type[AudioTransformer]) -> Encoder:
    """Small, and with weights large enough that attention tells tokens apart."""
    encoder = kind(dim=24, depth=2, heads=2).eval()
    for weight in encoder.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.3)
    return encoder


def without_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        vit, "compute_positions", lambda grid, dim, device: torch.zeros(math.prod(grid), dim, device=device)
    )


def difference(one: Tensor, other: Tensor) -> float:
    return ((one - other).norm() / one.norm()).item()


@pytest.mark.parametrize(
    ("encoders", "patch"), [(VIDEO_ENCODERS, 3 * 2 * 16 * 16), (AUDIO_ENCODERS, 16 * 16)], ids=["video", "audio"]
)
def test_vit_s_is_of_its_published_size(encoders: dict, patch: int) -> None:
    with torch.device("meta"):
        encoder = encoders["vit_s"]()
    block = 4 * WIDTH + (3 * WIDTH * WIDTH + 3 * WIDTH) + (WIDTH * WIDTH + WIDTH) + (2 * WIDTH * MLP + MLP + WIDTH)
    expected = patch * WIDTH + WIDTH + DEPTH * block + 2 * WIDTH
    assert sum(weight.numel() for weight in encoder.parameters()) == expected
    assert encoder.out_dim == WIDTH


@given(boxes=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)))
@settings(max_examples=8, deadline=None)
def test_clips_of_any_whole_number_of_boxes_have_features(boxes: tuple[int, int, int]) -> None:
    encoder, (deep, high, wide) = fresh(VideoTransformer), boxes
    with torch.no_grad():
        clips = torch.randn(2, 3, 2 * deep, 16 * high, 16 * wide)
        assert encoder(clips).shape == (2, 24)
        assert {output.shape[1] for output in encoder.forward_stages(clips).values()} == {deep * high * wide}


@pytest.mark.parametrize("size", [(7, 112, 112), (8, 100, 112), (8, 112, 120), (1, 16, 16)])
def test_clips_that_cannot_be_cut_into_boxes_are_refused(size: tuple[int, int, int]) -> None:
    frames, height, width = size
    sentence = (
        f"this vision transformer cuts clips into boxes of 2 frames of 16 × 16 pixels, and cannot cut {frames} frames "
        f"of {height} × {width}; set clip.frames to a multiple of 2, and transforms.video.size to one of 16"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}$"):
        fresh(VideoTransformer)(torch.zeros(1, 3, *size))


@given(bins=st.integers(1, 40), frames=st.integers(1, 50))
@settings(max_examples=12, deadline=None)
def test_a_spectrogram_is_filled_up_with_zeros_at_its_end(bins: int, frames: int) -> None:
    encoder, sounds = fresh(AudioTransformer), torch.randn(2, 1, bins, frames)
    whole = torch.zeros(2, 1, math.ceil(bins / 16) * 16, math.ceil(frames / 16) * 16)
    whole[..., :bins, :frames] = sounds
    with torch.no_grad():
        assert torch.equal(encoder(sounds), encoder(whole))
        assert encoder.forward_stages(sounds)["stem"].shape[1] == math.ceil(bins / 16) * math.ceil(frames / 16)


def test_a_token_is_its_patch_through_the_kernel_with_its_place_added() -> None:
    encoder, clips = fresh(VideoTransformer), torch.randn(1, 3, 4, 32, 48)
    proj = encoder.get_submodule("patch_embed.proj")
    kernel, bias = proj.get_parameter("weight"), proj.get_parameter("bias")
    with torch.no_grad():
        tokens = encoder.forward_stages(clips)["stem"][0]
        for place, (t, h, w) in enumerate((t, h, w) for t in range(2) for h in range(2) for w in range(3)):
            patch = clips[0, :, 2 * t : 2 * t + 2, 16 * h : 16 * h + 16, 16 * w : 16 * w + 16]
            expected = (kernel * patch).sum((1, 2, 3, 4)) + bias + compute_positions((2, 2, 3), 24)[place]
            torch.testing.assert_close(tokens[place], expected, rtol=1e-4, atol=1e-4)


def test_attention_is_the_formula_of_the_paper() -> None:
    attention, x = vit._Attention(12, 3), torch.randn(2, 5, 12)
    query, key, value = (part.unflatten(2, (3, 4)) for part in attention.qkv(x).chunk(3, dim=2))
    weights = (torch.einsum("bihd,bjhd->bhij", query, key) / 2).softmax(3)
    expected = attention.proj(torch.einsum("bhij,bjhd->bihd", weights, value).flatten(2))
    torch.testing.assert_close(attention(x), expected)


@given(grid=st.lists(st.integers(1, 12), min_size=1, max_size=3), dim=st.sampled_from([24, 96, 384]))
@settings(max_examples=30, deadline=None)
def test_every_place_of_a_grid_has_a_position_of_its_own(grid: list[int], dim: int) -> None:
    places_ND = compute_positions(grid, dim)
    assert places_ND.shape == (math.prod(grid), dim)
    apart = torch.cdist(places_ND, places_ND) + 9 * torch.eye(len(places_ND))
    assert apart.min() > 0.1


def test_positions_are_the_published_sines_and_cosines() -> None:
    places_THWD = compute_positions((3, 4, 5), 12).view(3, 4, 5, 12)
    for axis, place in ((0, (2, 0, 0)), (1, (0, 3, 0)), (2, (0, 0, 4))):
        at = place[axis]
        waves = [wave(at * speed) for wave in (math.sin, math.cos) for speed in (1, 0.01)]
        torch.testing.assert_close(places_THWD[place][4 * axis : 4 * axis + 4], torch.tensor(waves))
        elsewhere = [d for d in range(12) if d // 4 != axis]
        assert torch.equal(places_THWD[place][elsewhere], places_THWD[0, 0, 0][elsewhere])


def test_a_larger_grid_keeps_the_places_of_a_smaller_one() -> None:
    assert torch.equal(
        compute_positions((4, 7, 7), 48).view(4, 7, 7, 48)[:2, :3, :5],
        compute_positions((2, 3, 5), 48).view(2, 3, 5, 48),
    )


@pytest.mark.parametrize("tower", ["video", "audio"])
def test_only_positions_tell_the_order_of_patches(tower: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if tower == "video":
        encoder, clip = fresh(VideoTransformer), torch.randn(1, 3, 6, 32, 32)
        moved = clip.roll(16, 3).roll(2, 2)
    else:
        encoder, clip = fresh(AudioTransformer), torch.randn(1, 1, 48, 64)
        moved = clip.roll(16, 2).roll(32, 3)
    with torch.no_grad():
        assert difference(encoder(clip), encoder(moved)) > 0.01
        without_positions(monkeypatch)
        assert difference(encoder(clip), encoder(moved)) < 1e-4


def test_fresh_weights_are_small_and_drawn_from_pytorchs_generator() -> None:
    torch.manual_seed(3)
    one = VIDEO_ENCODERS["vit_tiny"]().state_dict()
    torch.manual_seed(3)
    other = VIDEO_ENCODERS["vit_tiny"]().state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    for name, tensor in one.items():
        if tensor.ndim > 1:
            assert tensor.std().item() == pytest.approx(0.02, rel=0.05), name
        else:
            assert set(tensor.tolist()) == {1.0 if "norm" in name and name.endswith("weight") else 0.0}


@pytest.mark.parametrize("autocast", [False, True])
def test_the_stream_between_blocks_is_of_full_precision(autocast: bool) -> None:
    encoder, clips = fresh(VideoTransformer), torch.randn(1, 3, 4, 32, 32)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        assert {output.dtype for output in encoder.forward_stages(clips).values()} == {torch.float32}


def with_bright_corners(count: int) -> tuple[Tensor, Tensor]:
    """Clips of which one patch of four is bright, and which one."""
    corner_B, clips = torch.randint(4, (count,)), 0.1 * torch.randn(count, 3, 2, 32, 32)
    for clip, corner in zip(clips, corner_B.tolist(), strict=True):
        down, across = 16 * (corner // 2), 16 * (corner % 2)
        clip[..., down : down + 16, across : across + 16] += 1
    return clips, corner_B


def test_a_vision_transformer_learns_where_a_patch_is_bright() -> None:
    encoder, probe = VideoTransformer(dim=96, depth=2, heads=3), torch.nn.Linear(96, 4)
    optimiser = torch.optim.Adam([*encoder.parameters(), *probe.parameters()], lr=1e-3)
    for _ in range(80):
        clips, corner_B = with_bright_corners(32)
        loss = functional.cross_entropy(probe(encoder(clips)), corner_B)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    clips, corner_B = with_bright_corners(128)
    assert (probe(encoder(clips)).argmax(1) == corner_B).float().mean() > 0.9
