"""A stretch of training as a run does it: loader, steps, log and checkpoint together, in a temporary folder.

Steps that are measured alone are too hopeful: the processes that read take cores from the one that trains, and a
checkpoint measures the norms' statistics over further batches, which the training process reads itself.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from talkies.clips import LoaderConfig, TrainingClips, load_batches
from talkies.core import ClipBatch
from talkies.runs import RunFolder
from talkies.training.checkpoints import Checkpoints
from talkies.training.config import RunConfig
from talkies.training.cost.values import Stretch
from talkies.training.features.values import TrainingBatch
from talkies.training.metrics import MetricsLog
from talkies.training.profile_step import StepProfiler, watch_peak_memory
from talkies.training.recalibration import prepare_statistics

_STEPS = 1_000_000  # more than are ever measured
_WARM_UP_STEPS = 3  # they take what was read ahead while the processes started
_MIN_STEPS, _ENOUGH_STEPS = 2, 50
_REPEATS = 2  # of a batch that measures the norms' statistics: the first opens the films


@dataclass(frozen=True, slots=True)
class _Timed:
    """The mean duration of the timed steps, their number, and what the log and the first steps took in addition."""

    step_seconds: float
    steps: int
    extra_seconds: float


def measure_stretch(
    profiler: StepProfiler, config: RunConfig, clips: TrainingClips, loader: LoaderConfig, *, size: int, seconds: float
) -> Stretch:
    """Train for about `seconds` with steps of `size` clips, write a checkpoint, and return what it took.

    Args:
        profiler: has the throw-away model, on its device.
        config: the run's config.
        clips: the library's clips, and the plan of the batches.
        loader: how this process reads, with the number of its workers.
        size: the clips of a step: this device's share of a batch, or fewer.
        seconds: about how long to train at most; a few steps are taken in any case.
    """
    device = profiler.fabric.device

    def read(step: int) -> ClipBatch:
        return clips.source.read_batch(list(clips.plan.draw_batch(step))[:size]).to(device)

    with TemporaryDirectory(prefix="talkies-cost-") as folder, watch_peak_memory(device) as peak:
        run = RunFolder(Path(folder))
        with closing(load_batches(clips.source, clips.plan, range(_STEPS), loader)) as loaded:
            batches: Iterator[TrainingBatch] = (batch.to(device) for batch in _cut(loaded, size))
            first = next(batches)
            timed = time_steps(profiler, config, run, first, batches, seconds=seconds)
            worker_bytes = _measure_workers()
        write_seconds = measure_writing(profiler, config, run)
        checkpoint_seconds = measure_statistics(profiler, config, read) + write_seconds
    return Stretch(
        clips=size,
        steps=timed.steps,
        step_seconds=timed.step_seconds,
        start_seconds=timed.extra_seconds,
        checkpoint_seconds=checkpoint_seconds,
        write_seconds=write_seconds,
        peak_bytes=peak.bytes,
        worker_bytes=worker_bytes,
    )


def time_steps(
    profiler: StepProfiler,
    config: RunConfig,
    run: RunFolder,
    first: TrainingBatch,
    batches: Iterator[TrainingBatch],
    *,
    seconds: float,
) -> _Timed:
    """Take steps for about `seconds`, log them, and return the mean duration of those after the first few."""
    trackers = tuple(name for name in config.training.trackers if name == "tensorboard")  # others would see a run
    log_every, times, batch = config.training.log_every, list[float](), first
    opened = time.perf_counter()
    with MetricsLog(run, 0, trackers, {}) as metrics:
        started = last = time.perf_counter()
        for step in count():
            batch, numbers = profiler.take_step(batch, step, batches)
            if (step + 1) % log_every == 0:
                metrics.write({"step": step + 1, **numbers})
            now = time.perf_counter()
            times.append(now - last)
            last = now
            if _is_enough(times, seconds - (now - started)):
                break
    kept = times[_WARM_UP_STEPS:] or times[-1:]
    mean, first_ones = sum(kept) / len(kept), times[: len(times) - len(kept)]
    warm_up_seconds = max(0.0, sum(first_ones) - len(first_ones) * mean)
    return _Timed(mean, len(kept), started - opened + warm_up_seconds)


def _is_enough(times: list[float], seconds_left: float) -> bool:
    """Return whether there are enough steps, or no time for another."""
    if len(times) < _MIN_STEPS:
        return False
    is_slow = len(times) < _WARM_UP_STEPS and times[-1] > seconds_left
    return seconds_left <= 0 or is_slow or len(times) >= _ENOUGH_STEPS


def _cut(batches: Iterator[ClipBatch], size: int) -> Iterator[ClipBatch]:
    """Yield the clips of batches `size` at a time; what is left of a batch is left out."""
    for batch in batches:
        for start in range(0, len(batch) - size + 1, size):
            yield batch[start : start + size]


def _measure_workers() -> int:
    """Return the memory of the processes that this one started, without what they share with others."""
    total = 0
    for process in psutil.Process().children(recursive=True):
        try:
            memory = process.memory_info()
        except psutil.NoSuchProcess:  # it ended meanwhile
            continue
        total += memory.rss - getattr(memory, "shared", 0)
    return total


def measure_writing(profiler: StepProfiler, config: RunConfig, run: RunFolder) -> float:
    """Return the seconds that writing a checkpoint takes."""
    state, started = profiler.state, time.perf_counter()
    checkpoints = Checkpoints(run, state.system, state.optimiser, state.average, config.training, keys=state.keys)
    checkpoints.save(1, {}, writes=True)
    return time.perf_counter() - started


def measure_statistics(profiler: StepProfiler, config: RunConfig, read: Callable[[int], TrainingBatch]) -> float:
    """Return the seconds in which the norms' statistics of a checkpoint are measured over batches that `read` gives."""
    batches = config.training.recalibration_batches
    if not batches:
        return 0.0
    training = config.training.model_copy(update={"recalibration_batches": 1})
    for repeat in range(min(_REPEATS, batches)):
        started = time.perf_counter()
        prepare_statistics(profiler.state, read, repeat + 1, training)
        elapsed = time.perf_counter() - started
    return elapsed * batches
