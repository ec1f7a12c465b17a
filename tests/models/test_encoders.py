import pytest
import torch
from torch import Tensor, nn

from talkies.models import AUDIO_ENCODERS, VIDEO_ENCODERS, Encoder

TORCHVISION_R2PLUS1D_18, ITS_FC = 31_505_325, 512 * 400 + 400
TORCHVISION_RESNET_18_WITHOUT_FC, TWO_MORE_CHANNELS = 11_176_512, 64 * 3 * 49 - 64 * 1 * 49

R2PLUS1D_SHAPES = {
    "stem.0.weight": (45, 3, 1, 7, 7),
    "stem.1.running_mean": (45,),
    "stem.3.weight": (64, 45, 3, 1, 1),
    "layer1.0.conv1.0.0.weight": (144, 64, 1, 3, 3),
    "layer1.0.conv1.0.1.bias": (144,),
    "layer1.0.conv1.0.3.weight": (64, 144, 3, 1, 1),
    "layer1.0.conv1.1.num_batches_tracked": (),
    "layer1.1.conv2.1.weight": (64,),
    "layer2.0.conv1.0.0.weight": (230, 64, 1, 3, 3),
    "layer2.0.conv2.0.0.weight": (230, 128, 1, 3, 3),
    "layer2.0.downsample.0.weight": (128, 64, 1, 1, 1),
    "layer2.0.downsample.1.running_var": (128,),
    "layer4.1.conv2.0.3.weight": (512, 1152, 3, 1, 1),
}
RESNET_SHAPES = {
    "conv1.weight": (64, 1, 7, 7),
    "bn1.running_mean": (64,),
    "layer1.0.conv1.weight": (64, 64, 3, 3),
    "layer1.1.bn2.num_batches_tracked": (),
    "layer2.0.downsample.0.weight": (128, 64, 1, 1),
    "layer3.0.downsample.1.bias": (256,),
    "layer4.1.conv2.weight": (512, 512, 3, 3),
}


def pictures() -> Tensor:
    return torch.randn(2, 3, 4, 16, 16)


def spectrograms() -> Tensor:
    return torch.randn(2, 1, 32, 40)


def parameters_of(encoder: nn.Module) -> int:
    return sum(weight.numel() for weight in encoder.parameters())


def shapes_of(encoder: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in encoder.state_dict().items()}


@pytest.fixture(scope="module")
def r2plus1d18() -> Encoder:
    return VIDEO_ENCODERS["r2plus1d18"]().eval()


@pytest.fixture(scope="module")
def resnet18() -> Encoder:
    return AUDIO_ENCODERS["resnet18"]().eval()


@pytest.fixture
def video_encoder(request: pytest.FixtureRequest, r2plus1d18: Encoder) -> Encoder:
    return r2plus1d18 if request.param == "r2plus1d18" else VIDEO_ENCODERS[request.param]().eval()


@pytest.fixture
def audio_encoder(request: pytest.FixtureRequest, resnet18: Encoder) -> Encoder:
    return resnet18 if request.param == "resnet18" else AUDIO_ENCODERS[request.param]().eval()


every_video_encoder = pytest.mark.parametrize("video_encoder", list(VIDEO_ENCODERS), indirect=True)
every_audio_encoder = pytest.mark.parametrize("audio_encoder", list(AUDIO_ENCODERS), indirect=True)


def test_r2plus1d18_has_the_parameters_of_torchvisions_without_its_fc(r2plus1d18: Encoder) -> None:
    assert parameters_of(r2plus1d18) == TORCHVISION_R2PLUS1D_18 - ITS_FC


def test_r2plus1d18_bears_torchvisions_names_and_shapes(r2plus1d18: Encoder) -> None:
    shapes = shapes_of(r2plus1d18)
    assert {name: shapes.get(name) for name in R2PLUS1D_SHAPES} == R2PLUS1D_SHAPES
    assert {name for name in shapes if "downsample" in name and "weight" in name} == {
        f"layer{layer}.0.downsample.{part}.weight" for layer in (2, 3, 4) for part in (0, 1)
    }


def test_resnet18_has_the_parameters_of_torchvisions_for_one_channel_without_its_fc(resnet18: Encoder) -> None:
    assert parameters_of(resnet18) == TORCHVISION_RESNET_18_WITHOUT_FC - TWO_MORE_CHANNELS


def test_resnet18_bears_torchvisions_names_and_shapes(resnet18: Encoder) -> None:
    shapes = shapes_of(resnet18)
    assert {name: shapes.get(name) for name in RESNET_SHAPES} == RESNET_SHAPES


@every_video_encoder
def test_a_video_encoder_gives_its_declared_features_of_each_clip(video_encoder: Encoder) -> None:
    with torch.no_grad():
        assert video_encoder(pictures()).shape == (2, video_encoder.out_dim)


@every_audio_encoder
def test_an_audio_encoder_gives_its_declared_features_of_each_clip(audio_encoder: Encoder) -> None:
    with torch.no_grad():
        assert audio_encoder(spectrograms()).shape == (2, audio_encoder.out_dim)


@every_video_encoder
def test_features_of_a_clip_do_not_depend_on_its_neighbours_once_trained(video_encoder: Encoder) -> None:
    clips = pictures()
    with torch.no_grad():
        torch.testing.assert_close(video_encoder(clips)[:1], video_encoder(clips[:1]), rtol=1e-3, atol=1e-5)


@every_video_encoder
def test_a_video_encoder_sees_the_direction_of_time(video_encoder: Encoder) -> None:
    clip = pictures()[:1]
    with torch.no_grad():
        forwards, backwards = video_encoder(torch.cat([clip, clip.flip(2)]))
    assert (forwards - backwards).norm() > 1e-3 * forwards.norm()


@every_audio_encoder
def test_an_audio_encoder_sees_the_direction_of_time(audio_encoder: Encoder) -> None:
    clip = spectrograms()[:1]
    with torch.no_grad():
        forwards, backwards = audio_encoder(torch.cat([clip, clip.flip(3)]))
    assert (forwards - backwards).norm() > 1e-3 * forwards.norm()


@every_video_encoder
def test_every_weight_of_a_video_encoder_takes_part(video_encoder: Encoder) -> None:
    assert weights_without_gradient(video_encoder, pictures()) == []


@every_audio_encoder
def test_every_weight_of_an_audio_encoder_takes_part(audio_encoder: Encoder) -> None:
    assert weights_without_gradient(audio_encoder, spectrograms()) == []


def weights_without_gradient(encoder: Encoder, clips: Tensor) -> list[str]:
    names, weights = zip(*encoder.named_parameters(), strict=True)
    gradients = torch.autograd.grad(encoder(clips).square().sum(), weights)
    return [name for name, gradient in zip(names, gradients, strict=True) if not gradient.any()]
