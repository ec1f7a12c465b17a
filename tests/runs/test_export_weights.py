"""`export_weights`: the encoders of a run, one file each."""

import re
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from written_weights import CONFIG, assert_holds, fresh, run_of, trained

from talkies.core import RunError, TalkiesError, WorkError
from talkies.models import ModelConfig, build_model
from talkies.runs import export_weights, load_encoder_weights


def refused(sentence: str, error: type[TalkiesError]) -> pytest.RaisesExc[TalkiesError]:
    return pytest.raises(error, match=f"^{re.escape(sentence)}$")


def test_exported_weights_come_back_as_they_were(tmp_path: Path) -> None:
    run, model = run_of(tmp_path / "run")
    exported = export_weights(run.root, tmp_path / "out" / "weights")
    assert sorted(path.name for path in exported.video.parent.iterdir()) == ["audio.safetensors", "video.safetensors"]
    for path, own in ((exported.video, model.video), (exported.audio, model.audio)):
        encoder = fresh(own.modality)
        loaded = load_encoder_weights(encoder, path)
        assert (loaded.path, loaded.unused, loaded.adapted) == (path, (), ())
        assert_holds(encoder, own.state_dict())


@pytest.mark.parametrize("step", [None, 0])
def test_exported_files_say_what_they_are(step: int | None, tmp_path: Path) -> None:
    run = run_of(tmp_path / "run")[0]
    exported = export_weights(run.root, tmp_path, step)
    for tower in ("video", "audio"):
        with safe_open(tmp_path / f"{tower}.safetensors", framework="pt") as file:
            assert file.metadata() == {
                "format": "pt",
                "talkies": version("talkies"),
                "tower": tower,
                "encoder": "tiny",
                "out_dim": "128",
                "step": str(10 if step is None else 0),
                "stamp": run.get_checkpoint(step).read_state().stamp,
            }
    assert exported.stamp == run.get_checkpoint(step).read_state().stamp


def test_exported_weights_are_the_averaged_ones_where_there_are_any(tmp_path: Path) -> None:
    run, _ = run_of(tmp_path / "run")
    averaged = {f"model.{name}": tensor for name, tensor in trained(build_model(CONFIG)).items()}
    save_file(averaged, run.get_checkpoint().folder / "ema.safetensors")
    exported = export_weights(run.root, tmp_path)
    assert all(
        torch.equal(tensor, averaged[f"model.video.{name}"]) for name, tensor in load_file(exported.video).items()
    )


def test_exported_weights_bear_torchvisions_names(tmp_path: Path) -> None:
    config = ModelConfig(video="tiny", audio="resnet18", embedding_dim=24, hidden_dim=32)
    exported = export_weights(run_of(tmp_path / "run", config)[0].root, tmp_path)
    names = load_file(exported.audio).keys()
    assert {"conv1.weight", "bn1.running_mean", "layer2.0.downsample.1.bias", "layer4.1.conv2.weight"} <= names


def test_an_export_leaves_the_generators_alone(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run")[0]
    before = torch.random.get_rng_state()
    export_weights(run.root, tmp_path)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_an_export_of_another_model_than_the_configs_is_refused(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run")[0]
    run.config_path.write_text(run.config_path.read_text().replace("24", "25"))
    with refused(f"the weights in {run.get_checkpoint().folder} are not of the model in {run.config_path}", RunError):
        export_weights(run.root, tmp_path)


def test_an_export_that_cannot_be_written_leaves_the_files_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    run = run_of(tmp_path / "run")[0]
    video = export_weights(run.root, tmp_path / "out", 0).video
    before = video.read_bytes()
    monkeypatch.setattr("os.fsync", full)
    remedy = "name a folder that you may write to, on a disk with free space"
    sentence = f"{video} cannot be written (no space left on device); {remedy}"
    with refused(sentence, WorkError):
        export_weights(run.root, tmp_path / "out")
    assert video.read_bytes() == before
    assert sorted(path.name for path in video.parent.iterdir()) == ["audio.safetensors", "video.safetensors"]


def test_an_export_into_a_file_is_refused(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run")[0]
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "video.safetensors"
    with refused(
        f"{path} cannot be written (file exists); name a folder that you may write to, on a disk with free space",
        WorkError,
    ):
        export_weights(run.root, tmp_path / "file")
