"""The verb: its document, its tables, its folder, and every wrong use in one sentence with nothing written."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_json_documents import checked


def test_repeats(talkies: Callable[..., Any], workspace: Path, tmp_path: Path) -> None:
    call = ("repeats", "--library", workspace / "lib", "--run", workspace / "run", "--to", tmp_path / "of")
    document = checked(talkies(*call, "--json"), "repeats")
    assert [side["side"] for side in document["sides"]] == ["video", "audio"]
    assert [side["clips"] + side["left_out"] for side in document["sides"]] == [36, 36]
    assert {Path(file) for file in document["files"]} == set((tmp_path / "of").iterdir())
    written = json.loads((tmp_path / "of" / "repeats.json").read_text(encoding="utf-8"))
    assert written == {key: value for key, value in document.items() if key != "files"}
    first = {path.name: path.read_bytes() for path in (tmp_path / "of").iterdir()}
    outcome = talkies(*call)
    assert outcome.status == 0, outcome.err
    assert outcome.err.strip().endswith(f"{len(first)} files written to {tmp_path / 'of'}")
    assert {path.name: path.read_bytes() for path in (tmp_path / "of").iterdir()} == first
    assert ("Match cuts" in outcome.out) == bool(document["match_cuts"])


def test_one_side_and_no_match_cuts_can_be_asked_for(talkies: Callable[..., Any], workspace: Path) -> None:
    call = ("repeats", "--library", workspace / "lib", "--side", "audio", "--least", 10, "--match-cuts", 0)
    document = checked(talkies(*call, "--json"), "repeats")
    assert [side["side"] for side in document["sides"]] == ["audio"]
    assert (document["match_cuts"], document["files"], document["not_embedded"]) == ([], [], [])
    assert [family for side in document["sides"] for family in side["families"]] == []
    assert talkies(*call).out == "Nothing recurs.\n"


def test_only_the_formats_that_are_named_are_written(
    talkies: Callable[..., Any], workspace: Path, tmp_path: Path
) -> None:
    call = ("repeats", "--library", workspace / "lib", "--to", tmp_path / "of", "--format", "csv", "--format", "json")
    assert talkies(*call).status == 0
    assert sorted(path.name for path in (tmp_path / "of").iterdir()) == ["repeats.csv", "repeats.json"]


def test_a_film_that_is_not_embedded_is_told(talkies: Callable[..., Any], workspace: Path, tmp_path: Path) -> None:
    shutil.copytree(workspace / "lib", tmp_path / "lib")
    talkies("render", tmp_path / "more", "--films", 1, "--seconds", 3, "--seed", 9, "--workers", 1)
    talkies("ingest", tmp_path / "more", "--library", tmp_path / "lib")
    outcome = talkies("repeats", "--library", tmp_path / "lib")
    assert outcome.status == 0, outcome.err
    assert outcome.err.splitlines()[-1] == "not embedded, so not searched: film-000.mp4; see: talkies embed --help"


WRONG = {
    "no such library": ("--library {t}/none", r"\S+/none does not exist; make a library with"),
    "no such run": ("--library {lib} --run {t}/none", r"\S+/none does not exist; make a run with"),
    "no embeddings": ("--library {bare}", r"\S+ has no embeddings yet; make them with: talkies embed --library \S+"),
    "another model": ("--library {lib} --run {w}/other-run", r"\S+ was not embedded with the model asked for \(stamp"),
    "an unknown format": (
        "--library {lib} --to {t}/of --format xml",
        r"[^\n]*'xml' is not one of 'csv', 'json', 'edl'",
    ),
    "an unknown side": ("--library {lib} --side smell", r"[^\n]*'smell' is not one of 'video', 'audio', 'both'"),
    "formats without a folder": ("--library {lib} --format csv", r"--format needs a folder to write to; name one"),
    "a folder of something else": ("--library {lib} --to {w}/films", r"\S+/films exists and holds files other than"),
    "a file": ("--library {lib} --to {w}/letter.mp4", r"\S+ exists and holds files other than markers; name a new"),
    "a folder in none": ("--library {lib} --to {t}/none/of", r"\S+ cannot be created: its parent folder does not"),
    "a passage of no length": ("--library {lib} --least 0", r"--least must be 1 to 3600 seconds, got 0"),
    "fewer than no match cuts": ("--library {lib} --match-cuts -1", r"--match-cuts must not be negative, got -1"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_use_is_one_sentence_and_nothing_is_written(
    wrong: str, talkies: Callable[..., Any], workspace: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    call, sentence = WRONG[wrong]
    bare = tmp_path_factory.mktemp("bare") / "lib"
    if "{bare}" in call:
        shutil.copytree(workspace / "lib", bare, ignore=shutil.ignore_patterns("index"))
    before = sorted(workspace.rglob("*"))
    outcome = talkies("repeats", *call.format(t=tmp_path, w=workspace, lib=workspace / "lib", bare=bare).split())
    assert outcome.status == 2, outcome.err
    assert re.fullmatch(rf"talkies: {sentence}[^\n]*\n", outcome.err), outcome.err
    assert outcome.out == ""
    assert sorted(workspace.rglob("*")) == before
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_may_not_be_written_is_told(
    talkies: Callable[..., Any], workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("talkies.retrieval.recurrence.markers.os.access", lambda *_: False)
    outcome = talkies("repeats", "--library", workspace / "lib", "--to", tmp_path / "of")
    assert outcome.status == 2
    assert "cannot be created: its parent folder is not writable; name another with --to" in outcome.err
    assert list(tmp_path.iterdir()) == []
