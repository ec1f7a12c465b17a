"""Compare embedding a library with its two parts: reading the clips in order, and encoding them.

    python benchmarks/embed.py [--films 6] [--seconds 120] [--turns 5] [--run RUN]

Writes `benchmarks/results/embed_<hardware>_<date>.md`. Each turn reads all clips, encodes all clips, and embeds the
library, one after the other in one process. The ratios compare the time of embedding with the sum of its two parts, and
with the longer of them, which is the least it could take with reading and encoding in parallel.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

from machine import write_results
from talkies.clips import read_batches
from talkies.core import ClipBatch
from talkies.ingestion import ingest
from talkies.library import Library
from talkies.retrieval.index import embed
from talkies.retrieval.index.clip_positions import compute_clip_positions
from talkies.runs import load_encoder
from talkies.synth import SynthConfig, render_films
from talkies.training import pretrain, resolve

Made = TypeVar("Made")


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--films", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--run", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        render_films(folder / "films", arguments.films, SynthConfig(seconds=arguments.seconds), seed=5, workers=2)
        library = ingest([folder / "films"], folder / "lib", workers=2).library
        run = arguments.run or pretrain(library.root, resolve("tiny", ["training.steps=1"]), folder / "run").run
        turns = [measure_turn(library, run) for _ in range(arguments.turns)]
        write_results(
            "embed",
            "Embedding compared with reading and encoding",
            build_table(turns, arguments.films, arguments.seconds),
        )


def measure_turn(library: Library, run: Path) -> dict[str, float]:
    """Return the seconds of reading all clips, of encoding them, and of embedding the library."""
    encoder = load_encoder(run)
    batches, reading = time_call(lambda: list(read_clips(library, run)))
    _, encoding = time_call(lambda: [encoder.encode(batch) for batch in batches])
    clips = sum(map(len, batches))
    batches.clear()
    shutil.rmtree(library.index_folder, ignore_errors=True)
    report, _ = time_call(lambda: embed(library.root, run))
    return {
        "clips": clips,
        "reading": reading,
        "encoding": encoding,
        "embedding": report.seconds,
        "times_real_time": report.times_real_time,
    }


def read_clips(library: Library, run: Path) -> list[ClipBatch]:
    """Return the batches that an embedding encodes, read in order in this process."""
    shape, fps = load_encoder(run).shape, library.profile.fps
    films = library.usable_films()
    requests = [
        request
        for film in films
        for request in compute_clip_positions(film.id, film.frames, library.shots_of(film.id), shape, fps).requests
    ]
    return list(read_batches(library, shape, requests))


def time_call(work: Callable[[], Made]) -> tuple[Made, float]:
    """Return the result of a call, and the seconds it took."""
    start_time = time.perf_counter()
    return work(), time.perf_counter() - start_time


def build_table(turns: list[dict[str, float]], films: int, seconds: float) -> list[str]:
    """Return the table of the results."""
    lines = ["| | median, s | least | most |", "|---|---|---|---|"]
    for name in ("reading", "encoding", "embedding"):
        values = [turn[name] for turn in turns]
        lines.append(f"| {name} | {statistics.median(values):.2f} | {min(values):.2f} | {max(values):.2f} |")
    sums = [(turn["reading"] + turn["encoding"]) / turn["embedding"] for turn in turns]
    longer = [max(turn["reading"], turn["encoding"]) / turn["embedding"] for turn in turns]
    for words, ratios in (("sum", sums), ("longer", longer)):
        lines.append(
            f"| {words} of reading and encoding, divided by embedding | **{statistics.median(ratios):.2f}** | "
            f"{min(ratios):.2f} | {max(ratios):.2f} |"
        )
    real = statistics.median(turn["times_real_time"] for turn in turns)
    return [
        *lines,
        "",
        f"{films} films of {seconds:g} s, {turns[0]['clips']:.0f} clips, {torch.get_num_threads()} threads of PyTorch; "
        f"{len(turns)} turns. Embedding includes loading the model, choosing the clips and writing the table: "
        f"{real:.0f} × real time.",
    ]


if __name__ == "__main__":
    main()
