"""Write `torchvision_reference.safetensors`: what torchvision's networks compute from weights that a formula gives.

    python tests/models/make_torchvision_reference.py [FOLDER]

Weights and inputs follow from names and shapes alone, so the file holds only the names, the shapes and the features:
the outputs of `r2plus1d_18` and `resnet18` without their `fc`, in inference. torchvision need not fit the PyTorch that
is installed, for its networks are plain Python; FOLDER may hold one that was installed by itself:
`pip install --no-deps --target FOLDER torchvision`.
"""

import json
import math
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

REFERENCE = Path(__file__).with_name("torchvision_reference.safetensors")
CLIPS, SOUNDS = (2, 3, 6, 40, 32), (2, 1, 48, 56)
Shapes = Mapping[str, tuple[int, ...]]


def waves(name: str, shape: tuple[int, ...]) -> Tensor:
    """Numbers from -1 to 1 without a pattern that is easily seen: sines whose phase is a square modulo 2³¹."""
    index = torch.arange(math.prod(shape))
    phase = (index * index * 40_503 + index * 2_654_435 + zlib.crc32(name.encode())) % 2**31
    return torch.sin(phase.double() * (math.tau / 2**31)).float().view(shape)


def weights_of(shapes: Shapes) -> dict[str, Tensor]:
    """Weights for tensors of these names and shapes, of such sizes that what passes neither grows nor dies."""
    return {name: _weight(name, shape) for name, shape in shapes.items()}


def _weight(name: str, shape: tuple[int, ...]) -> Tensor:
    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.long)
    if len(shape) > 1:
        return waves(name, shape) * (2 / math.sqrt(math.prod(shape[1:])))
    if name.endswith(("bias", "running_mean")):
        return waves(name, shape) * 0.2
    return 1 + waves(name, shape) * 0.4  # scales and variances


def main() -> None:
    torchvision = imported(sys.argv[1] if len(sys.argv) > 1 else None)
    video, audio = torchvision.models.video.r2plus1d_18(), torchvision.models.resnet18()
    video.fc = audio.fc = nn.Identity()
    facts, features = {"torchvision": torchvision.__version__.partition("+")[0]}, {}
    colours = waves("sounds", SOUNDS).expand(-1, 3, -1, -1)  # one channel, as a network for colours sees grey
    for name, network, inputs in (("r2plus1d_18", video, waves("clips", CLIPS)), ("resnet18", audio, colours)):
        shapes = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
        network.load_state_dict(weights_of(shapes))
        with torch.no_grad():
            features[name] = network.eval()(inputs)
        facts[name] = json.dumps(shapes, separators=(",", ":"))
    save_file(features, REFERENCE, facts)


def imported(folder: str | None = None) -> ModuleType:
    """torchvision, from a folder that holds it if one is given.

    Raises:
        ImportError: if there is none.
        RuntimeError: if it is of another PyTorch, and no folder is given.
    """
    if folder is not None:
        sys.path.insert(0, folder)
        for operator in ("nms", "qnms"):  # compiled ones, which its import wants to exist
            torch.library.define(
                f"torchvision::{operator}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            )
    import torchvision

    return torchvision


if __name__ == "__main__":
    main()
