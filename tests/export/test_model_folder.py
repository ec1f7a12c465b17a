"""An exported model: the same embeddings, a correct card, and never two models in one folder."""

import json
import re
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import talkies
from talkies.clips import ClipSource, collate, list_windows
from talkies.core import RunError, UsageError, WorkError
from talkies.evaluation.results import Metric, Result, write_result
from talkies.export import ExportedRun, export_run
from talkies.library import Library
from talkies.runs import ClipEncoder, RunFolder, load_encoder
from talkies.runs.exported_model import read_stamp

WRITTEN = ["README.md", "audio.safetensors", "config.json", "model.safetensors", "video.safetensors"]


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> ExportedRun:
    """The run, exported; read only."""
    return export_run(run, tmp_path_factory.mktemp("exported") / "model")


@pytest.fixture
def copy(exported: ExportedRun, tmp_path: Path) -> Path:
    """A copy of the exported folder, to be spoilt."""
    return Path(shutil.copytree(exported.folder, tmp_path / "copy"))


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def result_of(stamp: str, mean: float) -> Result:
    protocol = {"run": "/home/me/runs/first", "model_stamp": stamp, "checkpoint_step": 2, "chance": {"accuracy": 0.1}}
    metrics = {"accuracy": Metric(mean=mean, sd=0.02, n=5, low=mean - 0.03, high=mean + 0.03)}
    return Result(task="esc10", protocol={**protocol, "method": "linear", "clips": 10}, metrics=metrics)


def test_an_exported_encoder_gives_the_very_embeddings_of_its_run(
    exported: ExportedRun, run: Path, library: Library
) -> None:
    film, encoders = library.films()[0], (load_encoder(run), talkies.load_encoder(str(exported.folder)))
    requests = list_windows(film.id, film.frames, encoders[0].shape, 16)[:5]
    batch = collate(ClipSource(library, encoders[0].shape).read_all(requests))
    own, loaded = (encoder.encode(batch) for encoder in encoders)
    assert torch.equal(own.embeddings.video_BD, loaded.embeddings.video_BD)
    assert torch.equal(own.embeddings.audio_BD, loaded.embeddings.audio_BD)
    assert torch.equal(own.video_BE, loaded.video_BE)
    assert torch.equal(own.audio_BE, loaded.audio_BE)


def test_an_exported_encoder_knows_all_that_its_run_knew(exported: ExportedRun, run: Path) -> None:
    def facts(encoder: ClipEncoder) -> tuple[object, ...]:
        return (
            encoder.stamp,
            encoder.step,
            encoder.clip,
            encoder.profile,
            encoder.transforms,
            encoder.shape,
            encoder.dims,
        )

    loaded = load_encoder(exported.folder)
    assert facts(loaded) == facts(load_encoder(run))
    assert loaded.run == exported.folder
    assert read_stamp(exported.folder) == read_stamp(run) == exported.stamp
    assert load_encoder(exported.folder, 2).step == 2
    with pytest.raises(RunError, match=r"model is a model exported at step 2, and holds no other; got step 0$"):
        load_encoder(exported.folder, 0)


def test_the_folder_holds_the_model_its_encoders_and_its_card(exported: ExportedRun, run: Path) -> None:
    assert names_in(exported.folder) == WRITTEN == [path.name for path in exported.files]
    weights = RunFolder(run).get_checkpoint().read_encoder_weights()
    own = {name: tensor for name, tensor in weights.items() if name.startswith("model.")}
    torch.testing.assert_close(load_file(exported.folder / "model.safetensors"), own, rtol=0, atol=0)
    with safe_open(exported.folder / "model.safetensors", "pt") as file:
        told = {"format": "pt", "stamp": exported.stamp, "step": "2", "talkies": version("talkies")}
        assert file.metadata() == told
    video = load_file(exported.video)
    assert all(torch.equal(tensor, own[f"model.video.{name}"]) for name, tensor in video.items())


def test_the_description_says_what_the_model_is_and_what_it_learnt_from(exported: ExportedRun, run: Path) -> None:
    told, record = json.loads((exported.folder / "config.json").read_text()), RunFolder(run).read_record()
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert (told["schema_version"], told["stamp"], told["step"]) == (1, exported.stamp, 2)
    assert {name: told[name] for name in ("clip", "transforms", "model")} == {
        name: config[name] for name in ("clip", "transforms", "model")
    }
    assert told["recipe"] == {
        name: config[name] for name in ("sampling", "adaptation", "objective", "optimiser", "training")
    }
    assert (tuple(told["films"]), told["plan_digest"], told["tools"]) == (
        record.films,
        record.plan_digest,
        record.tools,
    )
    assert str(run.parent) not in (exported.folder / "config.json").read_text()


