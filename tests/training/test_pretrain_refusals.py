"""What pre-training refuses, and what it leaves when it fails: nothing half-written."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from talkies.core import ConfigError, LibraryError, PlanError, RunError, UsageError
from talkies.library import Library
from talkies.training import PretrainReport, RunConfig, pretrain

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
    with pytest.raises(RunError, match=r"whole exists; go on with it with --resume, or name a new folder"):
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
    with pytest.raises(RunError, match=r"file/run cannot be made a run's folder \(not a directory\); name one you may"):
        pretrain(library.root, small(), tmp_path / "file" / "run")
