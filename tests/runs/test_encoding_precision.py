"""Encoding in the precision and the memory format of training: what computes in what, and how near the results are."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from talkies.clips import ClipConfig, FileWindows
from talkies.clips.clip_files import ViewSampling
from talkies.clips.clip_spec import ClipSpec
from talkies.core import ClipBatch, ClipRequest, Span, parse_film_id, precision
from talkies.core.precision import Precision
from talkies.evaluation.transfer.extract import compute_cache_key
from talkies.evaluation.transfer.features import TowerFeatures
from talkies.library import PROFILES
from talkies.models import ModelConfig, build_model, set_layout
from talkies.runs import ClipEncoder
from talkies.runs.clip_encoder import make_transform
from talkies.transforms import AudioTransformConfig, TransformConfig, VideoTransformConfig

CLIPS, FRAMES, SIDE, RATE_HZ = 6, 4, 32, 16_000
CLIP = ClipConfig(frames=FRAMES, fps=8, audio_seconds=0.5)
TRANSFORMS = TransformConfig(video=VideoTransformConfig(size=SIDE), audio=AudioTransformConfig(mels=32))
Encode = Callable[[Precision, bool], tuple[Tensor, Tensor]]


def model_of(channels_last: bool) -> Any:
    torch.manual_seed(0)
    model = build_model(ModelConfig(video="tiny", audio="tiny", embedding_dim=16, hidden_dim=32))
    set_layout(model, channels_last=channels_last)
    return model


def encoder_of(own: Precision, channels_last: bool = True) -> ClipEncoder:
    """A tiny model whose encoder computes in a precision, whatever this machine would choose."""
    model, profile = model_of(channels_last), PROFILES["standard"]
    transform = make_transform(model, TRANSFORMS, profile, CLIP)
    encoder = ClipEncoder(model, transform, clip=CLIP, profile=profile, stamp="0" * 12, run="run", step=1)
    encoder.precision = own
    return encoder


def features_of(own: Precision, channels_last: bool = True) -> TowerFeatures:
    model, spec = model_of(channels_last), ClipSpec(FRAMES, 8, SIDE, SIDE, 0.5, RATE_HZ)
    features = TowerFeatures("tiny", spec, TRANSFORMS, model.video, model.audio)
    features.precision = own
    return features


def clips() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    pictures = torch.randint(0, 256, (CLIPS, FRAMES, SIDE * 3 // 2, SIDE), dtype=torch.uint8, generator=generator)
    return pictures, torch.randint(-9000, 9000, (CLIPS, RATE_HZ // 2), dtype=torch.int16, generator=generator)


def encode_batch(own: Precision, channels_last: bool = True) -> tuple[Tensor, Tensor]:
    requests = tuple(ClipRequest(parse_film_id("a" * 16), Span(start, start + 8)) for start in range(CLIPS))
    encoded = encoder_of(own, channels_last).encode(ClipBatch(requests, *clips(), torch.zeros(CLIPS).long()))
    return encoded.embeddings.video_BD, encoded.embeddings.audio_BD


def encode_windows(own: Precision, channels_last: bool = True) -> tuple[Tensor, Tensor]:
    pictures, samples = clips()
    windows = FileWindows(torch.arange(CLIPS).numpy(), pictures.numpy(), samples.numpy())
    video_BD, audio_BD = encoder_of(own, channels_last).encode_windows(windows)
    return torch.from_numpy(video_BD), torch.from_numpy(audio_BD)


def encode_features(own: Precision, channels_last: bool = True) -> tuple[Tensor, Tensor]:
    (pictures, samples), features = clips(), features_of(own, channels_last)
    rows = features.encode_video(pictures), features.encode_audio(samples)
    return nn.functional.normalize(rows[0], dim=1), nn.functional.normalize(rows[1], dim=1)


WAYS: dict[str, Encode] = {"batch": encode_batch, "windows": encode_windows, "features": encode_features}
ALL_WAYS = pytest.mark.parametrize("way", WAYS)


@contextmanager
def watch(monkeypatch: pytest.MonkeyPatch, what: Callable[[Tensor], Any]) -> Iterator[list[Any]]:
    """Note something of the input of each convolution."""
    seen: list[Any] = []
    with monkeypatch.context() as patch:
        for kind in (nn.Conv2d, nn.Conv3d):
            forward = kind.forward

            def watched(module: nn.Module, x: Tensor, forward: Any = forward) -> Tensor:
                seen.append(what(x))
                output: Tensor = forward(module, x)
                seen.append(output.dtype)
                return output

            patch.setattr(kind, "forward", watched)
        yield seen


@ALL_WAYS
def test_in_mixed_precision_layers_compute_in_bfloat16_and_embeddings_are_float32(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with watch(monkeypatch, lambda x: None) as seen:
        rows = WAYS[way](Precision("bf16-mixed"), True)
    assert torch.bfloat16 in seen
    assert {each.dtype for each in rows} == {torch.float32}
    for rows_BD in rows:  # the heads' output is normalised in float32: in bfloat16 lengths are off by a hundredth
        torch.testing.assert_close(rows_BD.norm(dim=1), torch.ones(CLIPS), rtol=0, atol=1e-6)

    exact = WAYS[way](Precision(), True)
    for rows_BD, exact_BD in zip(rows, exact, strict=True):
        assert (rows_BD * exact_BD).sum(1).min() > 0.999
        assert not torch.equal(rows_BD, exact_BD)


@ALL_WAYS
def test_the_first_layer_gets_the_input_of_float32_in_every_precision(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    firsts = []
    for name in ("32-true", "bf16-mixed"):
        with watch(monkeypatch, lambda x: x.clone()) as seen:
            WAYS[way](Precision(name), True)
        inputs = [each for each in seen if isinstance(each, Tensor)]
        firsts.append(next(each for each in inputs if each.shape[1] == 3)[:])
    assert firsts[0].dtype == torch.float32
    assert torch.equal(*firsts)


@ALL_WAYS
@pytest.mark.parametrize("name", ["32-true", "tf32"])
def test_float32_and_tf32_are_asked_for_while_layers_compute_and_not_for_transforms(
    way: str, name: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "_DEVICES", ("cpu",))  # as if this were a CUDA device
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark

    def read(_x: Tensor) -> tuple[bool, bool, bool]:
        return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark

    with watch(monkeypatch, read) as seen:
        WAYS[way](Precision(name), True)
    assert {each for each in seen if isinstance(each, tuple)} == {(name == "tf32", name == "tf32", False)}
    assert read(torch.zeros(0)) == before


@ALL_WAYS
@pytest.mark.parametrize("channels_last", [True, False])
def test_encoders_get_their_input_in_the_memory_format_of_their_weights(
    way: str, channels_last: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_channels_last(x: Tensor) -> bool:
        return x.is_contiguous(memory_format=torch.channels_last if x.ndim == 4 else torch.channels_last_3d)

    with watch(monkeypatch, lambda x: x.shape[1] == 1 or is_channels_last(x) == channels_last) as seen:
        rows = WAYS[way](Precision(), channels_last)
    assert False not in seen
    for rows_BD, other_BD in zip(rows, WAYS[way](Precision(), not channels_last), strict=True):
        torch.testing.assert_close(rows_BD, other_BD, rtol=0, atol=1e-5)
    model = model_of(channels_last)
    assert is_channels_last(model.video.get_parameter("block1.0.weight")) == channels_last
    assert is_channels_last(model.audio.blocks[1][0].weight) == channels_last


def test_features_of_float32_keep_their_key_and_those_of_another_precision_have_one_of_their_own() -> None:
    keys = {}
    for name in ("32-true", "tf32", "bf16-mixed"):
        features = features_of(Precision(name))
        keys[name] = compute_cache_key(features, ViewSampling(features.clip_spec, 2, 1), ["video", "audio"])
    assert len(set(keys.values())) == 3


@pytest.mark.parametrize("has_bf16", [True, False])
def test_a_model_of_mixed_precision_encodes_in_float32_on_a_cpu(
    has_bf16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "has_bf16_arithmetic", lambda device_type: has_bf16)
    model = model_of(channels_last=True)
    mixed, spec = Precision("bf16-mixed"), ClipSpec(FRAMES, 8, SIDE, SIDE, 0.5, RATE_HZ)
    features = TowerFeatures("tiny", spec, TRANSFORMS, model.video, model.audio, precision=mixed)
    assert features.precision == Precision("32-true")
