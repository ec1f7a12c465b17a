"""The training loop: takes steps on batches, and calls hooks for log lines and checkpoints; it knows no modality."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricOptimizer
from torch import Tensor
from torch.distributed.tensor import DTensor

from talkies.core import WorkError
from talkies.training.config import RunConfig
from talkies.training.features.values import TrainingBatch
from talkies.training.guard import FiniteGuard, Numbers
from talkies.training.optimiser import compute_learning_rate, set_learning_rate, take_step
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
        WorkError: on every rank, if a loss or a gradient is not a finite number. The weights are not updated with it,
            nor afterwards. On a GPU this is known where numbers are read: when they are logged, or a checkpoint saved.
    """
    training, numbers, guard = config.training, Numbers(), FiniteGuard(fabric.device)
    clock, lead = _Clock(config.clip.frames / config.clip.fps, fabric.device), _Lead(fabric.device)
    is_gpu = fabric.device.type != "cpu"
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
        norm = scalars["gradient_norm"] = stepper.compute_gradient_norm()

        # Update the weights, unless a number is not finite; a GPU decides that itself, because reading it waits.
        is_bad = guard.judge(scalars["loss"], norm, done)
        if not is_gpu:
            _check_finite(guard, hooks)
        _scale_gradient(optimiser, norm, config.optimiser.max_grad_norm)
        take_step(optimiser, is_bad if is_gpu else None)
        clock.clips += clips
        numbers.add(scalars)
        hooks.on_update(done)

        # Load the next batch while a GPU still works on this step.
        lead.keep()
        batch = _load_next(batches, fabric, clock) if done < steps.stop else None
        hooks.on_step(done)

        # Log and save.
        logs, saves = (
            done % every == 0 or done == steps.stop for every in (training.log_every, training.checkpoint_every)
        )
        if is_gpu and (logs or saves):
            _check_finite(guard, hooks)
        if logs:
            hooks.on_log({"step": done, **numbers.read_last(), "learning_rate": rate, **clock.read()})
        if saves:
            hooks.on_checkpoint(done, numbers.take_means())


def _load_next(batches: Iterator[TrainingBatch], fabric: Fabric, clock: "_Clock") -> TrainingBatch:
    with clock.measure_waiting():
        return next(batches).to(fabric.device)


def _check_finite(guard: FiniteGuard, hooks: Hooks) -> None:
    if found := guard.find():
        raise WorkError(hooks.on_not_finite(*found))


def _scale_gradient(
    optimiser: torch.optim.Optimizer | _FabricOptimizer, norm: Tensor, max_grad_norm: float | None
) -> None:
    """Scale the gradient down to `max_grad_norm` if its norm is larger."""
    if max_grad_norm is None:
        return
    share = (max_grad_norm / norm.double()).clamp(max=1).float()
    gradients = [p.grad for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
    torch._foreach_mul_([grad.to_local() if isinstance(grad, DTensor) else grad for grad in gradients], share)


class _Lead:
    """Lets this process queue work for a GPU ahead of it, and no more than `steps` steps: batches would fill memory."""

    def __init__(self, device: torch.device, steps: int = 2) -> None:
        self._is_gpu, self._steps = device.type == "cuda", steps
        self._ends: deque[torch.cuda.Event] = deque()

    def keep(self) -> None:
        """Wait until the GPU is at most so many steps behind; call it after each step."""
        if not self._is_gpu:
            return
        end = _create_event()
        end.record()
        self._ends.append(end)
        if len(self._ends) > self._steps:
            self._ends.popleft().synchronize()


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
