"""`talkies evaluate`: what is shown, where the result goes, and every wrong use in one sentence."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import miniatures as mini
import pytest

from talkies.evaluation.results import Result

SMALL = ("--set", "clips=2", "--set", "c_grid=[0.1]")
CALL = "evaluate esc50 --run {run} --data {esc50} --allow-missing"


@pytest.fixture(scope="module")
def places(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of its own, a miniature of ESC-50, one that lacks a clip, and runs that are not whole."""
    root = tmp_path_factory.mktemp("evaluated")
    shutil.copytree(workspace / "run", root / "run", ignore=shutil.ignore_patterns("results"))
    mini.build_esc50(root / "esc50", mini.playable)
    shutil.copytree(root / "esc50", root / "lacking")
    (root / "lacking" / "audio" / "2-100002-A-0.wav").unlink()
    shutil.copytree(root / "esc50", root / "silent")
    (root / "silent" / "audio" / "2-100002-A-0.wav").write_bytes(b"Dear sound" * 50)
    (root / "a-file").write_text("a file")
    return {
        "run": root / "run", "esc50": root / "esc50", "lacking": root / "lacking", "silent": root / "silent",
        "t": root, "w": workspace,
    }  # fmt: skip


def test_a_data_set_is_shown_with_its_baselines_and_its_protocol(
    talkies: Callable[..., Any], places: dict[str, Path]
) -> None:
    run = places["run"]
    outcome = talkies("evaluate", "esc50", "--run", run, "--data", places["esc50"], "--allow-missing", *SMALL)
    assert outcome.status == 0, outcome.err
    titles = re.findall(r"^esc50 of (.+)$", outcome.out, re.MULTILINE)
    assert titles == [f"{run}, step 2", "untrained", "statistics"]
    assert outcome.out.count("│ window_accuracy") == 3
    for name in ("untrained", "statistics"):
        sentence = (
            rf"^Against {name}, differences could have been seen \(power 80%, .*, \d\.\d+ in window_accuracy \(.*\.$"
        )
        assert len(re.findall(sentence, outcome.out, re.MULTILINE)) == 1
    (path,) = (run / "results").iterdir()
    assert f"Protocol (in full in {path})" in outcome.out
    assert re.search(r"missing_share\s+│ 0\.9895 ", outcome.out)
    result = Result.model_validate_json(path.read_text())
    for metrics in (result.metrics, *result.baselines.values()):
        metric = metrics["accuracy"]
        low_to_high = rf"{metric.low:.3f} to {metric.high:.3f}"
        assert re.search(rf"│ accuracy\s+│ {metric.mean:.3f}\s*│ {low_to_high}\s*│ {metric.n}\s*│ 0\.", outcome.out)


def test_the_document_is_the_result_on_disk(
    talkies: Callable[..., Any], places: dict[str, Path], tmp_path: Path
) -> None:
    call = CALL.format(**places).split()
    outcome = talkies(*call, *SMALL, "--set", "baselines=false", "--to", tmp_path / "mine.json", "--json")
    assert outcome.status == 0, outcome.err
    document = json.loads(outcome.out)
    assert document == json.loads((tmp_path / "mine.json").read_text())
    assert (document["task"], document["baselines"]) == ("esc50", {})
    assert [path.name for path in tmp_path.iterdir()] == ["mine.json"]


def test_a_result_goes_to_the_folder_that_is_named(
    talkies: Callable[..., Any], places: dict[str, Path], tmp_path: Path
) -> None:
    run, to = places["run"], tmp_path / "deep" / "results"
    before = sorted(run.glob("results/*"))
    films = ("evaluate", "retrieval", "--run", run, "--data", places["w"] / "films")
    call = CALL.format(**places).split()
    for each in ([*films], [*films, "--step", 0], [*call, *SMALL], [*call, *SMALL, "--protocol", "knn"]):
        outcome = talkies(*each, "--to", to)
        assert outcome.status == 0, outcome.err
    names = sorted(re.sub(r"[0-9a-f]{8}\.json", "", path.name) for path in to.iterdir())
    assert names == ["esc50-knn-step-2-", "esc50-linear-step-2-", "retrieval-films-step-0-", "retrieval-films-step-2-"]
    assert sorted(run.glob("results/*")) == before


