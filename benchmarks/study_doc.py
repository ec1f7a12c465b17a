"""Write what a study found into docs/study.md: its findings with their figures, from its results.json.

    talkies study --out STUDY --scale small --sounds SOUNDS
    python benchmarks/study_doc.py STUDY

Keeps the results as `benchmarks/results/study_<scale>.json`, and the figures as `docs/study/*.png`.
"""

import shutil
import sys
from pathlib import Path

from machine import ROOT, hardware, today
from talkies.study import StudyResults
from talkies.study.findings import list_findings
from talkies.study.results import write_results
from talkies.study.summary import NumberFormatter

BEGIN, END = "<!-- findings: written by benchmarks/study_doc.py -->", "<!-- /findings -->"
PAGE = ROOT / "docs" / "study.md"
FIGURES = ROOT / "docs" / "study"


def main() -> None:
    """Take the results and figures of a study's folder, and write the page."""
    study = Path(sys.argv[1])
    results = StudyResults.model_validate_json((study / "results.json").read_text(encoding="utf-8"))
    write_results(kept(results.scale.name), results)
    FIGURES.mkdir(exist_ok=True)
    for finding in list_findings(results):
        shutil.copy(study / "figures" / f"{finding.figure}.png", FIGURES)
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    where = f"{hardware()}, {today()}"
    PAGE.write_text(f"{before}{BEGIN}\n{section(results, where)}{END}{rest.split(END)[1]}", encoding="utf-8")


def kept(scale: str) -> Path:
    """Return where the results of a scale are kept."""
    return ROOT / "benchmarks" / "results" / f"study_{scale}.json"


def section(results: StudyResults, where: str) -> str:
    """Return the findings in Markdown."""
    numbers, scale = NumberFormatter(results), results.scale
    took = "In more than one sitting" if results.resumed else f"In {results.wall_seconds / 60:.0f} minutes"
    lines = [
        f"Scale `{scale.name}`: {len(results.cells)} models, {scale.films} films of {scale.synth.seconds:g} s to learn "
        f"from, {scale.unseen_films} never seen; every model saw {scale.batch_clips * scale.steps} clips. "
        f"{took} on {where}. Shares and differences with 95 % intervals over seeds.",
        "",
    ]
    for finding in list_findings(results):
        sentences = [numbers.format_sentence(sentence) for sentence in finding.sentences]
        lines += [f"### {finding.title}", "", *[f"{sentence}  " for sentence in sentences], ""]
        lines += [f"![{finding.title}](study/{finding.figure}.png)", ""]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
