"""Train `tiny` on rendered films for some minutes, and evaluate it on films that it has never seen.

    python benchmarks/learns.py [--films 24] [--unseen 8] [--seconds 300] [--seeds 1] [--steps N]

Writes `benchmarks/results/learns_<hardware>_<date>.md`. Without `--steps`, a short trial (`talkies cost`)
estimates how many steps fit into the seconds. The results say how long training took.
"""

import argparse
import tempfile
import time
from pathlib import Path

from machine import write_results
from talkies.evaluation import evaluate
from talkies.evaluation.results import Result
from talkies.ingestion import ingest
from talkies.synth import SynthConfig, render_films
from talkies.training import RunConfig, estimate_cost, pretrain, resolve

FILMS = SynthConfig(seconds=48.0)
TARGETS = {
    "concept from video features (linear probe)": ("synthetic-concepts", "video_accuracy", 3),
    "concept from audio features (linear probe)": ("synthetic-concepts", "audio_accuracy", 3),
    "video → audio in all films, recall at 1": ("retrieval", "across_films_video_to_audio_recall_at_1", 10),
    "audio → video in all films, recall at 1": ("retrieval", "across_films_audio_to_video_recall_at_1", 10),
    "video → audio within the film, recall at 1": (
        "retrieval",
        "within_film_video_to_audio_recall_at_1",
        10,
    ),
    "audio → video within the film, recall at 1": (
        "retrieval",
        "within_film_audio_to_video_recall_at_1",
        10,
    ),
}


def main() -> None:
    """Render films, train, evaluate, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--films", type=int, default=24)
    parser.add_argument("--unseen", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=None)
    options = parser.parse_args()
    sections: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        render_films(root / "seen", options.films, FILMS, seed=2)
        render_films(root / "unseen", options.unseen, FILMS, seed=3)
        library = ingest([root / "seen"], root / "library", workers=2).library
        steps = options.steps or estimate_steps(library.root, options.seconds)
        for seed in range(options.seeds):
            run, config = root / f"run-{seed}", make_recipe(steps, seed)
            started = time.perf_counter()
            pretrain(library.root, config, run)
            sections += format_section(run, config, time.perf_counter() - started, root / "unseen", options)
    write_results("learns", "What `tiny` learns from rendered films", sections)


def make_recipe(steps: int, seed: int) -> RunConfig:
    """Return `tiny` with this length and seed."""
    return resolve("tiny", [f"training.steps={steps}", f"training.seed={seed}"])


def estimate_steps(library: Path, seconds: float) -> int:
    """Return the number of steps that fit into these seconds."""
    cost = estimate_cost(library, make_recipe(100, 0), seconds=20.0)
    return int(seconds * cost.clips_per_second / cost.clips)


def format_section(
    run: Path, config: RunConfig, seconds: float, unseen: Path, options: argparse.Namespace
) -> list[str]:
    """Return the results as a table: untrained, trained, chance."""
    steps = config.training.steps
    before, after = (
        {task: evaluate(task, run, unseen, step) for task, _, _ in TARGETS.values()} for step in (0, steps)
    )
    rows = [format_row(label, target, before, after) for label, target in TARGETS.items()]
    return [
        f"{options.films} rendered films of {FILMS.seconds:g} s, `tiny`, {steps} steps in {seconds:.0f} s, seed "
        f"{config.training.seed}; evaluated on {options.unseen} films never seen.",
        "",
        "| on films never seen | untrained | trained | chance | × chance | target |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
    ]


def format_row(label: str, target: tuple[str, str, int], before: dict[str, Result], after: dict[str, Result]) -> str:
    """Return one row of the table."""
    task, name, wanted_ratio = target
    chance = after[task].protocol["chance"][name]
    untrained, trained = before[task].metrics[name].mean, after[task].metrics[name].mean
    ratio = trained / chance
    return f"| {label} | {untrained:.1%} | {trained:.1%} | {chance:.1%} | {ratio:.1f} | {wanted_ratio} |"


if __name__ == "__main__":
    main()
