"""`pretrain`: trains a model on a library with a recipe, and writes a run."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from lightning_fabric import Fabric

from talkies.clips import TrainingClips, load_batches
from talkies.config import to_yaml
from talkies.core import ConfigError, Modality, RunError, UsageError, WorkError, path_to_text
from talkies.core.memory import explain_lack_of_memory
from talkies.models import compute_model_stamp, find_bases, has_unused_weights
from talkies.models.public import PublicTower
from talkies.runs import InitialWeights, LoadedWeights, RunFolder, RunRecord, load_encoder_weights, open_bases
from talkies.runtime import is_remote
from talkies.training.checkpoints import Checkpoints
from talkies.training.config import RunConfig
from talkies.training.devices import check_devices, make_fabric
from talkies.training.features.cache import FeatureCache, explain_no_cache, open_feature_cache
from talkies.training.features.values import TrainingBatch
from talkies.training.fitting import (
    check_unchanged,
    choose_clip_of_encoders,
    describe_films,
    keep_fitted,
    keep_older_settings,
    open_run_clips,
    take_films_there_are,
)
from talkies.training.loop import Hooks, run_loop
from talkies.training.metrics import MetricsLog
from talkies.training.not_finite import write_not_finite
from talkies.training.ranks import RankGroup
from talkies.training.recalibration import prepare_statistics
from talkies.training.recipes import resolve
from talkies.training.recurrences import describe_recurrences, read_recurrences
from talkies.training.system import ContrastiveSystem
from talkies.training.trackers import check_trackers
from talkies.training.train_state import TrainState, build_system

TAKE_SMALLER_ENCODERS = "name smaller encoders, or close other programs"
TAKE_FEWER_CLIPS = (
    "set training.chunk_clips to encode fewer clips at a time, or make clip.frames or the batch smaller (see: talkies "
    "cost)"
)


@dataclass(frozen=True, slots=True)
class PretrainReport:
    """The result of a pre-training.

    Attributes:
        run: the run's folder.
        steps: the number of steps done.
        stamp: the stamp of the weights.
        last: the last line that was logged.
        left_out: the films that are too short for their clips.
        best_step: the step of the best checkpoint.
    """

    run: Path
    steps: int
    stamp: str
    last: dict[str, float]
    left_out: tuple[str, ...] = ()
    best_step: int | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """The functions that show a caller how training progresses.

    Attributes:
        on_step: takes each step that is done.
        on_log: takes each line that is logged.
        on_left_out: takes the films that are left out, before the first step.
        on_loaded: takes the weights of each encoder that were loaded, before the first step.
        on_note: takes a sentence about how the run is done, before the first step.
        on_features: takes how many clips have their features, and of how many they were missing.
        on_failure: takes the sentence of the first process that failed, where several train; called once in all.
    """

    on_step: Callable[[int], None] = lambda _: None
    on_log: Callable[[dict[str, float]], None] = lambda _: None
    on_left_out: Callable[[tuple[str, ...]], None] = lambda _: None
    on_loaded: Callable[[LoadedWeights], None] = lambda _: None
    on_note: Callable[[str], None] = lambda _: None
    on_features: Callable[[int, int], None] = lambda _done, _all: None
    on_failure: Callable[[str], None] = lambda _: None


def pretrain(
    library: str | Path,
    config: RunConfig | str,
    run: str | Path,
    resume: bool | Literal["auto"] = False,
    progress: Progress | None = None,
    *,
    overrides: Sequence[str] = (),
    init: InitialWeights | None = None,
    film_ids: Sequence[str] | None = None,
) -> PretrainReport:
    """Pre-train on the accepted films of a library, write the run, and return a report.

    Args:
        library: the library's folder or address.
        config: the resolved config, or a recipe: its name, or the path of a YAML file.
        run: the folder to write.
        resume: whether to continue the run from its newest checkpoint, on the films that it started with; with `auto`,
            a run that exists continues (without `init`), and one that does not is started.
        progress: functions to call as training progresses.
        overrides: lines `key=value` that change the recipe, as `--set` takes them; only where `config` is a recipe.
        init: the weights to start the encoders from; fresh ones where there are none.
        film_ids: train on these films only, not on all; a run that is resumed keeps its own.

    Raises:
        RunError: if `run` exists and `resume` is false, or the other way round.
        ConfigError, LibraryError, PlanError: if recipe, weights, library or plan cannot be used; nothing is written.
        WorkError: if training fails.
        ReportedError: any of these where several processes train, when `on_failure` has taken its sentence.
    """
    config = _resolve(config, overrides)
    folder, progress = RunFolder(Path(run)), progress or Progress()
    with RankGroup(config.training, progress.on_failure) as ranks:
        if resume == "auto":  # decided by the first process, because another machine may see an older state of the disk
            resume = ranks.share(folder.exists())
            init = None if resume else init
        check_devices(config)
        check_trackers(config.training.trackers)
        if resume:
            config = keep_older_settings(keep_fitted(config, folder), folder)
        _check_folder(folder, config, init, resume=resume)
        return _pretrain(
            library, config, folder, resume=resume, progress=progress, init=init, film_ids=film_ids, ranks=ranks
        )


def _pretrain(
    library: str | Path,
    config: RunConfig,
    folder: RunFolder,
    *,
    resume: bool,
    progress: Progress,
    init: InitialWeights | None,
    film_ids: Sequence[str] | None,
    ranks: RankGroup,
) -> PretrainReport:
    """Build the model, start the other processes, and train."""
    record = folder.read_record() if resume else None
    with explain_lack_of_memory("load the encoders", TAKE_SMALLER_ENCODERS):
        recipe, config = config, take_films_there_are(choose_clip_of_encoders(config, library), library, film_ids)
        clips = open_run_clips(library, config, folder, record, film_ids)

        # Build the model before anything is written.
        towers = _open_former_bases(config, folder, record) if record else None
        recurrences, profile = read_recurrences(config, clips, record), clips.profile
        system = build_system(
            config, profile.fps, profile.audio_rate_hz, towers, profile=profile, recurrences=recurrences
        )
        loaded = _load_weights(system, init or InitialWeights())

    # Start the processes; the first one writes.
    fabric = make_fabric(config.training, has_unused_weights=has_unused_weights(system.model))
    ranks.start()
    fabric.launch()
    fabric.barrier()  # the launch is no meeting where Ray, or a former training, set the process group up
    if fabric.is_global_zero:
        # Write the config also when resuming, because the length of the run may change.
        folder.create(to_yaml(config), record or _create_record(library, clips, system, loaded))
        _report_start(progress, loaded, clips, (describe_films(recipe, config), describe_recurrences(recurrences)))
    cache = prepare_features(fabric, system, config, clips, progress)
    state = TrainState(fabric, system, config)
    with explain_lack_of_memory("take a training step", TAKE_FEWER_CLIPS):
        return _train(fabric, clips, state, config=config, folder=folder, progress=progress, cache=cache)


def _report_start(
    progress: Progress, loaded: Sequence[LoadedWeights], clips: TrainingClips, notes: Sequence[str | None]
) -> None:
    """Show what was loaded, which films are left out, and what is done otherwise than the recipe says."""
    for weights in loaded:
        progress.on_loaded(weights)
    if clips.plan.left_out:
        progress.on_left_out(clips.plan.left_out)
    for note in notes:
        if note:
            progress.on_note(note)


def _resolve(config: RunConfig | str, overrides: Sequence[str]) -> RunConfig:
    if isinstance(config, str):
        return resolve(config, overrides)
    if overrides:
        raise ConfigError("overrides change a recipe, and a resolved config was given; pass them to resolve()")
    return config


def _open_former_bases(config: RunConfig, folder: RunFolder, record: RunRecord) -> dict[Modality, PublicTower]:
    """Return the public encoders that a run began with; all their weights, if its checkpoint does not replace them."""
    needs_weights = not folder.list_checkpoints() or any(
        config.adaptation.of(modality).distillation_weight for modality in record.bases
    )
    return open_bases(record.bases, config.adaptation, folder.root, needs_weights=needs_weights)


def _check_folder(folder: RunFolder, config: RunConfig, init: InitialWeights | None, *, resume: bool) -> None:
    """Check that the run's folder is new, or that its run can be resumed with this config."""
    if resume:
        folder.check_exists()
        check_unchanged(config, folder)
        if init:
            raise RunError(
                f"{folder.root} continues from its own weights; leave --init out, or start a new run with it"
            )
    # Every process checks this before the first one writes: all of them meet at the launch first.
    elif folder.exists():
        raise RunError(f"{folder.root} exists; continue it with --resume, or name a new folder")


