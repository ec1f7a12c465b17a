"""Time a training step of the full-size recipe: memory formats, the memory allocator, precisions, side by side.

    python benchmarks/step.py [--clips N] [--rounds N] [--library LIB]

Writes `benchmarks/results/step_<device>_<hardware>_<date>.md`. A step is everything from a batch to updated weights:
transforms, both encoders, objective, gradients, optimiser. Each configuration runs in its own process. On a CPU they
are interleaved, because its speed changes with other work on the machine: a round is one step of each, and ratios are
medians over rounds. A GPU has no memory for all of them, so they run one after the other there. On a GPU the table
also shows the share of the chip's arithmetic that the model's multiplications use. With `--library`, it also measures
the share of training time that is spent waiting for the loader.
"""

import argparse
import multiprocessing
import os
import signal
import statistics
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from unittest.mock import patch

import torch
from torch.utils.flop_counter import FlopCounterMode

from machine import hardware, write_results
from talkies.core import ClipBatch, ClipRequest, FilmId, Span
from talkies.models import build_model
from talkies.training import RunConfig, pretrain, resolve, train_state
from talkies.training.devices import make_fabric
from talkies.training.metrics import read_metrics
from talkies.training.train_state import TrainState, build_system


@dataclass(frozen=True)
class Configuration:
    """Settings of `training`, and whether the process keeps the memory it frees (CPU only)."""

    name: str
    settings: tuple[str, ...]
    keeps_freed_memory: bool = True


CPU = (
    Configuration("float32, contiguous, allocator's defaults", ("channels_last=false",), keeps_freed_memory=False),
    Configuration("float32, contiguous", ("channels_last=false",)),
    Configuration("float32, channels-last", ("channels_last=true",)),
    Configuration("bf16, contiguous", ("precision=bf16-mixed", "channels_last=false")),
    Configuration("bf16, channels-last", ("precision=bf16-mixed", "channels_last=true")),
)
GPU = (
    Configuration("float32, contiguous", ("precision=32-true", "channels_last=false")),
    Configuration("TF32, contiguous", ("precision=tf32", "channels_last=false")),
    Configuration("TF32, channels-last", ("precision=tf32", "channels_last=true")),
    Configuration("bf16, contiguous", ("precision=bf16-mixed", "channels_last=false")),
    Configuration("bf16, channels-last", ("precision=bf16-mixed", "channels_last=true")),
    Configuration("bf16, channels-last, compiled", ("precision=bf16-mixed", "channels_last=true", "compile=true")),
    Configuration(
        "bf16, channels-last, compiled, gradient caching", ("precision=bf16-mixed", "compile=true", "chunk_clips=64")
    ),
)
BASE_SETTINGS = ("precision=32-true", "compile=false", "chunk_clips=null")
_HOPPER = {"32-true": 67, "tf32": 494, "bf16-mixed": 989}  # TFLOP/s, dense, from the data sheet
PEAK_TFLOPS = {"H200": _HOPPER, "H100": _HOPPER}
FILMS = 4


def main() -> None:
    """Measure all configurations, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    is_gpu = torch.cuda.is_available()
    parser.add_argument("--clips", type=int, default=256 if is_gpu else 4)
    parser.add_argument("--rounds", type=int, default=10 if is_gpu else 5)
    parser.add_argument("--library", type=Path, default=None)
    options = parser.parse_args()

    measure = measure_in_sequence if is_gpu else measure_interleaved
    workers = measure(GPU if is_gpu else select_cpu_configurations(), options.clips, options.rounds)
    sections = format_table(workers, options.clips, count_flops(workers[0].config, options.clips))
    if options.library:
        sections += ["", measure_waiting(options.library, workers[-1].config, is_gpu)]

    device = torch.cuda.get_device_name() if is_gpu else hardware()
    title = f"A step of `r2plus1d18`, {options.clips} clips of 16 × 112 × 112 with 2 s of sound: {device}"
    write_results("step_" + ("gpu" if is_gpu else "cpu"), title, sections)


def select_cpu_configurations() -> tuple[Configuration, ...]:
    """Return the configurations that this CPU supports."""
    has_bf16 = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return tuple(each for each in CPU if has_bf16 or "precision=bf16-mixed" not in each.settings)


def measure_interleaved(configurations: tuple[Configuration, ...], clips: int, rounds: int) -> list["Worker"]:
    """Return the workers of all configurations after rounds of one step of each."""
    workers = [Worker(configuration, clips) for configuration in configurations]
    for _ in range(rounds):
        for worker in workers:
            worker.take_step()
    for worker in workers:
        worker.stop()
    return workers


def measure_in_sequence(configurations: tuple[Configuration, ...], clips: int, rounds: int) -> list["Worker"]:
    """Return the workers of all configurations, measured one after the other."""
    workers = []
    for configuration in configurations:
        worker = Worker(configuration, clips)
        for _ in range(rounds):
            worker.take_step()
        worker.stop()
        workers.append(worker)
    return workers


class Worker:
    """A process that takes steps with one configuration, paused between them; `seconds` lists their durations."""

    def __init__(self, configuration: Configuration, clips: int) -> None:
        self.name, self.config = configuration.name, make_config(configuration.settings, clips)
        self.seconds: list[float] = []
        context = multiprocessing.get_context("spawn")
        self._pipe, remote_pipe = context.Pipe()
        arguments = (remote_pipe, self.config, clips, configuration.keeps_freed_memory)
        self._process = context.Process(target=serve_steps, args=arguments, daemon=True)
        self._process.start()
        self.warm_up_seconds, self.peak_bytes = self._pipe.recv()
        os.kill(self._process.pid, signal.SIGSTOP)

    def take_step(self) -> None:
        """Take one more step."""
        os.kill(self._process.pid, signal.SIGCONT)
        self._pipe.send(True)
        seconds, self.peak_bytes = self._pipe.recv()
        self.seconds.append(seconds)
        os.kill(self._process.pid, signal.SIGSTOP)

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()


def serve_steps(pipe: Connection, config: RunConfig, clips: int, keeps_freed_memory: bool) -> None:
    """Take two steps to warm up, then one for each request; send the seconds and the peak bytes of each."""
    fabric = make_fabric(config.training)
    fabric.launch()
    system = build_system(config, 16, 16_000)
    if keeps_freed_memory:
        state = TrainState(fabric, system, config)
    else:
        with patch.object(train_state, "keep_freed_memory"):
            state = TrainState(fabric, system, config)

    batch = make_random_batch(clips)
    pipe.send((time_step(state, batch)[0] + time_step(state, batch)[0], 0))
    while pipe.recv():
        pipe.send(time_step(state, batch))


def make_config(settings: tuple[str, ...], clips: int) -> RunConfig:
    """Return the recipe with these settings of `training`, for batches of this many clips."""
    films = min(FILMS, clips // 2)
    sizes = [f"sampling.films_per_batch={films}", f"sampling.clips_per_film={clips // films}"]
    return resolve("r2plus1d18", [*sizes, *(f"training.{setting}" for setting in (*BASE_SETTINGS, *settings))])


def make_random_batch(clips: int) -> ClipBatch:
    """Return clips of noise, in the shapes of the loader's."""
    generator = torch.Generator().manual_seed(0)
    requests = tuple(ClipRequest(FilmId(f"{clip // 4:016x}"), Span(16 * clip, 16 * clip + 32)) for clip in range(clips))
    return ClipBatch(
        requests,
        torch.randint(0, 256, (clips, 16, 192, 228), dtype=torch.uint8, generator=generator),
        torch.randint(-9000, 9000, (clips, 32_000), dtype=torch.int16, generator=generator),
        torch.arange(clips) // 4,
    )


