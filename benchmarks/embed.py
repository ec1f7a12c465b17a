"""Measure embedding beside what it is made of: reading the clips in order, and encoding them.

    python benchmarks/embed.py [--films 6] [--seconds 120] [--turns 5] [--run RUN]

Writes `benchmarks/results/embed_<hardware>_<date>.md`. Each turn reads all clips, encodes all clips, and embeds the
library, one after the other in one process; the ratio is between the embedding and what its two parts can do at best,
with reading beside encoding: the longer of the two, or where they share the cores, half their processor time.
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
from talkies.ingest import ingest
from talkies.library import Library
from talkies.retrieval.index import embed
from talkies.retrieval.index.clip_positions import compute_clip_positions
from talkies.runs import load_encoder
from talkies.synth import SynthConfig, render_films
from talkies.training import pretrain, resolve

Made = TypeVar("Made")


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--films", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--run", type=Path)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        render_films(folder / "films", wanted.films, SynthConfig(seconds=wanted.seconds), seed=5, workers=2)
        library = ingest([folder / "films"], folder / "lib", workers=2).library
        run = wanted.run or pretrain(library.root, resolve("tiny", ["training.steps=1"]), folder / "run").run
        turns = [turn(library, run) for _ in range(wanted.turns)]
        write_results(
            "embed", "Embedding beside reading and encoding alone", table(turns, wanted.films, wanted.seconds)
        )


def turn(library: Library, run: Path) -> dict[str, float]:
    """Return the seconds of reading all clips, of encoding them, and of embedding the library."""
    encoder = load_encoder(run)
    batches, reading = timed(lambda: list(batches_of(library, run)))
    _, encoding = timed(lambda: [encoder.encode(batch) for batch in batches])
    clips = sum(map(len, batches))
    batches.clear()
    shutil.rmtree(library.index_folder, ignore_errors=True)
    report, _ = timed(lambda: embed(library.root, run))
    return {
        "clips": clips,
        "reading": reading,
        "encoding": encoding,
        "embedding": report.seconds,
        "times_real_time": report.times_real_time,
    }


def batches_of(library: Library, run: Path) -> list[ClipBatch]:
    """Return the batches that an embedding encodes, read in order in this process."""
    shape, fps = load_encoder(run).shape, library.profile.fps
    films = library.usable_films()
    requests = [
        r
        for film in films
        for r in compute_clip_positions(film.id, film.frames, library.shots_of(film.id), shape, fps).requests
    ]
    return list(read_batches(library, shape, requests))


def timed(work: Callable[[], Made]) -> tuple[Made, float]:
    """Return what work gives, and its seconds."""
    began = time.perf_counter()
    return work(), time.perf_counter() - began


def table(turns: list[dict[str, float]], films: int, seconds: float) -> list[str]:
    """Return the results."""
    lines = ["| | median, s | least | most |", "|---|---|---|---|"]
    for name in ("reading", "encoding", "embedding"):
        values = [turn[name] for turn in turns]
        lines.append(f"| {name} | {statistics.median(values):.2f} | {min(values):.2f} | {max(values):.2f} |")
    whole = [(turn["reading"] + turn["encoding"]) / turn["embedding"] for turn in turns]
    side_by_side = [max(turn["reading"], turn["encoding"]) / turn["embedding"] for turn in turns]
    for words, ratios in (("one after the other", whole), ("the longer of the two alone", side_by_side)):
        lines.append(
            f"| speed in times of reading and encoding, {words} | **{statistics.median(ratios):.2f}** | "
            f"{min(ratios):.2f} | {max(ratios):.2f} |"
        )
    real = statistics.median(turn["times_real_time"] for turn in turns)
    return [
        *lines,
        "",
        f"{films} films of {seconds:g} s, {turns[0]['clips']:.0f} clips, {torch.get_num_threads()} threads of PyTorch; "
        f"{len(turns)} turns. Embedding includes loading the model, laying the clips and writing the table: "
        f"{real:.0f} × real time.",
    ]


if __name__ == "__main__":
    main()
