"""Does it learn? `tiny` on rendered films for some minutes, judged on films that it has never seen.

    python benchmarks/learns.py [--films 24] [--unseen 8] [--seconds 300] [--seeds 1] [--steps N]

Writes `benchmarks/results/learns_<hardware>_<date>.md`. Without `--steps`, a short trial (`talkies cost`) tells how
many steps fit into the seconds; what the training then took is written down.
"""

import argparse
import tempfile
import time
from pathlib import Path

from machine import write_results
from talkies.evaluation import evaluate
from talkies.evaluation.results import Result
from talkies.ingest import ingest
from talkies.synth import SynthConfig, render_films
from talkies.training import RunConfig, cost, pretrain, resolve

FILMS = SynthConfig(seconds=48.0)
WANTED = {
    "concept told from picture features (linear probe)": ("synthetic-concepts", "video_accuracy", 3),
    "concept told from sound features (linear probe)": ("synthetic-concepts", "audio_accuracy", 3),
    "sound of a picture found in all films, first of all": ("retrieval", "across_films_video_to_audio_recall_at_1", 10),
    "picture of a sound found in all films, first of all": ("retrieval", "across_films_audio_to_video_recall_at_1", 10),
    "sound of a picture found within its film, first of all": (
        "retrieval",
        "within_film_video_to_audio_recall_at_1",
        10,
    ),
    "picture of a sound found within its film, first of all": (
        "retrieval",
        "within_film_audio_to_video_recall_at_1",
        10,
    ),
}


def main() -> None:
    """Render, train, judge, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--films", type=int, default=24)
    parser.add_argument("--unseen", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=None)
    wanted = parser.parse_args()
    sections: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        render_films(root / "seen", wanted.films, FILMS, seed=2)
        render_films(root / "unseen", wanted.unseen, FILMS, seed=3)
        library = ingest([root / "seen"], root / "library", workers=2).library
        steps = wanted.steps or steps_in(library.root, wanted.seconds)
        for seed in range(wanted.seeds):
            run, config = root / f"run-{seed}", recipe(steps, seed)
            begun = time.perf_counter()
            pretrain(library.root, config, run)
            sections += section(run, config, time.perf_counter() - begun, root / "unseen", wanted)
    write_results("learns", "What `tiny` learns from rendered films", sections)


def recipe(steps: int, seed: int) -> RunConfig:
    """Return `tiny`, with nothing changed but its length and its seed."""
    return resolve("tiny", [f"training.steps={steps}", f"training.seed={seed}"])


def steps_in(library: Path, seconds: float) -> int:
    """Return how many steps fit into so many seconds."""
    found = cost(library, recipe(100, 0), seconds=20.0)
    return int(seconds * found.clips_per_second / found.clips)


def section(run: Path, config: RunConfig, seconds: float, unseen: Path, wanted: argparse.Namespace) -> list[str]:
    """Return what was learnt, as a table: untrained, trained, chance."""
    steps = config.training.steps
    before, after = ({task: evaluate(task, run, unseen, step) for task, _, _ in WANTED.values()} for step in (0, steps))
    rows = [row(words, *place, before, after) for words, place in WANTED.items()]
    return [
        f"{wanted.films} rendered films of {FILMS.seconds:g} s, `tiny`, {steps} steps in {seconds:.0f} s, seed "
        f"{config.training.seed}; judged on {wanted.unseen} films never seen.",
        "",
        "| on films never seen | untrained | trained | chance | × chance | wanted |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
    ]


def row(words: str, task: str, name: str, wanted: int, before: dict[str, Result], after: dict[str, Result]) -> str:
    """Return one line of the table."""
    chance = after[task].protocol["chance"][name]
    untrained, trained = before[task].metrics[name].mean, after[task].metrics[name].mean
    times = trained / chance
    return f"| {words} | {untrained:.1%} | {trained:.1%} | {chance:.1%} | {times:.1f} | {wanted} |"


if __name__ == "__main__":
    main()
