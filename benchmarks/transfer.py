"""What `tiny`, having learnt from rendered films, gives on real sounds and actions, beside what learnt nothing.

    python benchmarks/transfer.py [--films 24] [--steps 450] [--run RUN]

ESC-10 in its five folds; the real action clips with each subject left out once, by a linear probe, by nearest
neighbours and by fine-tuning. Untrained encoders and plain statistics are in the same tables, whatever they say. With
`--run` that run is measured, and nothing is rendered or trained.

Writes `benchmarks/results/transfer_<hardware>_<date>.md`.
"""

import argparse
import tempfile
from pathlib import Path

from machine import write_results
from talkies.evaluation import evaluate
from talkies.evaluation.results import build_table, format_table
from talkies.evaluation.transfer import resolve_protocol
from talkies.ingest import ingest
from talkies.synth import SynthConfig, render_films
from talkies.training import pretrain, resolve

DATA = Path(__file__).parents[2] / "shared" / "data"
SUBJECTS = r"data.group=^(subject\d+)_"
MEASURED = (
    ("esc10", "esc10", "linear", ()),
    ("video-folder", "actions", "linear", (SUBJECTS,)),
    ("video-folder", "actions", "knn", (SUBJECTS,)),
    ("video-folder", "actions", "finetune", (SUBJECTS, "frames=8", "fps=8", "size=64", "finetune.epochs=8")),
)


def main() -> None:
    """Render, train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--films", type=int, default=24)
    parser.add_argument("--steps", type=int, default=450)
    parser.add_argument("--run", type=Path, default=None)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = wanted.run or trained(Path(folder), wanted.films, wanted.steps)
        found = []
        for task, data, protocol, overrides in MEASURED:
            result = evaluate(task, run, DATA / data, protocol=resolve_protocol(protocol, overrides))
            told = result.model_copy(update={"protocol": result.protocol | {"run": "tiny"}})
            found.append((Path(f"{len(found)}"), told))
    what = f"`tiny`, {wanted.steps} steps on {wanted.films} rendered films of a minute."
    write_results("transfer", "Transfer to real sounds and actions", [what, "", format_table(build_table(found), "markdown")])


def trained(root: Path, films: int, steps: int) -> Path:
    """Return a run of `tiny` on rendered films."""
    render_films(root / "films", films, SynthConfig(seconds=60.0), seed=2)
    library = ingest([root / "films"], root / "library", workers=2).library
    pretrain(library.root, resolve("tiny", [f"training.steps={steps}"]), root / "run")
    return root / "run"


if __name__ == "__main__":
    main()
