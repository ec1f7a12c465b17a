"""Encoders against torchvision itself: stored features everywhere, and its own networks where it is installed."""

import json
from pathlib import Path
from types import ModuleType

import pytest
import torch
from make_torchvision_reference import CLIPS, REFERENCE, SOUNDS, imported, waves, weights_of
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from talkies.models import AUDIO_ENCODERS, VIDEO_ENCODERS, Encoder
from talkies.runs import load_encoder_weights

Shapes = dict[str, tuple[int, ...]]


def reference(name: str) -> tuple[Shapes, Tensor]:
    """The shapes of torchvision's tensors but its `fc`, in its order, and its features."""
    with safe_open(REFERENCE, framework="pt") as file:
        shapes = json.loads(file.metadata()[name])
        return {key: tuple(shape) for key, shape in shapes.items()}, file.get_tensor(name)


def shapes_of(network: nn.Module) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


@pytest.fixture(scope="module")
def r2plus1d18() -> Encoder:
    return VIDEO_ENCODERS["r2plus1d18"]().eval()


@pytest.fixture(scope="module")
def resnet18() -> Encoder:
    return AUDIO_ENCODERS["resnet18"]().eval()


@pytest.fixture(scope="module")
def torchvision() -> ModuleType:
    try:
        return imported()
    except (ImportError, RuntimeError) as error:  # RuntimeError: it is there, and compiled for another PyTorch
        pytest.skip(f"no torchvision that works here: {error}")


def test_r2plus1d18_bears_torchvisions_names_and_shapes_in_torchvisions_order(r2plus1d18: Encoder) -> None:
    assert list(shapes_of(r2plus1d18).items()) == list(reference("r2plus1d_18")[0].items())


def test_resnet18_bears_torchvisions_names_and_shapes_but_for_its_one_channel(resnet18: Encoder) -> None:
    expected = reference("resnet18")[0] | {"conv1.weight": (64, 1, 7, 7)}
    assert list(shapes_of(resnet18).items()) == list(expected.items())


def test_r2plus1d18_gives_torchvisions_features(r2plus1d18: Encoder) -> None:
    shapes, expected = reference("r2plus1d_18")
    r2plus1d18.load_state_dict(weights_of(shapes))
    with torch.no_grad():
        torch.testing.assert_close(r2plus1d18(waves("clips", CLIPS)), expected, rtol=1e-4, atol=1e-4)


def test_resnet18_gives_torchvisions_features_of_grey_pictures(resnet18: Encoder, tmp_path: Path) -> None:
    shapes, expected = reference("resnet18")
    save_file(weights_of(shapes), tmp_path / "resnet18.safetensors")
    loaded = load_encoder_weights(resnet18, tmp_path / "resnet18.safetensors")
    assert loaded.adapted == ("conv1.weight",)
    with torch.no_grad():
        torch.testing.assert_close(resnet18(waves("sounds", SOUNDS)), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["r2plus1d_18", "resnet18"])
def test_the_reference_tells_clips_and_wrong_networks_apart(name: str) -> None:
    features_BE = reference(name)[1]
    assert features_BE.isfinite().all()
    assert (features_BE[0] - features_BE[1]).norm() > 0.1 * features_BE[0].norm()
    assert (features_BE > 0).float().mean() > 0.2


def test_r2plus1d18_computes_what_the_installed_torchvision_does(torchvision: ModuleType, r2plus1d18: Encoder) -> None:
    network = torchvision.models.video.r2plus1d_18().eval()
    assert sum(weight.numel() for weight in network.parameters()) == 31_505_325
    network.fc = nn.Identity()
    r2plus1d18.load_state_dict(network.state_dict())
    clips = torch.randn(2, 3, 4, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(r2plus1d18(clips), network(clips), rtol=1e-4, atol=1e-5)


def test_resnet18_computes_what_the_installed_torchvision_does(
    torchvision: ModuleType, resnet18: Encoder, tmp_path: Path
) -> None:
    network = torchvision.models.resnet18().eval()
    torch.save(network.state_dict(), tmp_path / "resnet18.pth")
    assert load_encoder_weights(resnet18, tmp_path / "resnet18.pth").left == ("fc.weight", "fc.bias")
    network.fc, sounds = nn.Identity(), torch.randn(2, 1, 40, 50)
    with torch.no_grad():
        torch.testing.assert_close(resnet18(sounds), network(sounds.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-5)
