"""The study: make the films, train every arm on every film set, measure, and write the report."""

import fcntl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

from talkies.config import Config
from talkies.core import LibraryError, UsageError, describe_os_error
from talkies.evaluation.film_tasks.concepts import read_truth
from talkies.library import Library, read_json, write_json
from talkies.runtime import count_cores, map_in_processes
from talkies.study.arms import Arm, list_arms
from talkies.study.films import FilmSet, make_films
from talkies.study.materials import MaterialFolders
from talkies.study.measure import compute_chances
from talkies.study.page import write_report
from talkies.study.results import SCHEMA_VERSION, StudyResults, build_results, write_results
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

    study_version: int = SCHEMA_VERSION
    scale: Scale
    sounds: str | None
    actions: str | None
    backgrounds: tuple[str, ...]
    held_out_backgrounds: tuple[str, ...]

    @classmethod
    def of(cls, scale: Scale, materials: MaterialFolders) -> "StudyRequest":
        """Return the request for a scale and the folders of composed films."""
        return cls(
            scale=scale,
            sounds=_to_text(materials.sounds),
            actions=_to_text(materials.actions),
            backgrounds=tuple(str(path.absolute()) for path in materials.backgrounds),
            held_out_backgrounds=tuple(str(path.absolute()) for path in materials.held_out_backgrounds),
        )


def _to_text(path: Path | None) -> str | None:
    return str(path.absolute()) if path else None


