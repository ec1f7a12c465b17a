"""Training steps on clips of noise: their speed, memory and arithmetic, with any recipe.

Shapes: `B` clips, `T` frames, `P` rows of planar YUV 4:2:0 pictures, `W` columns, `S` samples.
"""

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import psutil
import torch
from torch.utils.flop_counter import FlopCounterMode

from gpu.records import FAILURES, Record, Row, describe_error
from gpu.settings import Settings
from talkies.core import ClipBatch, ClipRequest, FilmId, Modality, Span
from talkies.models.public import PublicTower
from talkies.training import RunConfig
from talkies.training.devices import check_devices, make_fabric
from talkies.training.train_state import TrainState, build_system

RATE_HZ = 16_000
_DISTINCT_CLIPS = 8  # the others repeat them: noise takes longer to draw than to learn from
_WIDE = 16 / 9  # the sides of a proxy that is not cut to a square


@dataclass(frozen=True, slots=True)
class Speed:
    """Measured steps: clips a second, seconds of the first one, and the peak memory in bytes."""

    clips_per_second: float
    first_seconds: float
    peak_bytes: int


class StepTimer:
    """A throw-away model of a recipe on its device, and a batch of noise to take steps on."""

    def __init__(
        self, config: RunConfig, settings: Settings, towers: Mapping[Modality, PublicTower] | None = None
    ) -> None:
        """Build the model.

        Raises:
            ConfigError: if this machine cannot train as the config says.
        """
        check_devices(config)
        self.config, self.device = config, torch.device(settings.device)
        fabric = make_fabric(config.training)
        fabric.launch()
        profile = settings.sizes.profile
        self.side, self.fps = profile.short_side, profile.fps
        self.state = TrainState(fabric, build_system(config, profile.fps, RATE_HZ, towers), config)
        self._done = 0

    def make_batch(self, clips: int) -> ClipBatch:
        """Return clips of noise in the shapes of the loader's, on the device; the clips of a film come in a row."""
        clip, per_film = self.config.clip, max(2, self.config.sampling.clips_per_film)
        shape, generator = clip.to_shape(self.fps), torch.Generator().manual_seed(0)
        is_wide = self.config.sampling.crop_position == "random"
        width = round(self.side * _WIDE / 4) * 4 if is_wide else self.side
        picture = (clip.frames, self.side * 3 // 2, width)
        samples = round(clip.audio_seconds * RATE_HZ)
        distinct = min(_DISTINCT_CLIPS, clips)
        video = torch.randint(0, 256, (distinct, *picture), dtype=torch.uint8, generator=generator)
        audio = torch.randint(-9000, 9000, (distinct, samples), dtype=torch.int16, generator=generator)
        films, frames = [clip // per_film for clip in range(clips)], shape.window_frames
        requests = tuple(
            ClipRequest(FilmId(f"{film:016x}"), Span(frames * number, frames * (number + 1)))
            for number, film in enumerate(films)
        )
        order = torch.arange(clips) % distinct
        video, audio = (part.to(self.device)[order.to(self.device)] for part in (video, audio))
        return ClipBatch(requests, video, audio, torch.tensor(films).to(self.device))

    def take_step(self, batch: ClipBatch) -> None:
        """Take a step, from a batch on the device to updated weights, without waiting for the device."""
        stepper, optimiser = self.state.stepper, self.state.wrapped_optimiser
        optimiser.zero_grad()
        stepper.backward(batch, stepper.draw_augmentations(batch, 0, self._done), self._done)
        stepper.compute_gradient_norm()
        optimiser.step()
        self._done += 1

    def measure(self, clips: int, rounds: int) -> Speed:
        """Return the speed of `rounds` steps of some clips that follow each other, after two to warm up."""
        batch = self.make_batch(clips)
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        first_seconds = self._time_steps(batch, 1)
        if rounds > 1:
            self._time_steps(batch, 1)
        seconds = self._time_steps(batch, rounds)
        return Speed(clips * rounds / seconds, first_seconds, measure_peak_bytes(self.device))

    def _time_steps(self, batch: ClipBatch, rounds: int) -> float:
        self._synchronise()
        started = time.perf_counter()
        for _ in range(rounds):
            self.take_step(batch)
        self._synchronise()
        return time.perf_counter() - started

    def count_clip_flops(self) -> float:
        """Return the floating-point operations of both encoders for a clip, forward and backward."""
        batch, system = self.make_batch(2), self.state.system
        with torch.no_grad():
            video_BCTHW, audio_B1FL = system.transform.video(batch.video_BTPW), system.transform.audio(batch.audio_BS)
        with FlopCounterMode(display=False) as counter:
            outputs = system.model.video(video_BCTHW), system.model.audio(audio_B1FL)
            sum(output.float().sum() for output in outputs).backward()
        self.state.optimiser.zero_grad()
        return counter.get_total_flops() / 2

    def _synchronise(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def measure_peak_bytes(device: torch.device) -> int:
    """Return the peak bytes of tensors on a GPU, or what this process holds on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    return int(psutil.Process().memory_info().rss)


def add_row(record: Record, configuration: str, measure: Callable[[], Row]) -> None:
    """Add the row that `measure` returns, or the reason why it could not be measured; then its memory is free again."""
    try:
        row = measure()
    except FAILURES as error:
        row = {"reason": describe_error(error)}
    free_memory()
    record.add(configuration=configuration, **row)


def free_memory() -> None:
    """Give back what the last configuration left: compiled code, and memory that the allocator keeps."""
    torch._dynamo.reset()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
