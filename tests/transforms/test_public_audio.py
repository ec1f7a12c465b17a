"""The sound that public encoders take, against their feature extractors in transformers, and its augmentation."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from talkies.core import AudioInput, ClapInput, ConfigError, FilterbankInput, WaveformInput, WhisperInput
from talkies.transforms import AudioTransformConfig
from talkies.transforms.audio import AudioTransform
from talkies.transforms.audio_inputs import build_audio_transform

pytestmark = pytest.mark.filterwarnings("ignore:At least one mel filter has all zero values")


def clap(seconds: int = 2, **options: Any) -> tuple[AudioInput, Any, str]:
    extractor = transformers.ClapFeatureExtractor(max_length_s=seconds, **options)
    fused = extractor.truncation == "fusion"
    input_ = ClapInput(48_000, 64, 1024, 480, seconds * 48_000, 0.0, 14_000.0, fused=fused, padding=extractor.padding)
    return input_, extractor, "input_features"


def whisper(seconds: int = 4, mels: int = 80) -> tuple[AudioInput, Any, str]:
    extractor = transformers.WhisperFeatureExtractor(feature_size=mels, chunk_length=seconds)
    return WhisperInput(16_000, mels, 400, 160, seconds * 16_000), extractor, "input_features"


def filterbank(frames: int = 200, **options: Any) -> tuple[AudioInput, Any, str]:
    extractor = transformers.ASTFeatureExtractor(max_length=frames, **options)
    mean, sd = (extractor.mean, 2 * extractor.std) if extractor.do_normalize else (0.0, 1.0)
    return FilterbankInput(16_000, extractor.num_mel_bins, frames, mean, sd), extractor, "input_values"


def waveform(normalise: bool) -> tuple[AudioInput, Any, str]:
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=normalise)
    return WaveformInput(16_000, normalise=normalise), extractor, "input_values"


def codec() -> tuple[AudioInput, Any, str]:
    extractor = transformers.PeAudioFeatureExtractor()
    return WaveformInput(48_000, channel_axis=True, multiple=1920), extractor, "input_values"


KINDS: dict[str, Callable[[], tuple[AudioInput, Any, str]]] = {
    "whisper": whisper,
    "whisper large": partial(whisper, 30, 128),
    "ast": filterbank,
    "ast raw": partial(filterbank, do_normalize=False, num_mel_bins=64),
    "clap": partial(clap, truncation="rand_trunc"),
    "clap fused": partial(clap, truncation="fusion"),
    "clap repeat": partial(clap, truncation="rand_trunc", padding="repeat"),
    "clap pad": partial(clap, truncation="rand_trunc", padding="pad"),
    "clap 10 s": partial(clap, 10),
    "wav2vec 2.0": partial(waveform, True),
    "wavlm": partial(waveform, False),
    "pe-av": codec,
}
ALL = pytest.mark.parametrize("kind", KINDS)
SPECTROGRAMS = pytest.mark.parametrize("kind", ["whisper", "ast", "clap", "clap fused"])
SILENCE = {"clap": -100.0, "clap fused": -100.0, "ast": 0.0}


def sound(name: str, samples: int, rate: int, seed: int = 0) -> Tensor:
    """A clip of int16 samples, `[1, S]`."""
    t, rng = np.arange(samples) / rate, np.random.default_rng(seed)
    wave = {
        "noise": rng.normal(0, 0.1, samples),
        "quiet": rng.normal(0, 2 / 32768, samples),
        "silence": np.zeros(samples),
        "full scale": np.sign(np.sin(2 * np.pi * 440 * t)),
        "tone": 0.99 * np.sin(2 * np.pi * 1000 * t),
        "sweep": 0.9 * np.sin(np.pi * rate / 2 * t**2 / max(t[-1], 1e-9)),
        "click": np.eye(1, samples, samples // 2)[0],
        "fade": rng.normal(0, 0.2, samples) * np.linspace(1, 0, samples) ** 6,
    }[name]
    return torch.from_numpy(np.clip(np.round(wave * 32768), -32768, 32767).astype(np.int16))[None]


def extracted(extractor: Any, key: str, clip_1S: Tensor) -> Tensor:
    samples = clip_1S[0].numpy().astype(np.float64) / 32768
    values: Tensor = extractor(samples, sampling_rate=extractor.sampling_rate, return_tensors="pt")[key]
    return values


def build(kind: str, **augmentation: Any) -> AudioTransform:
    input_, _, _ = KINDS[kind]()
    return build_audio_transform(AudioTransformConfig(**augmentation), input_.rate_hz, input_)


@ALL
@pytest.mark.parametrize("name", ["noise", "quiet", "silence", "full scale", "tone", "sweep", "click", "fade"])
def test_it_is_what_the_feature_extractor_makes(kind: str, name: str) -> None:
    input_, extractor, key = KINDS[kind]()
    clip_1S = sound(name, 2 * input_.rate_hz, input_.rate_hz)
    got = build(kind)(clip_1S)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, extracted(extractor, key, clip_1S).float(), rtol=0, atol=1e-3)


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(["whisper", "ast", "clap", "clap fused", "clap repeat", "wav2vec 2.0", "pe-av"]),
    samples=st.integers(512, 32_000),
    name=st.sampled_from(["noise", "quiet", "tone", "sweep", "fade"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_clips_of_any_length_and_level_are_made_as_by_the_extractor(
    kind: str, samples: int, name: str, seed: int
) -> None:
    input_, extractor, key = KINDS[kind]()
    clip_1S = sound(name, samples, input_.rate_hz, seed)
    torch.testing.assert_close(build(kind)(clip_1S), extracted(extractor, key, clip_1S).float(), rtol=0, atol=1e-3)


@ALL
def test_a_clip_is_the_same_alone_and_among_others(kind: str) -> None:
    input_, _, _ = KINDS[kind]()
    names = ("noise", "silence", "full scale", "quiet") * 9  # more than are computed at a time
    clips_BS = torch.cat([sound(name, 8_000, input_.rate_hz) for name in names])
    together = build(kind)(clips_BS)
    assert len(together) == 36
    for index in (1, 34):
        torch.testing.assert_close(together[index], build(kind)(clips_BS[index : index + 1])[0], rtol=0, atol=2e-6)


@pytest.mark.parametrize("kind", ["wavlm", "whisper", "ast", "clap"])
def test_a_gain_is_that_of_a_louder_sound(kind: str) -> None:
    input_, extractor, key = KINDS[kind]()
    transform = build(kind, gain_db=12.0)
    clip_1S = sound("noise", 2 * input_.rate_hz, input_.rate_hz)
    augmentation = transform.draw(1, clip_1S.shape[1], torch.Generator().manual_seed(3))
    assert augmentation.gain_db_B is not None
    gain = float(10 ** (augmentation.gain_db_B[0] / 20))
    assert abs(gain - 1) > 0.1
    louder = clip_1S[0].numpy() / 32768 * gain  # beyond full scale nothing is clipped
    expected = extractor(louder, sampling_rate=input_.rate_hz, return_tensors="pt")[key].float()
    torch.testing.assert_close(transform.prepare(clip_1S, augmentation), expected, rtol=0, atol=1e-3)


@SPECTROGRAMS
def test_masks_hide_frames_and_bins_and_change_nothing_else(kind: str) -> None:
    input_, _, _ = KINDS[kind]()
    transform = build(kind, time_masks=2, time_mask_frames=20, frequency_masks=1, frequency_mask_bins=16)
    clips_BS = sound("noise", 2 * input_.rate_hz, input_.rate_hz).repeat(3, 1)
    augmentation = transform.draw(3, clips_BS.shape[1], torch.Generator().manual_seed(0))
    time_BL, frequency_BF = augmentation.time_mask_BL, augmentation.frequency_mask_BF
    assert time_BL is not None
    assert frequency_BF is not None
    assert time_BL.any()
    assert frequency_BF.any()

    plain, masked = (transform.prepare(clips_BS, each) for each in (None, augmentation))
    if kind == "whisper":  # to frames, then bins
        plain, masked = plain.mT, masked.mT
    silent = SILENCE.get(kind, plain.amin())
    for index in range(3):
        hidden_LF = frequency_BF[index].expand(plain.shape[-2], -1).clone()
        hidden_LF[: time_BL.shape[1]] |= time_BL[index, :, None]
        hidden = hidden_LF.expand(plain[index].shape)
        assert (masked[index][hidden] - silent).abs().max() < 1e-5
        assert torch.equal(masked[index][~hidden], plain[index][~hidden])


@pytest.mark.parametrize("kind", ["whisper", "ast"])
def test_time_masks_lie_in_the_sound_and_not_in_its_padding(kind: str) -> None:
    transform = build(kind, time_masks=10, time_mask_frames=50)
    for seed in range(20):
        mask = transform.draw(8, 8_000, torch.Generator().manual_seed(seed)).time_mask_BL
        assert mask is not None
        assert mask.shape[1] in (48, 50)
        assert mask.any()


@ALL
def test_draws_depend_on_the_seed_alone(kind: str) -> None:
    options = {"gain_db": 6.0, "time_masks": 1, "time_mask_frames": 9, "frequency_masks": 1, "frequency_mask_bins": 8}
    transform = build(kind, **options)
    clips_BS = sound("noise", 20_000, 16_000).repeat(5, 1)
    first, second = (transform(clips_BS, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first, second)
    augmentation = transform.draw(5, 20_000, torch.Generator().manual_seed(7))
    parts = [transform.prepare(clips_BS[part], augmentation[part]) for part in (slice(0, 2), slice(2, 5))]
    torch.testing.assert_close(torch.cat(parts), first, rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("kind", "most"), [("whisper", 4.0), ("ast", (400 + 199 * 160 + 159) / 16_000), ("clap", 2.0), ("clap fused", 2.0)]
)
def test_longer_clips_are_refused_when_the_transform_is_built_and_never_cut(kind: str, most: float) -> None:
    input_, _, _ = KINDS[kind]()
    rate = input_.rate_hz
    build_audio_transform(AudioTransformConfig(), rate, input_, seconds=most)
    sentence = (
        rf"takes at most {most:g} s of sound, and the clips have 5 s; set clip.audio_seconds to {most:g} or less$"
    )
    with pytest.raises(ConfigError, match=sentence):
        build_audio_transform(AudioTransformConfig(), rate, input_, seconds=5.0)
    with pytest.raises(ConfigError, match="takes at most"):
        build(kind)(sound("noise", round(most * rate) + 1, rate))


def test_the_longest_clip_is_made_as_by_the_extractor_to_its_last_frame() -> None:
    for kind, samples in (
        ("ast", 400 + 199 * 160 + 159),
        ("clap", 96_000),
        ("clap fused", 96_000),
        ("whisper", 64_000),
    ):
        input_, extractor, key = KINDS[kind]()
        clip_1S = sound("noise", samples, input_.rate_hz)
        torch.testing.assert_close(build(kind)(clip_1S), extracted(extractor, key, clip_1S).float(), rtol=0, atol=1e-3)


def test_shorter_clips_than_the_encoder_sees_at_once_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"at least 0.025 s of sound, and the clips have 0.02 s; set clip.audio_sec"):
        build_audio_transform(AudioTransformConfig(), 16_000, filterbank()[0], seconds=0.02)
    input_ = WaveformInput(16_000, least_samples=400)
    with pytest.raises(ConfigError, match=r"at least 0.025 s of sound, and the clips have 0.02"):
        build_audio_transform(AudioTransformConfig(), 16_000, input_)(sound("noise", 399, 16_000))


@ALL
def test_a_library_of_a_lower_rate_is_refused_with_what_to_do(kind: str) -> None:
    input_, _, _ = KINDS[kind]()
    sentence = (
        rf"^the library's sound has 8000 samples a second, and the audio encoder needs {input_.rate_hz}; make a "
        rf"library that has them: talkies ingest --set profile.audio_rate_hz={input_.rate_hz}$"
    )
    with pytest.raises(ConfigError, match=sentence):
        build_audio_transform(AudioTransformConfig(), 8_000, input_)


@pytest.mark.parametrize(("kind", "rate"), [("ast", 48_000), ("ast", 44_100), ("whisper", 48_000), ("clap", 96_000)])
def test_a_library_of_a_higher_rate_gives_nearly_the_same(kind: str, rate: int) -> None:
    input_, extractor, key = KINDS[kind]()
    t = np.arange(2 * rate) / rate
    tones = sum(np.sin(2 * np.pi * (pitch * t + 3 * np.sin(2 * t))) for pitch in (220, 441, 883, 1760, 3511, 6200)) / 8
    clip_1S = torch.from_numpy(np.round(tones * 32767).astype(np.int16))[None]
    own = np.arange(2 * input_.rate_hz) / input_.rate_hz
    right = (
        sum(np.sin(2 * np.pi * (pitch * own + 3 * np.sin(2 * own))) for pitch in (220, 441, 883, 1760, 3511, 6200)) / 8
    )

    got = build_audio_transform(AudioTransformConfig(), rate, input_)(clip_1S)
    expected = extractor(right, sampling_rate=input_.rate_hz, return_tensors="pt")[key].float()
    assert got.shape == expected.shape
    loud = expected > expected.max() - {"ast": 0.75, "whisper": 1.25, "clap": 50.0}[kind]  # 60 and 50 dB of levels
    unit = {"ast": 1.0, "whisper": 1.0, "clap": 10.0}[kind]
    assert (got - expected)[loud].abs().mean() / unit < 5e-3
