"""`cost`: what a run would take on this machine, estimated from short trials, and what to change if it is too much."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import count, takewhile
from pathlib import Path

import torch

from talkies.clips import LoaderConfig, TrainingClips, check_decoder, measure_workers, open_training_clips
from talkies.runtime import count_cores, is_remote
from talkies.training.config import RunConfig
from talkies.training.cost.advice import MIN_CLIPS, USABLE_MEMORY, add_advice
from talkies.training.cost.features import is_run_on_features, measure_feature_run
from talkies.training.cost.stretch import measure_stretch
from talkies.training.cost.values import Cost, Stretch
from talkies.training.devices import (
    check_devices,
    check_queue,
    count_processes,
    measure_available_memory,
    select_device,
)
from talkies.training.fitting import choose_clip_of_encoders, take_films_there_are
from talkies.training.momentum import compute_queue_bytes
from talkies.training.profile_step import LinearFit, StepProfiler, Trial

_LOADING_SHARE = 0.1  # of the time of all measurements
_STRETCH_SHARE = 0.35  # of what is left
_LOG_BYTES = 2_500  # a line of `metrics.jsonl` and its numbers in TensorBoard

OnPart = Callable[[str], None]


def estimate_cost(
    library: str | Path, config: RunConfig, seconds: float = 120.0, on_part: Callable[[str], None] = lambda _: None
) -> Cost:
    """Return what a run of `config` over `library` would take on this machine; nothing is left behind.

    Where the config has more devices than this machine, one is measured, and the others are assumed to be the same.

    Args:
        library: the library's folder or address.
        config: the recipe.
        seconds: about how long to measure.
        on_part: takes the name of each part of the measurement when it starts.

    Raises:
        ConfigError, LibraryError, PlanError: as `pretrain` does.
    """
    config = take_films_there_are(choose_clip_of_encoders(config, library), library)
    single = _restrict_to_one_device(config)
    check_devices(single)
    clips = open_training_clips(library, config.clip, config.sampling, config.training.seed)
    check_decoder(config.loader, clips.source, clips.plan)
    check_queue(config, len(clips.plan.films))
    queue_bytes = compute_queue_bytes(config, len(clips.plan.films))
    local_processes, machines = count_processes(config.training)
    processes = local_processes * machines
    share = config.sampling.batch_clips // processes

    # Measure the loader of all processes of a machine, then what one process does.
    on_part("loading")
    loading = measure_workers(clips.source, clips.plan, _fix_workers(config.loader, 1), seconds * _LOADING_SHARE)
    profiler, own_loader = StepProfiler(single, clips), _fix_workers(config.loader, local_processes)
    trials, stretch, feature_seconds = _measure_process(
        profiler, single, clips, own_loader, share=share, seconds=seconds * (1 - _LOADING_SHARE), on_part=on_part
    )
    memory_fit = profiler.fit_memory(trials)
    stretch = _add_start(stretch, profiler, loading.start_seconds)

    # Extrapolate to a device's share of the batch and to the whole run.
    cost = Cost(
        device=_name_device(config),
        processes=processes,
        steps=config.training.steps,
        clips=share,
        clip_seconds=config.clip.frames / config.clip.fps,
        trials=trials,
        step_seconds=profiler.fit_seconds(trials).predict(share),
        memory_bytes=_estimate_memory(memory_fit, share, stretch, config, queue_bytes),
        available_memory_bytes=measure_available_memory(config.training),
        loader_workers=loading.workers,
        loader_clips_per_second=loading.clips_per_second,
        shared_cores=0 if select_device(config.training) == "cuda" else count_cores(),
        disk_bytes=_estimate_disk(profiler.measure_state_bytes() + queue_bytes, config),
        available_disk_bytes=shutil.disk_usage(Path.cwd() if is_remote(library) else library).free,
        advice=(),
        queue_bytes=queue_bytes,
        stretch=stretch,
        checkpoints=-(-config.training.steps // config.training.checkpoint_every),
        feature_seconds=feature_seconds / processes,
    )
    return add_advice(cost, memory_fit, config)


def _add_start(stretch: Stretch, profiler: StepProfiler, first_batch_seconds: float) -> Stretch:
    """Return the stretch with the whole start of a run: its model is built, and its readers start for the first time.

    The processes of the stretch itself started faster, because those that measured the loading had started before.
    """
    return replace(stretch, start_seconds=stretch.start_seconds + profiler.build_seconds + first_batch_seconds)


def _fix_workers(loader: LoaderConfig, processes: int) -> LoaderConfig:
    """Return the loader with the number of workers that each of so many processes of this machine has."""
    return loader.model_copy(update={"workers": loader.count_workers(count_cores(), processes)})


def _measure_process(
    profiler: StepProfiler,
    config: RunConfig,
    clips: TrainingClips,
    loader: LoaderConfig,
    *,
    share: int,
    seconds: float,
    on_part: OnPart,
) -> tuple[tuple[Trial, ...], Stretch, float]:
    """Return trials of steps alone, a stretch of training, and the seconds to compute features, for one process."""
    if is_run_on_features(profiler, config):
        on_part("features and heads")
        trial, stretch, feature_seconds = measure_feature_run(profiler, config, clips, seconds)
        return (trial,), stretch, feature_seconds

    on_part("steps")
    memory = int(measure_available_memory(config.training) * USABLE_MEMORY)
    sizes = plan_trials(share, config.training.chunk_clips)
    stretch_seconds = seconds * _STRETCH_SHARE
    trials = profiler.run_trials(sizes, seconds - stretch_seconds, memory)
    on_part("training with the loader")
    size = trials[-1].clips
    return trials, measure_stretch(profiler, config, clips, loader, size=size, seconds=stretch_seconds), 0.0


def _restrict_to_one_device(config: RunConfig) -> RunConfig:
    training = config.training.model_copy(update={"devices": 1, "strategy": "ddp", "sync_batch_norm": False})
    return config.model_copy(update={"training": training})


def plan_trials(share: int, chunk_clips: int | None) -> list[int]:
    """Return the numbers of clips to try: doubling up to a device's share, or two chunks and then three.

    Every chunk after the first two takes the same time and memory.
    """
    if chunk_clips is not None and chunk_clips < share:
        return sorted({min(2 * chunk_clips, share), min(3 * chunk_clips, share)})
    return [*takewhile(lambda size: size < share, (MIN_CLIPS << power for power in count())), share]


def _estimate_memory(fit: LinearFit, share: int, stretch: Stretch, config: RunConfig, queue_bytes: int) -> int:
    """Return the bytes that a device needs for its share, or on CPUs what all processes of a machine need."""
    step_bytes = int(fit.predict(share))
    if stretch.clips == share:
        step_bytes = max(step_bytes, stretch.peak_bytes)
    if select_device(config.training) == "cuda":
        return step_bytes + queue_bytes
    return (step_bytes + stretch.worker_bytes + queue_bytes) * count_processes(config.training)[0]


def _estimate_disk(checkpoint_bytes: int, config: RunConfig) -> int:
    """Return the size of a run's folder: first, last and best checkpoints, one being written, and the log."""
    training = config.training
    checkpoints = min(training.keep + 3, 2 + training.steps // training.checkpoint_every)
    return checkpoint_bytes * checkpoints + _LOG_BYTES * training.steps // training.log_every


def _name_device(config: RunConfig) -> str:
    if select_device(config.training) == "cuda":
        return torch.cuda.get_device_name()
    return f"CPU, {torch.get_num_threads()} threads"
