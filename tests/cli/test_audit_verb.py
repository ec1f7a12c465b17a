"""The verb: its files, its document, and every wrong use in one sentence with nothing written."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from talkies.ingestion import ingest
from talkies.library import Library, Profile
from talkies.synth import SynthConfig, render_films

pytestmark = pytest.mark.slow

SHORT_SHOTS = SynthConfig(
    seconds=16.0,
    fps=16,
    width=96,
    height=64,
    places=64,
    characters=64,
    shot_seconds_min=0.6,
    shot_seconds_max=0.9,
)
WRITTEN = (Path(__file__).parents[2] / "docs" / "json.md").read_text(encoding="utf-8")


def same_keys(document: Any, example: Any) -> bool:
    """Whether a document has the keys of its example; what is empty in the example is left out there."""
    if isinstance(document, dict) and isinstance(example, dict):
        return not example or (
            document.keys() == example.keys() and all(same_keys(document[key], example[key]) for key in document)
        )
    if isinstance(document, list) and isinstance(example, list):
        return not document or same_keys(document[0], example[0])
    return document is None or type(document) is type(example)


@pytest.fixture(scope="module")
def audited(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of its own, which may be written to."""
    run = tmp_path_factory.mktemp("audited") / "run"
    shutil.copytree(workspace / "run", run)
    return run


def test_an_audit_writes_a_page_and_its_numbers(talkies: Callable[..., Any], workspace: Path, audited: Path) -> None:
    outcome = talkies("audit", "--run", audited, "--library", workspace / "lib")
    assert outcome.status == 0, outcome.err
    assert "We cannot tell: 3 films and 36 clips are too few to judge by" in outcome.out
    assert outcome.err.strip().endswith(f"The report: {audited / 'audit.html'}")
    page = (audited / "audit.html").read_text(encoding="utf-8")
    assert "<b>Cannot tell</b>" in page
    assert page.count("data:image/svg+xml;base64,") == 4
    assert not re.search(r"""(?:src|href)="(?!data:)""", page), "the page needs nothing else"
    numbers = json.loads((audited / "audit.json").read_text(encoding="utf-8"))
    assert (numbers["verdict"], numbers["trained"]["step"], numbers["untrained"]["step"]) == ("cannot_tell", 2, 0)
    assert [film["clips"] for film in numbers["films"]] == [12, 12, 12]


