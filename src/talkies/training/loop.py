"""The training loop: takes steps on batches, and calls hooks for log lines and checkpoints; it knows no modality."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricOptimizer

from talkies.core import WorkError
from talkies.distributed import average_over_ranks
from talkies.training.config import RunConfig
from talkies.training.features.values import TrainingBatch
from talkies.training.optimiser import compute_learning_rate, set_learning_rate
from talkies.training.step import Stepper


@dataclass(frozen=True, slots=True)
class Hooks:
    """The functions that the loop calls; a step is named by the number of steps done with it.

    Attributes:
        on_log: takes a line of numbers.
        on_update: takes each step right after its weights are updated.
        on_step: takes each step afterwards, to show progress.
        on_checkpoint: takes a step, and the means of the numbers since the last checkpoint.
        on_not_finite: takes what is not a finite number (`loss` or `gradient`) and its step, and returns the sentence
            to stop with.
    """

    on_log: Callable[[dict[str, float]], None]
    on_update: Callable[[int], None]
    on_step: Callable[[int], None]
    on_checkpoint: Callable[[int, dict[str, float]], None]
    on_not_finite: Callable[[str, int], str]


def run_loop(
    fabric: Fabric,
    stepper: Stepper,
    optimiser: torch.optim.Optimizer | _FabricOptimizer,
    batches: Iterator[TrainingBatch],
    *,
    steps: range,
    config: RunConfig,
    hooks: Hooks,
) -> None:
    """Take one optimiser step for each of `steps`.

    Raises:
        WorkError: on every rank, if a loss or a gradient is not a finite number; the weights are not updated then.
    """
    training, means = config.training, _RunningMeans()
    clock = _Clock(config.clip.frames / config.clip.fps, fabric.device)
    batch = _load_next(batches, fabric, clock) if steps else None
    for step in steps:
        assert batch is not None
        done, clips = step + 1, len(batch) * fabric.world_size

        # Set the learning rate and compute the gradients.
        rate = compute_learning_rate(step, training.steps, config.optimiser)
        set_learning_rate(optimiser, rate)
        optimiser.zero_grad()
        augmentations = stepper.draw_augmentations(batch, training.seed, step)
        scalars = stepper.backward(batch, augmentations, step)
        scalars["gradient_norm"] = stepper.compute_gradient_norm()

        # Load the next batch while a GPU still works on this step: only reading a number waits for it.
        batch = _load_next(batches, fabric, clock) if done < steps.stop else None
        numbers = average_over_ranks(_read_scalars(scalars))
        _check_finite(numbers, done, hooks)

        # Update the weights.
        _scale_gradient(optimiser, numbers["gradient_norm"], config.optimiser.max_grad_norm)
        optimiser.step()
        clock.clips += clips
        means.add(numbers)
        hooks.on_update(done)
        hooks.on_step(done)

        # Log and save.
        if done % training.log_every == 0 or done == steps.stop:
            hooks.on_log({"step": done, **numbers, "learning_rate": rate, **clock.read()})
        if done % training.checkpoint_every == 0 or done == steps.stop:
            hooks.on_checkpoint(done, means.take())


def _load_next(batches: Iterator[TrainingBatch], fabric: Fabric, clock: "_Clock") -> TrainingBatch:
    with clock.measure_waiting():
        return next(batches).to(fabric.device)


def _read_scalars(scalars: dict[str, torch.Tensor]) -> dict[str, float]:
    """Return the scalars as numbers, copied from the device at once."""
    values = torch.stack([value.double().reshape(()).to(scalars["loss"].device) for value in scalars.values()])
    return dict(zip(scalars, values.tolist(), strict=True))


def _check_finite(numbers: dict[str, float], step: int, hooks: Hooks) -> None:
    for name in ("loss", "gradient_norm"):
        if not math.isfinite(numbers[name]):
            raise WorkError(hooks.on_not_finite(name.partition("_")[0], step))


def _scale_gradient(
    optimiser: torch.optim.Optimizer | _FabricOptimizer, norm: float, max_grad_norm: float | None
) -> None:
    """Scale the gradient down to `max_grad_norm` if its norm is larger."""
    if max_grad_norm is not None and norm > max_grad_norm:
        gradients = [p.grad for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
        torch._foreach_mul_(gradients, max_grad_norm / norm)


class _RunningMeans:
    """The mean of each number since the means were last taken."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._count = 0

    def add(self, numbers: dict[str, float]) -> None:
        self._count += 1
        for name, value in numbers.items():
            self._sums[name] = self._sums.get(name, 0.0) + value

    def take(self) -> dict[str, float]:
        """Return the means, and start again."""
        means = {name: value / self._count for name, value in self._sums.items()}
        self._sums, self._count = {}, 0
        return means


class _Clock:
    """Measures the speed of training and the share of time that it waits for data, since the last reading.

    Add to `clips` as they are learnt from.
    """

    def __init__(self, clip_seconds: float, device: torch.device) -> None:
        self.clips = 0
        self._clip_seconds, self._is_gpu = clip_seconds, device.type == "cuda"
        self._waited_seconds, self._last_reading = 0.0, time.perf_counter()
        self._waits: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def measure_waiting(self) -> Iterator[None]:
        """Count the time within the block: on a GPU, only the time that it is idle after its queued work."""
        if self._is_gpu:
            start, end = _create_event(), _create_event()
            start.record()
            yield
            end.record()
            self._waits.append((start, end))
            return

        started = time.perf_counter()
        yield
        self._waited_seconds += time.perf_counter() - started

    def read(self) -> dict[str, float]:
        """Return clips per second, that speed relative to playback, and the share of time spent waiting for data.

        Call it when the device has finished the step.
        """
        now = time.perf_counter()
        for start, end in self._waits:
            end.synchronize()
            self._waited_seconds += start.elapsed_time(end) / 1000
        self._waits = []

        elapsed = max(now - self._last_reading, 1e-9)
        rate = self.clips / elapsed
        numbers = {
            "clips_per_second": rate,
            "times_real_time": rate * self._clip_seconds,
            "data_wait_share": self._waited_seconds / elapsed,
        }
        self.clips, self._waited_seconds, self._last_reading = 0, 0.0, now
        return numbers


def _create_event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
