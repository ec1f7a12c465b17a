"""Measure the memory and the time of the contrastive loss and its gradient, at once and in blocks.

    python benchmarks/objective.py [--clips 16384] [--timed-clips 4096] [--dims 128] [--turns 9]

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
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=16_384)
    parser.add_argument("--timed-clips", type=int, default=4096)
    parser.add_argument("--dims", type=int, default=128)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument(
        "--peak-of", type=int, nargs=2, metavar=("CLIPS", "BLOCK"), help="Print the MB it takes (block 0: at once)."
    )
    wanted = parser.parse_args()
    torch.set_num_threads(1)  # threads that wait for one another in a busy loop would count as work
    if wanted.peak_of:
        print(peak_mb(*wanted.peak_of, wanted.dims))
        return
    title = f"The contrastive loss and its gradient, in {wanted.dims} dimensions"
    sections = [memory(wanted.clips, wanted.dims), "", times(wanted.timed_clips, wanted.dims, wanted.turns)]
    write_results("objective", title, sections)


def embeddings_of(clips: int, dims: int) -> Embeddings:
    """Return random unit rows in single precision, sixteen clips a film."""
    video_BD, audio_BD = (functional.normalize(torch.randn(clips, dims), dim=1).requires_grad_() for _ in range(2))
    clip_B = torch.arange(clips)
    return Embeddings(video_BD, audio_BD, clip_B // CLIPS_PER_FILM, clip_B % CLIPS_PER_FILM)


def objective_of(block: int) -> ContrastiveObjective:
    """Return the objective in blocks of so many clips, or at once."""
    return ContrastiveObjective(ObjectiveConfig(cross_film_weight=0.5, block_clips=block or None))


def step(objective: ContrastiveObjective, embeddings: Embeddings) -> None:
    """Work out the loss and its gradient."""
    loss = objective([embeddings]).losses["contrastive"]
    torch.autograd.grad(loss, (embeddings.video_BD, embeddings.audio_BD))


def peak_mb(clips: int, block: int, dims: int) -> float:
    """Return by how much this process's memory rises at most, in MB, above the embeddings and all that is loaded."""
    objective, embeddings = objective_of(block), embeddings_of(clips, dims)
    step(objective, embeddings_of(64, dims))  # what the first step of all loads is not what is asked
    RESET.write_text("5")  # the peak begins anew, from what is held now
    before = _status_mb("VmRSS")
    step(objective, embeddings)
    return _status_mb("VmHWM") - before


def _status_mb(name: str) -> float:
    found = re.search(rf"{name}:\s+(\d+) kB", STATUS.read_text())
    assert found
    return int(found[1]) * 1024 / 1e6


def memory(clips: int, dims: int) -> str:
    """Return the memory of each form, each in a process of its own, as a table."""
    lines = [f"| {clips:,} clips | memory above the embeddings, MB |", "|---|---|"]
    for block in (0, *BLOCKS):
        command = [sys.executable, __file__, "--dims", str(dims), "--peak-of", str(clips), str(block)]
        told = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        lines.append(f"| {_name(block)} | **{told:,.0f}** |")
    return "\n".join([*lines, "", "The peak of the resident memory, each form in a process of its own, one thread."])


def times(clips: int, dims: int, turns: int) -> str:
    """Return the processor time of each form, in turns in one process, as a table."""
    embeddings, objectives = embeddings_of(clips, dims), {block: objective_of(block) for block in (0, *BLOCKS)}
    spent: dict[int, list[float]] = {block: [] for block in objectives}
    for turn in range(turns + 1):
        for block, objective in objectives.items():
            begun = time.process_time()
            step(objective, embeddings)
            if turn:  # the first turn warms up
                spent[block].append(time.process_time() - begun)
    lines = [f"| {clips:,} clips | median, s | in times of at once: median | least | most |", "|---|---|---|---|---|"]
    for block, seconds in spent.items():
        ratios = [mine / whole for mine, whole in zip(seconds, spent[0], strict=True)]
        row = (statistics.median(seconds), statistics.median(ratios), min(ratios), max(ratios))
        lines.append(f"| {_name(block)} | {row[0]:.2f} | **{row[1]:.2f}** | {row[2]:.2f} | {row[3]:.2f} |")
    return "\n".join([*lines, "", f"Processor time, one thread; {turns} turns in one process."])


def _name(block: int) -> str:
    return f"blocks of {block:,}" if block else "at once"


if __name__ == "__main__":
    main()
