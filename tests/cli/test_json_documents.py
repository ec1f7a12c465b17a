"""Every document has exactly the keys that docs/json.md writes down, and is all that stdout holds."""

import errno
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import miniatures as mini
import pytest

from talkies.runtime import hash_file

pytestmark = pytest.mark.slow

WRITTEN = (Path(__file__).parents[2] / "docs" / "json.md").read_text(encoding="utf-8")
SMALL = ("training.steps=2", "sampling.films_per_batch=2", "sampling.clips_per_film=2", "loader.workers=0")


def example_of(verb: str) -> Any:
    """The example that docs/json.md gives of a verb's document."""
    section = WRITTEN.split(f"## `talkies {verb}`\n")[1].split("\n## ")[0]
    return json.loads(section.split("```json\n")[1].split("```")[0])


def shape_of(value: Any) -> Any:
    """The keys of a document and the kinds of its values; a list is told by its first element."""
    match value:
        case dict():
            return {key: shape_of(inner) for key, inner in value.items()}
        case list():
            return [shape_of(value[0])] if value else []
        case bool():
            return "yes or no"
        case int() | float():
            return "number"
        case _:
            return type(value).__name__


def same_shape(document: Any, example: Any) -> bool:
    """Whether two shapes are one; an empty list may stand for any list, and null for any value that is not there."""
    if isinstance(document, dict) and isinstance(example, dict):
        same_keys = document.keys() == example.keys()
        return same_keys and all(same_shape(document[key], example[key]) for key in document)
    if isinstance(document, list) and isinstance(example, list):
        return not document or not example or same_shape(document[0], example[0])
    return bool(document == example or "NoneType" in (document, example))


def checked(outcome: Any, verb: str, status: int = 0) -> Any:
    """The one document on stdout, which is shaped as it is written down."""
    assert outcome.status == status, outcome.err
    document = json.loads(outcome.out)
    assert same_shape(shape_of(document), shape_of(example_of(verb))), json.dumps(document, indent=1)
    return document


def test_every_verb_has_its_section() -> None:
    sections = re.findall(r"^## `talkies (.+)`$", WRITTEN, re.MULTILINE)
    first = ["render", "ingest", "films", "analyse", "doctor", "cost", "pretrain", "export"]
    verbs = [*first, "evaluate", "results", "audit", "study", "embed", "search", "repeats", "serve", "demo"]
    assert list(dict.fromkeys(section.split()[0] for section in sections)) == verbs


def test_every_key_of_every_example_has_its_sentence() -> None:
    for section in re.findall(r"^## `talkies (.+)`$", WRITTEN, re.MULTILINE):
        text = WRITTEN.split(f"## `talkies {section}`\n")[1].split("\n## ")[0]
        prose = text.split("```")[0] + text.split("```")[2]
        if section == "films":
            prose += WRITTEN.split("## `talkies ingest`\n")[1].split("\n## ")[0]
        if section.startswith("evaluate "):
            prose += WRITTEN.split("## `talkies evaluate retrieval`\n")[1].split("\n## ")[0]
        keys = set(re.findall(r'"(\w+)":', text.split("```")[1]))
        known = {"frames", "fps", "audio_seconds", "short_side", "gop", "audio_rate_hz"}  # the config's own
        known |= {key for key in keys if re.search(r"_(recall_at_\d+|median_rank)$|^(across|within)_films?$", key)}
        assert [key for key in sorted(keys - known) if f"`{key}`" not in prose] == [], section


def test_render(talkies: Callable[..., Any], tmp_path: Path) -> None:
    call = ("render", tmp_path / "films", "--films", 2, "--seconds", 1.5, "--workers", 1, "--json")
    document = checked(talkies(*call), "render")
    assert document == {
        "folder": str(tmp_path / "films"),
        "films": [str(tmp_path / "films" / f"film-00{number}.mp4") for number in range(2)],
        "held_out_films": [],
        "without_theme": [],
        "reused": 0,
    }
    assert (tmp_path / "films" / "truth.json").is_file()
    assert checked(talkies(*call), "render")["reused"] == 2


