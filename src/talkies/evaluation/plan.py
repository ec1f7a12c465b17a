"""What a recipe, or a run that followed one, draws and sees: the plan that advice on sampling is given for."""

from collections.abc import Sequence
from pathlib import Path

from talkies.analysis import TrainingPlan
from talkies.clips import ClipConfig, SamplingConfig
from talkies.config import check, read_yaml
from talkies.core import LibraryError
from talkies.library import Library
from talkies.runs import RunFolder
from talkies.training import resolve


def plan_training(recipe: str, overrides: Sequence[str] = ()) -> TrainingPlan:
    """Return what a recipe does, for `analyse`.

    Args:
        recipe: The recipe's name, or the path of a YAML file.
        overrides: Lines `key=value`, as `--set` takes them.

    Raises:
        ConfigError: if there is no such recipe, or a key or a value is wrong.
    """
    config = resolve(recipe, overrides)
    return TrainingPlan(
        recipe=recipe,
        films_per_batch=config.sampling.films_per_batch,
        clips_per_film=config.sampling.clips_per_film,
        cross_film_weight=config.objective.compute_cross_film_weight(0),
        steps=config.training.steps,
        clip_seconds=_measure_clip(config.clip),
        overrides=tuple(overrides),
    )


def count_learnt_passes(run: Path, step: int, clip_seconds: float, library: Library) -> tuple[int, float | None] | None:
    """Return the films that a run has learnt from and the passes over them; None for a folder without a record.

    The passes are None if the durations of the films are unknown: neither the run's library nor the given one has them.

    Args:
        run: The run's folder.
        step: The step up to which it was trained.
        clip_seconds: The length of its clips.
        library: A library that may hold its films.

    Raises:
        RunError: if the run's record is damaged.
        ConfigError: if its config is damaged.
    """
    folder = RunFolder(run)
    if not (folder.record_path.is_file() and folder.exists()):
        return None
    record = folder.read_record()
    seconds = _sum_durations(record.films, library, record.library)
    if not seconds:
        return len(record.films), None

    sampling = check(SamplingConfig, read_yaml(folder.config_path).get("sampling", {}), str(folder.config_path))
    clips = min(sampling.films_per_batch, len(record.films)) * sampling.clips_per_film
    return len(record.films), step * clips * clip_seconds / seconds


def _measure_clip(clip: ClipConfig) -> float | None:
    """Return the length of a clip in seconds; None where public encoders decide on it."""
    return None if clip.auto else max(clip.frames / clip.fps, clip.audio_seconds)


def _sum_durations(films: Sequence[str], library: Library, own: str) -> float | None:
    """Return the total duration of films in seconds: from a library, or else from the run's own; None if unknown."""
    durations = {film.film_id: film.duration_seconds for film in library.films()}
    if not set(films) <= set(durations):
        try:
            durations = {film.film_id: film.duration_seconds for film in Library.open(own).films()}
        except LibraryError:
            return None
    return sum(durations[film] for film in films) if set(films) <= set(durations) else None
