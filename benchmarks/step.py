"""A training step of the full-size recipe in one configuration after another, in turns.

    python benchmarks/step.py [--clips N] [--rounds N] [--library LIB]

Writes `benchmarks/results/step_<device>_<hardware>_<date>.md`. A step is all of it: transforms, both encoders,
objective, gradients, optimiser. Each configuration has a process of its own. On a CPU they take turns, and ratios are
medians over rounds, each of one step of every configuration; on a GPU they run one after the other. There also the
share of the chip's arithmetic that the model's own multiplications use, and with `--library` the share of a training's
time that is spent waiting for the loader.
"""

import argparse
import multiprocessing
import os
import signal
import statistics
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from machine import hardware, write_results
from talkies.core import ClipBatch, ClipRequest, FilmId, Span
from talkies.models import build_model
from talkies.training import RunConfig, pretrain, resolve
from talkies.training.devices import make_fabric
from talkies.training.train_state import TrainState, build_system
from talkies.training.metrics import read_metrics

CPU = {
    "eager float32, contiguous": ("channels_last=false",),
    "eager float32, channels-last": ("channels_last=true",),
    "Winograd convolutions": ("cpu_convolutions=winograd",),
}
GPU = {
    "eager float32, contiguous": ("precision=32-true", "channels_last=false"),
    "eager TF32, contiguous": ("precision=tf32", "channels_last=false"),
    "TF32, channels-last": ("precision=tf32", "channels_last=true"),
    "bf16, contiguous": ("precision=bf16-mixed", "channels_last=false"),
    "bf16, channels-last": ("precision=bf16-mixed", "channels_last=true"),
    "bf16, channels-last, compiled": ("precision=bf16-mixed", "channels_last=true", "compile=true"),
    "bf16, channels-last, compiled, two passes": ("precision=bf16-mixed", "compile=true", "chunk_clips=64"),
}
PLAIN = ("precision=32-true", "compile=false", "chunk_clips=null", "cpu_convolutions=direct")
_HOPPER = {"32-true": 67, "tf32": 494, "bf16-mixed": 989}  # TFLOP/s, dense, as the maker says
PEAK_TFLOPS = {"H200": _HOPPER, "H100": _HOPPER}
FILMS = 4