def test_ingest_tells_each_source_in_order(talkies: Callable[..., Any], workspace: Path, tmp_path: Path) -> None:
    sources = (workspace / "letter.mp4", workspace / "films" / "film-001.mp4")
    document = checked(talkies("ingest", *sources, "--library", tmp_path / "lib", "--json"), "ingest")
    letter, film = document["films"]
    assert (letter["verdict"], film["verdict"]) == ("rejected", "accepted")
    assert (letter["source"], film["source"]) == tuple(map(str, sources))
    assert (film["duration_seconds"], film["reasons"], film["reused"], film["duplicate_of"]) == (12.0, [], False, None)
    assert (document["failures"], document["passed_over"]) == ([], 0)
    assert document["seconds"] > 0
    again = checked(talkies("ingest", *sources, "--library", tmp_path / "lib", "--json"), "ingest")
    assert again["films"] == [{**letter, "reused": True}, {**film, "reused": True}]


def test_ingest_names_the_source_that_a_duplicate_is_of(
    talkies: Callable[..., Any], workspace: Path, tmp_path: Path
) -> None:
    (tmp_path / "films").mkdir()
    for name in ("b.mp4", "a.mp4"):
        shutil.copy(workspace / "films" / "film-001.mp4", tmp_path / "films" / name)
    (tmp_path / "films" / "notes.txt").write_text("about the films")
    document = checked(talkies("ingest", tmp_path / "films", "--library", tmp_path / "lib", "--json"), "ingest")
    first, second = document["films"]
    assert (first["verdict"], first["duplicate_of"]) == ("accepted", None)
    assert second["source"] == str(tmp_path / "films" / "b.mp4")
    assert (second["verdict"], second["reasons"]) == ("accepted with warnings", ["duplicate"])
    assert (second["duplicate_of"], second["reused"]) == (str(tmp_path / "films" / "a.mp4"), True)
    assert second["film_id"] == first["film_id"]
    assert document["passed_over"] == 1


def test_ingest_tells_what_failed_beside_what_did_not(
    talkies: Callable[..., Any], workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = hash_file

    def refuse(path: Path, length: int = 16) -> str:
        if path.name == "letter.mp4":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path, length)

    monkeypatch.setattr("talkies.ingestion.film.hash_file", refuse)
    sources = (workspace / "letter.mp4", workspace / "films" / "film-001.mp4")
    outcome = talkies("ingest", *sources, "--library", tmp_path / "lib", "--json")
    document = checked(outcome, "ingest", status=1)
    sentence = "letter.mp4 cannot be read (permission denied)"
    assert document["failures"] == [{"source": str(sources[0]), "message": sentence}]
    assert [film["verdict"] for film in document["films"]] == ["accepted"]
    assert outcome.err.splitlines()[-1] == f"talkies: {sentence}; run the command again to continue"


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_name_that_is_no_utf8_can_be_shown(
    talkies: Callable[..., Any], workspace: Path, tmp_path: Path, options: list[str]
) -> None:
    for name in (b"caf\xe9.mp4", b"caf\xe8.mp4"):
        shutil.copy(workspace / "letter.mp4", bytes(tmp_path) + b"/" + name)
    outcome = talkies("ingest", tmp_path, "--library", tmp_path / "lib", *options)
    assert outcome.status == 2
    for name in (r"caf\xe9.mp4", r"caf\xe8.mp4"):  # a backslash of a JSON document is written twice
        assert (name if not options else name.replace("\\", r"\\")) in outcome.out


def test_films_gives_reasons_as_codes_and_messages_as_sentences(
    talkies: Callable[..., Any], workspace: Path, tmp_path: Path
) -> None:
    lib = tmp_path / "lib"
    shutil.copytree(workspace / "lib", lib)
    talkies("ingest", workspace / "letter.mp4", "--library", lib)
    films = checked(talkies("films", "--library", lib, "--json"), "films")["films"]
    assert [film["film_id"] for film in films] == sorted(film["film_id"] for film in films)
    assert [film["verdict"] for film in films].count("accepted") == 3
    rejected = next(film for film in films if film["verdict"] == "rejected")
    assert rejected["reasons"] == ["unreadable"]
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", code) for film in films for code in film["reasons"])
    assert len(rejected["messages"]) == 1
    assert rejected["messages"][0].startswith("letter.mp4 is not media that FFmpeg can read")
    accepted = next(film for film in films if film["verdict"] == "accepted")
    assert (accepted["duration_seconds"], accepted["reasons"], accepted["messages"]) == (12.0, [], [])
    assert min(accepted["shots"], accepted["width"], accepted["height"], accepted["stored_bytes"]) > 0


