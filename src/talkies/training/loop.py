"""The loop: batches in, steps, log lines and checkpoints out. It never names a modality."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricOptimizer

from talkies.core import ClipBatch, WorkError
from talkies.distributed import average_over_ranks
from talkies.training.config import RunConfig
from talkies.training.optimiser import compute_learning_rate, set_learning_rate
from talkies.training.step import Stepper


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the loop calls: `on_log` with a line of numbers, `on_learnt` and then `on_step` with the number of steps
    done, `on_checkpoint` with that and the mean numbers since the one before, and `on_not_finite` with what was not a
    finite number (the loss, or the gradient), the number of the step and its films, for the sentence to stop with.
    """

    on_log: Callable[[dict[str, float]], None]
    on_learnt: Callable[[int], None]
    on_step: Callable[[int], None]
    on_checkpoint: Callable[[int, dict[str, float]], None]
    on_not_finite: Callable[[str, int], str]


def run_loop(
    fabric: Fabric,
    stepper: Stepper,
    optimiser: torch.optim.Optimizer | _FabricOptimizer,
    batches: Iterator[ClipBatch],
    steps: range,
    config: RunConfig,
    hooks: Hooks,
) -> None:
    """Take one optimiser step for each of `steps`.

    Raises:
        WorkError: on every rank, if a loss or a gradient is not a finite number; nothing is learnt from that batch.
    """
    training, means = config.training, _Means()
    clock = _Clock(config.clip.frames / config.clip.fps, fabric.device)
    batch = _next(batches, fabric, clock) if steps else None
    for step in steps:
        assert batch is not None
        done, clips = step + 1, len(batch) * fabric.world_size
        rate = compute_learning_rate(step, training.steps, config.optimiser)
        set_learning_rate(optimiser, rate)
        optimiser.zero_grad()
        numbers = stepper.backward(batch, stepper.augmentations(batch, training.seed, step), step)
        numbers["gradient_norm"] = stepper.gradient_norm()
        # A GPU is still at work on this step while the next batch is fetched: only reading a number waits for it.
        batch = _next(batches, fabric, clock) if done < steps.stop else None
        read = average_over_ranks(_read(numbers))
        for what in ("loss", "gradient_norm"):
            if not math.isfinite(read[what]):
                raise WorkError(hooks.on_not_finite(what.partition("_")[0], done))
        _cut_gradient(optimiser, read["gradient_norm"], config.optimiser.max_grad_norm)
        optimiser.step()
        clock.clips += clips
        means.add(read)
        hooks.on_learnt(done)
        hooks.on_step(done)
        if done % training.log_every == 0 or done == steps.stop:
            hooks.on_log({"step": done, **read, "learning_rate": rate, **clock.read()})
        if done % training.checkpoint_every == 0 or done == steps.stop:
            hooks.on_checkpoint(done, means.take())


def _next(batches: Iterator[ClipBatch], fabric: Fabric, clock: "_Clock") -> ClipBatch:
    with clock.waiting():
        return next(batches).to(fabric.device)


def _read(numbers: dict[str, torch.Tensor]) -> dict[str, float]:
    """Return the numbers from the device, all in one copy."""
    values = torch.stack([value.double().reshape(()).to(numbers["loss"].device) for value in numbers.values()])
    return dict(zip(numbers, values.tolist(), strict=True))


def _cut_gradient(optimiser: torch.optim.Optimizer | _FabricOptimizer, norm: float, longest: float | None) -> None:
    if longest is not None and norm > longest:
        gradients = [p.grad for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
        torch._foreach_mul_(gradients, longest / norm)


class _Means:
    """The mean of each number since the last taking."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._count = 0

    def add(self, numbers: dict[str, float]) -> None:
        self._count += 1
        for name, value in numbers.items():
            self._sums[name] = self._sums.get(name, 0.0) + value

    def take(self) -> dict[str, float]:
        means = {name: value / self._count for name, value in self._sums.items()}
        self._sums, self._count = {}, 0
        return means


class _Clock:
    """Clips a second, how much faster than the films would play that is, and which share of the time was spent waiting
    for data, since the last reading.
    """

    def __init__(self, clip_seconds: float, device: torch.device) -> None:
        self.clips = 0
        self._clip_seconds, self._waited, self._since = clip_seconds, 0.0, time.perf_counter()
        self._gpu = device.type == "cuda"
        self._idle: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time within: on a GPU only what it was idle for, after it was done with what it had."""
        if self._gpu:
            events = _event(), _event()
            events[0].record()
            yield
            events[1].record()
            self._idle.append(events)
            return
        begun = time.perf_counter()
        yield
        self._waited += time.perf_counter() - begun

    def read(self) -> dict[str, float]:
        """Return the numbers since the last reading; the step before is over on the device."""
        now = time.perf_counter()
        for begin, end in self._idle:
            end.synchronize()
            self._waited += begin.elapsed_time(end) / 1000
        self._idle = []
        elapsed = max(now - self._since, 1e-9)
        rate = self.clips / elapsed
        numbers = {
            "clips_per_second": rate,
            "times_real_time": rate * self._clip_seconds,
            "data_wait_share": self._waited / elapsed,
        }
        self.clips, self._waited, self._since = 0, 0.0, now
        return numbers


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
