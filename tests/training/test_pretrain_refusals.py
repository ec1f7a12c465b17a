"""What pre-training refuses, and that a failure leaves nothing half-written."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from talkies.core import ConfigError, LibraryError, PlanError, RunError, UsageError
from talkies.library import Library
from talkies.runs import InitialWeights, RunFolder
from talkies.training import PretrainReport, RunConfig, fitting, pretrain, trackers

training = sys.modules["talkies.training.pretrain"]

Config = Callable[..., RunConfig]
Files = Callable[[Path], dict[str, bytes]]


@pytest.mark.parametrize(
    ("override", "kind", "sentence"),
    [
        (
            "sampling.clips_per_film=40",
            PlanError,
            r"3 films cannot give 40 clips a batch: film-\d{3}\.mp4 \(at most 12\), .*"
            r"set sampling\.clips_per_film to at most 12, or shorten the clips",
        ),
        (
            "sampling.films_per_batch=4",
            PlanError,
            r"a batch takes 4 films and the library has 3; ingest more films, or set sampling\.films_per_batch to at "
            r"most 3",
        ),
        ("clip.fps=12", ConfigError, r"clip\.fps must divide the library's 16 frames a second, got 12"),
        ("clip.audio_seconds=60", PlanError, r"3 films cannot give 4 clips a batch: film-\d{3}\.mp4 \(at most 0\)"),
    ],
)
def test_a_plan_that_cannot_be_leaves_no_run_folder(
    override: str, kind: type[UsageError], sentence: str, library: Library, small: Config, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=sentence):
        pretrain(library.root, small(override), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_cuda_where_there_is_none_is_refused(
    library: Library, small: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"training\.device is cuda and this machine has no CUDA device; set .*=cpu"):
        pretrain(library.root, small("training.device=cuda"), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_more_devices_than_the_machine_has_are_refused(
    library: Library, small: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match=r"training\.devices is 2, this machine has 1 CUDA devices; lower it"):
        pretrain(library.root, small("training.device=auto", "training.devices=2"), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


NOT_HERE = [
    (
        ("training.precision=bf16-mixed",),
        r"training\.precision is bf16-mixed and this machine's processor has no bf16 arithmetic; set it to 32-true",
    ),
    (
        ("training.precision=tf32",),
        r"training\.precision is tf32, and tf32 needs a CUDA device; set it to 32-true",
    ),
    (
        ("training.compile=true",),
        r"training\.compile needs the C\+\+ compiler g\+\+ on a CPU, and it is not installed; install it, or set "
        r"training\.compile=false",
    ),
    (
        ("training.trackers=[tensorboard, wandb]",),
        r"training\.trackers has wandb, which is not installed; pip install 'talkies\[wandb\]', or leave it out",
    ),
    (("training.trackers=[mlflow]",), r"training\.trackers has mlflow, which is not installed; pip install"),
]


@pytest.mark.parametrize(("overrides", "sentence"), NOT_HERE)
def test_what_this_machine_has_not_is_refused_before_any_work(
    overrides: tuple[str, ...],
    sentence: str,
    library: Library,
    small: Config,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    monkeypatch.setattr("shutil.which", lambda program: None)
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    monkeypatch.setattr(fitting, "open_training_clips", lambda *_: pytest.fail("the library was opened"))
    with pytest.raises(ConfigError, match=rf"{sentence}[^\n]*$"):
        pretrain(library.root, small(*overrides), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_batch_that_does_not_divide_among_torchruns_processes_is_refused(
    library: Library, small: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"TORCHELASTIC_RUN_ID": "none", "LOCAL_WORLD_SIZE": "1", "WORLD_SIZE": "3"}.items():
        monkeypatch.setenv(name, value)
    sentence = r"the 8 clips of a batch \(.*\) must divide among the 3 processes; change either$"
    with pytest.raises(ConfigError, match=sentence):
        pretrain(library.root, small("training.devices=2"), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_weights_to_begin_from_and_a_run_to_go_on_with_are_refused_together(
    library: Library, small: Config, whole_run: PretrainReport, files_of: Files
) -> None:
    before = files_of(whole_run.run)
    sentence = r"whole continues from its own weights; leave --init out, or start a new run with it"
    with pytest.raises(RunError, match=sentence):
        pretrain(library.root, small(), whole_run.run, resume=True, init=InitialWeights(video=whole_run.run))
    assert files_of(whole_run.run) == before


def test_weights_that_are_not_there_are_refused(library: Library, small: Config, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"none\.safetensors does not exist; as initial weights name a \.safetensors file"
    ):
        pretrain(library.root, small(), tmp_path / "run", init=InitialWeights(audio=tmp_path / "none.safetensors"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("tower", ["video", "audio"])
def test_weights_of_another_shape_are_refused_by_name(
    tower: str, library: Library, small: Config, whole_run: PretrainReport, tmp_path: Path
) -> None:
    weights = load_file(RunFolder(whole_run.run).get_checkpoint().folder / "model.safetensors")
    name = next(name for name in weights if name.startswith(f"model.{tower}.") and weights[name].ndim > 1)
    save_file({**weights, name: weights[name][:-1].contiguous()}, tmp_path / "other.safetensors")
    with pytest.raises(ConfigError, match=rf"^{name.removeprefix(f'model.{tower}.')} in .*other\.safetensors is \["):
        pretrain(
            library.root, small(), tmp_path / "run", init=InitialWeights(**{tower: tmp_path / "other.safetensors"})
        )
    assert [path.name for path in tmp_path.iterdir()] == ["other.safetensors"]


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (
            ("sampling.widest_window_seconds=6", "objective.mask_nearer_than_seconds=6"),
            r"mask_nearer_than_seconds must be under sampling\.widest_window_seconds, got 6 and 6",
        ),
        (
            (
                "sampling.schedule=[{from_step: 2, clips_per_film: 1}]",
                "objective.cross_film_schedule=[{at_step: 3, cross_film_weight: 0}]",
            ),
            r"with sampling\.clips_per_film = 1 there are no within-film negatives, .* set the weight to 1",
        ),
        (
            (
                "objective.cross_film_weight=0",
                "sampling.clips_per_film=1",
                "sampling.schedule=[{from_step: 2, clips_per_film: 2}]",
                "objective.cross_film_schedule=[{at_step: 2, cross_film_weight: 1}]",
            ),
            r"with sampling\.clips_per_film = 1 there are no within-film negatives",
        ),
        (
            ("objective.cross_film_schedule=[{at_step: 3, cross_film_weight: 1}, {at_step: 2, cross_film_weight: 0}]",),
            r"the points of cross_film_schedule must come in the order of their steps, got \[3, 2\]",
        ),
        (
            ("sampling.schedule=[{from_step: 3, clips_per_film: 1}, {from_step: 3, clips_per_film: 2}]",),
            r"the stages of a schedule must come in the order of their steps, got \[3, 3\]",
        ),
        (("training.devices=3",), r"the 8 clips of a batch must divide among training\.devices, got 3"),
        (("optimiser.kind=adam",), r"'optimiser\.kind' got 'adam': input should be 'adamw', 'sgd' or 'lars'"),
        (("optimiser.momentum=1",), r"'optimiser\.momentum' got 1: input should be less than 1"),
        (("training.ema_decay=1",), r"'training\.ema_decay' got 1: input should be less than 1"),
        (("training.chunk_clips=1",), r"'training\.chunk_clips' got 1: input should be greater than or equal to 2"),
    ],
)
def test_what_cannot_be_is_refused_when_the_config_is_made(
    overrides: tuple[str, ...], sentence: str, small: Config
) -> None:
    with pytest.raises(ConfigError, match=rf"{sentence}[^\n]*$"):
        small(*overrides)


def test_schedules_that_leave_each_step_some_negatives_are_taken(small: Config) -> None:
    config = small(
        "objective.cross_film_weight=0",
        "sampling.schedule=[{from_step: 2, clips_per_film: 1}]",
        "objective.cross_film_schedule=[{at_step: 1, cross_film_weight: 0}, {at_step: 2, cross_film_weight: 0.5}]",
    )
    assert config.objective.compute_cross_film_weight(2) == 0.5


def test_clips_that_a_vision_transformer_cannot_cut_are_refused(
    library: Library, small: Config, tmp_path: Path
) -> None:
    config = small("model.video=vit_tiny", "clip.frames=7")
    with pytest.raises(ConfigError, match=r"cannot cut 7 frames of 32 × 32; set clip\.frames to a multiple of 2"):
        pretrain(library.root, config, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_library_is_refused(small: Config, tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match=r"lib does not exist; make a library with: talkies ingest"):
        pretrain(tmp_path / "lib", small(), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_library_without_accepted_films_is_refused(small: Config, tmp_path: Path) -> None:
    Library.create(tmp_path / "lib")
    with pytest.raises(LibraryError, match=r"lib holds no accepted film; see: talkies films --library"):
        pretrain(tmp_path / "lib", small(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_that_is_there_is_not_begun_again(
    library: Library, small: Config, whole_run: PretrainReport, files_of: Files
) -> None:
    before = files_of(whole_run.run)
    with pytest.raises(RunError, match=r"whole exists; continue it with --resume, or name a new folder"):
        pretrain(library.root, small(), whole_run.run)
    assert files_of(whole_run.run) == before


def test_a_run_that_is_not_there_cannot_be_resumed(library: Library, small: Config, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"run does not exist; make a run with: talkies pretrain --run"):
        pretrain(library.root, small(), tmp_path / "run", resume=True)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_run_cannot_be_resumed(library: Library, small: Config, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(RunError, match=r"run is not a run \(it has no config\.yaml\)"):
        pretrain(library.root, small(), tmp_path / "run", resume=True)
    assert list((tmp_path / "run").iterdir()) == []


def test_a_run_folder_that_cannot_be_made_is_named_with_the_cause(
    library: Library, small: Config, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        RunError, match=r"cannot create the run folder .*file/run \(not a directory\); name one you may"
    ):
        pretrain(library.root, small(), tmp_path / "file" / "run")