def test_an_ingest_of_which_nothing_can_be_used_still_gives_its_document(
    talkies: Callable[..., Any], workspace: Path, tmp_path: Path
) -> None:
    outcome = talkies("ingest", workspace / "letter.mp4", "--library", tmp_path / "lib", "--json")
    document = checked(outcome, "ingest", status=2)
    assert document["films"][0]["reasons"] == ["unreadable"]
    assert outcome.err.splitlines()[-1].startswith("talkies: no film could be ingested: letter.mp4 ")


def test_doctor(talkies: Callable[..., Any], workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("talkies.clips.doctor._MEASURED_SECONDS", 0.2)
    library = workspace / "lib"
    document = checked(talkies("doctor", "--library", library, "--workers", 1, "--step-seconds", 1, "--json"), "doctor")
    assert (document["library"], document["films"], document["broken"]) == (str(library), 3, [])
    assert [speed["workers"] for speed in document["speeds"]] == [1]
    assert 0 <= document["starving_share"] < 1


def test_pretrain(talkies: Callable[..., Any], workspace: Path, tmp_path: Path) -> None:
    sets = [part for setting in SMALL for part in ("--set", setting)]
    call = ("pretrain", "--library", workspace / "lib", "--recipe", "tiny", "--run", tmp_path / "run", *sets, "--json")
    document = checked(talkies(*call), "pretrain")
    assert (document["run"], document["steps"], document["last"]["step"]) == (str(tmp_path / "run"), 2, 2)
    assert document["last"] == json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    again = talkies(*call, "--resume")
    assert json.loads(again.out) == {**document, "last": {}}


def test_cost(talkies: Callable[..., Any], workspace: Path) -> None:
    sets = [part for setting in SMALL for part in ("--set", setting)]
    call = ("cost", "--library", workspace / "lib", "--recipe", "tiny", *sets, "--seconds", 4, "--json")
    document = checked(talkies(*call), "cost")
    assert (document["steps"], document["devices"], document["clips"]) == (2, 1, 4)
    seconds = 2 * 4 / document["clips_per_second"] + document["start_seconds"] + document["feature_seconds"]
    seconds += document["checkpoints"] * document["checkpoint_seconds"]
    first = document["hours"] * 3600 - seconds  # the first checkpoint is only written: no statistics are measured
    assert 0 < first <= document["checkpoint_seconds"]


def test_export(talkies: Callable[..., Any], workspace: Path, tmp_path: Path) -> None:
    document = checked(talkies("export", "--run", workspace / "run", "--to", tmp_path / "w", "--json"), "export")
    names = {"README.md", "config.json", *(f"{name}.safetensors" for name in ("model", "video", "audio"))}
    assert {path.name for path in (tmp_path / "w").iterdir()} == names
    assert (document["folder"], document["formats"], document["step"]) == (str(tmp_path / "w"), ["safetensors"], 2)
    assert {Path(path).name for path in document["files"]} == names
    sets = [part for setting in SMALL for part in ("--set", setting)]
    init = f"video={document['video']},audio={document['audio']}"
    begin = ("pretrain", "--library", workspace / "lib", "--recipe", "tiny", "--run", tmp_path / "run", *sets)
    outcome = talkies(*begin, "--init", init)
    assert outcome.status == 0, outcome.err
    assert f"video: 24 tensors of {document['video']} matched" in outcome.err
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["init"]["video"].startswith(document["video"])
    begin = ("pretrain", "--library", workspace / "lib", "--recipe", "tiny", "--run", tmp_path / "other", *sets)
    outcome = talkies(*begin, "--init", f"audio={tmp_path / 'w'}")
    assert f"audio: 24 tensors of {tmp_path / 'w' / 'model.safetensors'} matched" in outcome.err


def test_export_of_a_librarys_embeddings(talkies: Callable[..., Any], workspace: Path, tmp_path: Path) -> None:
    call = ("export", "--library", workspace / "lib", "--to", tmp_path / "v", "--json", "--format")
    document = checked(talkies(*call, "parquet"), "export --library")
    assert document["files"] == [str(tmp_path / "v" / "embeddings.parquet")]
    arrays = checked(talkies(*call, "npy"), "export --library")
    names = ["audio.npy", "rows.csv", "set.json", "video.npy"]
    assert arrays == {**document, "format": "npy", "files": [str(tmp_path / "v" / name) for name in names]}
    assert (document["films"], document["dim"]) == (3, 128)
    assert document["clips"] >= 36


@pytest.mark.parametrize("task", ["retrieval", "synthetic-concepts"])
def test_evaluate(talkies: Callable[..., Any], workspace: Path, tmp_path: Path, task: str) -> None:
    call = ("evaluate", task, "--run", workspace / "run", "--data", workspace / "films", "--to", tmp_path, "--json")
    document = checked(talkies(*call), f"evaluate {task}")
    assert document["task"] == task
    assert document["protocol"]["chance"].keys() <= document["metrics"].keys()
    again = json.loads(talkies(*call).out)
    assert again == {**document, "wall_seconds": again["wall_seconds"]}


def test_evaluate_of_a_data_set_and_results(talkies: Callable[..., Any], workspace: Path, tmp_path: Path) -> None:
    run, esc = tmp_path / "run", mini.build_esc50(tmp_path / "esc50", mini.playable)
    shutil.copytree(workspace / "run", run, ignore=shutil.ignore_patterns("results"))
    (esc / "audio" / "2-100002-A-0.wav").write_bytes(b"Dear sound" * 50)
    call = ("evaluate", "esc10", "--run", run, "--data", esc, "--allow-missing", "--set", "clips=2")
    document = checked(without_names(talkies(*call, "--json")), "evaluate esc10")
    assert (document["task"], document["protocol"]["clips_used"]) == ("esc10", 15)
    outcome = talkies("results", run, "--json")
    assert outcome.status == 0, outcome.err
    (result,) = json.loads(outcome.out)["results"]
    assert next(iter(result)) in example_of("results")["results"][0]
    assert Path(result.pop("path")).parent == run / "results"
    assert same_shape(shape_of(result), shape_of(json.loads(talkies(*call, "--json").out)))


def without_names(outcome: Any) -> Any:
    """An outcome whose document names no clip that cannot be used: those keys are the files' own."""
    document = json.loads(outcome.out)
    (name,) = document["protocol"]["unfit"]
    return replace(outcome, out=outcome.out.replace(json.dumps(name), '"audio/1-100032-A-0.wav"', 1))


def test_embed(talkies: Callable[..., Any], workspace: Path, tmp_path: Path) -> None:
    lib, run = tmp_path / "lib", workspace / "run"
    shutil.copytree(workspace / "lib", lib, ignore=shutil.ignore_patterns("index"))
    document = checked(talkies("embed", "--library", lib, "--run", run, "--json"), "embed")
    assert (document["films"], document["reused"], document["run"]) == (3, 0, str(run))
    assert document["clips"] > 36
    assert document["times_real_time"] == pytest.approx(36 / document["seconds"])
    again = checked(talkies("embed", "--library", lib, "--run", run, "--json"), "embed")
    nothing = {"films": 0, "clips": 0, "reused": 3, "film_seconds": 0, "times_real_time": 0}
    assert again == {**document, **nothing, "seconds": again["seconds"]}


@pytest.mark.parametrize(("from_", "to"), [("video", "audio"), ("audio", "video")])
def test_search(talkies: Callable[..., Any], workspace: Path, from_: str, to: str) -> None:
    asked = ("--film", "film-001.mp4", "--at", 3.2, "--from", from_, "--to", to, "-k", 4, "--weak")
    document = checked(talkies("search", "--library", workspace / "lib", *asked, "--json"), "search")
    query = document["query"]
    assert (query["source"], query["at_seconds"], query["from"], query["to"]) == ("film-001.mp4", 3.2, from_, to)
    assert (query["start_seconds"], query["end_seconds"]) == (3.0, 4.0)
    assert len(document["hits"]) == 4
    assert all(0 <= hit["start_seconds"] < hit["end_seconds"] <= 12 for hit in document["hits"])
    scores = [hit["score"] for hit in document["hits"]]
    assert scores == sorted(scores, reverse=True)
