"""The families of public sound encoders, and PE-AV: how each is saved small, and what transformers makes of it."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_sound_checkpoints import (
    save_ast,
    save_clap,
    save_hubert,
    save_pe_audio,
    save_pe_av,
    save_pe_video,
    save_wav2vec2,
    save_wavlm,
    save_whisper,
)
from torch import Tensor

from talkies.core import Modality
from talkies.models import EncoderAddress
from talkies.models.public import PublicTower, open_tower
from talkies.transforms import AudioTransformConfig
from talkies.transforms.audio_inputs import build_audio_transform

LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
Save = Callable[[Path], Any]
SOUNDS: Mapping[str, Save] = {
    "wav2vec2": save_wav2vec2,
    "wav2vec2 large": partial(save_wav2vec2, **LARGE),
    "hubert": save_hubert,
    "hubert large": partial(save_hubert, **LARGE),
    "wavlm": save_wavlm,
    "wavlm large": partial(save_wavlm, **LARGE),
    "ast": save_ast,
    "whisper": save_whisper,
    "clap": save_clap,
    "clap fused": partial(save_clap, fused=True),
    "pe_audio_video": save_pe_av,
    "pe_audio": save_pe_audio,
}
PICTURES: Mapping[str, Save] = {"pe_audio_video": save_pe_av, "pe_video": save_pe_video}
WITH_TIMM: Mapping[str, Save] = {"pe_audio_video timm": partial(save_pe_av, vision="timm")}
HEADS: Mapping[str, Save] = {
    "Wav2Vec2ForCTC": save_wav2vec2,
    "Wav2Vec2ForSequenceClassification": save_wav2vec2,
    "Wav2Vec2ForPreTraining": save_wav2vec2,
    "HubertForCTC": save_hubert,
    "HubertForSequenceClassification": save_hubert,
    "WavLMForCTC": save_wavlm,
    "WavLMForXVector": save_wavlm,
    "ASTForAudioClassification": save_ast,
    "WhisperForConditionalGeneration": save_whisper,
    "WhisperForAudioClassification": save_whisper,
}
SOUND = pytest.mark.parametrize("name", SOUNDS)
EVERY: list[tuple[str, Modality]] = [*((name, "audio") for name in SOUNDS), *((name, "video") for name in PICTURES)]
EVERYTHING = pytest.mark.parametrize(("name", "modality"), EVERY)


def tower_at(folder: Path, modality: Modality = "audio") -> PublicTower:
    return open_tower(EncoderAddress.parse(f"hf:{folder}"), modality)


def clips(rate: int, seconds: float = 2.0) -> Tensor:
    """Three clips of int16 samples: a chord, noise that swells, clicks."""
    t, rng = np.arange(round(rate * seconds)) / rate, np.random.default_rng(1)
    chord = sum(np.sin(2 * np.pi * pitch * t) for pitch in (220, 277, 3300)) / 4
    swell = rng.normal(0, 0.2, len(t)) * t / t[-1]
    ticks = np.where(np.arange(len(t)) % (rate // 7) < 40, 0.8, 0.0)
    return torch.from_numpy(np.round(np.stack([chord, swell, ticks]).clip(-1, 1) * 32767).astype(np.int16))


def sound_input(tower: PublicTower, clips_BS: Tensor) -> Tensor:
    input_ = tower.encoder.input
    assert not hasattr(input_, "frames") or not hasattr(input_, "filter")
    return build_audio_transform(AudioTransformConfig(), input_.rate_hz, input_)(clips_BS)  # type: ignore[union-attr, arg-type]


def any_input(tower: PublicTower) -> Tensor:
    if tower.encoder.modality == "audio":
        return sound_input(tower, clips(tower.encoder.input.rate_hz))  # type: ignore[union-attr]
    return torch.randn(2, 3, 5, 32, 32, generator=torch.Generator().manual_seed(0))


def original_features(name: str, network: Any, x: Tensor, modality: Modality = "audio", samples: int = 0) -> Tensor:
    """The features that the authors use, by transformers' own forward."""
    family = name.split()[0]
    if family == "ast":
        tokens = network(input_values=x).last_hidden_state
        return (tokens[:, 0] + tokens[:, 1]) / 2
    if family == "whisper":
        return network.encoder(x).last_hidden_state[:, : samples // 320].mean(1)
    if family == "clap":
        return network.audio_model(input_features=x, is_longer=torch.zeros(len(x), 1, dtype=torch.bool)).pooler_output
    if family.startswith("pe_"):
        side = "video" if modality == "video" else "audio"
        whole = getattr(network, f"{side}_model", network)
        values = x.transpose(1, 2).contiguous() if side == "video" else x
        return getattr(whole, f"{side}_encoder")(values).pooler_output
    return network(input_values=x).last_hidden_state.mean(1)
