"""Encoders as ONNX: onnxruntime gives the same outputs as PyTorch for the bytes of a batch."""

import logging
import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from talkies.clips import ClipConfig, ClipSource, collate, list_windows, read_file_clips
from talkies.core import ClipBatch, ClipShape, UsageError, WorkError, parse_film_id
from talkies.export import ExportedRun, export_run
from talkies.export.model_folder import compute_input_shapes
from talkies.export.onnx_files import MatrixLogMel, MatrixVideoTransform, check_onnx, write_onnx
from talkies.library import Library, Profile
from talkies.models import Encoder, ModelConfig, TwoTower
from talkies.models.r2plus1d import R2Plus1D18
from talkies.models.resnet import ResNet18
from talkies.models.vit import AudioTransformer, VideoTransformer
from talkies.runs import ClipEncoder, build_run_encoder, load_encoder
from talkies.runs.exported_model import ExportedModel
from talkies.transforms import AudioTransformConfig, LogMel, TransformConfig, VideoTransform, VideoTransformConfig

pytestmark = pytest.mark.slow

CLOSE = 1e-6  # of embeddings, whose length is one
SMALL = TransformConfig(video=VideoTransformConfig(size=32))
Session = onnxruntime.InferenceSession


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> ExportedRun:
    """The run, with its ONNX files; read only."""
    return export_run(run, tmp_path_factory.mktemp("onnx") / "model", ["onnx"])


@pytest.fixture(scope="module")
def sessions(exported: ExportedRun) -> tuple[Session, Session]:
    """Both files, loaded by onnxruntime."""
    video, audio = (Session(str(exported.folder / f"{tower}.onnx")) for tower in ("video", "audio"))
    return video, audio


def difference(sessions: tuple[Session, Session], encoder: ClipEncoder, batch: ClipBatch) -> float:
    """By how much embeddings and features of a batch differ at most."""
    video = sessions[0].run(["embedding_BD", "features_BE"], {"video_BTPW": batch.video_BTPW.numpy()})
    audio = sessions[1].run(["embedding_BD", "features_BE"], {"audio_BS": batch.audio_BS.numpy()})
    own = encoder.encode(batch)
    wanted = (own.embeddings.video_BD, own.video_BE, own.embeddings.audio_BD, own.audio_BE)
    return max(
        float(np.abs(got - expected.numpy()).max()) for got, expected in zip((*video, *audio), wanted, strict=True)
    )


def batch_of(video_BTPW: Tensor, audio_BS: Tensor, library: Library) -> ClipBatch:
    film = library.films()[0]
    requests = list_windows(film.id, film.frames, ClipShape(8, 2, 16), 1)[: len(audio_BS)]
    return ClipBatch(tuple(requests), video_BTPW, audio_BS, torch.zeros(len(audio_BS), dtype=torch.int64))


@pytest.mark.parametrize("clips", [1, 2, 7])
def test_clips_of_noise_of_any_number_give_what_pytorch_gives(
    clips: int, sessions: tuple[Session, Session], run: Path, library: Library
) -> None:
    video_BTPW = torch.randint(0, 256, (clips, 8, 192, 128), dtype=torch.uint8)
    audio_BS = torch.randint(-32_768, 32_768, (clips, 16_000), dtype=torch.int16)
    audio_BS[0, 4_000:] = 0  # silence, which is at the floor
    assert difference(sessions, load_encoder(run), batch_of(video_BTPW, audio_BS, library)) < CLOSE


def test_clips_of_films_give_what_pytorch_gives(sessions: tuple[Session, Session], run: Path, library: Library) -> None:
    encoder, film = load_encoder(run), library.films()[0]
    requests = list_windows(film.id, film.frames, encoder.shape, 8)
    batch = collate(ClipSource(library, encoder.shape).read_all(requests))
    assert difference(sessions, encoder, batch) < CLOSE


