"""The loop: batches in, steps, log lines and checkpoints out. It never names a modality."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from talkies.core import ClipBatch, Embeddings, WorkError
from talkies.distributed import mean_over_ranks
from talkies.models import TwoTower
from talkies.objectives import ContrastiveObjective
from talkies.training.config import RunConfig
from talkies.training.optimiser import learning_rate_at, set_learning_rate
from talkies.transforms import ClipTransform


class System(nn.Module):
    """What learns: transform, model and objective as one module, so that one wrapper (DDP) holds them all."""

    def __init__(self, transform: ClipTransform, model: TwoTower, objective: ContrastiveObjective) -> None:
        super().__init__()
        self.transform, self.model, self.objective = transform, model, objective

    def forward(self, batch: ClipBatch, generator: torch.Generator) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the losses of a batch and its report."""
        ready = self.transform(batch, generator)
        video_BD, audio_BD = self.model(ready.video_BCTHW, ready.audio_B1FL)
        output = self.objective(Embeddings(video_BD, audio_BD, batch.film_B))
        return output.losses, output.report


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the loop calls: `on_log` with a line of numbers, `on_checkpoint` with the number of steps done."""

    on_log: Callable[[dict[str, float]], None]
    on_step: Callable[[int], None]
    on_checkpoint: Callable[[int], None]


def run_loop(
    fabric: Fabric,
    system: nn.Module,
    optimiser: torch.optim.Optimizer,
    batches: Iterator[ClipBatch],
    steps: range,
    config: RunConfig,
    hooks: Hooks,
) -> None:
    """Take one optimiser step for each of `steps`.

    Raises:
        WorkError: if a loss is not a finite number; the films of the batch are named and nothing is learnt from it.
    """
    training, device = config.training, fabric.device
    clock = _Clock()
    for step in steps:
        with clock.waiting():
            batch = next(batches).to(device)
        set_learning_rate(optimiser, learning_rate_at(step, training.steps, config.optimiser))
        generator = torch.Generator().manual_seed(_seed_of(training.seed, step, fabric.global_rank))
        losses, report = system(batch, generator)
        loss = torch.stack(list(losses.values())).sum()
        if not math.isfinite(loss.item()):
            raise WorkError(_not_finite("loss", step, batch))
        optimiser.zero_grad()
        fabric.backward(loss)
        norm = _gradient_norm(system)
        if not math.isfinite(norm):
            raise WorkError(_not_finite("gradient", step, batch))
        optimiser.step()
        clock.clips += len(batch) * fabric.world_size
        done = step + 1
        hooks.on_step(done)
        if done % training.log_every == 0 or done == steps.stop:
            numbers = {"loss": loss.item(), "gradient_norm": norm}
            numbers |= {name: value.item() for name, value in report.items()}
            rate = optimiser.param_groups[0]["lr"]
            hooks.on_log({"step": done, **mean_over_ranks(numbers), "learning_rate": rate, **clock.read()})
        if done % training.checkpoint_every == 0 or done == steps.stop:
            hooks.on_checkpoint(done)


def _seed_of(seed: int, step: int, rank: int) -> int:
    return ((seed * 1_000_003 + step) * 4_099 + rank) % (1 << 63)


def _gradient_norm(system: nn.Module) -> float:
    """Return the length of the gradient of all that learns."""
    return torch.nn.utils.get_total_norm([p.grad for p in system.parameters() if p.grad is not None]).item()


def _not_finite(what: str, step: int, batch: ClipBatch) -> str:
    films = sorted({request.film_id for request in batch.requests})
    return (
        f"the {what} of step {step + 1} is not a finite number (films {', '.join(films)}); nothing was learnt from it: "
        f"begin a new run with a lower optimiser.learning_rate or a higher objective.temperature"
    )


class _Clock:
    """Clips a second, and which share of the time was spent waiting for data, since the last reading."""

    def __init__(self) -> None:
        self.clips = 0
        self._waited = 0.0
        self._since = time.perf_counter()

    def waiting(self) -> "_Waiting":
        return _Waiting(self)

    def add_wait(self, seconds: float) -> None:
        self._waited += seconds

    def read(self) -> dict[str, float]:
        now = time.perf_counter()
        elapsed = max(now - self._since, 1e-9)
        numbers = {"clips_per_second": self.clips / elapsed, "data_wait_share": self._waited / elapsed}
        self.clips, self._waited, self._since = 0, 0.0, now
        return numbers


class _Waiting:
    def __init__(self, clock: _Clock) -> None:
        self._clock = clock

    def __enter__(self) -> None:
        self._begun = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._clock.add_wait(time.perf_counter() - self._begun)
