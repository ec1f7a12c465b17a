import copy
import shutil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from talkies.core import ConfigError
from talkies.models.r2plus1d import R2Plus1D18
from talkies.models.winograd import WinogradConv3d, _library, fast_on_cpu, keep_freed_memory

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="the transforms are compiled by g++")

SPATIAL, TEMPORAL = (1, 3, 3), (3, 1, 1)
FLOAT32_TOLERANCE = 3e-5  # of the largest value; the direct algorithm's own error is about 1e-6
BORDERS_AND_ODD_SIZES = [(2, 5, 7, 7), (1, 1, 9, 4), (3, 4, 1, 2), (1, 9, 14, 13), (2, 2, 6, 6)]


def convolution(kernel: tuple[int, ...], stride: int, dtype: torch.dtype, channels: tuple[int, int]) -> nn.Conv3d:
    strides = tuple(stride if side == 3 else 1 for side in kernel)
    padding = tuple(side // 2 for side in kernel)
    return nn.Conv3d(*channels, kernel, strides, padding, bias=False, dtype=dtype)


def results(conv: nn.Conv3d, x: Tensor, upstream: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Return output, the input's gradient and the kernel's."""
    x = x.detach().clone().requires_grad_()
    y = conv(x)
    dx, dw = torch.autograd.grad(y, (x, conv.weight), torch.ones_like(y) if upstream is None else upstream)
    return y, dx, dw


def assert_like_direct(conv: nn.Conv3d, size: tuple[int, ...], tolerance: float) -> None:
    fast = copy.deepcopy(conv)
    fast_on_cpu(fast)
    assert type(fast) is WinogradConv3d
    x = torch.randn(size[0], conv.in_channels, *size[1:], dtype=conv.weight.dtype)
    upstream = torch.randn_like(conv(x))
    for got, wanted in zip(results(fast, x, upstream), results(conv, x, upstream), strict=True):
        assert got.shape == wanted.shape
        torch.testing.assert_close(got, wanted, rtol=0, atol=tolerance * max(1.0, wanted.abs().max().item()))


@pytest.mark.parametrize("size", BORDERS_AND_ODD_SIZES, ids=str)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [SPATIAL, TEMPORAL], ids=["space", "time"])
def test_output_and_both_gradients_are_the_direct_convolutions_in_float64(
    kernel: tuple[int, ...], stride: int, size: tuple[int, ...]
) -> None:
    assert_like_direct(convolution(kernel, stride, torch.float64, (19, 13)), size, 1e-10)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [SPATIAL, TEMPORAL], ids=["space", "time"])
def test_float32_loses_little_of_the_direct_convolutions_precision(kernel: tuple[int, ...], stride: int) -> None:
    assert_like_direct(convolution(kernel, stride, torch.float32, (64, 48)), (2, 5, 21, 14), FLOAT32_TOLERANCE)


@given(
    kernel=st.sampled_from([SPATIAL, TEMPORAL]),
    stride=st.sampled_from([1, 2]),
    size=st.tuples(*(st.integers(1, most) for most in (3, 9, 13, 13))),
    channels=st.tuples(st.integers(1, 20), st.integers(1, 20)),
)
@settings(max_examples=40, deadline=None)
def test_any_clip_size_and_any_channels_agree_with_the_direct_convolution(
    kernel: tuple[int, ...], stride: int, size: tuple[int, ...], channels: tuple[int, int]
) -> None:
    assert_like_direct(convolution(kernel, stride, torch.float64, channels), size, 1e-10)


@pytest.mark.parametrize("kernel", [SPATIAL, TEMPORAL], ids=["space", "time"])
def test_work_cut_into_pieces_gives_what_work_in_one_piece_gives(
    kernel: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("talkies.models.winograd._BYTES_A_THREAD", 1)
    for stride in (1, 2):
        assert_like_direct(convolution(kernel, stride, torch.float64, (5, 4)), (3, 7, 9, 10), 1e-10)


def test_layout_of_the_input_does_not_matter() -> None:
    conv = convolution(SPATIAL, 1, torch.float32, (6, 7))
    fast_on_cpu(conv)
    x = torch.randn(2, 6, 3, 8, 8)
    assert torch.equal(conv(x), conv(x.contiguous(memory_format=torch.channels_last_3d)))
    assert conv(x).is_contiguous(memory_format=torch.channels_last_3d)


def test_an_input_that_needs_no_gradient_gets_none_and_the_kernel_the_same() -> None:
    for stride in (1, 2):
        conv = convolution(SPATIAL, stride, torch.float64, (4, 5))
        fast_on_cpu(conv)
        x = torch.randn(2, 4, 3, 8, 8, dtype=torch.float64)
        conv(x).sum().backward()
        torch.testing.assert_close(conv.weight.grad, results(conv, x, None)[2], rtol=0, atol=1e-12)


def test_other_number_types_take_the_direct_way() -> None:
    conv = convolution(SPATIAL, 1, torch.bfloat16, (4, 5))
    fast = copy.deepcopy(conv)
    fast_on_cpu(fast)
    x = torch.randn(1, 4, 2, 8, 8, dtype=torch.bfloat16)
    torch.testing.assert_close(fast(x), conv(x))


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv3d(4, 4, (1, 3, 3), padding=(0, 1, 1)),
        nn.Conv3d(4, 4, (1, 3, 3), bias=False),
        nn.Conv3d(4, 4, (1, 3, 3), padding=(0, 1, 1), groups=2, bias=False),
        nn.Conv3d(4, 4, (1, 3, 3), 3, (0, 1, 1), bias=False),
        nn.Conv3d(3, 4, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False),
        nn.Conv3d(4, 4, 1, bias=False),
    ],
    ids=["bias", "no padding", "groups", "stride of three", "seven by seven", "a point"],
)
def test_convolutions_of_another_kind_are_left_alone(conv: nn.Conv3d) -> None:
    fast_on_cpu(conv)
    assert type(conv) is nn.Conv3d


def test_without_a_compiler_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("shutil.which", lambda name: None)
    _library.cache_clear()
    with pytest.raises(
        ConfigError, match=r"compiled by g\+\+, which is not here; install it, or set training\.cpu_conv"
    ):
        fast_on_cpu(nn.Identity())
    _library.cache_clear()


def test_freed_memory_may_be_kept() -> None:
    keep_freed_memory()
    assert torch.ones(2**24).sum() == 2**24


def test_a_whole_encoder_keeps_its_parameters_its_keys_and_its_features() -> None:
    torch.manual_seed(0)
    plain = R2Plus1D18().eval()
    fast = copy.deepcopy(plain)
    parameters, keys = list(fast.parameters()), list(fast.state_dict())
    fast_on_cpu(fast)
    assert sum(type(part) is WinogradConv3d for part in fast.modules()) == 33
    assert all(one is other for one, other in zip(fast.parameters(), parameters, strict=True))
    assert list(fast.state_dict()) == keys
    fast.load_state_dict(plain.state_dict())
    x = torch.randn(2, 3, 4, 48, 48)
    with torch.no_grad():
        wanted = plain(x)
        torch.testing.assert_close(fast(x), wanted, rtol=0, atol=1e-4 * wanted.abs().max().item())
