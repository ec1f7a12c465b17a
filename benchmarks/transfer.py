"""Measure how well `tiny`, trained on rendered films, transfers to real sounds and actions, compared with no training.

    python benchmarks/transfer.py [--films 24] [--steps 450] [--run RUN]

ESC-10 in its five folds; the real action clips with each subject left out once, by a linear probe, nearest neighbours
and fine-tuning. Untrained encoders and plain statistics are in the same tables as baselines. With `--run` that run is
measured, and nothing is rendered or trained.

Writes `benchmarks/results/transfer_<hardware>_<date>.md`.
"""

import argparse
import tempfile
from pathlib import Path

from machine import write_results
from talkies.evaluation import evaluate
from talkies.evaluation.results import Result, build_table, format_table
from talkies.evaluation.transfer import resolve_protocol
from talkies.ingestion import ingest
from talkies.synth import SynthConfig, render_films
from talkies.training import pretrain, resolve

DATA = Path(__file__).parents[2] / "shared" / "data"
BY_SUBJECT = r"data.group=^(subject\d+)_"
MEASUREMENTS = (  # task, folder, protocol, overrides
    ("esc10", "esc10", "linear", ()),
    ("video-folder", "actions", "linear", (BY_SUBJECT,)),
    ("video-folder", "actions", "knn", (BY_SUBJECT,)),
    ("video-folder", "actions", "finetune", (BY_SUBJECT, "frames=8", "fps=8", "size=64", "finetune.epochs=8")),
)


def main() -> None:
    """Render, train, measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--films", type=int, default=24)
    parser.add_argument("--steps", type=int, default=450)
    parser.add_argument("--run", type=Path, default=None)
    options = parser.parse_args()

    results: list[tuple[Path, Result]] = []
    with tempfile.TemporaryDirectory() as folder:
        run = options.run or train_run(Path(folder), options.films, options.steps)
        for task, data, protocol, overrides in MEASUREMENTS:
            result = evaluate(task, run, DATA / data, protocol=resolve_protocol(protocol, overrides))
            result = result.model_copy(update={"protocol": result.protocol | {"run": "tiny"}})
            results.append((Path(f"{len(results)}"), result))

    what = f"`tiny`, {options.steps} steps on {options.films} rendered films of a minute."
    table = format_table(build_table(results), "markdown")
    write_results("transfer", "Transfer to real sounds and actions", [what, "", table])


def train_run(folder: Path, films: int, steps: int) -> Path:
    """Return a run of `tiny` trained on rendered films."""
    render_films(folder / "films", films, SynthConfig(seconds=60.0), seed=2)
    library = ingest([folder / "films"], folder / "library", workers=2).library
    pretrain(library.root, resolve("tiny", [f"training.steps={steps}"]), folder / "run")
    return folder / "run"


if __name__ == "__main__":
    main()