def main() -> None:
    """Measure in turns and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    gpu = torch.cuda.is_available()
    parser.add_argument("--clips", type=int, default=256 if gpu else 4)
    parser.add_argument("--rounds", type=int, default=10 if gpu else 5)
    parser.add_argument("--library", type=Path, default=None)
    wanted = parser.parse_args()
    contenders = (one_by_one if gpu else in_turns)(GPU if gpu else CPU, wanted.clips, wanted.rounds)
    sections = table(contenders, wanted.clips, flops_of(contenders[0].config, wanted.clips))
    if wanted.library:
        sections += ["", waiting(wanted.library, contenders[-1].config, gpu)]
    device = torch.cuda.get_device_name() if gpu else hardware()
    title = f"A step of `r2plus1d18`, {wanted.clips} clips of 16 × 112 × 112 with 2 s of sound: {device}"
    write_results("step_" + ("gpu" if gpu else "cpu"), title, sections)


def in_turns(configurations: dict[str, tuple[str, ...]], clips: int, rounds: int) -> list["Contender"]:
    """Return all configurations, measured in rounds: on a CPU, whose speed changes with what else it does."""
    contenders = [Contender(name, settings, clips) for name, settings in configurations.items()]
    for _ in range(rounds):
        for each in contenders:
            each.step()
    for each in contenders:
        each.end()
    return contenders


def one_by_one(configurations: dict[str, tuple[str, ...]], clips: int, rounds: int) -> list["Contender"]:
    """Return all configurations, measured one after the other: a GPU has no room for all of them at once."""
    contenders = []
    for name, settings in configurations.items():
        each = Contender(name, settings, clips)
        for _ in range(rounds):
            each.step()
        each.end()
        contenders.append(each)
    return contenders


class Contender:
    """One configuration, in a process of its own; what its steps took."""

    def __init__(self, name: str, settings: tuple[str, ...], clips: int) -> None:
        self.name, self.config = name, config_of(settings, clips)
        self.seconds: list[float] = []
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, self.config, clips), daemon=True)
        self._process.start()
        self.warm_up_seconds, self.peak_bytes = self._pipe.recv()
        os.kill(self._process.pid, signal.SIGSTOP)

    def step(self) -> None:
        """Take one more step."""
        os.kill(self._process.pid, signal.SIGCONT)
        self._pipe.send(True)
        seconds, self.peak_bytes = self._pipe.recv()
        self.seconds.append(seconds)
        os.kill(self._process.pid, signal.SIGSTOP)

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()


def serve(pipe: Connection, config: RunConfig, clips: int) -> None:
    """Take two steps to warm up, and then one whenever it is asked for; tell the seconds and the most bytes."""
    fabric = make_fabric(config.training)
    fabric.launch()
    state, batch = TrainState(fabric, build_system(config, 16, 16_000), config), random_batch(clips)
    pipe.send((step(state, batch)[0] + step(state, batch)[0], 0))
    while pipe.recv():
        pipe.send(step(state, batch))


def config_of(settings: tuple[str, ...], clips: int) -> RunConfig:
    """Return the recipe with these settings of its training, for so many clips."""
    films = min(FILMS, clips // 2)
    sizes = [f"sampling.films_per_batch={films}", f"sampling.clips_per_film={clips // films}"]
    return resolve("r2plus1d18", [*sizes, *(f"training.{setting}" for setting in (*PLAIN, *settings))])


def random_batch(clips: int) -> ClipBatch:
    """Return clips of noise, as the loader would give them."""
    generator = torch.Generator().manual_seed(0)
    requests = tuple(ClipRequest(FilmId(f"{clip // 4:016x}"), Span(16 * clip, 16 * clip + 32)) for clip in range(clips))
    return ClipBatch(
        requests,
        torch.randint(0, 256, (clips, 16, 192, 228), dtype=torch.uint8, generator=generator),
        torch.randint(-9000, 9000, (clips, 32_000), dtype=torch.int16, generator=generator),
        torch.arange(clips) // 4,
    )


def step(state: TrainState, batch: ClipBatch) -> tuple[float, int]:
    """Take a step; return how long it took, and the most bytes that a GPU had for it."""
    gpu = torch.cuda.is_available()
    if gpu:
        batch = batch.to("cuda")
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    begun = time.perf_counter()
    state.wrapped_optimiser.zero_grad()
    state.stepper.backward(batch, state.stepper.augmentations(batch, 0, 0), 0)
    state.stepper.gradient_norm().item()
    state.wrapped_optimiser.step()
    if gpu:
        torch.cuda.synchronize()
    return time.perf_counter() - begun, torch.cuda.max_memory_allocated() if gpu else 0


def flops_of(config: RunConfig, clips: int) -> float:
    """Return the floating-point operations of both encoders for so many clips, forward and backward."""
    model = build_model(config.model)
    with FlopCounterMode(display=False) as counter:
        video, audio = model.video(torch.randn(1, 3, 16, 112, 112)), model.audio(torch.randn(1, 1, 80, 201))
        (video.sum() + audio.sum()).backward()
    return counter.get_total_flops() * clips


def table(contenders: list[Contender], clips: int, flops: float) -> list[str]:
    """Return the table: seconds, clips a second, ratio to the first, and on a GPU utilisation and memory."""
    gpu = torch.cuda.is_available()
    more = (" of the chip's arithmetic | memory, GiB |", "---|---|") if gpu else ("", "")
    lines = [
        f"| configuration | s a step | clips/s | × the first (each round) | first two steps, s |{more[0]}",
        f"|---|---|---|---|---|{more[1]}",
    ]
    for each in contenders:
        ratios = [first / own for first, own in zip(contenders[0].seconds, each.seconds, strict=True)]
        middle = statistics.median(each.seconds)
        line = (
            f"| {each.name} | {middle:.3g} | {clips / middle:.3g} | {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f}) | {each.warm_up_seconds:.3g} |"
        )
        if gpu:
            line += f" {utilisation(each, flops / middle)} | {each.peak_bytes / 2**30:.1f} |"
        lines.append(line)
    return [f"{flops / clips / 1e9:.0f} GFLOP a clip, median of {len(contenders[0].seconds)} rounds.", "", *lines]


def utilisation(each: Contender, flops_per_second: float) -> str:
    """Return which share of the chip's peak the model's own arithmetic is, where the peak is known."""
    name = torch.cuda.get_device_name()
    peaks = next((peak for chip, peak in PEAK_TFLOPS.items() if chip in name), None)
    return f"{flops_per_second / peaks[each.config.training.precision] / 1e12:.0%}" if peaks else "-"


def waiting(library: Path, config: RunConfig, gpu: bool) -> str:
    """Train for some steps with the real loader, and return which share of the time was spent waiting for it."""
    steps = 60 if gpu else 6
    config = config.model_copy(update={"training": config.training.model_copy(update={"steps": steps})})
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        pretrain(library, config, run)
        shares = [line["data_wait_share"] for line in read_metrics(run / "metrics.jsonl")[steps // 3 :]]
    return f"Waiting for the real loader: {statistics.mean(shares):.1%} of the time, over {len(shares)} steps."


if __name__ == "__main__":
    main()
