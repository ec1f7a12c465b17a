"""A training step of the full-size recipe in one configuration after another, in turns.

    python benchmarks/step.py [--clips N] [--rounds N] [--library LIB]

Writes `benchmarks/results/step_<hardware>_<date>.md`. A step is all of it: transforms, both encoders, objective,
gradients, optimiser. Ratios are medians over rounds, each of one step of every configuration. On a GPU also the share
of the chip's arithmetic that the model's own multiplications use, and with `--library` the share of a training's time
that is spent waiting for the real loader.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from machine import hardware, write_results
from talkies.core import ClipBatch, ClipRequest, FilmId, Span
from talkies.models import build_model
from talkies.training import RunConfig, pretrain, resolve
from talkies.training.devices import make_fabric
from talkies.training.learner import Learner, build_system
from talkies.training.metrics import read_metrics

CPU = {
    "eager float32, contiguous": ("channels_last=false",),
    "eager float32, channels-last": ("channels_last=true",),
    "fast convolutions": ("cpu_convolutions=winograd",),
    "fast convolutions, compiled": ("cpu_convolutions=winograd", "compile=true"),
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


@dataclass
class Contender:
    """One configuration, set up to learn, and what its steps took."""

    name: str
    config: RunConfig
    learner: Learner
    seconds: list[float]
    warm_up_seconds: float = 0.0
    peak_bytes: int = 0


def main() -> None:
    """Measure in turns and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    gpu = torch.cuda.is_available()
    parser.add_argument("--clips", type=int, default=256 if gpu else 4)
    parser.add_argument("--rounds", type=int, default=10 if gpu else 5)
    parser.add_argument("--library", type=Path, default=None)
    wanted = parser.parse_args()
    configurations = GPU if gpu else CPU
    batch = random_batch(wanted.clips)
    contenders = [contender(name, settings, wanted.clips) for name, settings in configurations.items()]
    for each in contenders:
        each.warm_up_seconds = step(each, batch) + step(each, batch)
    for _ in range(wanted.rounds):
        for each in contenders:
            each.seconds.append(step(each, batch))
    flops = flops_of(contenders[0].config, wanted.clips)
    sections = table(contenders, wanted.clips, flops)
    if wanted.library:
        sections += ["", waiting(wanted.library, contenders[-1].config, gpu)]
    device = torch.cuda.get_device_name() if gpu else hardware()
    title = f"A step of `r2plus1d18`, {wanted.clips} clips of 16 × 112 × 112 with 2 s of sound: {device}"
    write_results("step_" + ("gpu" if gpu else "cpu"), title, sections)


def contender(name: str, settings: tuple[str, ...], clips: int) -> Contender:
    """Return a configuration set up to learn."""
    overrides = [f"training.{setting}" for setting in (*PLAIN, *settings)]
    films = min(FILMS, clips // 2)
    sizes = [f"sampling.films_per_batch={films}", f"sampling.clips_per_film={clips // films}"]
    config = resolve("r2plus1d18", [*sizes, *overrides])
    fabric = make_fabric(config.training)
    fabric.launch()
    return Contender(name, config, Learner(fabric, build_system(config, 16, 16_000), config), [])


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


def step(each: Contender, batch: ClipBatch) -> float:
    """Take a step and return how long it took."""
    gpu = torch.cuda.is_available()
    torch.set_float32_matmul_precision("high" if each.config.training.precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = each.config.training.precision == "tf32"
    if gpu:
        batch = batch.to("cuda")
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    learner, begun = each.learner, time.perf_counter()
    learner.wrapped_optimiser.zero_grad()
    learner.stepper.backward(batch, learner.stepper.augmentations(batch, 0, 0), 0)
    learner.stepper.gradient_norm().item()
    learner.wrapped_optimiser.step()
    if gpu:
        torch.cuda.synchronize()
        each.peak_bytes = max(each.peak_bytes, torch.cuda.max_memory_allocated())
    return time.perf_counter() - begun


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
