"""Weights under torchvision's names give what torchvision computes from them, rewritten here as plain functions."""

import torch
from torch import Tensor
from torch.nn import functional

from talkies.models import AUDIO_ENCODERS, VIDEO_ENCODERS, Encoder


class Weights:
    """The tensors of a network by name, and what its layers do with them at inference."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self.tensors = tensors

    def norm(self, x: Tensor, name: str) -> Tensor:
        parts = (self.tensors[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(x, *parts, eps=1e-5)

    def factored(self, x: Tensor, space: str, norm: str, time: str, stride: int = 1) -> Tensor:
        """A convolution over space, then one over time; each keeps the size that its stride leaves."""
        kernel, over_time = self.tensors[f"{space}.weight"], self.tensors[f"{time}.weight"]
        at_space = functional.conv3d(
            x, kernel, stride=(1, stride, stride), padding=(0, *(n // 2 for n in kernel.shape[3:]))
        )
        step = 1 if norm == "stem.1" else stride
        return functional.conv3d(self.norm(at_space, norm).relu(), over_time, stride=(step, 1, 1), padding=(1, 0, 0))

    def shortcut(self, x: Tensor, block: str, stride: int) -> Tensor:
        if f"{block}.downsample.0.weight" not in self.tensors:
            return x
        convolve = functional.conv3d if x.ndim == 5 else functional.conv2d
        return self.norm(
            convolve(x, self.tensors[f"{block}.downsample.0.weight"], stride=stride), f"{block}.downsample.1"
        )


def r2plus1d_18(weights: Weights, x: Tensor) -> Tensor:
    x = weights.norm(weights.factored(x, "stem.0", "stem.1", "stem.3", stride=2), "stem.4").relu()
    for layer, number in ((layer, number) for layer in (1, 2, 3, 4) for number in (0, 1)):
        block, stride = f"layer{layer}.{number}", 2 if layer > 1 and number == 0 else 1
        y = x
        for conv, step in (("conv1", stride), ("conv2", 1)):
            names = [f"{block}.{conv}.0.{place}" for place in (0, 1, 3)]
            y = weights.norm(weights.factored(y, *names, stride=step), f"{block}.{conv}.1")
            y = y.relu() if conv == "conv1" else y
        x = (y + weights.shortcut(x, block, stride)).relu()
    return x.flatten(2).mean(2)


def resnet_18(weights: Weights, x: Tensor) -> Tensor:
    x = weights.norm(functional.conv2d(x, weights.tensors["conv1.weight"], stride=2, padding=3), "bn1").relu()
    x = functional.max_pool2d(x, 3, stride=2, padding=1)
    for layer, number in ((layer, number) for layer in (1, 2, 3, 4) for number in (0, 1)):
        block, stride = f"layer{layer}.{number}", 2 if layer > 1 and number == 0 else 1
        y = functional.conv2d(x, weights.tensors[f"{block}.conv1.weight"], stride=stride, padding=1)
        y = weights.norm(y, f"{block}.bn1").relu()
        y = functional.conv2d(y, weights.tensors[f"{block}.conv2.weight"], padding=1)
        x = (weights.norm(y, f"{block}.bn2") + weights.shortcut(x, block, stride)).relu()
    return x.flatten(2).mean(2)


def with_lively_statistics(encoder: Encoder) -> Encoder:
    """The encoder as it could be after training: no norm is the identity any more."""
    for name, tensor in encoder.state_dict().items():
        if name.endswith(("running_mean", "bias")):
            tensor.normal_(0, 0.1)
        elif name.endswith("running_var") or tensor.ndim == 1:
            tensor.uniform_(0.5, 1.5)
    return encoder.eval()


def test_r2plus1d18_computes_what_torchvisions_does() -> None:
    encoder, clips = with_lively_statistics(VIDEO_ENCODERS["r2plus1d18"]()), torch.randn(2, 3, 6, 24, 20)
    with torch.no_grad():
        expected = r2plus1d_18(Weights(encoder.state_dict()), clips)
        torch.testing.assert_close(encoder(clips), expected, rtol=1e-3, atol=1e-4)


def test_resnet18_computes_what_torchvisions_does() -> None:
    encoder, sounds = with_lively_statistics(AUDIO_ENCODERS["resnet18"]()), torch.randn(2, 1, 40, 50)
    with torch.no_grad():
        expected = resnet_18(Weights(encoder.state_dict()), sounds)
        torch.testing.assert_close(encoder(sounds), expected, rtol=1e-3, atol=1e-4)
