"""The verb: what a run would take on this machine, from two minutes of trials, and what to change if it is much."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count, takewhile
from pathlib import Path

import psutil
import torch

from talkies.clips import count_cores, open_for_training, speed_of_workers
from talkies.runtime import is_remote
from talkies.training.config import RunConfig
from talkies.training.devices import check_devices, select_device, count_processes
from talkies.training.profile_step import LinearFit, StepProfiler, Trial

_LOADING_SHARE = 0.25  # of the time of all trials
_LOG_BYTES = 2_500  # a line of `metrics.jsonl` and its numbers in TensorBoard
_ROOM = 0.9  # of the memory that there is, the rest is for what comes and goes
_WAITING = 0.05  # of the time: more is worth mending
_LONG_HOURS = 48
_FIRST = 2  # the smallest batch that has a negative


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run takes: measured on one device of this machine, reckoned for all `processes` of the run.

    `clips` is one device's share of a batch; `trials` are what was measured, and where the largest had fewer clips,
    `step_seconds` and `memory_bytes` are drawn on in a straight line. `loader_clips_per_second` is what this machine
    reads for all its processes; where a CPU trains, reading takes from its `shared_cores` (0: a GPU trains). `advice`
    is what to change, a sentence each; with none, the run fits.
    """

    device: str
    processes: int
    steps: int
    clips: int
    clip_seconds: float
    trials: tuple[Trial, ...]
    step_seconds: float
    memory_bytes: int
    memory_there_bytes: int
    loader_workers: int
    loader_clips_per_second: float
    shared_cores: int
    disk_bytes: int
    disk_there_bytes: int
    advice: tuple[str, ...]

    @property
    def compute_clips_per_second(self) -> float:
        """How many clips a second all devices learn from where clips are ready."""
        return self.clips * self.processes / self.step_seconds

    @property
    def clips_per_second(self) -> float:
        """How many they learn from with this loader."""
        if self.shared_cores:
            reading_seconds = self.loader_workers / self.loader_clips_per_second / self.shared_cores
            return 1 / (1 / self.compute_clips_per_second + reading_seconds)
        return min(self.compute_clips_per_second, self.loader_clips_per_second)

    @property
    def waiting_share(self) -> float:
        """Which share of a step is spent waiting for clips, or for the cores that read them."""
        return 1 - self.clips_per_second / self.compute_clips_per_second

    @property
    def hours(self) -> float:
        """How long the run lasts."""
        return self.steps * self.clips * self.processes / self.clips_per_second / 3600

    @property
    def device_hours(self) -> float:
        """How long all its devices are kept, together."""
        return self.hours * self.processes

    @property
    def is_measured(self) -> bool:
        """Whether a whole share of a batch was tried."""
        return self.trials[-1].clips == self.clips


def cost(
    library: str | Path, config: RunConfig, seconds: float = 120.0, on_part: Callable[[str], None] = lambda _: None
) -> Cost:
    """Return what a run of `config` over `library` would take on this machine, from trials of about `seconds`.

    Where the config has more devices than this machine, one is tried, and the run is reckoned as on many such.

    Raises:
        ConfigError, LibraryError, PlanError: as `pretrain` does.
    """
    alone = _on_one_device(config)
    check_devices(alone)
    clips = open_for_training(library, config.clip, config.sampling, config.training.seed)
    processes = _processes(config)
    share = config.sampling.batch_clips // processes
    on_part("loading")
    workers = config.loader.workers_on(count_cores())
    loading = speed_of_workers(clips.source, clips.plan, workers, seconds * _LOADING_SHARE)
    on_part("steps")
    there = _memory_there(config)
    probe = StepProfiler(alone, clips)
    sizes = _sizes(share, config.training.chunk_clips)
    trials = probe.trials(sizes, seconds * (1 - _LOADING_SHARE), int(there * _ROOM))
    memory = probe.memory_line(trials)
    found = Cost(
        device=_device_name(config),
        processes=processes,
        steps=config.training.steps,
        clips=share,
        clip_seconds=config.clip.frames / config.clip.fps,
        trials=trials,
        step_seconds=probe.seconds_line(trials).at(share),
        memory_bytes=_memory(memory, share, config),
        memory_there_bytes=there,
        loader_workers=workers,
        loader_clips_per_second=loading.clips_per_second,
        shared_cores=0 if select_device(config.training) == "cuda" else count_cores(),
        disk_bytes=_disk(probe.state_bytes(), config),
        disk_there_bytes=shutil.disk_usage(Path.cwd() if is_remote(library) else library).free,
        advice=(),
    )
    return _advised(found, memory, config)


