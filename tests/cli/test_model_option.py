"""`--model`: public encoders wherever a verb takes a run, which model was used, and where the results go."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import miniatures as mini
import pytest
import small_checkpoints

from talkies.ingestion import ingest
from talkies.synth import SynthConfig, render_films

CALLS = {
    "evaluate": "evaluate synthetic-concepts --data {films}",
    "audit": "audit --library {lib}",
    "analyse": "analyse --library {lib}",
    "repeats": "repeats --library {lib}",
    "export": "export --library {lib} --to {t}/vectors",
}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small random CLIP, rendered films of 18 s, and a library of them."""
    root = tmp_path_factory.mktemp("public")
    clip = small_checkpoints.save_clip(root / "clip")
    (clip / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    render_films(root / "films", 3, SynthConfig(seconds=18.0), seed=7)
    ingest([root / "films"], root / "lib")
    ucf101 = mini.build_ucf101(root / "ucf101", mini.playable)
    return {"clip": clip, "films": root / "films", "lib": root / "lib", "t": root / "t", "ucf101": ucf101}


@pytest.fixture(autouse=True)
def _somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("verb", CALLS)
def test_a_run_and_a_model_are_one_too_many(verb: str, talkies: Callable[..., Any], places: dict[str, Path]) -> None:
    call = CALLS[verb].format(**places).split()
    outcome = talkies(*call, "--run", "run", "--model", "hf:x")
    assert outcome.status == 2
    assert outcome.err == "talkies: --run run and --model hf:x are two models; name one of them\n"


@pytest.mark.parametrize("verb", ["evaluate", "audit"])
def test_no_model_is_one_too_few(verb: str, talkies: Callable[..., Any], places: dict[str, Path]) -> None:
    outcome = talkies(*CALLS[verb].format(**places).split())
    assert outcome.status == 2
    assert outcome.err == "talkies: there is no model; name a run with --run, or public encoders with --model\n"


@pytest.mark.parametrize("verb", CALLS)
@pytest.mark.parametrize("name", ["tiny", "{t}", "hf"])
def test_what_is_no_address_is_refused(
    verb: str, name: str, talkies: Callable[..., Any], places: dict[str, Path]
) -> None:
    outcome = talkies(*CALLS[verb].format(**places).split(), "--model", name.format(**places))
    assert outcome.status == 2
    sentence = r"talkies: --model takes the address of public encoders, such as hf:FOLDER_OR_ID .*; a run is named with"
    assert re.match(sentence, outcome.err), outcome.err
    assert outcome.err.count("\n") == 1


def test_evaluate_says_the_model_and_writes_to_results(talkies: Callable[..., Any], places: dict[str, Path]) -> None:
    address = f"hf:{places['clip']}"
    call = ("evaluate", "ucf101", "--data", places["ucf101"], "--allow-missing", "--protocol", "zeroshot")
    outcome = talkies(*call, "--model", address, "--set", "clips=1")
    assert outcome.status == 0, outcome.err
    assert re.search(rf"^model: video={address} \(stamp [0-9a-f]{{12}}, licence: cc-by-nc-4.0\)$", outcome.err, re.M)
    (path,) = Path("results").glob("*.json")
    assert re.fullmatch(r"ucf101-zeroshot-public-[0-9a-f]{8}\.json", path.name)
    assert "a photo of {}." in outcome.out  # the templates are printed
    assert re.search(rf"^ucf101 of video={address}$", outcome.out, re.M)
    listed = talkies("results", ".")
    assert listed.status == 0, listed.err
    assert f"video={address} " in listed.out


def test_an_audit_goes_to_results_and_does_not_hide_results(
    talkies: Callable[..., Any], places: dict[str, Path]
) -> None:
    outcome = talkies("audit", "--library", places["lib"], "--model", f"hf:{places['clip']}")
    assert outcome.status == 0, outcome.err
    (page,) = Path("results", "audits").glob("*.html")
    assert outcome.err.strip().endswith(f"The report: {page}")
    assert "licence cc-by-nc-4.0" in page.read_text(encoding="utf-8")
    document = json.loads(page.with_suffix(".json").read_text())
    assert (document["license"], document["compared_with"]) == ("cc-by-nc-4.0", "shuffled weights")
    assert re.search(r"│ features of the pictures\s+│", outcome.out)
    assert "features of the sound" not in outcome.out
    talkies("evaluate", "synthetic-concepts", "--data", places["films"], "--model", f"hf:{places['clip']}")
    assert talkies("results", ".").status == 0


def test_an_analysis_by_pictures_says_what_describes_the_sound(
    talkies: Callable[..., Any], places: dict[str, Path]
) -> None:
    outcome = talkies("analyse", "--library", places["lib"], "--model", f"hf:{places['clip']}", "--json")
    assert outcome.status == 0, outcome.err
    document = json.loads(outcome.out)
    assert document["run"] == f"video=hf:{places['clip']}"
    assert document["license"] == "cc-by-nc-4.0"
    described = document["protocol"]["described_by"]
    assert described.startswith(
        f"pictures: embeddings, model {document['model_stamp']}, which encodes video only; sound "
    )
    (folder,) = Path("results", "analyses").iterdir()
    assert (folder / "index.html").is_file()
    assert not (places["lib"] / "analysis").exists()


def test_weights_that_others_made_are_not_exported(talkies: Callable[..., Any], places: dict[str, Path]) -> None:
    outcome = talkies("export", "--to", places["t"] / "model", "--model", f"hf:{places['clip']}")
    assert outcome.status == 2
    assert re.fullmatch(r"talkies: \S+ is not a run: its weights are where they came from; write the .*\n", outcome.err)


def test_embeddings_of_public_encoders_are_used_by_their_address(
    talkies: Callable[..., Any], places: dict[str, Path]
) -> None:
    model = ("--library", places["lib"], "--model", f"hf:{places['clip']}")
    assert talkies("embed", *model).status == 0
    outcome = talkies("repeats", *model, "--side", "video")
    assert outcome.status == 0, outcome.err
    assert "model: " in outcome.err
    exported = talkies("export", *model, "--to", places["t"] / "vectors", "--format", "npy", "--json")
    assert exported.status == 0, exported.err
    described = json.loads((places["t"] / "vectors" / "set.json").read_text())
    assert described["run"] == "hf:clip" or described["run"] == "video=hf:clip"  # no folder of this machine