def _train(
    fabric: Fabric,
    clips: TrainingClips,
    state: TrainState,
    *,
    config: RunConfig,
    folder: RunFolder,
    progress: Progress,
    cache: FeatureCache | None,
) -> PretrainReport:
    """Take the steps that are left, on features if there is a cache of them; return the first process's report."""
    training = config.training
    checkpoints = Checkpoints(
        folder, state.system, state.optimiser, state.average, training, keys=state.keys, wait=fabric.barrier
    )

    def save(step: int, means: dict[str, float]) -> None:
        prepare_statistics(state, partial(_read_batch, fabric, clips, cache), step, training)
        checkpoints.save(step, means, writes=fabric.is_global_zero)
        fabric.barrier()

    # Start from the newest checkpoint, or save the first one.
    start = _restore_newest(fabric, folder, checkpoints)
    if start is None:
        save(0, {})
        start = 0

    steps = range(start, training.steps)
    batches = _load_batches(fabric, clips, cache, steps, config)
    last: dict[str, float] = {}
    with _open_metrics(fabric, folder, start, config) as metrics:

        def log(line: dict[str, float]) -> None:
            last.update(line)
            if metrics:
                metrics.write(line)
                progress.on_log(line)

        def report_step(step: int) -> None:
            if metrics:
                progress.on_step(step)

        def explain_not_finite(what: str, step: int) -> str:
            batch = clips.plan.draw_batch(step - 1)
            sentence = write_not_finite(folder, batch, what, step, writes=metrics is not None)
            fabric.barrier()  # wait for the file, because the first process that stops may end the others
            return sentence

        hooks = Hooks(log, state.update_average, report_step, save, explain_not_finite)
        run_loop(fabric, state.stepper, state.wrapped_optimiser, batches, steps=steps, config=config, hooks=hooks)

    best, stamp, steps_done = folder.find_best(), checkpoints.compute_stamp(), max(start, training.steps)
    best_step = best.step if best else None
    return fabric.broadcast(PretrainReport(folder.root, steps_done, stamp, last, clips.plan.left_out, best_step))


