"""`cost`: what a run would take on this machine, estimated from short trials, and what to change if it is too much."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count, takewhile
from pathlib import Path

import torch

from talkies.clips import measure_workers, open_training_clips
from talkies.runtime import count_cores, is_remote
from talkies.training.config import RunConfig
from talkies.training.devices import (
    check_devices,
    check_queue,
    count_processes,
    measure_available_memory,
    select_device,
)
from talkies.training.momentum import compute_queue_bytes
from talkies.training.profile_step import LinearFit, StepProfiler, Trial

_LOADING_SHARE = 0.25  # of the time of all trials
_LOG_BYTES = 2_500  # a line of `metrics.jsonl` and its numbers in TensorBoard
_USABLE_MEMORY = 0.9  # of the available memory; the rest is for temporary use
_WAITING_SHARE = 0.05  # of the time: waiting more is worth a suggestion
_LONG_HOURS = 48
_MIN_CLIPS = 2  # the smallest batch that has a negative


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run takes: measured on one device of this machine, and estimated for all processes of the run.

    Attributes:
        device: the name of the device.
        processes: the number of processes, each with one device.
        steps: the number of steps of the run.
        clips: one device's share of a batch.
        clip_seconds: the duration of a clip.
        trials: the steps that were measured, with more and more clips.
        step_seconds: the duration of a step; extrapolated in a straight line if the last trial had fewer clips.
        memory_bytes: the memory that a step needs, extrapolated likewise.
        available_memory_bytes: the memory of the device, or what is free on this machine.
        loader_workers: the number of processes that read clips.
        loader_clips_per_second: the clips that this machine reads for all its processes.
        shared_cores: the cores that reading shares with training (0: a GPU trains).
        disk_bytes: the size of the run's folder.
        available_disk_bytes: the free space on the disk.
        advice: what to change, a sentence each; with none, the run fits.
        queue_bytes: the part of the memory of a device, and of each checkpoint, that the queues of keys of all films
            take when they are full; 0 without queues.
    """

    device: str
    processes: int
    steps: int
    clips: int
    clip_seconds: float
    trials: tuple[Trial, ...]
    step_seconds: float
    memory_bytes: int
    available_memory_bytes: int
    loader_workers: int
    loader_clips_per_second: float
    shared_cores: int
    disk_bytes: int
    available_disk_bytes: int
    advice: tuple[str, ...]
    queue_bytes: int = 0

    @property
    def compute_clips_per_second(self) -> float:
        """The clips per second that all devices learn from when clips are always ready."""
        return self.clips * self.processes / self.step_seconds

    @property
    def clips_per_second(self) -> float:
        """The clips per second that all devices learn from with this loader."""
        if self.shared_cores:
            reading_seconds = self.loader_workers / self.loader_clips_per_second / self.shared_cores
            return 1 / (1 / self.compute_clips_per_second + reading_seconds)
        return min(self.compute_clips_per_second, self.loader_clips_per_second)

    @property
    def waiting_share(self) -> float:
        """The share of a step spent waiting for clips, or for the cores that read them."""
        return 1 - self.clips_per_second / self.compute_clips_per_second

    @property
    def hours(self) -> float:
        """The duration of the run in hours."""
        return self.steps * self.clips * self.processes / self.clips_per_second / 3600

    @property
    def device_hours(self) -> float:
        """The duration of the run times its devices, in hours."""
        return self.hours * self.processes

    @property
    def is_measured(self) -> bool:
        """Whether a trial had a device's whole share of a batch."""
        return self.trials[-1].clips == self.clips


def estimate_cost(
    library: str | Path, config: RunConfig, seconds: float = 120.0, on_part: Callable[[str], None] = lambda _: None
) -> Cost:
    """Return what a run of `config` over `library` would take on this machine.

    Where the config has more devices than this machine, one is measured, and the others are assumed to be the same.

    Args:
        library: the library's folder or address.
        config: the recipe.
        seconds: about how long to measure.
        on_part: takes the name of each part of the measurement when it starts.

    Raises:
        ConfigError, LibraryError, PlanError: as `pretrain` does.
    """
    single = _restrict_to_one_device(config)
    check_devices(single)
    clips = open_training_clips(library, config.clip, config.sampling, config.training.seed)
    check_queue(config, len(clips.plan.films))
    queue_bytes = compute_queue_bytes(config, len(clips.plan.films))
    local_processes, machines = count_processes(config.training)
    processes = local_processes * machines
    share = config.sampling.batch_clips // processes

    # Measure the loader.
    on_part("loading")
    workers = config.loader.count_workers(count_cores())
    loading = measure_workers(clips.source, clips.plan, workers, seconds * _LOADING_SHARE)

    # Measure steps of more and more clips.
    on_part("steps")
    available = measure_available_memory(config.training)
    profiler = StepProfiler(single, clips)
    sizes = _plan_trials(share, config.training.chunk_clips)
    trials = profiler.run_trials(sizes, seconds * (1 - _LOADING_SHARE), int(available * _USABLE_MEMORY))
    memory_fit = profiler.fit_memory(trials)

    # Extrapolate to a device's share of the batch and to the whole run.
    cost = Cost(
        device=_name_device(config),
        processes=processes,
        steps=config.training.steps,
        clips=share,
        clip_seconds=config.clip.frames / config.clip.fps,
        trials=trials,
        step_seconds=profiler.fit_seconds(trials).predict(share),
        memory_bytes=_estimate_memory(memory_fit, share, config, queue_bytes),
        available_memory_bytes=available,
        loader_workers=workers,
        loader_clips_per_second=loading.clips_per_second,
        shared_cores=0 if select_device(config.training) == "cuda" else count_cores(),
        disk_bytes=_estimate_disk(profiler.measure_state_bytes() + queue_bytes, config),
        available_disk_bytes=shutil.disk_usage(Path.cwd() if is_remote(library) else library).free,
        advice=(),
        queue_bytes=queue_bytes,
    )
    return _add_advice(cost, memory_fit, config)