def time_step(state: TrainState, batch: ClipBatch) -> tuple[float, int]:
    """Take a step; return its seconds, and the peak bytes on a GPU."""
    is_gpu = torch.cuda.is_available()
    if is_gpu:
        batch = batch.to("cuda")
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()

    started = time.perf_counter()
    state.wrapped_optimiser.zero_grad()
    state.stepper.backward(batch, state.stepper.draw_augmentations(batch, 0, 0), 0)
    state.stepper.compute_gradient_norm().item()
    state.wrapped_optimiser.step()
    if is_gpu:
        torch.cuda.synchronize()
    return time.perf_counter() - started, torch.cuda.max_memory_allocated() if is_gpu else 0


def count_flops(config: RunConfig, clips: int) -> float:
    """Return the floating-point operations of both encoders for this many clips, forward and backward."""
    model = build_model(config.model)
    with FlopCounterMode(display=False) as counter:
        video, audio = model.video(torch.randn(1, 3, 16, 112, 112)), model.audio(torch.randn(1, 1, 80, 201))
        (video.sum() + audio.sum()).backward()
    return counter.get_total_flops() * clips


def format_table(workers: list[Worker], clips: int, flops: float) -> list[str]:
    """Return the table: seconds, clips/s, speed relative to the first, and on a GPU utilisation and memory."""
    is_gpu = torch.cuda.is_available()
    columns = ["configuration", "seconds a step", "clips/s", "speed relative to the first", "two warm-up steps, s"]
    if is_gpu:
        columns += ["of the chip's arithmetic", "memory, GiB"]
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for worker in workers:
        ratios = [first / own for first, own in zip(workers[0].seconds, worker.seconds, strict=True)]
        median = statistics.median(worker.seconds)
        line = (
            f"| {worker.name} | {median:.3g} | {clips / median:.3g} | {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f}) | {worker.warm_up_seconds:.3g} |"
        )
        if is_gpu:
            line += f" {compute_utilisation(worker, flops / median)} | {worker.peak_bytes / 2**30:.1f} |"
        lines.append(line)
    rounds = len(workers[0].seconds)
    return [f"{flops / clips / 1e9:.0f} GFLOP a clip; medians of {rounds} rounds (ratios: least to most).", "", *lines]


def compute_utilisation(worker: Worker, flops_per_second: float) -> str:
    """Return the share of the chip's peak arithmetic that the model uses, where the peak is known."""
    name = torch.cuda.get_device_name()
    peaks = next((peak for chip, peak in PEAK_TFLOPS.items() if chip in name), None)
    return f"{flops_per_second / peaks[worker.config.training.precision] / 1e12:.0%}" if peaks else "-"


def measure_waiting(library: Path, config: RunConfig, is_gpu: bool) -> str:
    """Train some steps with the real loader, and return the share of time spent waiting for it, as a sentence."""
    steps = 60 if is_gpu else 6
    config = config.model_copy(update={"training": config.training.model_copy(update={"steps": steps})})
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        pretrain(library, config, run)
        shares = [line["data_wait_share"] for line in read_metrics(run / "metrics.jsonl")[steps // 3 :]]
    return f"Waiting for the real loader: {statistics.mean(shares):.1%} of the time, over {len(shares)} steps."


if __name__ == "__main__":
    main()