@pytest.mark.real_data
def test_clips_of_a_real_film_give_what_pytorch_gives(
    sessions: tuple[Session, Session], run: Path, real_data: Path
) -> None:
    encoder, film_id = load_encoder(run), parse_film_id("0" * 16)
    path = min((real_data / "films").glob("*.mp4"), key=lambda path: path.stat().st_size)
    clips = []
    for clip in read_file_clips(path, film_id, encoder.profile, encoder.shape, 24):
        clips.append(clip)
        if len(clips) == 12:
            break
    assert difference(sessions, encoder, collate(clips)) < CLOSE


def test_the_files_say_what_they_are_and_nothing_of_the_machine(exported: ExportedRun) -> None:
    for tower, bytes_in in (("video", ["B", 8, 192, 128]), ("audio", ["B", 16_000])):
        model = onnx.load(exported.folder / f"{tower}.onnx")
        onnx.checker.check_model(model, full_check=True)
        told = {entry.key: entry.value for entry in model.metadata_props}
        assert (told["tower"], told["stamp"], told["step"]) == (tower, exported.stamp, "2")
        (given,) = model.graph.input
        dims = [dim.dim_param or dim.dim_value for dim in given.type.tensor_type.shape.dim]
        assert (given.name, dims) == ({"video": "video_BTPW", "audio": "audio_BS"}[tower], bytes_in)
        assert [output.name for output in model.graph.output] == ["embedding_BD", "features_BE"]
        data = model.SerializeToString()
        assert all(
            word not in data for word in (b".py", b"talkies/", b"site-packages", str(Path.home()).encode() + b"/")
        )


def test_the_card_and_the_report_tell_that_there_are_onnx_files(exported: ExportedRun, run: Path) -> None:
    assert exported.formats == ("safetensors", "onnx")
    assert {"video.onnx", "audio.onnx"} <= {path.name for path in exported.files}
    assert exported.onnx_difference is not None
    assert 0 <= exported.onnx_difference < CLOSE
    assert "## Without PyTorch\n" in (exported.folder / "README.md").read_text()
    assert load_encoder(exported.folder).stamp == exported.stamp


def shallow(encoder: Any) -> Encoder:
    """An encoder with one block of the first two layers, which are of both kinds that there are."""
    encoder.layer1, encoder.layer2 = encoder.layer1[:1], encoder.layer2[:1]
    encoder.layer3, encoder.layer4, encoder.out_dim = nn.Sequential(), nn.Sequential(), 128
    return encoder  # type: ignore[no-any-return]


KINDS: dict[str, Callable[[], tuple[Encoder, Encoder]]] = {
    "residual networks": lambda: (shallow(R2Plus1D18()), shallow(ResNet18())),
    "vision transformers": lambda: (VideoTransformer(96, 1, 3), AudioTransformer(96, 1, 3)),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model_is_written_and_gives_what_pytorch_gives(kind: str, tmp_path: Path) -> None:
    model = TwoTower(*KINDS[kind](), 16, 16).eval().requires_grad_(False)
    shapes = {"video": (4, 48, 32), "audio": (8_000,)}
    assert write_onnx(tmp_path, model, SMALL, shapes, 16_000, facts={}) < CLOSE  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "config",
    [
        AudioTransformConfig(),
        AudioTransformConfig(n_fft=1024, hop=200, window_samples=640, mels=40, f_min_hz=125.0, f_max_hz=7500.0),
        AudioTransformConfig(n_fft=500, hop=123, window_samples=401, scale="db"),
    ],
)
def test_the_fourier_transform_as_matrices_gives_the_same_log_mel(config: AudioTransformConfig) -> None:
    loudness_S = torch.logspace(-4, 0, 16_000) * 32_767
    audio_BS = (torch.empty(3, 16_000).uniform_(-1, 1) * loudness_S).to(torch.int16)
    own, in_matrices = LogMel(config, 16_000)(audio_BS), MatrixLogMel(config, 16_000)(audio_BS)
    torch.testing.assert_close(in_matrices, own, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("side", "size"), [(128, 32), (32, 112), (128, 128)])
