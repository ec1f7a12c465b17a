"""Measure the memory and time of the contrastive loss and its gradient, computed at once and in blocks.

    python benchmarks/objective.py [--clips 16384] [--timed-clips 4096] [--dims 128] [--rounds 9]

Writes `benchmarks/results/objective_<hardware>_<date>.md`.
"""

import argparse
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch.nn import functional

from machine import write_results
from talkies.core import Embeddings
from talkies.objectives import ContrastiveObjective, ObjectiveConfig

CLIPS_PER_FILM = 16
BLOCKS = (512, 1024, 2048)
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=16_384)
    parser.add_argument("--timed-clips", type=int, default=4096)
    parser.add_argument("--dims", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--peak-of",
        type=int,
        nargs=2,
        metavar=("CLIPS", "BLOCK"),
        help="Only print the peak memory in MB (block 0: at once).",
    )
    options = parser.parse_args()
    torch.set_num_threads(1)  # threads that wait in a busy loop would count as work
    if options.peak_of:
        print(measure_peak_mb(*options.peak_of, options.dims))
        return
    title = f"The contrastive loss and its gradient, in {options.dims} dimensions"
    memory = compare_memory(options.clips, options.dims)
    sections = [memory, "", compare_times(options.timed_clips, options.dims, options.rounds)]
    write_results("objective", title, sections)


def make_embeddings(clips: int, dims: int) -> Embeddings:
    """Return random unit vectors in float32, sixteen clips of each film."""
    video_BD, audio_BD = (functional.normalize(torch.randn(clips, dims), dim=1).requires_grad_() for _ in range(2))
    clip_B = torch.arange(clips)
    return Embeddings(video_BD, audio_BD, clip_B // CLIPS_PER_FILM, clip_B % CLIPS_PER_FILM)


def make_objective(block: int) -> ContrastiveObjective:
    """Return the objective in blocks of `block` clips, or at once (0)."""
    return ContrastiveObjective(ObjectiveConfig(cross_film_weight=0.5, block_clips=block or None))


def compute_step(objective: ContrastiveObjective, embeddings: Embeddings) -> None:
    """Compute the loss and its gradient."""
    loss = objective([embeddings]).losses["contrastive"]
    torch.autograd.grad(loss, (embeddings.video_BD, embeddings.audio_BD))


def measure_peak_mb(clips: int, block: int, dims: int) -> float:
    """Return the peak of this process's memory during a step, in MB above what is in use before it."""
    objective, embeddings = make_objective(block), make_embeddings(clips, dims)
    compute_step(objective, make_embeddings(64, dims))  # the first step loads libraries, which are not counted
    RESET.write_text("5")  # reset the peak to the memory in use now
    before = _read_status_mb("VmRSS")
    compute_step(objective, embeddings)
    return _read_status_mb("VmHWM") - before


def _read_status_mb(name: str) -> float:
    match = re.search(rf"{name}:\s+(\d+) kB", STATUS.read_text())
    assert match
    return int(match[1]) * 1024 / 1e6


def compare_memory(clips: int, dims: int) -> str:
    """Return a table of the memory of each block size, each in its own process."""
    lines = [f"| {clips:,} clips | memory above the embeddings, MB |", "|---|---|"]
    for block in (0, *BLOCKS):
        command = [sys.executable, __file__, "--dims", str(dims), "--peak-of", str(clips), str(block)]
        peak = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        lines.append(f"| {_describe_block(block)} | **{peak:,.0f}** |")
    return "\n".join([*lines, "", "Peak resident memory, each block size in its own process, one thread."])


def compare_times(clips: int, dims: int, rounds: int) -> str:
    """Return a table of the processor time of each block size, interleaved in one process."""
    embeddings, objectives = make_embeddings(clips, dims), {block: make_objective(block) for block in (0, *BLOCKS)}
    spent: dict[int, list[float]] = {block: [] for block in objectives}
    for round_number in range(rounds + 1):
        for block, objective in objectives.items():
            started = time.process_time()
            compute_step(objective, embeddings)
            if round_number:  # the first round warms up
                spent[block].append(time.process_time() - started)
    lines = [f"| {clips:,} clips | median, s | relative to at once: median | least | most |", "|---|---|---|---|---|"]
    for block, seconds in spent.items():
        ratios = [own / at_once for own, at_once in zip(seconds, spent[0], strict=True)]
        row = (statistics.median(seconds), statistics.median(ratios), min(ratios), max(ratios))
        lines.append(f"| {_describe_block(block)} | {row[0]:.2f} | **{row[1]:.2f}** | {row[2]:.2f} | {row[3]:.2f} |")
    return "\n".join([*lines, "", f"Processor time, one thread; {rounds} rounds in one process."])


def _describe_block(block: int) -> str:
    return f"blocks of {block:,}" if block else "at once"


if __name__ == "__main__":
    main()
