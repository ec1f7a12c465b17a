"""Encoding, probes, fine-tuning and ONNX on the device give what they give on the processor."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from little_clips import RATE_HZ, data_of, noise_sound, tiny_features, tone, write_sound

from talkies.clips import list_windows, read_films
from talkies.core import ClipBatch
from talkies.library import Library
from talkies.runs import load_encoder

pytestmark = pytest.mark.gpu

# Of unit vectors, and of the mean features: convolutions in TF32 would have ten times this.
CLOSE = 2e-3
RATE_OF_FILMS = 16_000


def test_embeddings_are_those_of_the_processor(
    library: Library, short_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = load_encoder(short_run)
    film, shape = library.usable_films()[0], encoder.shape
    requests = {film: list_windows(film.id, film.frames, shape, shape.window_frames)}
    for _, batches in read_films(library, shape, requests, workers=0):
        there = encoder.encode_batches(batches)
    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: False)
        plain = load_encoder(short_run)
        for _, batches in read_films(library, shape, requests, workers=0):
            here = plain.encode_batches(batches)
    for name in ("video_BD", "audio_BD"):
        torch.testing.assert_close(
            getattr(there.embeddings, name), getattr(here.embeddings, name), atol=CLOSE, rtol=CLOSE
        )
    for name in ("video_BE", "audio_BE"):
        scale = float(getattr(here, name).abs().max())
        torch.testing.assert_close(getattr(there, name), getattr(here, name), atol=CLOSE * scale, rtol=0)


def test_a_linear_probe_is_that_of_the_processor(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn")
    from talkies.evaluation.transfer.torch_probe import TorchLinear

    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 90)
    rows = random.normal(size=(90, 8)) + np.eye(3, 8)[labels] * 2
    there = TorchLinear(loss="logistic").fit(rows, labels)
    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: False)
        here = TorchLinear(loss="logistic").fit(rows, labels)
    np.testing.assert_allclose(there.coef_, here.coef_, atol=1e-4)
    assert (there.predict(rows) == here.predict(rows)).all()


def test_fine_tuning_recognises_pitches(tmp_path: Path, device: str) -> None:
    pytest.importorskip("sklearn")
    from talkies.evaluation.transfer.protocol import resolve_protocol
    from talkies.evaluation.transfer.transfer import measure_transfer

    clips = []
    for take in range(6):
        for label in range(2):
            sound = tone(300 * 3**label, 1.0, take / 6) + noise_sound(6 * label + take, RATE_HZ, level=300)
            clips.append((write_sound(tmp_path / f"{label}-{take}.wav", sound), label))
    quick = ("clips=1", "baselines=false", "finetune.epochs=6", "finetune.batch_clips=4")
    rate = ("finetune.optimiser.learning_rate=0.003", "finetune.optimiser.warmup_steps=0")
    protocol = resolve_protocol("finetune-audio", [*quick, *rate])
    result = measure_transfer(data_of(tmp_path, "audio", clips, tested=4), [tiny_features()], protocol)
    assert result.metrics["accuracy"].mean == 1.0


def test_onnx_gives_on_the_device_what_the_encoder_gives(
    device: str, short_run: Path, tmp_path: Path, make_batch: Callable[..., ClipBatch]
) -> None:
    if device == "cpu" and os.environ.get("TALKIES_SOAK") != "1":
        pytest.skip("tests/export has it on a processor, and writing the files takes long")
    for package in ("onnx", "onnxscript"):
        pytest.importorskip(package)
    onnxruntime = pytest.importorskip("onnxruntime")
    from talkies.export import export_run

    encoder = load_encoder(short_run)
    samples = encoder.shape.audio_frames * RATE_OF_FILMS // encoder.profile.fps
    clips = make_batch(1, 3, frames=encoder.shape.frames)
    exported = export_run(short_run, tmp_path / "model", ["onnx"])
    wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")  # the first is that of onnxruntime-gpu
    providers = [name for name in wanted if name in onnxruntime.get_available_providers()]
    session = onnxruntime.InferenceSession(str(exported.folder / "audio.onnx"), providers=providers)
    audio_BS = clips.audio_BS[:, :samples]
    (embedding_BD,) = session.run(["embedding_BD"], {"audio_BS": audio_BS.numpy()})
    batch = ClipBatch(clips.requests, clips.video_BTPW, audio_BS, clips.film_B)
    own = encoder.encode(batch).embeddings.audio_BD
    np.testing.assert_allclose(embedding_BD, own.numpy(), atol=CLOSE)
