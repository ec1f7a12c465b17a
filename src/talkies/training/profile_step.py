"""Short trials on this machine: what a step takes in time and in memory, for some numbers of clips."""

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
from talkies.training.config import RunConfig
from talkies.training.devices import make_fabric
from talkies.training.train_state import TrainState, build_system

_REPEATS = 3
_LEAST_STEPS = 2  # the first to warm up, the second to time
_LOOK_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Trial:
    """A step of so many clips: how long it lasted, the shortest of some, and the most memory that it had."""

    clips: int
    seconds: float
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class LinearFit:
    """`base + slope · clips`."""

    base: float
    slope: float

    @classmethod
    def through(cls, points: list[tuple[int, float]]) -> "Line":
        """Return the line through the last two points, neither end of it under zero; through one, from the origin."""
        (clips, value), earlier = points[-1], points[-2:-1]
        if not earlier or earlier[0][0] == clips:
            return cls(0.0, value / clips)
        slope = max((value - earlier[0][1]) / (clips - earlier[0][0]), 0.0)
        base = value - slope * clips
        return cls(base, slope) if base >= 0 else cls(0.0, value / clips)

    def at(self, clips: int) -> float:
        """Return the value at so many clips."""
        return self.base + self.slope * clips


class StepProfiler:
    """Trains a model that is thrown away, on clips that are ready, on one device of this machine."""

    def __init__(self, config: RunConfig, clips: TrainingClips) -> None:
        self._config, self._clips = config, clips
        self.fabric: Fabric = make_fabric(config.training)
        self.fabric.launch()
        system = build_system(config, clips.profile.fps, clips.profile.audio_rate_hz)
        self.state = TrainState(self.fabric, system, config)
        self._before_bytes = float(_memory_now(self.fabric.device))

    def trials(self, sizes: list[int], seconds: float, memory_bytes: int) -> tuple[Trial, ...]:
        """Return trials of more and more clips while the next may end within `seconds` and fit, at least the first."""
        begun, done = time.perf_counter(), list[Trial]()
        for clips in sizes:
            left = seconds - (time.perf_counter() - begun)
            if done and (
                self.seconds_line(done).at(clips) * _LEAST_STEPS > left
                or self.memory_line(done).at(clips) > memory_bytes
            ):
                break
            done.append(self._trial(self._batch(clips).to(self.fabric.device), left))
        return tuple(done)

    def seconds_line(self, trials: Sequence[Trial]) -> LinearFit:
        """Return how long a step lasts, by its clips."""
        return LinearFit.through([(trial.clips, trial.seconds) for trial in trials])

    def memory_line(self, trials: Sequence[Trial]) -> LinearFit:
        """Return how many bytes a step needs, by its clips; with none, it is what was had before the first."""
        return LinearFit.through([(0, self._before_bytes), *((trial.clips, float(trial.peak_bytes)) for trial in trials)])

    def state_bytes(self) -> int:
        """Return how large a checkpoint is: weights, their average, and what the optimiser keeps, after a step."""
        tensors = list(self.state.system.state_dict().values())
        tensors += self.state.average.tensors().values() if self.state.average else []
        kept = (value for state in self.state.optimiser.state.values() for value in state.values())
        tensors += [torch.as_tensor(value) for value in kept if value is not None]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def _batch(self, clips: int) -> ClipBatch:
        """Return so many clips of the plan's first batches."""
        requests: list[ClipRequest] = []
        step = 0
        while len(requests) < clips:
            requests += list(self._clips.plan.draw_batch(step))[: clips - len(requests)]
            step += 1
        return self._clips.source.read_batch(requests)

    def _trial(self, batch: ClipBatch, left: float) -> Trial:
        times: list[float] = []
        if self._config.training.compile:
            torch._dynamo.reset()  # each size is compiled anew, and only so many sizes are kept
        if self.fabric.device.type == "cuda":
            torch.cuda.empty_cache()  # what smaller trials have left in pieces
        with _peak_memory(self.fabric.device) as peak:
            begun = time.perf_counter()
            for number in range(_REPEATS + 1):
                at = time.perf_counter()
                self._step(batch, number)
                times.append(time.perf_counter() - at)
                if time.perf_counter() - begun + times[-1] > left / 2 and number:
                    break
        return Trial(len(batch), min(times[1:]), peak.bytes)

    def _step(self, batch: ClipBatch, step: int) -> None:
        stepper, optimiser = self.state.stepper, self.state.wrapped_optimiser
        optimiser.zero_grad()
        stepper.backward(batch, stepper.draw_augmentations(batch, 0, step), step)
        stepper.compute_gradient_norm().item()
        optimiser.step()
        self.state.update_average(step + 1)
        if self.fabric.device.type == "cuda":
            torch.cuda.synchronize()


def _memory_now(device: torch.device) -> int:
    """Return the memory that is had: of the device, or of this process where that is a CPU."""
    if device.type == "cuda":
        return torch.cuda.memory_reserved()
    return int(psutil.Process().memory_info().rss)


class _Peak:
    """The most memory that was seen."""

    bytes = 0


@contextmanager
def _peak_memory(device: torch.device) -> Iterator[_Peak]:
    """Within the block, watch the most memory that is had: of the device, or of this process where that is a CPU."""
    peak = _Peak()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        yield peak
        peak.bytes = torch.cuda.max_memory_reserved()
        return
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_LOOK_SECONDS):
            peak.bytes = max(peak.bytes, _memory_now(device))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()
        peak.bytes = max(peak.bytes, _memory_now(device))
