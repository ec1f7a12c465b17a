"""Every wrong use ends in one plain sentence and the right exit status, with nothing half-written."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PRETRAIN = "pretrain --library {w}/lib --recipe tiny --run {t}/run"
FITS = "--set sampling.films_per_batch=2 --set sampling.clips_per_film=2 --set loader.workers=0"
SEARCH = "search --library {w}/lib"
TO_LIB = "--library {t}/lib"

WRONG_ARGUMENTS = {  # what is wrong: (the call, what the sentence says); {w} is the workspace, {t} an empty folder
    "ingest: no such folder": (
        f"ingest {{t}}/none {TO_LIB}",
        r"\S+/none does not exist; name a film file, or a folder",
    ),
    "ingest: an empty folder": (
        f"ingest {{w}}/empty {TO_LIB}",
        r"\S+/empty holds no film; name a film file, or a folder",
    ),
    "ingest: no worker": (f"ingest {{w}}/films {TO_LIB} --workers 0", r"there must be at least one worker, got 0"),
    "ingest: a typo in --set": (
        f"ingest {{w}}/films {TO_LIB} --set judge.shortest_second=2",
        r"unknown key 'judge\.shortest_second' in --set \(did you mean 'judge\.shortest_seconds'\?\)",
    ),
    "ingest: a threshold that does not fit": (
        f"ingest {{w}}/films {TO_LIB} --set judge.most_damaged=2",
        r"ingest: 'judge\.most_damaged' got 2: input should be less than or equal to 1",
    ),
    "ingest: a track before the first": (
        f"ingest {{w}}/films {TO_LIB} --audio-track 0",
        r"ingest: 'audio\.track' got 0: input should be greater than or equal to 1",
    ),
    "ingest: an unknown runner": (
        f"ingest {{w}}/films {TO_LIB} --runner slurm",
        r"unknown runner 'slurm'; choose local or ray",
    ),
    "ingest: a URL of no known kind": (
        f"ingest carrier-pigeon://coop/films {TO_LIB}",
        r"carrier-pigeon://coop/films cannot be reached \(.+\); name a path, or a URL that fsspec knows",
    ),
    "ingest: a target below a file": (
        "ingest {w}/films --library {w}/letter.mp4/lib",
        r"cannot create a library in \S+/lib \(not a directory\); name a folder that you may write",
    ),
    "ingest: a target that is something else": (
        "ingest {w}/films --library {w}/run",
        r"\S+/run exists and is not a talkies library; name a new or empty folder",
    ),
    "ingest: a newer library": (
        "ingest {w}/films --library {w}/newer-lib",
        r"\S+library\.json is of schema version 99, this talkies reads up to 3; install a newer talkies",
    ),
    "ingest: no source": (f"ingest {TO_LIB}", r"missing (argument|parameter).*; see: talkies .*--help"),
    "films: no such library": (
        "films --library {t}/none",
        r"\S+/none does not exist; make a library with: talkies ingest FILMS --library \S+/none",
    ),
    "films: a folder that is no library": (
        "films --library {w}/films",
        r"\S+/films is not a talkies library \(it has no library\.json\); make a library with: talkies ingest",
    ),
    "films: a newer library": (
        "films --library {w}/newer-lib",
        r"\S+ is of schema version 99, this talkies reads up to 3",
    ),
    "films: a missing option": ("films", r"missing (option|parameter).*library.*; see: talkies .*--help"),
    "pretrain: an unknown recipe": (
        "pretrain --library {w}/lib --recipe tinny --run {t}/run",
        r"no recipe 'tinny'.*did you mean 'tiny'\?.*there are: .*r2plus1d18, .*tiny, .*, or name a YAML file",
    ),
    "pretrain: a recipe file that is not there": (
        "pretrain --library {w}/lib --recipe {t}/none.yaml --run {t}/run",
        r"\S+/none\.yaml cannot be read as a config: no such file or directory",
    ),
    "pretrain: a typo in --set": (
        f"{PRETRAIN} --set training.stepz=3",
        r"unknown key 'training\.stepz' in --set.*did you mean 'training\.steps'\?",
    ),
    "pretrain: a wrong type in --set": (
        f"{PRETRAIN} --set training.steps=few",
        r"--set: 'training\.steps' got 'few': inp",
    ),
    "pretrain: --init without a tower": (
        f"{PRETRAIN} --init weights.pth",
        r"initial weights: got 'weights\.pth'.*video=PATH,audio=PATH",
    ),
    "pretrain: --init of a file that is not there": (
        f"{PRETRAIN} {FITS} --init video={{t}}/none.pth",
        r"\S+/none\.pth does not exist; as initial weights name a \.safetensors file",
    ),
    "pretrain: --init with weights of another shape": (
        f"{PRETRAIN} {FITS} --set model.video=r2plus1d18 --init video={{w}}/run",
        r"\S+model\.safetensors (lacks|has no tensor of) .*the video encoder \(R2Plus1D18\)",
    ),
    "pretrain: TF32 on a CPU": (
        f"{PRETRAIN} {FITS} --set training.precision=tf32",
        r"training\.precision is tf32, and tf32 needs a CUDA device; set it to 32-true",
    ),
    "pretrain: an unknown runner": (
        f"{PRETRAIN} {FITS} --runner slurm",
        r"unknown runner 'slurm'; choose local or ray",
    ),
    "pretrain: workers of no cluster": (
        f"{PRETRAIN} {FITS} --workers 2",
        r"--workers is for --runner ray; for the devices of this machine set training\.devices",
    ),
    "pretrain: a batch that does not divide": (
        f"{PRETRAIN} {FITS} --set training.devices=3",
        r"--set: the 4 clips of a batch must divide among training\.devices, got 3",
    ),
    "cost: a missing library": (
        "cost --library {t}/none --recipe tiny",
        r"\S+/none does not exist; make a library with: talkies ingest",
    ),
    "export: a run that is not there": (
        "export --run {t}/none --to {t}/weights",
        r"\S+/none does not exist; make a run with: talkies pretrain",
    ),
    "export: nothing that is named": (
        "export --to {t}/weights",
        r"there is nothing to export; name a run with --run, or a library with --library",
    ),
    "export: a format of embeddings for a run": (
        "export --run {w}/run --to {t}/weights --format parquet",
        r"a run has no format 'parquet'; there are: safetensors, onnx, hub \(embeddings have others",
    ),
    "export: a step of embeddings": (
        "export --library {w}/lib --to {t}/vectors --step 2",
        r"embeddings are written in one --format, without --step, --results and --license",
    ),
    "pretrain: no key=value in --set": (f"{PRETRAIN} --set steps", r"an override is key=value, got 'steps'"),
    "pretrain: too few films": (
        PRETRAIN,
        r"a batch takes 4 films and the library has 3; ingest more films, or set samp",
    ),
    "pretrain: films too short": (
        f"{PRETRAIN} --set sampling.films_per_batch=2 --set sampling.clips_per_film=40",
        r"3 films cannot give 40 clips a batch: film-\d+\.mp4 \(at most \d+\)",
    ),
    "pretrain: an existing run without --resume": (
        f"pretrain --library {{w}}/lib --recipe tiny --run {{w}}/run {FITS}",
        r"\S+/run exists; continue it with --resume, or name a new folder",
    ),
    "pretrain: --resume without a run": (
        f"{PRETRAIN} {FITS} --resume",
        r"\S+/run does not exist; make a run with: talkies pretrain --run \S+/run",
    ),
    "pretrain: --resume under another config": (
        f"pretrain --library {{w}}/lib --recipe tiny --run {{w}}/run {FITS} --resume --set training.seed=4",
        r"\S+/run was started with .* continue without that change, or start a new run",
    ),
    "pretrain: a target below a file": (
        f"pretrain --library {{w}}/lib --recipe tiny --run {{w}}/letter.mp4/run {FITS}",
        r"cannot create the run folder \S+/run \(not a directory\); name one you may write to",
    ),
    "doctor: no worker": (
        "doctor --library {w}/lib --workers 0",
        r"there must be at least one worker, got 0",
    ),
    "doctor: no library": (
        "doctor --library {w}/none",
        r"\S+/none does not exist; make a library with: talkies ingest FILMS --library \S+/none",
    ),
    "doctor: a step that takes no time": (
        "doctor --library {w}/lib --step-seconds 0",
        r"invalid value for '--step-seconds': .*",
    ),
    "evaluate: an unknown task": (
        "evaluate retreival --run {w}/run --data {w}/films",
        r"no task 'retreival'.*did you mean 'retrieval'\?.*there are: ucf101, .*, synthetic-concepts, retrieval",
    ),
    "evaluate: an empty folder": (
        "evaluate retrieval --run {w}/run --data {w}/empty",
        r"\S+/empty holds no film; name a folder of films, or a library",
    ),
    "evaluate: no truth": (
        "evaluate synthetic-concepts --run {w}/run --data {w}/lib",
        r"\S+/lib has no truth of rendered films \(truth\.json is missing or damaged\)",
    ),
    "evaluate: a run without a checkpoint": (
        "evaluate retrieval --run {w}/begun-run --data {w}/films",
        r"\S+/begun-run has no checkpoint; train it: talkies pretrain --run \S+/begun-run --resume",
    ),
    "evaluate: a step without a checkpoint": (
        "evaluate retrieval --run {w}/run --data {w}/films --step 7",
        r"\S+/run has no checkpoint of step 7; there are: 0, 2",
    ),
    "evaluate: a protocol that is none": (
        "evaluate esc50 --run {w}/run --data {w}/films --protocol finetun",
        r"no protocol 'finetun' \(did you mean 'finetune'\?\); there are: linear, ",
    ),
    "evaluate: films where a data set should be": (
        "evaluate ucf101 --run {w}/run --data {w}/films",
        r"\S+/films lacks \S+; lay the data set out as docs/datasets\.md says",
    ),
    "results: a run that was never measured": (
        "results {w}/other-run",
        r"\S+/other-run holds no result; make one with: talkies evaluate TASK --run RUN --data DIR",
    ),
    "embed: no such run": (
        "embed --library {w}/lib --run {t}/none",
        r"\S+/none does not exist; make a run with: talkies pre",
    ),
    "embed: a run without a checkpoint": (
        "embed --library {w}/lib --run {w}/begun-run",
        r"\S+/begun-run has no checkpoint; train it",
    ),
    "embed: no such library": (
        "embed --library {t}/none --run {w}/run",
        r"\S+/none does not exist; make a library with",
    ),
    "search: a film that is not there": (
        f"{SEARCH} --film film-01.mp4 --at 1",
        r"no film 'film-01\.mp4' in \S+/lib.*did you mean 'film-001\.mp4'\?.*see: talkies films --library",
    ),
    "search: a time past the end": (
        f"{SEARCH} --film film-001.mp4 --at 120",
        r"film-001\.mp4 lasts 12\.00 s, and the query's moment is 120; name a time inside it",
    ),
    "search: a time before the beginning": (
        f"{SEARCH} --film film-001.mp4 --at -1",
        r"film-001\.mp4 lasts 12\.00 s, and",
    ),
    "search: a time that is no number": (
        f"{SEARCH} --film film-001.mp4 --at noon",
        r".*valid number.*; see: talkies .*--he",
    ),
    "search: no hit wanted": (
        f"{SEARCH} --film film-001.mp4 --at 1 -k 0",
        r"a search returns 1 to 1000 hits, got 0; page",
    ),
    "search: with another model": (
        f"{SEARCH} --film film-001.mp4 --at 1 --run {{w}}/other-run",
        r"\S+/lib was not embedded with the model asked for \(stamp \w+\) but with \w+ \(run \S+/run, step 2\)",
    ),
    "search: a side that is none": (
        f"{SEARCH} --film film-001.mp4 --at 1 --from smell",
        r".*'smell' is not one of .*audio",
    ),
    "search: a missing option": (
        f"{SEARCH} --at 1",
        r"a moment is a film and a time: --film FILM --at SECONDS$",
    ),
    "search: nothing to search with": (
        SEARCH,
        r"a search needs a moment \(--film FILM --at SECONDS\), a file \(--file PATH\), words \(--text WORDS\), or sev",
    ),
    "search: only what is excluded": (
        f"{SEARCH} --not rain",
        r"a search needs a moment",
    ),
    "search: words of a model that knows none": (
        f"{SEARCH} --text rain",
        r"the pictures of run cannot be searched by words, because it has no text encoder in their space; embed",
    ),
    "search: empty words": (f"{SEARCH} --text=", r"the words to search with are empty; describe what is to be found"),
    "search: a weight of nothing": (
        f"{SEARCH} --text rain --weight smell=2",
        r"--weight is PART=NUMBER, a part is film, file, text, not, and its weight is above 0, got 'smell=2'; for",
    ),
    "search: a weight below zero": (
        f"{SEARCH} --text rain --weight text=-2",
        r"--weight is PART=NUMBER.* got 'text=-2'",
    ),
    "search: two models": (
        f"{SEARCH} --text rain --run {{w}}/run --model hf:x/y",
        r"--run \S+/run and --model hf:x/y are two models; name one of them",
    ),
    "search: a model that is no address": (
        f"{SEARCH} --text rain --model clip",
        r"--model takes the address of public encoders, such as hf:FOLDER_OR_ID or .*, got 'clip'; a run is named with",
    ),
    "search: public encoders that did not embed": (
        f"{SEARCH} --text rain --model hf:x/y",
        r"\S+/lib was not embedded with hf:x/y but with \w+ \(run \S+/run, step 2\); embed it with: talkies embed",
    ),
    "embed: no model": (
        "embed --library {w}/lib",
        r"there is no model; name a run with --run, or public encoders with --model",
    ),
    "render: no film": ("render {t}/films --films 0", r"there must be at least one film to render, got 0"),
    "render: too short": (
        "render {t}/films --seconds 0.5",
        r"render: 'seconds' got 0\.5: input should be greater than 1",
    ),
    "render: a seed below zero": (
        "render {t}/films --seed -1",
        r".*greater than or equal to 0.*; see: talkies .*--help",
    ),
    "render: a target below a file": (
        "render {w}/letter.mp4/films",
        r"\S+/films cannot be created \(not a directory\); name another folder",
    ),
    "render: films of another script": (
        "render {w}/films --films 1 --seconds 3",
        r"\S+/film-000\.mp4 exists and is not of this script; name an empty folder",
    ),
    "an unknown verb": ("serach --library {w}/lib", r"no such command '?serach'?.*; see: talkies --help"),
    "an unknown option": ("films --libary {w}/lib", r"no such option: --libary.*; see: talkies .*--help"),
    "an option without its value": (
        "films --library",
        r"option '--library' requires an argument; see: talkies .*--help",
    ),
}


def everything_in(*folders: Path) -> dict[str, tuple[int, int]]:
    """Sizes and times of all files and folders: any change shows."""
    paths = (path for folder in folders for path in folder.rglob("*"))
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in paths}


@pytest.mark.parametrize("wrong", WRONG_ARGUMENTS)
def test_a_wrong_use_ends_in_one_sentence_and_leaves_everything_as_it_was(
    wrong: str, talkies: Callable[..., Any], workspace: Path, tmp_path: Path
) -> None:
    call, sentence = WRONG_ARGUMENTS[wrong]
    before = everything_in(workspace, tmp_path)
    outcome = talkies(*call.format(w=workspace, t=tmp_path).split())
    assert outcome.status == 2, outcome.err
    assert re.fullmatch(rf"talkies: {sentence}[^\n]*\n", outcome.err), outcome.err
    assert outcome.out == ""
    assert everything_in(workspace, tmp_path) == before


@pytest.mark.parametrize("as_json", [False, True])
def test_a_text_named_mp4_is_judged_and_refused(
    as_json: bool, talkies: Callable[..., Any], workspace: Path, tmp_path: Path
) -> None:
    options = ["--json"] if as_json else []
    outcome = talkies("ingest", workspace / "letter.mp4", "--library", tmp_path / "lib", *options)
    assert outcome.status == 2
    last = outcome.err.splitlines()[-1]
    assert re.match(r"talkies: no film could be ingested: letter\.mp4 is not media that FFmpeg can read \(", last)
    assert "Traceback" not in outcome.err
    assert "rejected" in outcome.out
    (folder,) = (tmp_path / "lib" / "films").glob("[!.]*")
    assert [path.name for path in folder.iterdir()] == ["film.json"]


def test_several_films_that_cannot_be_used_are_counted(
    talkies: Callable[..., Any], workspace: Path, tmp_path: Path
) -> None:
    (tmp_path / "second.mp4").write_text("Another letter.")
    sources = (workspace / "letter.mp4", tmp_path / "second.mp4")
    outcome = talkies("ingest", *sources, "--library", tmp_path / "lib")
    assert outcome.status == 2
    assert outcome.err.splitlines()[-1].endswith("(and 1 more were rejected)")


def test_one_good_film_among_bad_ones_is_success(talkies: Callable[..., Any], workspace: Path, tmp_path: Path) -> None:
    sources = (workspace / "letter.mp4", workspace / "films" / "film-000.mp4")
    outcome = talkies("ingest", *sources, "--library", tmp_path / "lib")
    assert outcome.status == 0
    assert "talkies:" not in outcome.err


def test_work_that_fails_ends_with_status_one_and_its_sentence(
    talkies: Callable[..., Any], workspace: Path, tmp_path: Path
) -> None:
    settings = (
        "optimiser.learning_rate=1.0e+30",
        "optimiser.warmup_steps=0",
        "training.steps=3",
        "training.log_every=1",
    )
    sets = [part for setting in settings for part in ("--set", setting)]
    small = (
        *["--set", "sampling.films_per_batch=2", "--set", "sampling.clips_per_film=2", "--set", "loader.workers=0"],
        *sets,
    )
    run = tmp_path / "run"
    outcome = talkies("pretrain", "--library", workspace / "lib", "--recipe", "tiny", "--run", run, *small)
    assert (outcome.status, outcome.out) == (1, "")
    assert re.match(r"talkies: the loss of step 2 is not a finite number \(films ", outcome.err.splitlines()[-1])
    assert "Traceback" not in outcome.err
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["step-00000000"]
