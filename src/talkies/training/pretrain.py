"""The verb: a library and a recipe in, a run out."""

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from lightning_fabric import Fabric

from talkies.clips import TrainingClips, loader, open_for_training
from talkies.config import check, read_yaml, to_yaml
from talkies.core import ClipRequest, RunError
from talkies.models import compute_model_stamp
from talkies.runs import Init, LoadedWeights, RunFolder, RunRecord, load_encoder_weights
from talkies.runtime import is_remote, write_atomically
from talkies.training.checkpoints import Checkpoints
from talkies.training.config import RunConfig
from talkies.training.devices import check_devices, make_fabric
from talkies.training.train_state import TrainState, build_system
from talkies.training.loop import Hooks, run_loop
from talkies.training.metrics import MetricsLog
from talkies.training.system import ContrastiveSystem
from talkies.training.trackers import check_trackers

_MAY_CHANGE = {
    *("steps", "log_every", "checkpoint_every", "keep", "trackers"),
    *("device", "devices", "strategy", "compile", "activation_checkpointing"),
}


@dataclass(frozen=True, slots=True)
class PretrainReport:
    """What a pre-training came to: its folder, steps done, the stamp of the weights, the last line that was logged, the
    films that were left out, too short for their clips, and the step of the best checkpoint.
    """

    run: Path
    steps: int
    stamp: str
    last: dict[str, float]
    left_out: tuple[str, ...] = ()
    best_step: int | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """What the caller wants to see: each step done, each line logged, and before the first step which weights were
    loaded and which films were left out.
    """

    on_step: Callable[[int], None] = lambda _: None
    on_log: Callable[[dict[str, float]], None] = lambda _: None
    on_left_out: Callable[[tuple[str, ...]], None] = lambda _: None
    on_loaded: Callable[[LoadedWeights], None] = lambda _: None


def pretrain(
    library: str | Path,
    config: RunConfig,
    run: Path,
    resume: bool = False,
    progress: Progress | None = None,
    *,
    init: Init | None = None,
) -> PretrainReport:
    """Pre-train on every accepted film of `library` into the folder `run`, from the weights of `init` where given.

    With `resume` the run goes on from its newest checkpoint, on the films that it began with.

    Raises:
        RunError: if `run` exists and `resume` is not asked for, or the other way round.
        ConfigError, LibraryError, PlanError: if the recipe, the weights, the library or the plan cannot be; nothing is
            written then.
        WorkError: if the work fails.
    """
    folder, progress = RunFolder(run), progress or Progress()
    check_devices(config)
    check_trackers(config.training.trackers)
    if resume:
        folder.check_exists()
        _check_unchanged(config, folder)
        if init:
            raise RunError(f"{run} goes on from its own weights; leave --init out, or begin a new run with it")
    elif folder.exists():  # asked by every process before the first may write, for that waits for all at the launch
        raise RunError(f"{run} exists; go on with it with --resume, or name a new folder")
    before = folder.record() if resume else None
    if before and before.init and not folder.checkpoints():
        raise RunError(f"{run} was stopped before it had kept the weights of --init; remove it, and begin it again")
    clips = open_for_training(
        library, config.clip, config.sampling, config.training.seed, before.films if before else None
    )
    if before and before.plan_digest not in ("", clips.plan.digest):
        raise RunError(
            f"{run} was begun when {library} marked its films otherwise (its shots, what is black, silent, still, "
            f"credits or damaged), and would go on with other batches; begin a new run"
        )
    system = build_system(config, clips.profile.fps, clips.profile.audio_rate_hz)
    loaded = _loaded(system, init or Init())
    fabric = make_fabric(config.training)
    fabric.launch()
    if fabric.is_global_zero:
        record = before or _record(library, clips, system, loaded)
        folder.begin(to_yaml(config), record)  # when it is resumed too, for the length of a run may change
        for weights in loaded:
            progress.on_loaded(weights)
        if clips.plan.left_out:
            progress.on_left_out(clips.plan.left_out)
    return _train(fabric, clips, TrainState(fabric, system, config), config, folder, progress)


