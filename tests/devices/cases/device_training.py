"""Training on the fake accelerator, with everything that trains for real but the library of films."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import cast

import torch
from fake_accelerator import DEVICE, FakeAccelerator, Wait
from lightning_fabric import Fabric
from torch import Tensor, nn

from talkies.core import ClipBatch, ClipRequest, ClipStarts, FilmId, Span
from talkies.objectives import Recurrences
from talkies.training import RunConfig, resolve
from talkies.training.loop import Hooks, run_loop
from talkies.training.train_state import TrainState, build_system

FPS, RATE_HZ, SIDE, CLIPS, FRAMES = 8, 8000, 32, 8, 4
FILMS, WINDOW = [0, 0, 0, 0, 3, 3, 3, 3], 4
SMALL = (
    *("clip.frames=4", "clip.audio_seconds=0.5", "sampling.films_per_batch=2", "sampling.clips_per_film=4"),
    *("transforms.video.size=16", "transforms.audio.mels=16", "transforms.audio.n_fft=256", "transforms.audio.hop=80"),
    *("transforms.audio.rate_hz=null", "model.embedding_dim=8", "model.hidden_dim=12", "optimiser.warmup_steps=0"),
    *("training.log_every=100", "training.checkpoint_every=100", "training.recalibration_batches=0"),
)
AUGMENTED = (
    *(f"transforms.video.{name}=0.3" for name in ("brightness", "contrast", "saturation", "hue", "grey")),
    *("transforms.video.crop_aspect_max=1.3", "transforms.audio.gain_db=6", "transforms.audio.time_masks=1"),
    *("transforms.audio.time_mask_frames=5", "transforms.audio.frequency_masks=1"),
    "transforms.audio.frequency_mask_bins=3",
)
RECURRENCES = Recurrences(torch.tensor([[0, 3]]), torch.tensor([[0, 0]]), torch.tensor([400]), window_frames=WINDOW)


class FakeFabric:
    """What training asks of Fabric, for one process on the accelerator."""

    device, global_rank, world_size, is_global_zero = DEVICE, 0, 1, True

    def setup_module(self, module: nn.Module) -> nn.Module:
        moved = module.to(self.device)
        moved.mark_forward_method = lambda name: None  # type: ignore[assignment]
        return moved

    def setup_optimizers(self, optimiser: torch.optim.Optimizer) -> torch.optim.Optimizer:
        return optimiser

    def backward(self, loss: Tensor) -> None:
        loss.backward()  # type: ignore[no-untyped-call]

    def no_backward_sync(self, _module: nn.Module, enabled: bool = True) -> AbstractContextManager[None]:
        return nullcontext()


def batch_of(step: int) -> ClipBatch:
    """Noise of two films, as the loader gives it."""
    generator = torch.Generator().manual_seed(step)
    video = torch.randint(0, 256, (CLIPS, FRAMES, SIDE * 3 // 2, SIDE), dtype=torch.uint8, generator=generator)
    audio = torch.randint(-9000, 9000, (CLIPS, RATE_HZ // 2), dtype=torch.int16, generator=generator)
    starts = torch.randint(0, 400, (CLIPS,), generator=generator)
    requests = tuple(
        ClipRequest(FilmId(f"{film:016x}"), Span(start, start + WINDOW))
        for film, start in zip(FILMS, starts.tolist(), strict=True)
    )
    films = torch.tensor(FILMS)
    return ClipBatch(requests, video, audio, films, starts, ClipStarts(films.numpy(), starts.numpy()))


def config_of(*overrides: str) -> RunConfig:
    return resolve("tiny", [*SMALL, *overrides])


class DeviceTraining:
    """A training state on the accelerator; everything must happen within its mode."""

    def __init__(self, config: RunConfig, rate_hz: int = RATE_HZ) -> None:
        self.config, self.fabric = config, cast("Fabric", FakeFabric())
        recurrences = RECURRENCES if config.objective.recurrences else None
        system = build_system(config, FPS, rate_hz, recurrences=recurrences)
        self.state = TrainState(self.fabric, system, config)
        self.not_finite: list[tuple[str, int]] = []

    def run(self, steps: range, batches: Iterator[ClipBatch], on_update: Callable[[int], None] | None = None) -> None:
        def update(step: int) -> None:
            self.state.update_average(step)
            if on_update:
                on_update(step)

        def explain(what: str, step: int) -> str:
            self.not_finite.append((what, step))
            return f"{what} {step}"

        hooks = Hooks(lambda _line: None, update, lambda _step: None, lambda _step, _means: None, explain)
        optimiser = self.state.wrapped_optimiser
        run_loop(self.fabric, self.state.stepper, optimiser, batches, steps=steps, config=self.config, hooks=hooks)


def list_waits(config: RunConfig) -> list[Wait]:
    """What the program waits for in two steps, after a first one has made what is made once, until it logs."""
    with FakeAccelerator() as accelerator:
        training = DeviceTraining(config)
        training.run(range(1), map(batch_of, range(1)))
        with accelerator.watch() as waits:
            counts: list[int] = []
            training.run(range(1, 3), map(batch_of, range(1, 3)), lambda _step: counts.append(len(waits)))
        return waits[: counts[-1]]
