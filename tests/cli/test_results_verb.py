"""`talkies results`: one table of all that was measured, in three forms and as a document."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from talkies.evaluation.results import Metric, Result, write_result


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder of two runs with results."""
    for run, share in (("a", 0.25), ("b", 0.0)):
        for task in ("ucf101", "esc10"):
            protocol = {
                "run": f"runs/{run}_1", "checkpoint_step": 400, "method": "linear", "clips": 10,
                "missing_share": share, "chance": {"accuracy": 0.1},
            }  # fmt: skip
            measured = Result(
                task=task,
                protocol=protocol,
                metrics={"accuracy": Metric.of([0.5, 0.6, 0.7])},
                baselines={"untrained": {"accuracy": Metric.of([0.1, 0.2, 0.3])}},
            )
            write_result(measured, tmp_path / "runs" / run / "results")
    return tmp_path / "runs"


def test_all_results_are_shown_in_one_table(talkies: Callable[..., Any], runs: Path) -> None:
    outcome = talkies("results", runs)
    assert (outcome.status, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[0].split("  ")[0] == "task"
    assert [line.split()[0] for line in lines[1:5]] == ["esc10"] * 4
    assert re.match(
        r"esc10\s+runs/a_1, step 400\s+accuracy\s+60\.0 % ± 10\.0\s+35\.2 to 84\.8\s+3\s+10\.0 %\s+\[1\]$", lines[1]
    )
    assert len([line for line in lines if ", published" in line]) == 4
    assert "25.0 % OF THE CLIPS MISSING" in outcome.out


def test_one_run_can_be_shown_alone(talkies: Callable[..., Any], runs: Path) -> None:
    outcome = talkies("results", runs / "b")
    assert outcome.status == 0
    assert "runs/a_1" not in outcome.out
    assert "MISSING" not in outcome.out
    assert talkies("results", runs / "b" / "results").out == outcome.out


def test_the_table_is_written_for_markdown_and_latex(talkies: Callable[..., Any], runs: Path) -> None:
    markdown = talkies("results", runs, "--form", "markdown")
    assert markdown.status == 0
    assert markdown.out.startswith("| task | what | metric | value | 95 % | n | chance | protocol |\n|---|")
    latex = talkies("results", runs, "--form", "latex")
    assert latex.status == 0
    assert latex.out.startswith("\\begin{tabular}{lllllrrl}\n")
    assert r"runs/a\_1, step 400 & accuracy & 60.0 \% $\pm$ 10.0 &" in latex.out


def test_the_document_holds_every_result_with_its_path(talkies: Callable[..., Any], runs: Path) -> None:
    outcome = talkies("results", runs, "--json")
    assert (outcome.status, outcome.err) == (0, "")
    results = json.loads(outcome.out)["results"]
    assert [result["path"] for result in results] == [str(path) for path in sorted(runs.rglob("*.json"))]
    for result in results:
        path = Path(result.pop("path"))
        assert result == json.loads(path.read_text())


WRONG = {  # what is wrong: (the call, what the sentence says)
    "no such folder": ("results {t}/none", r"\S+/none is not a folder; name a run, or a folder of results or runs"),
    "no result": (
        "results {t}/empty",
        r"\S+/empty holds no result; make one with: talkies evaluate TASK --run RUN --data DIR",
    ),
    "a damaged result": (
        "results {t}/damaged",
        r"\S+/r\.json is not a result of talkies evaluate, or is damaged; take it out of the folder",
    ),
    "a newer result": (
        "results {t}/newer",
        r"\S+/r\.json is of schema version 99, this talkies reads up to 1; install a newer talkies",
    ),
    "a form that is none": (
        "results {t}/empty --form html",
        r".*'html' is not one of .*latex.*; see: talkies .*--help",
    ),
    "no folder named": ("results", r"missing (argument|parameter).*; see: talkies .*--help"),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_wrong_use_is_one_sentence(wrong: str, as_json: bool, talkies: Callable[..., Any], tmp_path: Path) -> None:
    for name, text in {"damaged": "{", "newer": '{"schema_version": 99}'}.items():
        (tmp_path / name / "results").mkdir(parents=True)
        (tmp_path / name / "results" / "r.json").write_text(text)
    (tmp_path / "empty").mkdir()
    call, sentence = WRONG[wrong]
    outcome = talkies(*call.format(t=tmp_path).split(), *(["--json"] if as_json else []))
    assert outcome.status == 2, outcome.err
    assert re.fullmatch(rf"talkies: {sentence}[^\n]*\n", outcome.err), outcome.err
    assert outcome.out == ""
