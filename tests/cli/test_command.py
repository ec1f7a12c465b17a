"""The command itself: its verbs and options, where it prints, and how it leaves."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from talkies.library import Library

CONTRACT = {
    "render": {"--films", "--seconds", "--seed", "--json"},
    "ingest": {
        *(
            "--profile",
            "--library",
            "--workers",
            "--audio-language",
            "--audio-track",
            "--runner",
            "--address",
            "--set",
            "--json",
        ),
    },
    "films": {"--library", "--json"},
    "cost": {"--library", "--recipe", "--set", "--seconds", "--json"},
    "pretrain": {"--library", "--recipe", "--run", "--run-folder", "--set", "--init", "--resume", "--json"},
    "export": {"--run", "--library", "--to", "--format", "--step", "--results", "--license", "--json"},
    "evaluate": {"--run", "--data", "--json"},
    "embed": {"--library", "--run", "--stride", "--runner", "--workers", "--address", "--json"},
    "search": {
        *("--library", "--film", "--at", "--file", "--from", "--to", "-k", "--skip", "--per", "--in", "--between"),
        *("--apart", "--weak", "--run", "--json"),
    },
    "repeats": {"--library", "--run", "--side", "--to", "--format", "--json"},
    "serve": {"--library", "--host", "--port", "--upload-limit-mb", "--json"},
    "demo": {"--workspace", "--json"},
}


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.mark.parametrize("verb", CONTRACT)
def test_the_verbs_and_options_of_the_contract_are_there(verb: str, talkies: Callable[..., Any]) -> None:
    outcome = talkies(verb, "--help")
    assert outcome.status == 0
    assert set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", outcome.out)) >= CONTRACT[verb]


def test_help_lists_every_verb(talkies: Callable[..., Any]) -> None:
    outcome = talkies("--help")
    assert outcome.status == 0
    assert [verb for verb in CONTRACT if f" {verb} " not in outcome.out] == []


def test_the_version_is_that_of_the_package(talkies: Callable[..., Any]) -> None:
    outcome = talkies("--version")
    assert (outcome.status, outcome.out, outcome.err) == (0, f"talkies {version('talkies')}\n", "")


def test_films_shows_a_table_on_stdout(talkies: Callable[..., Any], workspace: Path) -> None:
    outcome = talkies("films", "--library", workspace / "lib")
    assert (outcome.status, outcome.err) == (0, "")
    for film in Library.open(workspace / "lib").films():
        (row,) = (line for line in outcome.out.splitlines() if film.film_id in line)
        assert all(cell in row for cell in (film.name, "accepted", "12.0 s", str(film.shots)))


def test_search_shows_its_hits_with_times_on_stdout(talkies: Callable[..., Any], workspace: Path) -> None:
    call = ("search", "--library", workspace / "lib", "--film", "film-001.mp4", "--at", 3.2, "-k", 3)
    table, document = talkies(*call).out, json.loads(talkies(*call, "--json").out)
    for hit in document["hits"]:
        cells = (hit["source"], f"{hit['start_seconds']:.2f} s", f"{hit['end_seconds']:.2f} s", f"{hit['score']:.3f}")
        assert any(all(cell in line for cell in cells) for line in table.splitlines()), cells


def test_what_a_verb_has_done_is_said_on_stderr_and_stdout_stays_free(
    talkies: Callable[..., Any], workspace: Path
) -> None:
    outcome = talkies("embed", "--library", workspace / "lib", "--run", workspace / "run")
    assert (outcome.status, outcome.out) == (0, "")
    assert "0 clips of 0 films embedded with model" in outcome.err
    assert "3 films already embedded" in outcome.err


def test_evaluate_shows_every_metric_with_its_chance(talkies: Callable[..., Any], workspace: Path) -> None:
    outcome = talkies("evaluate", "retrieval", "--run", workspace / "run", "--data", workspace / "films", "--step", 0)
    assert outcome.status == 0
    (row,) = (line for line in outcome.out.splitlines() if "within_film_video_to_audio_recall_at_1 " in line)
    assert "0.083" in row  # one in twelve
    assert "step 0" in outcome.out


def test_an_interruption_is_one_line_and_status_130(
    talkies: Callable[..., Any], workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(root: Path) -> Library:
        raise KeyboardInterrupt

    monkeypatch.setattr(Library, "open", interrupted)
    outcome = talkies("films", "--library", workspace / "lib")
    assert (outcome.status, outcome.out) == (130, "")
    assert re.fullmatch(r"talkies: stopped; finished work is kept[^\n]*\n", outcome.err)


def test_a_refusal_of_the_system_is_told_with_the_file_and_the_cause(
    talkies: Callable[..., Any], workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(root: Path) -> Library:
        raise PermissionError(13, "Permission denied", str(root))

    monkeypatch.setattr(Library, "open", refused)
    outcome = talkies("films", "--library", workspace / "lib")
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err == f"talkies: {workspace / 'lib'}: permission denied\n"


def test_a_bug_of_ours_is_one_line_that_says_how_to_see_more(
    talkies: Callable[..., Any], workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(root: Path) -> Library:
        raise ZeroDivisionError("a slip")

    monkeypatch.setattr(Library, "open", faulty)
    monkeypatch.delenv("TALKIES_TRACEBACK", raising=False)
    outcome = talkies("films", "--library", workspace / "lib")
    assert outcome.status == 1
    assert outcome.err == (
        "talkies: bug in talkies: ZeroDivisionError: a slip; please report it; TALKIES_TRACEBACK=1 shows where\n"
    )


def test_the_installed_command_works_as_its_own_process(workspace: Path) -> None:
    command = Path(sys.executable).with_name("talkies")
    call = [str(command), "films", "--library", str(workspace / "lib"), "--json"]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    ids = [film["film_id"] for film in json.loads(done.stdout)["films"]]
    assert ids == [film.film_id for film in Library.open(workspace / "lib").films()]


def test_ingest_takes_its_thresholds_and_its_choice_of_sound_from_the_command_line(
    talkies: Callable[..., Any], workspace: Path, tmp_path: Path
) -> None:
    call = ("ingest", workspace / "films" / "film-000.mp4", "--library", tmp_path / "lib", "--json")
    (film,) = json.loads(talkies(*call, "--set", "judge.shortest_seconds=13").out)["films"]
    assert (film["verdict"], film["reasons"]) == ("rejected", ["too_short"])
    outcome = talkies(*call, "--audio-track", 2)
    (film,) = json.loads(outcome.out)["films"]
    assert (film["verdict"], film["reasons"], outcome.status) == ("rejected", ["no_audio"], 2)
    assert outcome.err.endswith("audio track that was chosen; its tracks are 1 (und)\n")
    (film,) = json.loads(talkies(*call, "--audio-language", "no").out)["films"]  # Norwegian, not false
    assert film["reasons"] == ["no_audio"]
    (film,) = json.loads(talkies(*call, "--audio-track", 1).out)["films"]
    assert (film["verdict"], film["reused"]) == ("accepted", False)


def test_ingest_ends_with_a_summary_and_says_where_its_audit_is(
    talkies: Callable[..., Any], workspace: Path, tmp_path: Path
) -> None:
    lib = tmp_path / "lib"
    outcome = talkies("ingest", workspace / "films", workspace / "letter.mp4", "--library", lib, "--workers", 2)
    assert outcome.status == 0
    assert [line for line in outcome.out.splitlines() if line.startswith("4 films: 3 accepted, 1 rejected")]
    assert outcome.out.splitlines()[-1] == f"the report on every film: {lib / 'ingest.html'}"
    assert (lib / "ingest.html").is_file()