def _on_one_device(config: RunConfig) -> RunConfig:
    training = config.training.model_copy(update={"devices": 1, "strategy": "ddp", "sync_batch_norm": False})
    return config.model_copy(update={"training": training})


def _processes(config: RunConfig) -> int:
    beside, machines = count_processes(config.training)
    return beside * machines


def _sizes(share: int, chunk: int | None) -> list[int]:
    """Return how many clips to try: twice as many each time, up to a share; where there are chunks, two of them and
    then three, for each chunk more takes alike.
    """
    if chunk is not None and chunk < share:
        return sorted({min(2 * chunk, share), min(3 * chunk, share)})
    return [*takewhile(lambda size: size < share, (_FIRST << power for power in count())), share]


def _memory_there(config: RunConfig) -> int:
    """Return the memory of a device, or what is free of this machine's."""
    if select_device(config.training) == "cuda":
        return torch.cuda.get_device_properties(0).total_memory
    return psutil.virtual_memory().available + psutil.Process().memory_info().rss


def _memory(line: LinearFit, share: int, config: RunConfig) -> int:
    """Return what a device needs for its share, or on a CPU what all processes of this machine need."""
    beside = 1 if select_device(config.training) == "cuda" else count_processes(config.training)[0]
    return int(line.at(share) * beside)


def _disk(checkpoint_bytes: int, config: RunConfig) -> int:
    """Return what a run's folder comes to: first, last and best checkpoints, one being written, and its log."""
    training = config.training
    kept = min(training.keep + 3, 2 + training.steps // training.checkpoint_every)
    return checkpoint_bytes * kept + _LOG_BYTES * training.steps // training.log_every


def _device_name(config: RunConfig) -> str:
    if select_device(config.training) == "cuda":
        return torch.cuda.get_device_name()
    return f"CPU, {torch.get_num_threads()} threads"


def _advised(found: Cost, memory: LinearFit, config: RunConfig) -> Cost:
    """Return the cost with what to change."""
    advice = [*_memory_advice(found, memory, config), *_time_advice(found, config)]
    if found.disk_bytes > found.disk_there_bytes:
        advice.append("the disk has no room for it: lower training.keep, or make room")
    return replace(found, advice=tuple(advice))


def _memory_advice(found: Cost, memory: LinearFit, config: RunConfig) -> Iterator[str]:
    room = found.memory_there_bytes * _ROOM
    if found.memory_bytes <= room:
        return
    most = int((room - memory.base) / memory.slope) if memory.slope else 0
    clips = 1 << (max(most, 1).bit_length() - 1)
    now = config.training.chunk_clips
    if clips >= _FIRST and (now is None or clips < now) and clips < found.clips:
        yield f"memory is short: --set training.chunk_clips={clips} encodes so many clips at once, all still negatives"
    elif not config.training.activation_checkpointing:
        yield "memory is short: --set training.activation_checkpointing=true keeps less and computes it again"
    else:
        yield "memory is short: make clip.frames, transforms.video.size or the batch smaller, or train on more devices"
    if not config.training.activation_checkpointing and clips < found.clips:
        yield "or --set training.activation_checkpointing=true, which keeps less and computes a third more"


def _time_advice(found: Cost, config: RunConfig) -> Iterator[str]:
    if found.waiting_share > _WAITING and not found.shared_cores:
        yield (
            f"training waits for clips {found.waiting_share:.0%} of the time: more cores and loader.workers, or "
            f"several machines (see: talkies doctor)"
        )
    if select_device(config.training) == "cuda" and config.training.precision != "bf16-mixed":
        yield "--set training.precision=bf16-mixed is faster on most GPUs and takes less memory"
    if select_device(config.training) == "cuda" and not config.training.compile:
        yield "--set training.compile=true is faster in a long run"
    if select_device(config.training) == "cpu" and found.hours > _LONG_HOURS:
        yield "a CPU is slow for it: train on a GPU, take --recipe tiny, or lower training.steps"
