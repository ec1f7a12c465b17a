"""Encoders as somebody else would write them, for `python:small_modules:…` addresses."""

import torch
from torch import Tensor, nn

from talkies.core import VideoInput, WaveformInput


class MeanColours(nn.Module):
    """Features `[B, 8]` of video: a linear map of each clip's mean colours."""

    modality, out_dim = "video", 8
    input = VideoInput(16, 16, usual_frames=2)

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.map = nn.Identity(), nn.Linear(3, 8)
        with torch.no_grad():
            self.map.weight.copy_(torch.arange(24.0).view(8, 3) / 24)
            self.map.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        return self.map(self.stem(x).mean((2, 3, 4)))


class Loudness(nn.Module):
    """Features `[B, 2]` of samples: their mean and their power."""

    modality, out_dim, input = "audio", 2, WaveformInput(16_000)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([x.mean(1), x.square().mean(1)], 1)


class WrongWidth(Loudness):
    out_dim = 3


def no_module() -> int:
    return 3


def no_modality() -> nn.Module:
    return nn.Identity()


def wrong_input() -> nn.Module:
    module = Loudness()
    module.input = VideoInput(16, 16)
    return module


def no_width() -> nn.Module:
    module = Loudness()
    module.out_dim = None
    return module


def broken() -> nn.Module:
    raise TypeError("it does not start")


not_callable = 3