def _restrict_to_one_device(config: RunConfig) -> RunConfig:
    training = config.training.model_copy(update={"devices": 1, "strategy": "ddp", "sync_batch_norm": False})
    return config.model_copy(update={"training": training})


def _plan_trials(share: int, chunk_clips: int | None) -> list[int]:
    """Return the numbers of clips to try: doubling up to a device's share, or two chunks and then three.

    Every chunk after the first two takes the same time and memory.
    """
    if chunk_clips is not None and chunk_clips < share:
        return sorted({min(2 * chunk_clips, share), min(3 * chunk_clips, share)})
    return [*takewhile(lambda size: size < share, (_MIN_CLIPS << power for power in count())), share]


def _estimate_memory(fit: LinearFit, share: int, config: RunConfig, queue_bytes: int) -> int:
    """Return the bytes that a device needs for its share, or on CPUs what all processes of a machine need."""
    processes = 1 if select_device(config.training) == "cuda" else count_processes(config.training)[0]
    return (int(fit.predict(share)) + queue_bytes) * processes


def _estimate_disk(checkpoint_bytes: int, config: RunConfig) -> int:
    """Return the size of a run's folder: first, last and best checkpoints, one being written, and the log."""
    training = config.training
    checkpoints = min(training.keep + 3, 2 + training.steps // training.checkpoint_every)
    return checkpoint_bytes * checkpoints + _LOG_BYTES * training.steps // training.log_every


def _name_device(config: RunConfig) -> str:
    if select_device(config.training) == "cuda":
        return torch.cuda.get_device_name()
    return f"CPU, {torch.get_num_threads()} threads"


def _add_advice(cost: Cost, memory_fit: LinearFit, config: RunConfig) -> Cost:
    """Return the cost with sentences about what to change."""
    advice = [*_advise_on_memory(cost, memory_fit, config), *_advise_on_time(cost, config)]
    if cost.disk_bytes > cost.available_disk_bytes:
        advice.append("the disk is too full for the run: lower training.keep, or free some space")
    return replace(cost, advice=tuple(advice))


def _advise_on_memory(cost: Cost, memory_fit: LinearFit, config: RunConfig) -> Iterator[str]:
    usable_bytes = cost.available_memory_bytes * _USABLE_MEMORY
    if cost.memory_bytes <= usable_bytes:
        return

    # Find the largest power of two of clips that fits.
    most = int((usable_bytes - memory_fit.base) / memory_fit.slope) if memory_fit.slope else 0
    clips = 1 << (max(most, 1).bit_length() - 1)
    current = config.training.chunk_clips
    can_chunk = clips >= _MIN_CLIPS and (current is None or clips < current) and clips < cost.clips

    if can_chunk:
        yield (
            f"not enough memory: --set training.chunk_clips={clips} encodes this many clips at a time, and keeps all "
            f"clips of the batch as negatives"
        )
    elif not config.training.activation_checkpointing:
        yield (
            "not enough memory: --set training.activation_checkpointing=true keeps fewer activations and recomputes "
            "the others"
        )
    else:
        yield (
            "not enough memory: make clip.frames, transforms.video.size or the batch smaller, or train on more devices"
        )
    if not config.training.activation_checkpointing and clips < cost.clips:
        yield "or --set training.activation_checkpointing=true, which needs less memory and a third more computation"


def _advise_on_time(cost: Cost, config: RunConfig) -> Iterator[str]:
    is_gpu = select_device(config.training) == "cuda"
    if cost.waiting_share > _WAITING_SHARE and not cost.shared_cores:
        yield (
            f"training waits for clips {cost.waiting_share:.0%} of the time: use more cores and loader.workers, or "
            f"several machines (see: talkies doctor)"
        )
    if is_gpu and config.training.precision != "bf16-mixed":
        yield "--set training.precision=bf16-mixed is faster on most GPUs and needs less memory"
    if is_gpu and not config.training.compile:
        yield "--set training.compile=true is faster in a long run"
    if not is_gpu and cost.hours > _LONG_HOURS:
        yield "this run is slow on a CPU: train on a GPU, use --recipe tiny, or lower training.steps"
