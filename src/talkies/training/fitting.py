"""What a recipe leaves to the encoders, to the library and to a run that is resumed: clips, films, former settings."""

from collections.abc import Sequence
from pathlib import Path

import torch

from talkies.clips import ClipConfig, SamplingConfig, TrainingClips, check_decoder, open_training_clips
from talkies.config import check, read_yaml
from talkies.core import ConfigError, RunError, format_count
from talkies.library import Library
from talkies.models import build_model
from talkies.runs import RunFolder, RunRecord, choose_clip
from talkies.training.config import RunConfig
from talkies.training.devices import check_queue

# The keys of `training` that a resumed run may change: its length, its logs, its checkpoints, and the machine.
_MAY_CHANGE = {
    *("steps", "log_every", "checkpoint_every", "keep", "trackers", "recalibration_batches"),
    *("device", "devices", "strategy", "compile", "activation_checkpointing", "sync_batch_norm"),
}


def choose_clip_of_encoders(config: RunConfig, library: str | Path) -> RunConfig:
    """Return the config with the clips that its public encoders usually take, if it has `clip.auto`.

    Raises:
        ConfigError: if neither encoder is a public one, or they cannot be loaded.
        LibraryError: if there is no such library.
    """
    if not config.clip.auto:
        return config
    profile = Library.open(library).profile
    with torch.random.fork_rng(devices=[]):
        model = build_model(config.model)
    if model.video_input is None and model.audio_input is None:
        raise ConfigError(
            f"clip.auto takes the clips that public encoders usually take, and {config.model.video} and "
            f"{config.model.audio} are encoders of talkies; set clip.auto=false and give frames, fps and audio_seconds"
        )
    return config.model_copy(update={"clip": choose_clip(model, profile)})


def take_films_there_are(config: RunConfig, library: str | Path, film_ids: Sequence[str] | None = None) -> RunConfig:
    """Return the config with batches of all films, if it takes more than there are and `sampling.few_films` allows it.

    Raises:
        LibraryError, PlanError: if there is no such library, or no film is long enough.
    """
    sampling = config.sampling
    if sampling.few_films == "refuse" or sampling.schedule:
        return config
    single = sampling.model_copy(update={"films_per_batch": 1})
    films = len(open_training_clips(library, config.clip, single, config.training.seed, film_ids).plan.films)
    if films >= sampling.films_per_batch:
        return config
    return config.model_copy(update={"sampling": sampling.model_copy(update={"films_per_batch": films})})


def open_run_clips(
    library: str | Path, config: RunConfig, folder: RunFolder, record: RunRecord | None, film_ids: Sequence[str] | None
) -> TrainingClips:
    """Open the library for training; a run that is resumed (one with a record) keeps its films.

    Raises:
        RunError: if the run's initial weights are lost, or its batches would not be the same.
        ConfigError: if this machine cannot decode as the config says, or lacks the memory for its queues.
    """
    if record and record.init and not folder.list_checkpoints():
        raise RunError(
            f"{folder.root} was stopped before it had saved the weights of --init; remove the folder, and start the "
            f"run again"
        )
    films = record.films if record else film_ids
    clips = open_training_clips(library, config.clip, config.sampling, config.training.seed, films)
    check_decoder(config.loader, clips.source, clips.plan)
    check_queue(config, len(clips.plan.films))
    if record and record.plan_digest not in ("", clips.plan.digest):
        raise RunError(
            f"{folder.root} cannot continue with the same batches: the span annotations changed since this run began "
            f"(shots, or what is black, silent, still, credits or damaged in {library}); start a new run"
        )
    return clips


def describe_films(before: RunConfig, after: RunConfig) -> str | None:
    """Return the sentence about batches of fewer films than the recipe says; None if there is nothing to say."""
    wanted, taken = before.sampling.films_per_batch, after.sampling.films_per_batch
    if taken >= wanted:
        return None
    return (
        f"the library has {format_count(taken, 'film')} long enough for {after.sampling.clips_per_film} clips, so a "
        f"batch takes {taken} and not {wanted}"
    )


def keep_fitted(config: RunConfig, folder: RunFolder) -> RunConfig:
    """Return the config of a run that is resumed, with what was chosen when it began."""
    if not folder.config_path.is_file():
        return config
    saved, where = read_yaml(folder.config_path), str(folder.config_path)
    if config.clip.auto:
        config = config.model_copy(update={"clip": check(ClipConfig, saved.get("clip", {}), where)})
    if config.sampling.few_films == "take_all":
        films = check(SamplingConfig, saved.get("sampling", {}), where).films_per_batch
        films = min(films, config.sampling.films_per_batch)
        config = config.model_copy(update={"sampling": config.sampling.model_copy(update={"films_per_batch": films})})
    return config


def keep_older_settings(config: RunConfig, folder: RunFolder) -> RunConfig:
    """Return the config with what held before there was a choice, for a run that began then.

    That is the middle square of every picture, and lengths of the spectrogram in samples of the library's sound.
    """
    saved = read_yaml(folder.config_path) if folder.config_path.is_file() else {}
    sampling, transforms = saved.get("sampling", {}), saved.get("transforms", {})
    if sampling and "crop_position" not in sampling:
        config = config.model_copy(update={"sampling": config.sampling.model_copy(update={"crop_position": "centre"})})
    if transforms and "rate_hz" not in transforms.get("audio", {}):
        audio = config.transforms.audio.model_copy(update={"rate_hz": None})
        config = config.model_copy(update={"transforms": config.transforms.model_copy(update={"audio": audio})})
    return config


def check_unchanged(config: RunConfig, folder: RunFolder) -> None:
    """Refuse to resume a run with another config, except for the keys about the machine or the run's length."""
    saved = check(RunConfig, read_yaml(folder.config_path), str(folder.config_path))
    before = keep_older_settings(saved, folder).model_dump()
    for section, values in config.model_dump().items():
        for key, value in values.items():
            may_change = section == "loader" or (section == "training" and key in _MAY_CHANGE)
            if not may_change and before[section][key] != value:
                raise RunError(
                    f"{folder.root} was started with {section}.{key} = {before[section][key]}, not {value}; "
                    f"continue without that change, or start a new run"
                )
