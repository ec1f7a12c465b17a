"""Evaluate a run on a task: films, or a labelled data set; the result comes with the protocol of its measurement."""

import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from talkies.clips.film_pass import OnFilm
from talkies.core import Modality, UsageError, suggest_nearest
from talkies.evaluation.before import BEFORE, Before, find_before
from talkies.evaluation.datasets import READERS, DataSet
from talkies.evaluation.film_tasks import FILM_TASKS
from talkies.evaluation.film_tasks.base import FilmTask, describe_model, explain_not_joint
from talkies.evaluation.film_tasks.films import find_library_profile
from talkies.evaluation.results.detectable import compare_metrics
from talkies.evaluation.results.result import Result
from talkies.evaluation.transfer.extract import OnClip
from talkies.evaluation.transfer.features import (
    Features,
    Statistics,
    TowerFeatures,
    find_clip_spec,
    load_untrained_features,
)
from talkies.evaluation.transfer.protocol import Protocol
from talkies.evaluation.transfer.transfer import measure_transfer
from talkies.evaluation.transfer.zeroshot import make_features
from talkies.runs import RESULTS, ClipEncoder, load_model, parse_model

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
    """Return the result of a task for the encoders of a run, or for public ones.

    A run whose towers came from public encoders is measured together with them: they are a baseline.

    Args:
        task: one of `TASKS`.
        run: the run's folder, or the address of public encoders. Features of labelled clips are cached in the folder
            `features` of the run, or of `results` in the current folder.
        data: the folder of the data set or of the films, or a library.
        step: the step of a checkpoint; the newest if not given, untrained at 0.
        on_film: called after each film or clip.
        protocol: how to measure a labelled data set; linear probes if not given.
        allow_missing: whether to leave out what is missing or unreadable; the result says how much.

    Raises:
        UsageError: if there is no such task, or the data is not what it needs.
        RunError: if there is no such run or checkpoint.
        ConfigError: if public encoders cannot be loaded.
    """
    data, model = Path(data), parse_model(run)
    start, task = time.monotonic(), _ALIASES.get(task, task)
    if task in FILM_TASKS:
        if protocol is not None:
            raise UsageError(f"{task} has a fixed protocol; leave out --protocol and --set")
        encoder = load_model(model, step, profile=find_library_profile(data))
        result = _measure_films(FILM_TASKS[task], encoder, data, on_film, allow_missing=allow_missing)
    elif task in READERS:
        protocol = protocol or Protocol()
        encoder = load_model(model, step)
        labelled = _read_data_set(task, data, protocol)
        before = find_before(encoder) if protocol.baselines else Before()
        arms, left_out = _build_arms(encoder, before, protocol, labelled.modalities)
        result = measure_transfer(
            labelled,
            arms,
            protocol,
            cache_folder=(model if isinstance(model, Path) else RESULTS) / "features",
            allow_missing=allow_missing,
            on_clip=on_film,
        )
        result = result.model_copy(update={"protocol": describe_model(encoder) | result.protocol | left_out})
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


def _measure_films(
    task: FilmTask, encoder: ClipEncoder, data: Path, on_film: OnFilm | None, *, allow_missing: bool
) -> Result:
    """Return the result of a film task, with that of the public encoders that a run came from as a baseline."""
    result = task.measure(encoder, data, on_film, allow_missing=allow_missing)
    before = find_before(encoder)
    reason = before.reason
    if before.encoder and task.compares_modalities:
        reason = explain_not_joint(before.encoder) or ""
    if reason:
        return result.model_copy(update={"protocol": result.protocol | {BEFORE: f"left out: {reason}"}})
    if before.encoder is None:
        return result

    def on_film_before(name: str, films: int) -> None:
        if on_film:
            on_film(f"{BEFORE}: {name}", films)

    own = task.measure(before.encoder, data, on_film_before, allow_missing=allow_missing)
    return result.model_copy(
        update={
            "baselines": {BEFORE: own.metrics},
            "detectable": {BEFORE: compare_metrics(result.metrics, own.metrics)},
            "protocol": result.protocol | {BEFORE: describe_model(before.encoder)},
        }
    )


def _build_arms(
    encoder: ClipEncoder, before: Before, protocol: Protocol, modalities: Collection[Modality]
) -> tuple[list[Features], dict[str, Any]]:
    """Return the features to measure, then the baselines, and what the protocol says of public encoders as a baseline.

    Baselines are the public encoders that a run came from, the run's encoders untrained, and signal statistics; only
    the first of them may have words.
    """
    words = protocol.method == "zeroshot"
    name = str(encoder.run) if encoder.is_public else "run"
    clip_spec = find_clip_spec(encoder, protocol)
    features = make_features(name, encoder, clip_spec, words=words)
    arms: list[Features] = [features]
    if not protocol.baselines:
        return arms, {}

    about: dict[str, Any] = {BEFORE: f"left out: {before.reason}"} if before.reason else {}
    if before.encoder:
        own = make_features(BEFORE, before.encoder, clip_spec, words=words)
        reason = _explain_left_out(own, features, before.encoder, modalities)
        about = {BEFORE: f"left out: {reason}" if reason else describe_model(before.encoder)}
        arms += [] if reason else [own]
    untrained = None if words or encoder.is_public else load_untrained_features(encoder.run, protocol)
    if untrained and untrained.stamp not in {arm.stamp for arm in arms}:
        arms.append(untrained)
    if protocol.method in ("linear", "knn"):
        arms.append(Statistics(clip_spec, features.transforms.audio))
    return arms, about


def _explain_left_out(
    own: TowerFeatures, adapted: TowerFeatures, before: ClipEncoder, modalities: Collection[Modality]
) -> str | None:
    """Return why the public encoders that a run came from are not measured; None if they are."""
    if missing := sorted(set(modalities) - set(before.modalities)):
        return f"the run's {missing[0]} encoder is none of them"
    if own.stamp == adapted.stamp:
        return "nothing before the heads was trained, so the run's encoders are still the same"
    try:
        own.check(modalities)
    except UsageError as error:
        return str(error)
    return None
