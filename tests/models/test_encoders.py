"""Every encoder: its number of parameters, its modality, and the features that it returns."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from talkies.models import AUDIO_ENCODERS, VIDEO_ENCODERS, Encoder

TORCHVISION_R2PLUS1D_18 = 31_505_325
TORCHVISION_RESNET_18_WITHOUT_FC, TWO_MORE_CHANNELS = 11_176_512, 64 * 3 * 49 - 64 * 1 * 49


def pictures() -> Tensor:
    return torch.randn(2, 3, 4, 16, 16)


def spectrograms() -> Tensor:
    return torch.randn(2, 1, 32, 40)


def parameters_of(encoder: nn.Module) -> int:
    return sum(weight.numel() for weight in encoder.parameters())


def fresh(build: Callable[[], Encoder]) -> Encoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build().eval()


@pytest.fixture(scope="module", params=VIDEO_ENCODERS)
def video_encoder(request: pytest.FixtureRequest) -> Encoder:
    return fresh(VIDEO_ENCODERS[request.param])


@pytest.fixture(scope="module", params=AUDIO_ENCODERS)
def audio_encoder(request: pytest.FixtureRequest) -> Encoder:
    return fresh(AUDIO_ENCODERS[request.param])


def test_r2plus1d18_has_the_parameters_of_torchvisions_with_its_400_classes() -> None:
    with torch.device("meta"):
        encoder, head = VIDEO_ENCODERS["r2plus1d18"](), nn.Linear(512, 400)
    assert parameters_of(encoder) + parameters_of(head) == TORCHVISION_R2PLUS1D_18


def test_resnet18_has_the_parameters_of_torchvisions_for_one_channel_without_its_fc() -> None:
    with torch.device("meta"):
        encoder = AUDIO_ENCODERS["resnet18"]()
    assert parameters_of(encoder) == TORCHVISION_RESNET_18_WITHOUT_FC - TWO_MORE_CHANNELS


def test_a_video_encoder_says_what_it_takes(video_encoder: Encoder) -> None:
    assert video_encoder.modality == "video"


def test_an_audio_encoder_says_what_it_takes(audio_encoder: Encoder) -> None:
    assert audio_encoder.modality == "audio"


def test_a_video_encoder_gives_its_declared_features_of_each_clip(video_encoder: Encoder) -> None:
    with torch.no_grad():
        assert video_encoder(pictures()).shape == (2, video_encoder.out_dim)


def test_an_audio_encoder_gives_its_declared_features_of_each_clip(audio_encoder: Encoder) -> None:
    with torch.no_grad():
        assert audio_encoder(spectrograms()).shape == (2, audio_encoder.out_dim)


def test_features_of_a_clip_do_not_depend_on_its_neighbours_once_trained(video_encoder: Encoder) -> None:
    clips = pictures()
    with torch.no_grad():
        torch.testing.assert_close(video_encoder(clips)[:1], video_encoder(clips[:1]), rtol=1e-3, atol=1e-5)


def test_a_video_encoder_sees_the_direction_of_time(video_encoder: Encoder) -> None:
    clip = pictures()[:1]
    with torch.no_grad():
        forwards, backwards = video_encoder(torch.cat([clip, clip.flip(2)]))
    assert (forwards - backwards).norm() > 1e-3 * forwards.norm()


def test_an_audio_encoder_sees_the_direction_of_time(audio_encoder: Encoder) -> None:
    clip = spectrograms()[:1]
    with torch.no_grad():
        forwards, backwards = audio_encoder(torch.cat([clip, clip.flip(3)]))
    assert (forwards - backwards).norm() > 1e-3 * forwards.norm()


def test_every_weight_of_a_video_encoder_takes_part(video_encoder: Encoder) -> None:
    assert weights_without_gradient(video_encoder, pictures()) == []


def test_every_weight_of_an_audio_encoder_takes_part(audio_encoder: Encoder) -> None:
    assert weights_without_gradient(audio_encoder, spectrograms()) == []


def weights_without_gradient(encoder: Encoder, clips: Tensor) -> list[str]:
    names, weights = zip(*encoder.named_parameters(), strict=True)
    gradients = torch.autograd.grad(encoder(clips).square().sum(), weights)
    return [name for name, gradient in zip(names, gradients, strict=True) if not gradient.any()]