def _load_batches(
    fabric: Fabric, clips: TrainingClips, cache: FeatureCache | None, steps: range, config: RunConfig
) -> Iterator[TrainingBatch]:
    """Return this rank's share of the batches of `steps`: features if there is a cache of them, or clips."""
    rank, ranks = fabric.global_rank, fabric.world_size
    if cache is not None:
        return cache.read_batches(steps, rank=rank, world_size=ranks)
    return _read_on(load_batches(clips.source, clips.plan, steps, config.loader, rank=rank, world_size=ranks))


def _read_on(batches: Iterator[TrainingBatch]) -> Iterator[TrainingBatch]:
    """Yield batches; a film that cannot be read any more is a failure of work that has begun."""
    try:
        yield from batches
    except UsageError as error:
        raise WorkError(str(error)) from error


def _read_batch(fabric: Fabric, clips: TrainingClips, cache: FeatureCache | None, step: int) -> TrainingBatch:
    """Return this rank's share of a step's batch, on its device and read in this process: for a few batches."""
    rank, ranks = fabric.global_rank, fabric.world_size
    if cache is not None:
        return cache.read_batch(step, rank=rank, world_size=ranks).to(fabric.device)
    return clips.source.read_batch(clips.plan.draw_batch(step).select_rank(rank, ranks)).to(fabric.device)


def prepare_features(
    fabric: Fabric, system: ContrastiveSystem, config: RunConfig, clips: TrainingClips, progress: Progress
) -> FeatureCache | None:
    """Compute the features of frozen towers that are missing, and return their cache; None if the towers run.

    All ranks must call it.
    """
    if not config.adaptation.cache:
        return None
    note = explain_no_cache(system)
    cache = None if note else open_feature_cache(system, config, clips)
    if cache is not None:
        note = cache.describe_missing()
    if note and fabric.is_global_zero:
        progress.on_note(note)
    if cache is not None:
        cache.fill(fabric, progress.on_features if fabric.is_global_zero else lambda _done, _all: None)
    return cache


def _restore_newest(fabric: Fabric, folder: RunFolder, checkpoints: Checkpoints) -> int | None:
    """Restore the newest checkpoint on every rank, and return its step, or None if there is none."""
    found = folder.list_checkpoints()
    fabric.barrier()  # every rank looks before the first one writes

    # Use what the first rank found: on a shared disk, another rank may not see it yet.
    newest = fabric.broadcast(found[-1].step if found else None)
    return None if newest is None else checkpoints.restore(folder.get_checkpoint(newest))


def _open_metrics(
    fabric: Fabric, folder: RunFolder, start: int, config: RunConfig
) -> AbstractContextManager[MetricsLog | None]:
    """Return the log of the first rank; other ranks have none."""
    if not fabric.is_global_zero:
        return nullcontext()
    return MetricsLog(folder, start, config.training.trackers, config.model_dump(mode="json"))


def _load_weights(system: ContrastiveSystem, init: InitialWeights) -> tuple[LoadedWeights, ...]:
    """Load the weights of `init` into the encoders, and return what was loaded."""
    encoders = ((system.model.video, init.video), (system.model.audio, init.audio))
    return tuple(load_encoder_weights(encoder, path) for encoder, path in encoders if path)


def _create_record(
    library: str | Path, clips: TrainingClips, system: ContrastiveSystem, loaded: tuple[LoadedWeights, ...]
) -> RunRecord:
    """Return the record of a new run: its library, films, initial weights and the versions of its tools."""
    tools = {"talkies": version("talkies"), **{name: version(name) for name in ("torch", "av", "lightning-fabric")}}
    stamps = {"video": compute_model_stamp(system.model.video), "audio": compute_model_stamp(system.model.audio)}
    recurrences = system.objective.recurrences
    return RunRecord(
        library=str(library) if is_remote(library) else path_to_text(Path(library).absolute()),
        profile=clips.profile.model_dump(),
        films=clips.plan.films.film_ids,
        plan_digest=clips.plan.digest,
        recurrences_digest=recurrences.digest if recurrences is not None else "",
        bases=find_bases(system.model),
        init={weights.modality: f"{weights.path.absolute()} ({stamps[weights.modality]})" for weights in loaded},
        tools=tools,
    )