def test_the_same_measurement_takes_the_place_of_the_last(
    talkies: Callable[..., Any], places: dict[str, Path], tmp_path: Path
) -> None:
    for _ in range(2):
        talkies(*CALL.format(**places).split(), *SMALL, "--set", "baselines=false", "--to", tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


WRONG = {  # what is wrong: (the call, what the sentence says)
    "an unknown task": (
        "evaluate esc5O --run {run} --data {esc50}",
        r"no task 'esc5O' \(did you mean 'esc50'\?\); there are: ucf101, .*, retrieval, sync, matchcut, scenes",
    ),
    "an unknown protocol": (
        f"{CALL} --protocol liner",
        r"no protocol 'liner' \(did you mean 'linear'\?\); there are: ",
    ),
    "an unknown key": (f"{CALL} --set clps=3", r"unknown key 'clps' in --set \(did you mean 'clips'\?\)"),
    "no windows": (f"{CALL} --set clips=0", r"protocol linear: 'clips' got 0: input should be greater than or equal "),
    "no setting": (f"{CALL} --set c_grid=[]", r"protocol linear: .*c_grid must hold one value or more, each once, got"),
    "an option of other data sets": (f"{CALL} --set data.group=x", r"esc50 has no option data\.group; leave it out"),
    "a tower that it lacks": (f"{CALL} --set data.tower=video", r"esc50 has no video; leave data\.tower out"),
    "frames that do not divide the sound's rate": (f"{CALL} --set fps=7", r"the protocol cannot be followed: .*rate"),
    "no such data": (
        "evaluate esc50 --run {run} --data {t}/none",
        r"\S+/none is not a folder; name the folder that holds esc50, as docs/datasets\.md describes",
    ),
    "other data": (
        "evaluate esc50 --run {run} --data {w}/films",
        r"\S+/films lacks meta/esc50\.csv; lay the data set out as docs/datasets\.md says",
    ),
    "fewer classes than published": (
        "evaluate esc50 --run {run} --data {esc50}",
        r"\S+/meta/esc50\.csv names 4 classes, but esc50 has 50; it is another version: take the publishers' own",
    ),
    "no such run": (
        "evaluate esc50 --run {t}/none --data {esc50} --allow-missing",
        r"\S+/none does not exist; make a run with: talkies pretrain",
    ),
    "a run without a checkpoint": (
        "evaluate esc50 --run {w}/begun-run --data {esc50} --allow-missing",
        r"\S+/begun-run has no checkpoint; train it: talkies pretrain",
    ),
    "no such step": (f"{CALL} --step 7", r"\S+/run has no checkpoint of step 7; there are: 0, 2"),
    "a step that is no number": (f"{CALL} --step last", r".*valid int.*; see: talkies .*--help"),
    "films that may be missing": (
        "evaluate retrieval --run {run} --data {w}/films --allow-missing",
        r"retrieval measures every film of the folder; leave out --allow-missing",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_wrong_use_is_one_sentence_and_nothing_is_written(
    wrong: str, as_json: bool, talkies: Callable[..., Any], places: dict[str, Path]
) -> None:
    call, sentence = WRONG[wrong]
    folders = (places["t"], places["w"])
    before = [(path, path.stat().st_mtime_ns) for folder in folders for path in sorted(folder.rglob("*"))]
    outcome = talkies(*call.format(**places).split(), *(["--json"] if as_json else []))
    assert outcome.status == 2, outcome.err
    assert re.fullmatch(rf"talkies: {sentence}[^\n]*\n", outcome.err), outcome.err
    assert outcome.out == ""
    assert [(path, path.stat().st_mtime_ns) for folder in folders for path in sorted(folder.rglob("*"))] == before


def test_a_place_that_cannot_be_written_is_named(talkies: Callable[..., Any], places: dict[str, Path]) -> None:
    call = ("evaluate", "retrieval", "--run", places["run"], "--data", places["w"] / "films")
    outcome = talkies(*call, "--to", places["t"] / "a-file" / "results")
    assert (outcome.status, outcome.out) == (2, "")
    sentence = (
        r"talkies: \S+/a-file/results cannot be written \(\S+/a-file is not a folder .*\); name another with --to"
    )
    assert re.fullmatch(sentence, outcome.err.splitlines()[-1]), outcome.err
