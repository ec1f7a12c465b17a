"""Short trials of training steps on this machine: their time and memory by the number of clips."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
import torch
from lightning_fabric import Fabric

from talkies.clips import TrainingClips
from talkies.core import ClipBatch, ClipRequest
from talkies.training.checkpoints import select_saved
from talkies.training.config import RunConfig
from talkies.training.devices import make_fabric
from talkies.training.features.values import TrainingBatch
from talkies.training.recurrences import read_recurrences
from talkies.training.train_state import TrainState, build_system

_REPEATS = 3
_MIN_STEPS = 2  # the first warms up, the second is timed
_POLL_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Trial:
    """A measured step of `clips` clips: its duration, the shortest of several, and its peak memory."""

    clips: int
    seconds: float
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class LinearFit:
    """A quantity that is linear in the number of clips: `base + slope · clips`."""

    base: float
    slope: float

    @classmethod
    def from_points(cls, points: list[tuple[int, float]]) -> "LinearFit":
        """Return the line through the last two points `(clips, value)`, with no negative slope or base.

        One point, or a line with a negative base, gives the line through the last point and the origin.
        """
        clips, value = points[-1]
        previous_clips, previous_value = points[-2] if len(points) > 1 else points[-1]
        if previous_clips == clips:
            return cls(0.0, value / clips)

        slope = max((value - previous_value) / (clips - previous_clips), 0.0)
        base = value - slope * clips
        return cls(base, slope) if base >= 0 else cls(0.0, value / clips)

    def predict(self, clips: int) -> float:
        """Return the value for a number of clips."""
        return self.base + self.slope * clips


class StepProfiler:
    """Measures training steps on one device of this machine, with a throw-away model and clips loaded beforehand."""

    def __init__(self, config: RunConfig, clips: TrainingClips) -> None:
        started, self._config, self._clips = time.perf_counter(), config, clips
        self.fabric: Fabric = make_fabric(config.training)
        self.fabric.launch()
        recurrences, profile = read_recurrences(config, clips), clips.profile
        system = build_system(config, profile.fps, profile.audio_rate_hz, profile=profile, recurrences=recurrences)
        self.state = TrainState(self.fabric, system, config)
        self._idle_bytes = float(_measure_memory(self.fabric.device))
        self.build_seconds = time.perf_counter() - started

    def run_trials(self, sizes: list[int], seconds: float, memory_bytes: int) -> tuple[Trial, ...]:
        """Return trials of more and more clips, at least one, while the next should fit the limits.

        Args:
            sizes: the numbers of clips to try, in ascending order.
            seconds: the time limit for all trials.
            memory_bytes: the memory limit for a step.
        """
        started, trials = time.perf_counter(), list[Trial]()
        for clips in sizes:
            seconds_left = seconds - (time.perf_counter() - started)
            if trials and (
                self.fit_seconds(trials).predict(clips) * _MIN_STEPS > seconds_left
                or self.fit_memory(trials).predict(clips) > memory_bytes
            ):
                break
            batch = self._load_batch(clips).to(self.fabric.device)
            trials.append(self._run_trial(batch, seconds_left))
        return tuple(trials)

    def fit_seconds(self, trials: Sequence[Trial]) -> LinearFit:
        """Return the duration of a step by its clips, in seconds."""
        return LinearFit.from_points([(trial.clips, trial.seconds) for trial in trials])

    def fit_memory(self, trials: Sequence[Trial]) -> LinearFit:
        """Return the memory of a step by its clips, in bytes; with no clips, it is what was in use before any trial."""
        peaks = [(trial.clips, float(trial.peak_bytes)) for trial in trials]
        return LinearFit.from_points([(0, self._idle_bytes), *peaks])

    def measure_state_bytes(self) -> int:
        """Return the size of a checkpoint after a step: weights, their average, and the optimiser's state."""
        tensors = list(select_saved(self.state.system).values())
        if self.state.average:
            tensors += self.state.average.state_dict().values()
        if self.state.keys:
            tensors += self.state.keys.list_weights()
        optimiser_state = (value for state in self.state.optimiser.state.values() for value in state.values())
        tensors += [torch.as_tensor(value) for value in optimiser_state if value is not None]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def _load_batch(self, clips: int) -> ClipBatch:
        """Return this many clips of the plan's first batches."""
        requests: list[ClipRequest] = []
        step = 0
        while len(requests) < clips:
            requests += list(self._clips.plan.draw_batch(step))[: clips - len(requests)]
            step += 1
        return self._clips.source.read_batch(requests)

    def _run_trial(self, batch: ClipBatch, seconds_left: float) -> Trial:
        # Start from a clean state: compiled code and freed memory of smaller trials would distort this one.
        if self._config.training.compile:
            torch._dynamo.reset()  # each size is compiled again, and PyTorch keeps only a few sizes
        if self.fabric.device.type == "cuda":
            torch.cuda.empty_cache()

        # Repeat the step, after one to warm up, while half of the time lasts.
        times: list[float] = []
        with watch_peak_memory(self.fabric.device) as peak:
            started = time.perf_counter()
            for number in range(_REPEATS + 1):
                step_started = time.perf_counter()
                self.take_step(batch, number)
                times.append(time.perf_counter() - step_started)
                if time.perf_counter() - started + times[-1] > seconds_left / 2 and number:
                    break
        return Trial(len(batch), min(times[1:]), peak.bytes)

    def take_step(
        self, batch: TrainingBatch, step: int, batches: Iterator[TrainingBatch] | None = None
    ) -> tuple[TrainingBatch, dict[str, float]]:
        """Take a step as the training loop does, and return the next batch, or the same one, and the step's numbers."""
        stepper, optimiser = self.state.stepper, self.state.wrapped_optimiser
        optimiser.zero_grad()
        scalars = stepper.backward(batch, stepper.draw_augmentations(batch, 0, step), step)
        scalars["gradient_norm"] = stepper.compute_gradient_norm()
        following = batch if batches is None else next(batches)
        numbers = {name: float(value) for name, value in scalars.items()}
        optimiser.step()
        self.state.update_average(step + 1)
        if self.fabric.device.type == "cuda":
            torch.cuda.synchronize()
        return following, numbers


def _measure_memory(device: torch.device) -> int:
    """Return the bytes in use: reserved on a GPU, or resident in this process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.memory_reserved()
    return int(psutil.Process().memory_info().rss)


class PeakMemory:
    """The highest memory use that was observed, in bytes."""

    bytes = 0


@contextmanager
def watch_peak_memory(device: torch.device) -> Iterator[PeakMemory]:
    """Within the block, observe the peak memory: of the device, or of this process on a CPU."""
    peak = PeakMemory()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        yield peak
        peak.bytes = torch.cuda.max_memory_reserved()
        return

    # Poll the resident memory in a thread.
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_POLL_SECONDS):
            peak.bytes = max(peak.bytes, _measure_memory(device))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()
        peak.bytes = max(peak.bytes, _measure_memory(device))
