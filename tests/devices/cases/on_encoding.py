"""Encoding, probes and fine-tuning on a device: nothing is mixed in from the CPU, and results are read at once."""

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from device_training import FPS, RATE_HZ, batch_of, config_of
from fake_accelerator import DEVICE, FakeAccelerator

from talkies.clips import ClipConfig
from talkies.core import ClipBatch
from talkies.evaluation.audit import audit
from talkies.evaluation.transfer import classifier, finetune, torch_probe
from talkies.evaluation.transfer import features as features_module
from talkies.library import Library, Profile
from talkies.models import build_model
from talkies.runs import clip_encoder
from talkies.transforms import ClipTransform

PLACES = (clip_encoder, features_module, torch_probe, finetune, classifier)
CONFIG = config_of()


@pytest.fixture(autouse=True)
def accelerator(monkeypatch: pytest.MonkeyPatch) -> FakeAccelerator:
    """Everything that chooses a device chooses the accelerator; PyTorch has no inference mode for such tensors."""
    monkeypatch.setattr(torch, "inference_mode", lambda mode=True: torch.no_grad() if mode else nullcontext())
    for place in PLACES:
        monkeypatch.setattr(place, "choose_device", lambda: DEVICE)
    return FakeAccelerator()


def build_encoder() -> clip_encoder.ClipEncoder:
    model = build_model(CONFIG.model)
    transform = ClipTransform(CONFIG.transforms, RATE_HZ)
    clip = ClipConfig(frames=4, fps=FPS, audio_seconds=0.5)
    profile = Profile(fps=FPS, short_side=32, audio_rate_hz=RATE_HZ)
    return clip_encoder.ClipEncoder(model, transform, clip=clip, profile=profile, stamp="s", run="run", step=0)


def test_a_batch_of_clips_is_read_back_once(accelerator: FakeAccelerator, monkeypatch: pytest.MonkeyPatch) -> None:
    with accelerator:
        encoder = build_encoder()
        encoder.encode(batch_of(0))
        with accelerator.watch() as waits:
            encoded = encoder.encode(batch_of(1))
    assert [wait.kind for wait in waits] == ["read"]
    assert encoded.video_BE.device.type == encoded.embeddings.video_BD.device.type == "cpu"

    # The values are those of a CPU: only its spectra are in float64 there, and in float32 here.
    monkeypatch.setattr(clip_encoder, "choose_device", lambda: torch.device("cpu"))
    plain = build_encoder()
    plain.model.load_state_dict({name: value.inner for name, value in encoder.model.state_dict().items()})
    expected = plain.encode(batch_of(1))
    torch.testing.assert_close(encoded.video_BE, expected.video_BE, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(encoded.embeddings.audio_BD, expected.embeddings.audio_BD, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("loss", ["squared_hinge", "logistic"])
@pytest.mark.parametrize("multi_label", [False, True])
def test_a_probe_is_fitted_on_the_device(
    accelerator: FakeAccelerator, monkeypatch: pytest.MonkeyPatch, loss: str, multi_label: bool
) -> None:
    random = np.random.default_rng(3)
    rows_XE = random.normal(size=(40, 5))
    labels = (rows_XE[:, :3] > 0).astype(int) if multi_label else rows_XE[:, :3].argmax(1)
    with accelerator, accelerator.watch() as waits:
        fitted = torch_probe.TorchLinear(loss=loss, max_iter=20).fit(rows_XE, labels)  # type: ignore[arg-type]
    own = [wait for wait in waits if wait.line.startswith("torch_probe.py")]
    assert {wait.kind for wait in own} <= {"copy", "read"}
    reads = [wait for wait in own if wait.kind == "read"]
    assert len([wait for wait in own if wait.kind == "copy"]) <= 2, "only the features and the labels are copied"
    assert len({wait.line for wait in reads}) <= 2

    monkeypatch.setattr(torch_probe, "choose_device", lambda: torch.device("cpu"))
    plain = torch_probe.TorchLinear(loss=loss, max_iter=20).fit(rows_XE, labels)  # type: ignore[arg-type]
    np.testing.assert_allclose(fitted.coef_, plain.coef_, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("chunk_clips", [None, 3])
@pytest.mark.parametrize("multi_label", [False, True])
def test_a_fine_tuning_step_waits_for_nothing(
    accelerator: FakeAccelerator, chunk_clips: int | None, multi_label: bool
) -> None:
    with accelerator:
        encoder = build_encoder()
        layer = torch.nn.Linear(encoder.model.video.out_dim, 3).to(DEVICE)
        model = SimpleNamespace(
            draw_dropout=lambda clips: torch.ones(clips, layer.in_features, device=DEVICE),
            classify=lambda prepared, factors, learns_encoder: layer(encoder.model.video(prepared) * factors),
        )
        labels = [(row % 3,) for row in range(8)]
        tuner = SimpleNamespace(
            _data=SimpleNamespace(examples=[SimpleNamespace(labels=each) for each in labels], multi_label=multi_label),
            _protocol=SimpleNamespace(finetune=SimpleNamespace(label_smoothing=0.1)),
        )
        transform = ClipTransform(CONFIG.transforms, RATE_HZ).video.to(DEVICE)
        transform(batch_of(0).to(DEVICE).video_BTPW)
        with accelerator.watch() as waits:
            prepared = transform(batch_of(1).to(DEVICE).video_BTPW, torch.Generator().manual_seed(3))
            loss = classifier.backpropagate(
                model,  # type: ignore[arg-type]
                prepared,
                lambda logits, chunk: finetune.FineTuner._compute_loss(tuner, list(range(8)), logits, chunk),  # type: ignore[arg-type]
                chunk_clips=chunk_clips,
            )
    assert waits == []
    assert loss.device == DEVICE
    assert loss.inner.item() > 0  # type: ignore[attr-defined]


def test_an_audit_reads_each_batch_of_clips_once(
    accelerator: FakeAccelerator, monkeypatch: pytest.MonkeyPatch, run: Path, library: Library
) -> None:
    encode, kinds = clip_encoder.ClipEncoder.encode, []

    def noting(encoder: clip_encoder.ClipEncoder, batch: ClipBatch) -> clip_encoder.Encoded:
        with accelerator.watch() as waits:
            encoded = encode(encoder, batch)
        kinds.append([wait.kind for wait in waits if not wait.line.startswith("colour.py:")])  # constants, made once
        return encoded

    monkeypatch.setattr(clip_encoder.ClipEncoder, "encode", noting)
    with accelerator:
        found = audit(run, library.root)
    assert found.films
    assert kinds
    assert kinds == [["read"]] * len(kinds)