def test_the_same_seed_gives_the_same_bytes(
    talkies: Callable[..., Any], workspace: Path, audited: Path, tmp_path: Path
) -> None:
    call = ("audit", "--run", audited, "--library", workspace / "lib", "--seed", 3, "--json")
    outcomes = [talkies(*call, "--to", tmp_path / name) for name in ("a.html", "b.html")]
    assert [outcome.status for outcome in outcomes] == [0, 0], outcomes[0].err
    assert outcomes[0].out == outcomes[1].out
    assert {path.name for path in tmp_path.iterdir()} == {"a.html", "a.json", "b.html", "b.json"}
    for suffix in (".html", ".json"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
    document = json.loads(outcomes[0].out)
    assert document == json.loads((tmp_path / "a.json").read_text())
    section = WRITTEN.split("## `talkies audit`\n")[1].split("\n## ")[0]
    assert same_keys(document, json.loads(section.split("```json\n")[1].split("```")[0]))


def test_rendered_films_are_identified_by_their_palette_if_they_have_shortcut_cues(
    talkies: Callable[..., Any], audited: Path, tmp_path: Path
) -> None:
    told = {}
    for strength in (1.0, 0.0):
        films, lib = tmp_path / f"films-{strength:g}", tmp_path / f"lib-{strength:g}"
        # Of many places and characters none comes back often enough for a film to be known by it.
        render_films(films, 3, SHORT_SHOTS.model_copy(update={"mark_strength": strength}), seed=11)
        ingest([films], lib)
        outcome = talkies("audit", "--run", audited, "--library", lib, "--to", tmp_path / "a.html", "--json")
        assert outcome.status == 0, outcome.err
        told[strength] = json.loads(outcome.out)["marks"]["palette"]
    assert told[1.0]["mean"] > 0.9
    assert told[0.0]["low"] <= 1 / 3 <= told[0.0]["high"]
    assert told[0.0]["mean"] < 0.6


CALL = "audit --run {run} --library {lib} --to {t}/a.html"
WRONG = {
    "no such run": ("audit --run {t}/none --library {lib}", r"\S+/none does not exist; make a run with: talkies pre"),
    "no checkpoint": ("audit --run {w}/begun-run --library {lib}", r"\S+/begun-run has no checkpoint; train it"),
    "no such library": ("audit --run {run} --library {t}/none", r"\S+/none does not exist; make a library with"),
    "no such step": (f"{CALL} --step 7", r"\S+/run has no checkpoint of step 7; there are: 0, 2"),
    "the untrained step": (
        f"{CALL} --step 0",
        r"step 0 of \S+/run is the untrained model, which the audit compares with; train it, or name a later step",
    ),
    "no untrained checkpoint": (
        "audit --run {t}/bare-run --library {lib} --to {t}/a.html",
        r"\S+/bare-run has no checkpoint of step 0; there are: 2",
    ),
    "one film": (
        "audit --run {run} --library {t}/one --to {t}/a.html",
        r"the audit needs two films of at least 8 clips \(8 s\) each, and \S+/one has 1 of 1 that long; ingest more",
    ),
    "films too short": (
        "audit --run {run} --library {t}/short --to {t}/a.html",
        r"the audit needs two films of at least 8 clips \(8 s\) each, and \S+/short has 0 of 2 that long; ingest more",
    ),
    "another profile": (
        "audit --run {run} --library {t}/eight --to {t}/a.html",
        r"\S+/eight has another profile \(fps=8 .*\) than the model was trained on \(fps=16 .*\); name a library of",
    ),
    "no page": (
        "audit --run {run} --library {lib} --to {t}/a.txt",
        r"the report is an HTML page, and \S+/a\.txt has another suffix; name a file that ends in \.html",
    ),
    "a folder that is not there": (
        "audit --run {run} --library {lib} --to {t}/none/a.html",
        r"\S+/none/a\.html cannot be written: it is a folder, or its folder does not exist; name a file in an existing",
    ),
}


@pytest.fixture(scope="module")
def odd(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Libraries that cannot be audited, and a run without its first checkpoint."""
    root = tmp_path_factory.mktemp("odd")
    one = Library.open(shutil.copytree(workspace / "lib", root / "one"))
    for film in one.films()[1:]:
        shutil.rmtree(one.film_folder(film.id))
    one.update_catalogue()
    Library.create(root / "eight", Profile(fps=8, gop=8))
    render_films(root / "short-films", 2, SynthConfig(seconds=3.0), seed=1)
    ingest([root / "short-films"], root / "short")
    shutil.copytree(workspace / "run", root / "bare-run")
    shutil.rmtree(root / "bare-run" / "checkpoints" / "step-00000000")
    return root


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_use_is_one_sentence_and_nothing_is_written(
    wrong: str, talkies: Callable[..., Any], workspace: Path, odd: Path
) -> None:
    call, sentence = WRONG[wrong]
    before = sorted(odd.rglob("*")) + sorted((workspace / "run").rglob("*"))
    places = {"run": workspace / "run", "lib": workspace / "lib", "t": odd, "w": workspace}
    outcome = talkies(*call.format(**places).split())
    assert outcome.status == 2, outcome.err
    assert re.fullmatch(rf"talkies: {sentence}[^\n]*\n", outcome.err), outcome.err
    assert outcome.out == ""
    assert sorted(odd.rglob("*")) + sorted((workspace / "run").rglob("*")) == before