def test_the_card_tells_films_recipe_shapes_and_how_to_load_it(exported: ExportedRun, run: Path) -> None:
    card, record = (exported.folder / "README.md").read_text(), RunFolder(run).read_record()
    assert card.startswith(f"# talkies audio-visual encoders {exported.stamp}\n")
    assert all(film in card for film in (*record.films, record.plan_digest))
    assert "| video | `video_BTPW` uint8 [B, 8, 192, 128] | [B, 128] | [B, 128] |" in card
    assert "| audio | `audio_BS` int16 [B, 16000] | [B, 128] | [B, 128] |" in card
    recipe = yaml.safe_load(card.split("```yaml\n")[1].split("```")[0])
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert recipe == {name: section for name, section in config.items() if name != "loader"}
    assert "## Limits\n" in card
    assert "None: there was no result of this model" in card
    assert str(run.parent) not in card


def test_the_three_lines_of_the_card_work(
    exported: ExportedRun, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(exported.folder, tmp_path / "DIR")
    shutil.copy(films / "film-000.mp4", tmp_path / "clip.mp4")
    monkeypatch.chdir(tmp_path)
    values: dict[str, object] = {}
    exec((tmp_path / "DIR" / "README.md").read_text().split("```python\n")[1].split("```")[0], values)
    assert repr(values["encoded"]) == "EncodedFile(12 clips, video_BD=[12, 128], audio_BD=[12, 128])"


def test_the_card_tells_the_results_of_this_very_model_each_with_interval_and_chance(
    run: Path, exported: ExportedRun, tmp_path: Path
) -> None:
    for stamp, mean in ((exported.stamp, 0.625), ("0" * 12, 0.375)):
        write_result(result_of(stamp, mean), tmp_path / "results" / f"{stamp}.json")
    again = export_run(run, tmp_path / "model", results=tmp_path / "results")
    card = (again.folder / "README.md").read_text()
    assert again.results == 1
    (row,) = (line for line in card.splitlines() if line.startswith("| esc10 | this model, step 2 "))
    assert row == "| esc10 | this model, step 2 | accuracy | 62.5 % ± 2.0 | 59.5 to 65.5 | 5 | 10.0 % | [1] |"
    assert "- [1] method: linear; clips: 10\n" in card
    assert "37.5" not in card
    assert "/home/me" not in card


def test_results_in_the_runs_folder_are_found(run: Path, exported: ExportedRun, tmp_path: Path) -> None:
    own = shutil.copytree(run, tmp_path / "run")
    write_result(result_of(exported.stamp, 0.625), own / "results")
    assert export_run(own, tmp_path / "model").results == 1
    assert export_run(own, tmp_path / "untrained", step=0).results == 0


def test_a_folder_for_the_hub_has_the_front_matter_that_it_reads(run: Path, tmp_path: Path) -> None:
    export_run(run, tmp_path / "model", ["hub"])
    _, front, card = (tmp_path / "model" / "README.md").read_text().split("---\n", 2)
    told = yaml.safe_load(front)
    assert (told["license"], told["library_name"], told["pipeline_tag"]) == ("unknown", "talkies", "feature-extraction")
    assert {"talkies", "audio-visual", "safetensors"} <= set(told["tags"])
    assert "No licence was chosen" in card
    assert "hf upload USER/NAME DIR .\n" in card
    again = export_run(run, tmp_path / "model", weights_license="cc-by-4.0")
    assert again.formats == ("safetensors", "hub")  # what it was, it stays
    assert (tmp_path / "model" / "README.md").read_text().startswith("---\nlicense: cc-by-4.0\n")


def test_two_exports_of_one_model_say_the_same(run: Path, exported: ExportedRun, tmp_path: Path) -> None:
    again = export_run(run, tmp_path / "model")
    for name in ("README.md", "config.json"):
        assert (again.folder / name).read_bytes() == (exported.folder / name).read_bytes()


def test_an_existing_folder_keeps_what_is_not_of_the_model(run: Path, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "notes.txt").write_text("mine")
    export_run(run, tmp_path / "model")
    assert names_in(tmp_path / "model") == sorted([*WRITTEN, "notes.txt"])


def test_another_model_is_never_mixed_with_one_that_is_there(run: Path, copy: Path) -> None:
    before = {path: path.read_bytes() for path in copy.iterdir()}
    plain = {path: data for path, data in before.items() if path.suffix != ".safetensors"}
    sentence = rf"copy holds another model \(stamp {read_stamp(run)}, step 2\) than this one \(\w+\), and two are never"
    with pytest.raises(UsageError, match=sentence):
        export_run(run, copy, step=0)
    (copy / "config.json").write_text('{"of": "something else"}')
    with pytest.raises(UsageError, match=r"copy holds a config\.json that is damaged or not from an export"):
        export_run(run, copy)
    (copy / "config.json").unlink()
    with pytest.raises(UsageError, match=r"holds a video\.safetensors that is not of this model .*; name a new folder"):
        export_run(run, copy, step=0)
    assert {path: path.read_bytes() for path in copy.iterdir()} == {
        path: data for path, data in before.items() if path.name != "config.json"
    }
    export_run(run, copy)  # of the same model: an export that was stopped is completed
    assert {path: path.read_bytes() for path in plain} == plain
    assert load_encoder(copy).stamp == read_stamp(run)


def test_somebody_elses_readme_stays(run: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(UsageError, match=r"holds a README\.md that is not of this model"):
        export_run(run, tmp_path)
    assert names_in(tmp_path) == ["README.md"]


@pytest.mark.parametrize("there", [False, True])
def test_an_export_that_cannot_be_written_leaves_nothing(
    there: bool, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    to = tmp_path / "model"
    if there:
        to.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr("talkies.export.atomic_folder.os.fsync", full)
        with pytest.raises(
            WorkError, match=r"cannot be written \(no space left on device\); name a folder that you may write to"
        ):
            export_run(run, to)
    assert names_in(tmp_path) == (["model"] if there else [])
    assert not there or names_in(to) == []


def test_a_file_in_the_way_is_told_before_the_work(run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"file is a file; name a folder with --to$"):
        export_run(run, tmp_path / "file")
    with pytest.raises(WorkError, match=r"file/model cannot be written \(not a directory\); name a folder"):
        export_run(run, tmp_path / "file" / "model")


def test_wrong_use_is_told(run: Path, exported: ExportedRun, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"none does not exist; make a run with"):
        export_run(tmp_path / "none", tmp_path / "model")
    with pytest.raises(RunError, match=r"model is not a run \(it has no config\.yaml\); make a run with"):
        export_run(exported.folder, tmp_path / "model")
    with pytest.raises(
        UsageError, match=r"a run has no format 'onxx' \(did you mean 'onnx'\?\); there are: safetensors, onnx"
    ):
        export_run(run, tmp_path / "model", ["onxx"])
    with pytest.raises(UsageError, match=r"holds no result; make one with: talkies evaluate"):
        export_run(run, tmp_path / "model", results=run.parent / "run" / "checkpoints")
    assert not (tmp_path / "model").exists()


def damaged(copy: Path) -> None:
    path = copy / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


def swapped(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    weights["model.video_head.0.weight"] = weights["model.video_head.0.weight"] + 1
    save_file(weights, copy / "model.safetensors")


def newer(copy: Path) -> None:
    path = copy / "config.json"
    path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 99'))


def not_ours(copy: Path) -> None:
    (copy / "config.json").write_text('{"model_type": "bert"}')


def other_sizes(copy: Path) -> None:
    path = copy / "config.json"
    path.write_text(path.read_text().replace('"embedding_dim": 128', '"embedding_dim": 64'))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (
            lambda copy: (copy / "model.safetensors").unlink(),
            r"model\.safetensors is missing or damaged; export the model",
        ),
        (damaged, r"model\.safetensors is missing or damaged; export the model again: talkies export"),
        (
            swapped,
            r"model\.safetensors holds other weights \(stamp \w+\) than .*config\.json describes \(\w+\)",
        ),
        (newer, r"config\.json is of schema version 99, this talkies reads up to 1; install a newer talkies"),
        (not_ours, r"config\.json is not the description of an exported model, or is damaged; export the model again"),
        (other_sizes, r"the weights in .*copy are not of the model in its config\.json"),
    ],
)
def test_an_exported_folder_that_is_spoilt_is_told(spoil: Callable[[Path], None], sentence: str, copy: Path) -> None:
    spoil(copy)
    with pytest.raises(RunError, match=sentence):
        load_encoder(copy)


def test_files_are_as_readable_as_the_system_makes_files(exported: ExportedRun, tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    assert {path.stat().st_mode for path in exported.files} == {(tmp_path / "plain").stat().st_mode}


def test_the_card_names_no_more_films_than_a_reader_scrolls_past(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("talkies.export.model_card._MOST_FILMS", 2)
    folder = export_run(run, tmp_path / "model").folder
    assert "\nand 1 more; `config.json` lists all.\n" in (folder / "README.md").read_text()
    assert len(re.findall(r"^    [0-9a-f]{16} [0-9a-f]{16}$", (folder / "README.md").read_text(), re.MULTILINE)) == 1
