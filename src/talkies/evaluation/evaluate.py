"""The verb: a task, a run and its data in, a result with its protocol out."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from inspect import signature
from pathlib import Path
from typing import Any

from talkies.core import UsageError, suggest_nearest
from talkies.evaluation.datasets import READERS, DataSet
from talkies.evaluation.film_tasks.concepts import SPLITS, probe_concepts, read_truth
from talkies.evaluation.film_tasks.encode_films import encode_films
from talkies.evaluation.film_tasks.matchcut import matchcut
from talkies.evaluation.film_tasks.retrieval import RECALLS, retrieval_metrics
from talkies.evaluation.film_tasks.scenes import scenes
from talkies.evaluation.film_tasks.sync import sync
from talkies.evaluation.results.result import Result
from talkies.evaluation.transfer.extract import OnClip
from talkies.evaluation.transfer.features import Features, Statistics, TowerFeatures, features_of_run, untrained_of_run
from talkies.evaluation.transfer.protocol import Protocol
from talkies.evaluation.transfer.transfer import transfer
from talkies.runs import ClipEncoder, load_encoder

_SEED = 0
_ALIASES = {"kinetics": "kinetics400"}
_TOOLS = ("talkies", "torch", "scikit-learn", "av", "numpy")
OnFilm = Callable[[str, int], None]
FilmTask = Callable[..., Result]


def evaluate(
    task: str,
    run: Path,
    data: Path,
    step: int | None = None,
    on_film: OnFilm | None = None,
    *,
    protocol: Protocol | None = None,
    allow_missing: bool = False,
) -> Result:
    """Return the result of `task` with a run's newest checkpoint, or that of `step` (0: untrained).

    `protocol` is for the labelled data sets; features of their clips are kept in the run's folder. With
    `allow_missing` what is not there, or cannot be read, is left out, and the result says how much.

    Raises:
        UsageError: if there is no such task, or the data are not what it needs.
        RunError: if there is no such run or checkpoint.
    """
    began, task = time.monotonic(), _ALIASES.get(task, task)
    if task in FILM_TASKS:
        if protocol is not None:
            raise UsageError(f"{task} is measured in one way alone; leave --protocol and --set out")
        result = _on_films(task, load_encoder(run, step), data, on_film, allow_missing)
    elif task in READERS:
        protocol = protocol or Protocol()
        own = features_of_run(run, step, protocol, "run")
        result = evaluate_features(
            task, _arms(run, own, protocol), data, protocol,
            store=run / "features", allow_missing=allow_missing, on_clip=on_film,
        )  # fmt: skip
        result = result.model_copy(update={"protocol": {"run": str(run), **_checkpoint(run, step)} | result.protocol})
    else:
        tasks = (*READERS, *FILM_TASKS)
        raise UsageError(f"no task '{task}'{suggest_nearest(task, tasks)}; there are: {', '.join(tasks)}")
    tools = {tool: version(tool) for tool in _TOOLS}
    return result.model_copy(update={"tools": tools, "wall_seconds": round(time.monotonic() - began, 3)})


def evaluate_features(
    task: str,
    arms: Sequence[Features],
    data: Path,
    protocol: Protocol | None = None,
    *,
    store: Path | None = None,
    allow_missing: bool = False,
    on_clip: OnClip | None = None,
) -> Result:
    """Return the result of a labelled data set for features of any kind, such as encoders of one's own.

    The first of `arms` is what is measured; the others are baselines. `store` is where features are kept.

    Raises:
        UsageError: if there is no such data set, it is not complete, or no encoder speaks to it.
    """
    task = _ALIASES.get(task, task)
    if task not in READERS:
        raise UsageError(f"no data set '{task}'{suggest_nearest(task, READERS)}; there are: {', '.join(READERS)}")
    protocol = protocol or Protocol()
    read = _read(task, data, protocol)
    return transfer(read, arms, protocol, store=store, allow_missing=allow_missing, on_clip=on_clip)


def _on_films(task: str, encoder: ClipEncoder, data: Path, on_film: OnFilm | None, allow_missing: bool) -> Result:
    measure = FILM_TASKS[task]
    if "allow_missing" in signature(measure).parameters:
        return measure(encoder, data, on_film, allow_missing=allow_missing)
    if allow_missing:
        raise UsageError(f"{task} has no list of films that could lack some; leave --allow-missing out")
    return measure(encoder, data, on_film)


def _read(task: str, data: Path, protocol: Protocol) -> DataSet:
    """Return a data set, with the options that were given; its own, and no other's."""
    if not data.is_dir():
        raise UsageError(f"{data} is not a folder; name the one that {task} lies in, as docs/datasets.md says")
    options = {name: value for name, value in protocol.data if value is not None and name != "tower"}
    if foreign := set(options) - set(signature(READERS[task]).parameters):
        raise UsageError(f"{task} has no option data.{min(foreign)}; leave it out")
    read = READERS[task](data, **options)
    if protocol.data.tower is None or read.modality == protocol.data.tower:
        return read
    if read.modality != "both":
        raise UsageError(f"{task} has no {protocol.data.tower}; leave data.tower out")
    return replace(read, modality=protocol.data.tower)


