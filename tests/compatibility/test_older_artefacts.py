"""Libraries, runs, indexes and exported models written before the packages changed open and answer alike.

`record.py` wrote them, and what was answered then, with the commit before.
"""

import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from record import SETTINGS
from safetensors.torch import save_file
from weights import drawn_weights

import talkies
from talkies.core import UsageError
from talkies.evaluation.transfer import resolve_protocol
from talkies.evaluation.transfer.protocol_text import _describe_method
from talkies.study import read_scale, run_study

HERE = Path(__file__).parent
ANSWERS: dict[str, Any] = json.loads((HERE / "answers.json").read_text())
RECORDED_IN = "/srv/archive"
TOLERANCE = 1e-4  # other processors round differently
ADDED = {"detectable", "other_sources", "profile", "parts", "run", "compared"}
"""Keys that documents have had since: later versions may add some, and remove none."""
VARYING = {"wall_seconds", "tools", "clips_per_second", "times_real_time", "data_wait_share"}


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder `old` in the current folder: the artefacts unpacked, their weights drawn again, their paths set."""
    with tarfile.open(HERE / "artefacts.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    folder = tmp_path / "old"
    for shapes in folder.rglob("model.shapes.json"):
        recorded = json.loads(shapes.read_text())
        weights = drawn_weights(recorded["shapes"], recorded["kinds"], recorded["seed"])
        if shapes.parent.name == "exported":
            weights = {name: tensor for name, tensor in weights.items() if name.startswith("model.")}
        save_file(weights, shapes.with_name("model.safetensors"), {"format": "pt"})
        shapes.unlink()
    for document in folder.rglob("*.json"):
        text = document.read_text()
        document.write_text(text.replace(RECORDED_IN, str(tmp_path)))
    monkeypatch.chdir(tmp_path)  # where the commands ran when they were recorded
    return Path("old")


def assert_alike(found: Any, recorded: Any, where: str = "") -> None:
    """Check that two documents have the same keys and values, but for rounding, times and places on disk."""
    if isinstance(recorded, dict):
        assert found.keys() - ADDED == recorded.keys() - ADDED, where
        for key in recorded.keys() - VARYING:
            assert_alike(found[key], recorded[key], f"{where}.{key}")
    elif isinstance(recorded, list):
        assert len(found) == len(recorded), where
        for number, (one, other) in enumerate(zip(found, recorded, strict=True)):
            assert_alike(one, other, f"{where}[{number}]")
    elif isinstance(recorded, float):
        assert found == pytest.approx(recorded, rel=TOLERANCE, abs=TOLERANCE), where
    elif isinstance(recorded, str):
        assert found.replace(str(Path.cwd()), RECORDED_IN) == recorded, where
    else:
        assert found == recorded, where


def query_file(old: Path) -> Path:
    return min((old / "library" / "films").glob("*/proxy.mp4"))


def test_a_library_lists_the_same_films(old: Path, document_of: Callable[..., Any]) -> None:
    # The catalogue, a Parquet file, still has the recorded place of the sources.
    assert_alike(document_of("films", "--library", old / "library"), ANSWERS["films"])


def test_a_catalogue_is_rebuilt_from_the_film_folders(old: Path, document_of: Callable[..., Any]) -> None:
    shutil.rmtree(old / "library" / "catalogue")
    assert_alike(document_of("films", "--library", old / "library"), ANSWERS["films"])


@pytest.mark.parametrize(
    ("recorded", "options"),
    [("search by a moment", ()), ("search by sound", ("--from", "audio", "--to", "video"))],
)
def test_an_index_gives_the_same_hits(
    old: Path, document_of: Callable[..., Any], recorded: str, options: tuple[str, ...]
) -> None:
    moment = ("--film", "film-000.mp4", "--at", "3", "--weak")
    found = document_of("search", "--library", old / "library", *moment, *options)
    assert_alike(found, ANSWERS[recorded])


def test_the_run_that_embedded_a_library_encodes_a_file_alike(old: Path, document_of: Callable[..., Any]) -> None:
    found = document_of("search", "--library", old / "library", "--file", query_file(old), "--weak")
    assert_alike(found, ANSWERS["search by a file"])


def test_nothing_of_an_embedded_library_is_embedded_again(old: Path) -> None:
    report = talkies.embed(old / "library", old / "run")
    assert (report.films, report.reused) == (0, 2)


def test_repeats_are_the_same(old: Path, document_of: Callable[..., Any]) -> None:
    assert_alike(document_of("repeats", "--library", old / "library"), ANSWERS["repeats"])


@pytest.mark.parametrize("step", [(), ("--step", "0")], ids=["newest", "untrained"])
def test_a_run_is_evaluated(old: Path, document_of: Callable[..., Any], step: tuple[str, ...]) -> None:
    found = document_of("evaluate", "retrieval", "--run", old / "run", "--data", old / "library", *step)
    if not step:
        recorded = ANSWERS["retrieval"]
        assert_alike({key: found[key] for key in found.keys() - {"protocol"}},
                     {key: recorded[key] for key in recorded.keys() - {"protocol"}})  # fmt: skip
        assert found["protocol"].keys() == recorded["protocol"].keys()
        assert_alike(found["protocol"]["chance"], recorded["protocol"]["chance"])
    else:
        assert found["protocol"]["checkpoint_step"] == 0


def test_an_exported_model_encodes_a_file_alike(old: Path) -> None:
    encoded = talkies.load_encoder(old / "exported").encode_file(query_file(old))
    recorded = ANSWERS["encoded file"]
    assert encoded.start_B.tolist() == recorded["starts"]
    np.testing.assert_allclose(encoded.video_BD, recorded["video"], atol=TOLERANCE)
    np.testing.assert_allclose(encoded.audio_BD, recorded["audio"], atol=TOLERANCE)


def test_a_run_that_was_interrupted_goes_on_with_the_same_losses(old: Path, document_of: Callable[..., Any]) -> None:
    run, common = old / "begun", [word for setting in SETTINGS for word in ("--set", setting)]
    assert "longest_gradient" in (run / "config.yaml").read_text()  # an old key, read as max_grad_norm
    document_of("pretrain", "--library", old / "library", "--recipe", "tiny", "--run", run, "--resume", *common)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert_alike(lines, ANSWERS["losses"])


def test_a_study_of_an_older_talkies_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    study = {"scale": {"name": "small", "films": 32, "pair_seeds": 5}, "sounds": None}
    (tmp_path / "study.json").write_text(json.dumps(study))
    with pytest.raises(UsageError, match="was started with another scale or other materials"):
        run_study(tmp_path, read_scale("small"), resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["study.json"]
    assert json.loads((tmp_path / "study.json").read_text()) == study


def test_the_protocol_of_a_fine_tuning_keeps_its_keys() -> None:
    described = _describe_method(resolve_protocol("finetune", []), features=None, data=None)  # type: ignore[arg-type]
    assert "longest_gradient" in described["finetune"]["optimiser"]
