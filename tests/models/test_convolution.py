"""The 3D convolution of the encoders: PyTorch's own, with gradients in mixed precision that are right on CPUs."""

import pytest
import torch
from torch import Tensor, nn

from talkies.models.convolution import Conv3d


def gradients(kind: type[nn.Conv3d], frames: int, kernel: int, stride: int, *, mixed: bool) -> tuple[Tensor, Tensor]:
    """The gradients of weights and input for noise, in float32."""
    torch.manual_seed(0)
    conv = kind(16, 16, (kernel, 3, 3), (stride, 1, 1), (kernel // 2, 1, 1), bias=False)
    x = torch.randn(3, 16, frames, 6, 6, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        y = conv(x)
    (y.float() * torch.randn(y.shape)).sum().backward()
    assert conv.weight.grad is not None
    assert x.grad is not None
    return conv.weight.grad, x.grad


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("frames", [1, 2, 3, 4, 6])
def test_gradients_in_mixed_precision_are_near_for_every_length(frames: int, kernel: int, stride: int) -> None:
    exact = gradients(Conv3d, frames, kernel, stride, mixed=False)
    del [torch.full((1 << 20,), 1e30) for _ in range(4)][:]  # what memory that was never written may hold
    mixed = gradients(Conv3d, frames, kernel, stride, mixed=True)
    for one, other in zip(exact, mixed, strict=True):
        assert (one - other).norm() / one.norm() < 0.01
    for one, other in zip(exact, gradients(nn.Conv3d, frames, kernel, stride, mixed=False), strict=True):
        assert torch.equal(one, other)


def test_weights_have_pytorch_s_names_and_lengths_that_are_right_stay_in_half_precision() -> None:
    conv = Conv3d(4, 4, 3, padding=1)
    assert conv.state_dict().keys() == nn.Conv3d(4, 4, 3, padding=1).state_dict().keys()
    with torch.autocast("cpu", torch.bfloat16):
        assert conv(torch.randn(1, 4, 4, 5, 5)).dtype == torch.bfloat16
        assert conv(torch.randn(1, 4, 2, 5, 5)).dtype == torch.float32
