"""Evaluate a run on a task: films, or a labelled data set; the result comes with the protocol of its measurement."""

import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from talkies.clips.film_pass import OnFilm
from talkies.core import UsageError, path_to_text, suggest_nearest
from talkies.evaluation.datasets import READERS, DataSet
from talkies.evaluation.film_tasks import FILM_TASKS
from talkies.evaluation.results.result import Result
from talkies.evaluation.transfer.extract import OnClip
from talkies.evaluation.transfer.features import (
    Features,
    Statistics,
    TowerFeatures,
    load_run_features,
    load_untrained_features,
)
from talkies.evaluation.transfer.protocol import Protocol
from talkies.evaluation.transfer.transfer import measure_transfer
from talkies.runs import load_encoder

TASKS = (*READERS, *FILM_TASKS)

_ALIASES = {"kinetics": "kinetics400"}
_TOOLS = ("talkies", "torch", "scikit-learn", "av", "numpy")


def evaluate(
    task: str,
    run: str | Path,
    data: str | Path,
    step: int | None = None,
    on_film: OnFilm | None = None,
    *,
    protocol: Protocol | None = None,
    allow_missing: bool = False,
) -> Result:
    """Return the result of a task for the encoders of a run.

    Args:
        task: one of `TASKS`.
        run: the run's folder; features of labelled clips are cached in it.
        data: the folder of the data set or of the films, or a library.
        step: the step of a checkpoint; the newest if not given, untrained at 0.
        on_film: called after each film or clip.
        protocol: how to measure a labelled data set; linear probes if not given.
        allow_missing: whether to leave out what is missing or unreadable; the result says how much.

    Raises:
        UsageError: if there is no such task, or the data is not what it needs.
        RunError: if there is no such run or checkpoint.
    """
    run = Path(run)
    data = Path(data)
    start, task = time.monotonic(), _ALIASES.get(task, task)
    if task in FILM_TASKS:
        if protocol is not None:
            raise UsageError(f"{task} has a fixed protocol; leave out --protocol and --set")
        result = FILM_TASKS[task].measure(load_encoder(run, step), data, on_film, allow_missing=allow_missing)
    elif task in READERS:
        protocol = protocol or Protocol()
        arms = _build_arms(run, load_run_features(run, step, protocol, "run"), protocol)
        result = evaluate_features(
            task,
            arms,
            data,
            protocol,
            cache_folder=run / "features",
            allow_missing=allow_missing,
            on_clip=on_film,
        )
        result = result.model_copy(update={"protocol": _describe_run(run, step) | result.protocol})
    else:
        raise UsageError(f"no task '{task}'{suggest_nearest(task, TASKS)}; there are: {', '.join(TASKS)}")

    tools = {tool: version(tool) for tool in _TOOLS}
    return result.model_copy(update={"tools": tools, "wall_seconds": round(time.monotonic() - start, 3)})


def evaluate_features(
    task: str,
    arms: Sequence[Features],
    data: Path,
    protocol: Protocol | None = None,
    *,
    cache_folder: Path | None = None,
    allow_missing: bool = False,
    on_clip: OnClip | None = None,
) -> Result:
    """Return the result of a labelled data set for features of any kind, such as those of your own encoders.

    Args:
        task: the name of the data set, one of `READERS`.
        arms: the features to measure, then those of baselines.
        data: the data set's folder.
        protocol: how to measure; linear probes if not given.
        cache_folder: where features are cached; without it they are always computed.
        allow_missing: whether to leave out clips that are missing or unreadable.
        on_clip: called after each clip.

    Raises:
        UsageError: if there is no such data set, it is not complete, or an arm cannot encode it.
    """
    task = _ALIASES.get(task, task)
    if task not in READERS:
        raise UsageError(f"no data set '{task}'{suggest_nearest(task, READERS)}; there are: {', '.join(READERS)}")
    protocol = protocol or Protocol()
    return measure_transfer(
        _read_data_set(task, data, protocol),
        arms,
        protocol,
        cache_folder=cache_folder,
        allow_missing=allow_missing,
        on_clip=on_clip,
    )


def _read_data_set(task: str, folder: Path, protocol: Protocol) -> DataSet:
    """Return a data set with the options of a protocol, which must be options of this data set."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; name the folder that holds {task}, as docs/datasets.md describes")
    options = {name: value for name, value in protocol.data if value is not None}
    modality = options.pop("tower", None)
    if unknown := set(options) - set(READERS[task].options):
        raise UsageError(f"{task} has no option data.{min(unknown)}; leave it out")

    data = READERS[task](folder, **options)
    if modality is None or data.modality == modality:
        return data
    if data.modality != "both":
        raise UsageError(f"{task} has no {modality}; leave data.tower out")
    return replace(data, modality=modality)


def _build_arms(run: Path, features: TowerFeatures, protocol: Protocol) -> list[Features]:
    """Return the features to measure, then the baselines: the same encoders untrained, and signal statistics."""
    arms: list[Features] = [features]
    if not protocol.baselines:
        return arms
    untrained = load_untrained_features(run, protocol)
    if untrained and untrained.stamp != features.stamp:
        arms.append(untrained)
    if protocol.method != "finetune":
        arms.append(Statistics(features.clip_spec, features.transforms.audio))
    return arms


def _describe_run(run: Path, step: int | None) -> dict[str, Any]:
    encoder = load_encoder(run, step)
    return {"run": path_to_text(run), "checkpoint_step": encoder.step, "model_stamp": encoder.stamp}
