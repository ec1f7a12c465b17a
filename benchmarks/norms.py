"""What batch norms see while training, and what it costs: whole batches, chunks, and two processes.

    python benchmarks/norms.py [--steps 160] [--seeds 3] [--folder FOLDER]

Trains `tiny` on small rendered films, 8 films × 8 clips a batch, and evaluates it on films that it has never seen.
Chunks have 8 clips, the clips of one film if they are runs. With `--folder` films and runs are kept there, and a
finished run is not done again. Writes `benchmarks/results/norms_<hardware>_<date>.md` and `.json`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from machine import hardware, today, write_results
from talkies.evaluation import evaluate
from talkies.ingestion import ingest
from talkies.library import Profile
from talkies.synth import SynthConfig, render_films
from talkies.training import pretrain, resolve, step

FILMS = SynthConfig(
    seconds=20.0, fps=16, width=96, height=64, mark_strength=1.0, shot_seconds_min=2.0, shot_seconds_max=2.0
)
SEEN, UNSEEN = 16, 8
SIDE_BY_SIDE = 2  # runs at a time
RECIPE = (
    "training.trackers=[]",
    "training.checkpoint_every=100000",
    "sampling.films_per_batch=8",
    "sampling.clips_per_film=8",
    "transforms.video.size=32",
    "transforms.audio.mels=40",
    "objective.temperature=0.2",
    "optimiser.warmup_steps=5",
    "loader.workers=0",
)
CHUNKS, TWO = "training.chunk_clips=8", "training.devices=2"
ARMS: dict[str, tuple[str, ...]] = {
    "whole batch": (),
    "chunks, each a run of the batch (before)": (CHUNKS, "training.recalibration_batches=0"),
    "chunks of every eighth clip": (CHUNKS,),
    "two processes, chunks of every fourth clip": (TWO, CHUNKS),
}
METRICS = {
    "within_film_recall_at_1": "within the film, recall at 1",
    "concept_from_video": "concept from video (linear probe)",
    "concept_from_audio": "concept from audio (linear probe)",
}
STUDENT = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78}  # 97.5th percentile of Student's t for so many seeds


def main() -> None:
    """Train every arm with every seed, evaluate, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=160)
    parser.add_argument("--seeds", type=int, default=3, choices=STUDENT)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--train", nargs=3, metavar=("ARM", "SEED", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        train(*options.train, options.steps)
        return

    with tempfile.TemporaryDirectory() as temporary:
        folder: Path = options.folder or Path(temporary)
        if not (folder / "library").exists():
            render_films(folder / "seen", SEEN, FILMS, seed=2)
            render_films(folder / "unseen", UNSEEN, FILMS, seed=3)
            ingest([folder / "seen"], folder / "library", profile=Profile(short_side=64))

        trials = [(arm, seed) for seed in range(options.seeds) for arm in ARMS]
        measured: dict[str, list[dict[str, float]]] = {arm: [] for arm in ARMS}
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            results = pool.map(lambda trial: run_trial(folder, *trial, options.steps), trials)
            for (arm, _), numbers in zip(trials, results, strict=True):
                measured[arm].append(numbers)
    write(measured, options.steps)


def run_trial(folder: Path, arm: str, seed: int, steps: int) -> dict[str, float]:
    """Train one arm with one seed, and return its numbers on the films that it has never seen."""
    path = find_run(folder, arm, seed) / "measured.json"
    # A process of its own, because Fabric starts the second one with the same command line.
    command = [sys.executable, __file__, "--steps", str(steps), "--train", arm, str(seed), str(folder)]
    if not path.exists():
        subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    numbers: dict[str, float] = json.loads(path.read_text())
    print(arm, seed, numbers, flush=True)
    return numbers


def train(arm: str, seed: str, folder: str, steps: int) -> None:
    """Train and measure one arm with one seed, in this process and those that it starts."""
    torch.set_num_threads(1)
    settings = [*RECIPE, *ARMS[arm], f"training.steps={steps}", f"training.seed={seed}"]
    is_before = "before" in arm
    split = step.split_into_even_chunks if is_before else step.split_into_strided_chunks
    with patch.object(step, "split_into_strided_chunks", split):
        run = find_run(Path(folder), arm, int(seed))
        pretrain(Path(folder) / "library", resolve("tiny", settings), run)
    if os.environ.get("LOCAL_RANK", "0") == "0":
        (run / "measured.json").write_text(json.dumps(measure(run, Path(folder) / "unseen", steps)))


def find_run(folder: Path, arm: str, seed: int) -> Path:
    """Return the folder of a run."""
    return folder / "runs" / f"{list(ARMS).index(arm)}-{seed}"


def measure(run: Path, unseen: Path, steps: int) -> dict[str, float]:
    """Return a run's numbers on the films that it has never seen."""
    retrieval, concepts = (evaluate(task, run, unseen, steps).metrics for task in ("retrieval", "synthetic-concepts"))
    ways = ("video_to_audio", "audio_to_video")
    return {
        "within_film_recall_at_1": sum(retrieval[f"within_film_{way}_recall_at_1"].mean for way in ways) / 2,
        "concept_from_video": concepts["video_accuracy"].mean,
        "concept_from_audio": concepts["audio_accuracy"].mean,
    }


def summarise(values: list[float]) -> dict[str, Any]:
    """Return the mean of several seeds with its 95 % interval, and the values."""
    mean = statistics.mean(values)
    reach = STUDENT[len(values)] * statistics.stdev(values) / len(values) ** 0.5
    return {"mean": mean, "low": mean - reach, "high": mean + reach, "values": values}


def write(measured: dict[str, list[dict[str, float]]], steps: int) -> None:
    """Write the results as a table and as JSON."""
    arms = {arm: {name: summarise([r[name] for r in runs]) for name in METRICS} for arm, runs in measured.items()}
    seeds = len(next(iter(measured.values())))
    rows = [
        f"| {arm} | "
        + " | ".join(f"{s['mean']:.1%} ({s['low']:.1%} to {s['high']:.1%})" for s in summaries.values())
        + " |"
        for arm, summaries in arms.items()
    ]
    sections = [
        f"{SEEN} rendered films of {FILMS.seconds:g} s, `tiny` with pictures of 32 × 32, 8 films × 8 clips a batch, "
        f"chunks of 8 clips, {steps} steps; {UNSEEN} films never seen; means of {seeds} seeds with the 95 % interval "
        "of the mean. Chance: recall at 1 5 %, concept 6 %.",
        "",
        f"| batch norms see | {' | '.join(METRICS.values())} |",
        "|---|---|---|---|",
        *rows,
    ]
    path = write_results("norms", "What batch norms see", sections)
    document = {"schema_version": 1, "hardware": hardware(), "date": today(), "steps": steps, "recipe": RECIPE}
    path.with_suffix(".json").write_text(json.dumps({**document, "arms": arms}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
