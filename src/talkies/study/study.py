"""The study: make the films, train every arm with every seed, measure, and write the report."""

import fcntl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path

from talkies.config import Config
from talkies.core import UsageError, describe_os_error
from talkies.evaluation.film_tasks.concepts import read_truth
from talkies.library import Library, read_json, write_json
from talkies.runtime import count_cores, map_in_processes
from talkies.study.arms import Arm, list_arms, list_natures
from talkies.study.films import FilmsOfNature, make_films
from talkies.study.measure import compute_chances
from talkies.study.page import write_report
from talkies.study.results import StudyResults, compare_arms, compare_natures, summarise, write_results
from talkies.study.scale import Scale
from talkies.study.sounds import Sounds
from talkies.study.trials import Trial, TrialResult, load_finished_trial, run_trial
from talkies.training import resolve
from talkies.training.devices import check_devices

OnProgress = Callable[[str, int, int, str], None]
"""Called with the name of a stage, the finished part, its total, and a note."""

_TOOLS = ("talkies", "torch", "av", "scikit-learn", "numpy")


class StudyRequest(Config):
    """The options that a study's folder was started with."""

    scale: Scale
    sounds: str | None


def run_study(
    out: Path,
    scale: Scale,
    sounds: Path | None = None,
    *,
    resume: bool = False,
    workers: int | None = None,
    on_progress: OnProgress | None = None,
) -> StudyResults:
    """Run the study in the folder `out`, and return its results.

    Args:
        out: A new folder, or with `resume` the folder of the same study.
        scale: What to train and measure.
        sounds: A folder of labelled recordings: some become the sound of films, the others test what was learnt.
        resume: Continue the study in `out`.
        workers: The number of processes; by default one for each core.
        on_progress: Called with the name of a stage, the finished part, its total, and a note.

    Returns:
        All trials, and the summaries and comparisons of the arms.

    Raises:
        UsageError: if `out` exists without `resume`, or does not hold this study with it.
        TalkiesError: as the verbs that it calls.
    """
    tell, start_time = on_progress or (lambda *_: None), time.monotonic()
    recorded = Sounds(sounds.absolute()) if sounds else None
    recordings = recorded.list_recordings() if recorded else ()
    arms, natures = list_arms(scale, bool(recordings)), list_natures(scale, bool(recordings))
    workers = workers or count_cores()
    check_arms(scale, arms)
    with _lock_folder(out, StudyRequest(scale=scale, sounds=str(recorded.root) if recorded else None), resume):
        for number, nature in enumerate(natures.values()):
            note = partial(_report_film, tell, number, len(natures), nature.name)
            note("")
            make_films(out, nature, scale, recordings=recordings, workers=workers, on_film=note)
        tell("films", len(natures), len(natures), "")
        films = {name: FilmsOfNature.of(out, nature) for name, nature in natures.items()}
        trials = _run_trials(films, scale, arms, sounds=recorded, workers=scale.side_by_side or workers, tell=tell)
        results = StudyResults(
            scale=scale,
            tools={tool: version(tool) for tool in _TOOLS},
            wall_seconds=round(time.monotonic() - start_time, 1),
            resumed=resume,
            chance=_compute_chances(films, scale, recorded),
            arms=tuple(asdict(arm) for arm in arms),
            cells=tuple(trials),
            summaries=summarise(arms, trials),
            comparisons=compare_arms(arms, trials),
            changes=compare_natures(arms, trials),
        )
        write_results(out / "results.json", results)
        write_report(out, results)
    tell("report", 1, 1, str(out / "report.html"))
    return results


def check_arms(scale: Scale, arms: Sequence[Arm]) -> None:
    """Check that this machine can train every arm on films of the scale, before hours of films are made.

    Raises:
        ConfigError: if this machine lacks what the recipe needs.
        UsageError: if a film, or a window of it, is too short for an arm's clips.
    """
    for arm in arms:
        config = resolve(scale.recipe, [*scale.set, *arm.sets])
        check_devices(config)
        sampling, window = config.sampling, config.clip.to_shape(scale.profile.fps).window_frames / scale.profile.fps
        most = max(sampling.clip_counts)
        needed = most * window + (most - 1) * sampling.least_gap_seconds
        available = min(scale.synth.seconds, sampling.widest_window_seconds or scale.synth.seconds)
        if needed > available:
            raise UsageError(
                f"arm {arm.name} needs {most} clips of a film, {needed:g} s, from {available:g} s; give the scale "
                f"longer films or windows, or fewer clips per film"
            )


def _run_trials(
    films: Mapping[str, FilmsOfNature],
    scale: Scale,
    arms: Sequence[Arm],
    *,
    sounds: Sounds | None,
    workers: int,
    tell: OnProgress,
) -> list[TrialResult]:
    """Return all trials in the order of the arms; finished ones are not run again."""
    threads = max(1, count_cores() // workers)
    trials = [
        Trial(arm, seed, scale, films[arm.nature], sounds if arm.axis == "sound" else None, threads)
        for arm in arms
        for seed in range(arm.seeds)
    ]
    results = {trial.name: result for trial in trials if (result := load_finished_trial(trial))}
    tell("train and measure", len(results), len(trials), "")
    unfinished = [trial for trial in trials if trial.name not in results]
    for trial, result in map_in_processes(run_trial, unfinished, min(workers, max(1, len(unfinished)))):
        results[trial.name] = result
        tell("train and measure", len(results), len(trials), trial.name)
    return [results[trial.name] for trial in trials]


def _compute_chances(
    films: Mapping[str, FilmsOfNature], scale: Scale, sounds: Sounds | None
) -> dict[str, dict[str, float]]:
    window = resolve(scale.recipe, scale.set).clip.to_shape(scale.profile.fps).window_frames
    classes = len(sounds.data.classes) if sounds else None
    chances: dict[str, dict[str, float]] = {}
    for name, of_nature in films.items():
        clips = [film.frames // window for film in Library.open(of_nature.unseen_library).usable_films()]
        concepts = {shot.concept for film in read_truth(of_nature.unseen).films for shot in film.shots}
        chances[name] = compute_chances(clips, len(concepts), classes)
    return chances


def _report_film(tell: OnProgress, done: int, natures: int, nature: str, film: str) -> None:
    """Report a film that is being made as progress of the stage `films`, of which `done` natures are finished."""
    tell("films", done, natures, f"{nature} {film}".strip())


@contextmanager
def _lock_folder(out: Path, request: StudyRequest, resume: bool) -> Iterator[None]:
    """Lock the study's folder against a second study while the block runs."""
    path = out / "study.json"
    if not resume and out.exists() and any(out.iterdir()):
        raise UsageError(f"{out} already exists; continue it with --resume, or name a new folder")
    if resume and not path.is_file():
        raise UsageError(f"{out} holds no study to continue; leave out --resume, and name an empty folder")
    if resume and read_json(path, StudyRequest, "a study") != request:
        raise UsageError(f"{out} was started with another scale or other sounds; use the same, or name a new folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_json(path, request)  # before anything else, so that a killed study can be resumed
        (out / "cells").mkdir(exist_ok=True)
        lock = (out / "study.lock").open("w")
    except OSError as error:
        raise UsageError(f"{out} cannot be made a folder ({describe_os_error(error)}); name another") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(f"{out} is in use by another study; wait for it, or name a new folder") from error
        yield