def _train(
    fabric: Fabric,
    clips: TrainingClips,
    state: TrainState,
    config: RunConfig,
    folder: RunFolder,
    progress: Progress,
) -> PretrainReport:
    training = config.training
    checkpoints = Checkpoints(folder, state.system, state.optimiser, state.average, training)
    found = folder.checkpoints()
    fabric.barrier()  # all ranks have looked before the first writes
    # All go on from what the first has found: on a shared disk another may not see it yet.
    newest = fabric.broadcast(found[-1].step if found else None)
    start = 0 if newest is None else checkpoints.restore(folder.checkpoint(newest))

    def save(step: int, means: dict[str, float]) -> None:
        checkpoints.save(step, means, fabric.is_global_zero)
        fabric.barrier()

    if newest is None:
        save(0, {})
    steps = range(start, training.steps)
    last: dict[str, float] = {}
    batches = loader(clips.source, clips.plan, steps, config.loader, fabric.global_rank, fabric.world_size)
    with _metrics(fabric, folder, start, config) as metrics:

        def log(line: dict[str, float]) -> None:
            last.update(line)
            if metrics:
                metrics.write(line)
                progress.on_log(line)

        def step_done(step: int) -> None:
            if metrics:
                progress.on_step(step)

        def not_finite(what: str, step: int) -> str:
            sentence = _not_finite(folder, clips.plan.draw_batch(step - 1), what, step, writes=metrics is not None)
            fabric.barrier()  # the first process to stop may end the others
            return sentence

        hooks = Hooks(log, state.update_average, step_done, save, not_finite)
        run_loop(fabric, state.stepper, state.wrapped_optimiser, batches, steps, config, hooks)
    best = folder.best()
    stamp, best_step = checkpoints.stamp(), best.step if best else None
    report = PretrainReport(folder.root, max(start, training.steps), stamp, last, clips.plan.left_out, best_step)
    return fabric.broadcast(report)  # the first process's: batch norms' statistics, of what others saw, are not saved


def _metrics(
    fabric: Fabric, folder: RunFolder, start: int, config: RunConfig
) -> AbstractContextManager[MetricsLog | None]:
    if not fabric.is_global_zero:
        return nullcontext()
    return MetricsLog(folder, start, config.training.trackers, config.model_dump(mode="json"))


def _not_finite(folder: RunFolder, batch: Sequence[ClipRequest], what: str, step: int, *, writes: bool) -> str:
    """Write down the batch that gave no finite number, and return the sentence to stop with."""
    clips = [
        {
            "film": request.film_id,
            "start_frame": request.window.start_frame,
            "end_frame": request.window.end_frame,
            "sound_shift_frames": request.audio_shift_frames,
        }
        for request in batch
    ]
    document = {"schema_version": 1, "step": step, "what": what, "clips": clips}
    if writes:
        write_atomically(folder.not_finite_path, json.dumps(document, indent=1))
    films = ", ".join(sorted({request.film_id for request in batch}))
    return (
        f"the {what} of step {step} is not a finite number (films {films}; its clips are in {folder.not_finite_path}); "
        f"nothing was learnt from it: begin a new run with a lower optimiser.learning_rate or a higher "
        f"objective.temperature"
    )


def _check_unchanged(config: RunConfig, folder: RunFolder) -> None:
    """Refuse to go on with a run under another config; what only concerns the machine or the length may change."""
    before = check(RunConfig, read_yaml(folder.config_path), str(folder.config_path)).model_dump()
    for section, values in config.model_dump().items():
        for key, value in values.items():
            free = section == "loader" or (section == "training" and key in _MAY_CHANGE)
            if not free and before[section][key] != value:
                raise RunError(
                    f"{folder.root} was begun with {section}.{key} = {before[section][key]}, not {value}; "
                    f"go on without that change, or begin a new run"
                )


def _loaded(system: ContrastiveSystem, init: Init) -> tuple[LoadedWeights, ...]:
    given = ((system.model.video, init.video), (system.model.audio, init.audio))
    return tuple(load_encoder_weights(encoder, path) for encoder, path in given if path)


def _record(
    library: str | Path, clips: TrainingClips, system: ContrastiveSystem, loaded: tuple[LoadedWeights, ...]
) -> RunRecord:
    tools = {"talkies": version("talkies"), **{name: version(name) for name in ("torch", "av", "lightning-fabric")}}
    stamps = {"video": compute_model_stamp(system.model.video), "audio": compute_model_stamp(system.model.audio)}
    return RunRecord(
        library=str(library if is_remote(library) else Path(library).absolute()),
        profile=clips.profile.model_dump(),
        films=clips.plan.films.film_ids,
        plan_digest=clips.plan.digest,
        init={weights.tower: f"{weights.path.absolute()} ({stamps[weights.tower]})" for weights in loaded},
        tools=tools,
    )