def run_study(
    out: Path,
    scale: Scale,
    materials: MaterialFolders | None = None,
    *,
    resume: bool = False,
    workers: int | None = None,
    on_progress: OnProgress | None = None,
) -> StudyResults:
    """Run the study in the folder `out`, and return its results.

    Args:
        out: A new folder, or with `resume` the folder of the same study.
        scale: What to train and measure.
        materials: The folders of composed films; its recordings also test what was learnt, clean.
        resume: Continue the study in `out`.
        workers: The number of processes; by default one for each core.
        on_progress: Called with the name of a stage, the finished part, its total, and a note.

    Returns:
        All trials, and the summaries and contrasts of the arms.

    Raises:
        UsageError: if `out` exists without `resume`, or does not hold this study with it.
        TalkiesError: as the verbs that it calls.
    """
    tell, start_time = on_progress or (lambda *_: None), time.monotonic()
    materials = materials or MaterialFolders()
    recorded = _check_materials(scale, materials)
    arms = list_arms(scale)
    workers = workers or count_cores()
    check_arms(scale, arms)
    with _lock_folder(out, StudyRequest.of(scale, materials), resume):
        films = _make_all_films(out, scale, materials, workers=workers, tell=tell)
        trials = _run_trials(films, scale, arms, sounds=recorded, workers=scale.side_by_side or workers, tell=tell)
        results = build_results(
            scale,
            arms,
            trials,
            tools={tool: version(tool) for tool in _TOOLS},
            wall_seconds=round(time.monotonic() - start_time, 1),
            resumed=resume,
            clip_seconds=_find_clip_seconds(scale),
            chance=_compute_chances(films, scale, recorded),
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


def _check_materials(scale: Scale, materials: MaterialFolders) -> Sounds | None:
    """Check that the folders can be used, before hours of work; return the recordings, if there are any.

    Raises:
        UsageError: if they cannot, or the scale composes films and there are none.
    """
    composed = [name for name in scale.trained_natures if scale.find_nature(name).composed]
    if composed and not (materials.backgrounds and materials.held_out_backgrounds):
        raise UsageError(
            f"scale {scale.name} composes films of real recordings: give --sounds or --actions, and films for "
            f"--background and --held-out-background"
        )
    if composed:
        materials.read_split(0)
    recorded = Sounds(materials.sounds.absolute()) if materials.sounds else None
    if recorded:
        _ = recorded.data
    return recorded


def _make_all_films(
    out: Path, scale: Scale, materials: MaterialFolders, *, workers: int, tell: OnProgress
) -> dict[tuple[int, str], FilmSet]:
    """Make the films of every film set and nature; return them by number and nature."""
    every = [
        FilmSet.of(out, number, nature, scale) for number in range(scale.film_sets) for nature in scale.trained_natures
    ]
    for done, films in enumerate(every):
        note = partial(_report_film, tell, done, len(every), f"set {films.number}, {films.nature}")
        note("")
        make_films(films, scale, materials, workers=workers, on_film=note)
    tell("films", len(every), len(every), "")
    return {(films.number, films.nature): films for films in every}


def _run_trials(
    films: Mapping[tuple[int, str], FilmSet],
    scale: Scale,
    arms: Sequence[Arm],
    *,
    sounds: Sounds | None,
    workers: int,
    tell: OnProgress,
) -> list[TrialResult]:
    """Return all trials, film set by film set; finished ones are not run again."""
    threads = max(1, count_cores() // workers)
    trials = [
        Trial(arm, scale, films[number, arm.nature], sounds and replace(sounds, seed=number), threads)
        for number in range(scale.film_sets)
        for arm in arms
    ]
    results = {trial.name: result for trial in trials if (result := load_finished_trial(trial))}
    tell("train and measure", len(results), len(trials), "")
    unfinished = [trial for trial in trials if trial.name not in results]
    for trial, result in map_in_processes(run_trial, unfinished, min(workers, max(1, len(unfinished)))):
        results[trial.name] = result
        tell("train and measure", len(results), len(trials), trial.name)
    return [results[trial.name] for trial in trials]


def _compute_chances(
    films: Mapping[tuple[int, str], FilmSet], scale: Scale, sounds: Sounds | None
) -> dict[str, dict[str, float]]:
    """Return the chance levels by nature; those of the first film set stand for all, whose films are as long."""
    window = round(_find_clip_seconds(scale) * scale.profile.fps)
    classes = len(sounds.data.classes) if sounds else None
    chances: dict[str, dict[str, float]] = {}
    for nature in scale.trained_natures:
        films_of = films[0, nature]
        clips = [film.frames // window for film in Library.open(films_of.unseen_library).usable_films()]
        concepts = {shot.concept for film in read_truth(films_of.unseen).films for shot in film.shots}
        chances[nature] = compute_chances(clips, len(concepts), classes)
    return chances


def _find_clip_seconds(scale: Scale) -> float:
    return resolve(scale.recipe, scale.set).clip.to_shape(scale.profile.fps).window_frames / scale.profile.fps


def _report_film(tell: OnProgress, done: int, every: int, which: str, film: str) -> None:
    """Report a film that is being made as progress of the stage `films`, of which `done` folders are finished."""
    tell("films", done, every, f"{which} {film}".strip())


@contextmanager
def _lock_folder(out: Path, request: StudyRequest, resume: bool) -> Iterator[None]:
    """Lock the study's folder against a second study while the block runs."""
    path = out / "study.json"
    if not resume and out.exists() and any(out.iterdir()):
        raise UsageError(f"{out} already exists; continue it with --resume, or name a new folder")
    if resume and not path.is_file():
        raise UsageError(f"{out} holds no study to continue; leave out --resume, and name an empty folder")
    if resume and not _is_same_study(path, request):
        raise UsageError(f"{out} was started with another scale or other materials; use the same, or name a new folder")
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


def _is_same_study(path: Path, request: StudyRequest) -> bool:
    """Return whether a folder's study was started with the same options; it may get more film sets.

    One of an older talkies was not.
    """
    try:
        begun = read_json(path, StudyRequest, "a study")
    except LibraryError:
        return False
    more = begun.scale.model_copy(update={"film_sets": max(begun.scale.film_sets, request.scale.film_sets)})
    return begun.model_copy(update={"scale": more}) == request