def _arms(run: Path, own: TowerFeatures, protocol: Protocol) -> list[Features]:
    """Return what is measured: the run, the same encoders before their first step, and plain statistics."""
    if not protocol.baselines:
        return [own]
    untrained = untrained_of_run(run, protocol)
    arms: list[Features] = [own, *([untrained] if untrained and untrained.stamp != own.stamp else [])]
    if protocol.method != "finetune":
        arms.append(Statistics(own.look, own.transforms.audio))
    return arms


def _checkpoint(run: Path, step: int | None) -> dict[str, Any]:
    encoder = load_encoder(run, step)
    return {"checkpoint_step": encoder.step, "model_stamp": encoder.stamp}


def _synthetic_concepts(encoder: ClipEncoder, data: Path, on_film: OnFilm | None) -> Result:
    truth = read_truth(data)
    stride_frames = encoder.shape.window_frames
    films = encode_films(encoder, data, stride_frames, on_film)
    metrics = probe_concepts(films, truth, encoder.profile.fps, _SEED)
    chance = 1 / len(truth.concepts)
    protocol = _protocol(encoder, stride_frames) | {
        "films": len(films),
        "clips": sum(len(film.requests) for film in films),
        "classifier": "logistic regression (L2, C = 0.1) on standardised encoder features, clips without a cut",
        "splits": f"{SPLITS} random halvings of the films, seed {_SEED}",
        "chance": {"video_accuracy": chance, "audio_accuracy": chance},
    }
    return Result(task="synthetic-concepts", protocol=protocol, metrics=metrics)


def _retrieval(encoder: ClipEncoder, data: Path, on_film: OnFilm | None) -> Result:
    stride_frames = encoder.shape.window_frames
    films = encode_films(encoder, data, stride_frames, on_film)
    metrics, chance = retrieval_metrics(films)
    protocol = _protocol(encoder, stride_frames) | {
        "films": len(films),
        "clips": sum(len(film.requests) for film in films),
        "score": "cosine of the towers' embeddings; the middle rank of equal scores; mean over films of their queries",
        "recalls_at": list(RECALLS),
        "galleries": {"across_films": "all clips of all films", "within_film": "the clips of the query's own film"},
        "chance": chance,
    }
    return Result(task="retrieval", protocol=protocol, metrics=metrics)


def _protocol(encoder: ClipEncoder, stride_frames: int) -> dict[str, Any]:
    fps = encoder.profile.fps
    return {
        "run": str(encoder.run),
        "checkpoint_step": encoder.step,
        "model_stamp": encoder.stamp,
        "clip": encoder.clip.model_dump(),
        "profile": encoder.profile.model_dump(),
        "stride_seconds": stride_frames / fps,
        "crop": "middle square, whole",
    }


FILM_TASKS: dict[str, FilmTask] = {
    "synthetic-concepts": _synthetic_concepts,
    "retrieval": _retrieval,
    "sync": sync,
    "matchcut": matchcut,
    "scenes": scenes,
}
TASKS = (*READERS, *FILM_TASKS)
