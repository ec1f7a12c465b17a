"""The verb: a library and a recipe in, a run out."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from lightning_fabric import Fabric

from talkies.clips import TrainingClips, loader, open_for_training
from talkies.config import check, read_yaml, to_yaml
from talkies.core import ConfigError, RunError, is_remote
from talkies.models import Checkpoint, CheckpointState, RunFolder, RunRecord, TwoTower, build_model, stamp_of
from talkies.objectives import ContrastiveObjective
from talkies.training.config import RunConfig
from talkies.training.loop import Hooks, System, run_loop
from talkies.training.metrics import MetricsLog
from talkies.training.optimiser import build_optimiser, optimiser_tensors, restore_optimiser
from talkies.transforms import ClipTransform

_MAY_CHANGE = {"steps", "log_every", "checkpoint_every", "keep", "device"}


@dataclass(frozen=True, slots=True)
class PretrainReport:
    """What a pre-training came to: its folder, steps done, the stamp of the weights, the last line that was logged, and
    the films that were left out, too short for their clips.
    """  # noqa: D205

    run: Path
    steps: int
    stamp: str
    last: dict[str, float]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """What the caller wants to see: each step done, each line logged, and before the first step the films left out."""

    on_step: Callable[[int], None] = lambda _: None
    on_log: Callable[[dict[str, float]], None] = lambda _: None
    on_left_out: Callable[[tuple[str, ...]], None] = lambda _: None


def pretrain(
    library: str | Path, config: RunConfig, run: Path, resume: bool = False, progress: Progress | None = None
) -> PretrainReport:
    """Pre-train on every accepted film of `library` into the folder `run`.

    With `resume` the run goes on from its newest checkpoint, on the films that it began with.

    Raises:
        RunError: if `run` exists and `resume` is not asked for, or the other way round.
        ConfigError, LibraryError, PlanError: if the recipe, the library or the plan cannot be; nothing is written then.
        WorkError: if the work fails.
    """
    folder, progress = RunFolder(run), progress or Progress()
    _check_devices(config)
    if resume:
        folder.check_exists()
        _check_unchanged(config, folder)
    before = folder.record() if resume else None
    clips = open_for_training(
        library, config.clip, config.sampling, config.training.seed, before.films if before else None
    )
    if before and before.plan_digest not in ("", clips.plan.digest):
        raise RunError(
            f"{run} was begun when {library} marked its films otherwise (its shots, what is black, silent, still, "
            f"credits or damaged), and would go on with other batches; begin a new run"
        )
    training = config.training
    fabric = Fabric(accelerator=training.device, devices=training.devices, precision=training.precision)
    fabric.launch()
    if clips.plan.left_out and fabric.is_global_zero:
        progress.on_left_out(clips.plan.left_out)
    if not resume and fabric.is_global_zero:
        if folder.exists():
            raise RunError(f"{run} exists; go on with it with --resume, or name a new folder")
        folder.begin(to_yaml(config), _record(library, clips))
    elif fabric.is_global_zero:
        folder.begin(to_yaml(config), folder.record())  # the length of a run may change
    return _train(fabric, clips, config, folder, progress)


def _train(
    fabric: Fabric, clips: TrainingClips, config: RunConfig, folder: RunFolder, progress: Progress
) -> PretrainReport:
    system = _build(config, clips.profile.audio_rate_hz)
    optimiser = build_optimiser(system, config.optimiser)
    wrapped, wrapped_optimiser = fabric.setup(system, optimiser)
    found = folder.checkpoints()
    fabric.barrier()  # all ranks have looked before the first writes
    # Restored after the set-up: by then the parameters are on their device, and the moments follow them there.
    start = _restore(found[-1], system, optimiser) if found else 0

    def save(step: int) -> None:
        if fabric.is_global_zero:
            tensors, counters = optimiser_tensors(optimiser)
            state = CheckpointState(step=step, stamp=stamp_of(system.model), optimiser_steps=counters)
            folder.save(state, _weights(system), tensors)
            folder.keep(config.training.keep)
        fabric.barrier()

    if not found:
        save(0)
    steps = range(start, config.training.steps)
    last: dict[str, float] = {}
    batches = loader(clips.source, clips.plan, steps, config.loader, fabric.global_rank, fabric.world_size)
    with MetricsLog(folder, after_step=start) if fabric.is_global_zero else nullcontext() as metrics:

        def log(line: dict[str, float]) -> None:
            last.update(line)
            if metrics:
                metrics.write(line)
                progress.on_log(line)

        def step_done(step: int) -> None:
            if metrics:
                progress.on_step(step)

        hooks = Hooks(on_log=log, on_step=step_done, on_checkpoint=save)
        run_loop(fabric, wrapped, wrapped_optimiser, batches, steps, config, hooks)
    return PretrainReport(
        folder.root, max(start, config.training.steps), stamp_of(system.model), last, clips.plan.left_out
    )


def _build(config: RunConfig, rate_hz: int) -> System:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.training.seed)
        model: TwoTower = build_model(config.model)
    return System(ClipTransform(config.transforms, rate_hz), model, ContrastiveObjective(config.objective))


def _weights(system: System) -> dict[str, torch.Tensor]:
    objective = {f"objective.{name}": tensor for name, tensor in system.objective.state_dict().items()}
    return {f"model.{name}": tensor for name, tensor in system.model.state_dict().items()} | objective


def _restore(checkpoint: Checkpoint, system: System, optimiser: torch.optim.Optimizer) -> int:
    state = checkpoint.state()
    system.load_state_dict(checkpoint.model_weights())
    restore_optimiser(optimiser, checkpoint.optimiser_weights(), state.optimiser_steps)
    return state.step


def _check_devices(config: RunConfig) -> None:
    if config.training.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "training.device is cuda and this machine has no CUDA device; set training.device=cpu or auto"
        )
    if (
        config.training.device == "auto"
        and config.training.devices > 1
        and torch.cuda.device_count() < config.training.devices
    ):
        raise ConfigError(
            f"training.devices is {config.training.devices}, this machine has "
            f"{torch.cuda.device_count()} CUDA devices; lower it, or set training.device=cpu"
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


def _record(library: str | Path, clips: TrainingClips) -> RunRecord:
    tools = {"talkies": version("talkies"), **{name: version(name) for name in ("torch", "av", "lightning-fabric")}}
    return RunRecord(
        library=str(library if is_remote(library) else Path(library).absolute()),
        profile=clips.profile.model_dump(),
        films=clips.plan.films.film_ids,
        plan_digest=clips.plan.digest,
        tools=tools,
    )