def test_the_resize_of_whole_pictures_as_matrices_gives_the_same_pictures(side: int, size: int) -> None:
    config, video_BTPW = VideoTransformConfig(size=size), torch.randint(0, 256, (2, 3, side * 3 // 2, side)).byte()
    own, in_matrices = VideoTransform(config)(video_BTPW), MatrixVideoTransform(config, side)(video_BTPW)
    torch.testing.assert_close(in_matrices, own, rtol=0, atol=1e-5)


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "onnxscript"])
def test_a_package_that_is_missing_is_told_before_the_work(
    package: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    sentence = rf"^ONNX files need {package}, which is not installed; pip install 'talkies\[onnx\]'$"
    with pytest.raises(UsageError, match=sentence):
        export_run(run, tmp_path / "model", ["onnx"])
    assert not (tmp_path / "model").exists()
    assert export_run(run, tmp_path / "model").formats == ("safetensors",)


def test_a_fourier_transform_too_long_for_a_matrix_is_refused() -> None:
    audio = AudioTransformConfig(n_fft=8192)
    with pytest.raises(UsageError, match=r"transforms\.audio\.n_fft up to 4096, and the run has 8192; take another"):
        check_onnx(TransformConfig(video=VideoTransformConfig(size=32), audio=audio), 16_000)
    counted = AudioTransformConfig(n_fft=2048, rate_hz=16_000)  # at 48 kHz it is longer than that
    with pytest.raises(UsageError, match=r"n_fft up to 4096, and the run has 6144; take another"):
        check_onnx(TransformConfig(video=VideoTransformConfig(size=32), audio=counted), 48_000)


def test_files_that_give_something_else_are_not_kept(
    exported: ExportedRun, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(exported.folder, tmp_path / "model")
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "model").iterdir()}
    other = load_encoder(run, 0).model
    wrong = (exported.folder / "video.onnx").read_bytes()
    monkeypatch.setattr("talkies.export.onnx_files._export_module", lambda *_: wrong)
    monkeypatch.setattr(
        "talkies.export.model_folder.build_run_encoder", lambda loaded: _with_model(build_run_encoder(loaded), other)
    )
    with pytest.raises(
        WorkError, match=r"the video encoder as ONNX gives embeddings that differ by [\d.]+ from PyTorch"
    ):
        export_run(run, tmp_path / "model", ["onnx"])
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "model").iterdir()} == before


def _with_model(encoder: ClipEncoder, model: TwoTower) -> ClipEncoder:
    encoder.model = model
    return encoder


def test_the_exporters_warnings_and_logs_stay_with_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from talkies.export import onnx_files

    def noisy(*_: object, **__: object) -> None:
        warnings.warn("old", FutureWarning, stacklevel=1)
        logging.getLogger("torch.onnx").warning("torchvision is not installed")

    monkeypatch.setattr("torch.onnx.export", noisy)
    with pytest.raises(WorkError, match=r"PyTorch .* cannot export the audio encoder as ONNX; take another"):
        onnx_files._export_module(nn.Identity(), "audio", (160,), {})
    assert capfd.readouterr() == ("", "")
    assert logging.root.manager.disable == logging.NOTSET


def test_the_shapes_of_a_clips_bytes_follow_from_its_config_and_the_profile() -> None:
    artefact = ExportedModel(
        stamp="0" * 12,
        step=0,
        clip=ClipConfig(frames=4, fps=8, audio_seconds=0.5),
        profile=Profile(short_side=64),
        transforms=SMALL,
        model=ModelConfig(video="tiny", audio="tiny"),
    )
    assert compute_input_shapes(artefact) == {"video": (4, 96, 64), "audio": (8_000,)}
