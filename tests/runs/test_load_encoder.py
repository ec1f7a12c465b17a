"""`load_encoder`: the encoders of a checkpoint, and the errors when there is none."""

import shutil
from pathlib import Path

import pytest
import torch

from talkies.clips import ClipSource, collate, list_windows
from talkies.core import ConfigError, RunError
from talkies.core.precision import Precision
from talkies.library import Library
from talkies.runs import RunFolder, load_encoder


@pytest.fixture
def copy_of_run(run: Path, tmp_path: Path) -> Path:
    """A copy of the run, to be spoilt."""
    return Path(shutil.copytree(run, tmp_path / "run"))


def test_the_newest_checkpoint_is_taken_unless_a_step_is_named(run: Path) -> None:
    newest, untrained = load_encoder(run), load_encoder(run, 0)
    assert (newest.step, untrained.step) == (2, 0)
    assert newest.stamp == RunFolder(run).get_checkpoint(2).read_state().stamp
    assert untrained.stamp == RunFolder(run).get_checkpoint(0).read_state().stamp
    assert newest.stamp != untrained.stamp


def test_an_encoder_knows_its_clip_its_profile_and_its_size(run: Path, library: Library) -> None:
    encoder = load_encoder(run)
    assert (encoder.shape.frames, encoder.shape.stride, encoder.shape.window_frames) == (8, 2, 16)
    assert encoder.profile == library.profile
    assert encoder.dims == {"video": 128, "audio": 128}


def test_embeddings_are_unit_rows_and_a_clip_is_the_same_alone_as_in_company(run: Path, library: Library) -> None:
    encoder, film = load_encoder(run), library.films()[0]
    requests = list_windows(film.id, film.frames, encoder.shape, 16)[:3]
    clips = ClipSource(library, encoder.shape).read_all(requests)
    together = encoder.encode(collate(clips))
    for name in ("video_BD", "audio_BD"):
        rows_BD = getattr(together.embeddings, name)
        assert rows_BD.shape == (3, 128)
        torch.testing.assert_close(rows_BD.norm(dim=1), torch.ones(3))
        alone = torch.cat([getattr(encoder.encode(collate([clip])).embeddings, name) for clip in clips])
        torch.testing.assert_close(alone, rows_BD, rtol=0, atol=1e-5)
    assert together.video_BE.shape[0] == together.audio_BE.shape[0] == 3


def test_a_run_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"none does not exist; make a run with: talkies pretrain --run"):
        load_encoder(tmp_path / "none")


def test_a_folder_that_is_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is not a run \(it has no config\.yaml\); make a run with"):
        load_encoder(tmp_path)


def test_a_run_without_a_checkpoint_is_told_how_to_get_one(copy_of_run: Path) -> None:
    shutil.rmtree(copy_of_run / "checkpoints")
    with pytest.raises(RunError, match=r"run has no checkpoint; train it: talkies pretrain --run .*run --resume"):
        load_encoder(copy_of_run)


def test_a_step_without_a_checkpoint_is_answered_with_those_there_are(run: Path) -> None:
    with pytest.raises(RunError, match=r"run has no checkpoint of step 7; there are: 0, 2"):
        load_encoder(run, 7)


def test_weights_that_are_cut_off_are_told_with_the_remedy(copy_of_run: Path) -> None:
    path = copy_of_run / "checkpoints" / "step-00000002" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    sentence = r"model\.safetensors is missing or damaged; remove .*step-00000002 to use the one before"
    with pytest.raises(RunError, match=sentence):
        load_encoder(copy_of_run)
    shutil.rmtree(path.parent)
    assert load_encoder(copy_of_run).step == 0


def test_weights_of_another_model_than_the_config_says_are_refused(copy_of_run: Path) -> None:
    path = copy_of_run / "config.yaml"
    path.write_text(path.read_text().replace("embedding_dim: 128", "embedding_dim: 64"))
    with pytest.raises(RunError, match=r"the weights in .*step-00000002 are not of the model in .*config\.yaml"):
        load_encoder(copy_of_run)


def test_a_checkpoint_of_a_newer_version_is_refused(copy_of_run: Path) -> None:
    path = copy_of_run / "checkpoints" / "step-00000002" / "state.json"
    path.write_text(path.read_text().replace('"schema_version": 2', '"schema_version": 99'))
    with pytest.raises(RunError, match=r"is of schema version 99, this talkies reads up to 3; install a newer talkies"):
        load_encoder(copy_of_run)


def test_a_run_of_a_newer_version_is_refused(copy_of_run: Path) -> None:
    path = copy_of_run / "run.json"
    path.write_text(path.read_text().replace('"schema_version": 2', '"schema_version": 99'))
    with pytest.raises(RunError, match=r"run\.json is of schema version 99, this talkies reads up to 2"):
        load_encoder(copy_of_run)


@pytest.mark.parametrize("written", ["precision: bf16-mixed", "precision: tf32", "precision: 32-true", ""])
def test_a_run_encodes_on_a_gpu_in_the_precision_of_its_config(
    written: str, copy_of_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without such a line, as in a run's first config, it is float32."""
    monkeypatch.setattr(Precision, "for_encoding", lambda self, device_type: self)
    path = copy_of_run / "config.yaml"
    text = path.read_text()
    assert "  precision: 32-true\n" in text
    path.write_text(text.replace("  precision: 32-true\n", f"  {written}\n" if written else ""))
    assert load_encoder(copy_of_run).precision.name == (written.removeprefix("precision: ") or "32-true")


@pytest.mark.parametrize("channels_last", [True, False])
def test_a_run_encodes_in_the_memory_format_of_its_config(channels_last: bool, copy_of_run: Path) -> None:
    path = copy_of_run / "config.yaml"
    path.write_text(path.read_text().replace("channels_last: true", f"channels_last: {channels_last}".lower()))
    model = load_encoder(copy_of_run).model
    assert (model.video.channels_last, model.audio.channels_last) == (channels_last, channels_last)
    kernel = model.video.get_parameter("block1.0.weight")
    assert kernel.is_contiguous(memory_format=torch.channels_last_3d) == channels_last


def test_a_precision_that_there_is_not_is_refused(copy_of_run: Path) -> None:
    path = copy_of_run / "config.yaml"
    path.write_text(path.read_text().replace("precision: 32-true", "precision: half"))
    with pytest.raises(ConfigError, match=r"config\.yaml.*precision"):
        load_encoder(copy_of_run)
