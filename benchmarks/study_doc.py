"""Write what the studies found into docs/study.md: findings with their figures, from each study's results.json.

    talkies study --out STUDY --scale small
    python benchmarks/study_doc.py STUDY [COMPOSED]

Keeps the results as `benchmarks/results/study_<scale>.json`, and the figures as `docs/study/<scale>-*.png`. Writes the
evidence that `analyse` and `audit` advise by, `src/talkies/analysis/evidence.json`. Studies that are not named stay as
they are.
"""

import re
import shutil
import sys
from pathlib import Path

from machine import ROOT, hardware, today
from talkies.analysis.evidence import Evidence, write_evidence
from talkies.study import StudyResults
from talkies.study.evidence import list_evidence
from talkies.study.figures import write_figures
from talkies.study.findings import list_findings
from talkies.study.results import write_results
from talkies.study.summary import NumberFormatter

PAGE = ROOT / "docs" / "study.md"
FIGURES = ROOT / "docs" / "study"
EVIDENCE = ROOT / "src" / "talkies" / "analysis" / "evidence.json"


def main() -> None:
    """Take the results and figures of studies' folders, and write the page."""
    for folder in map(Path, sys.argv[1:]):
        results = StudyResults.model_validate_json((folder / "results.json").read_text(encoding="utf-8"))
        scale = results.scale.name
        write_results(kept(scale), results)
        keep_evidence(results)
        FIGURES.mkdir(exist_ok=True)
        for name in write_figures(folder / "figures", results):
            shutil.copy(folder / "figures" / f"{name}.png", FIGURES / f"{scale}-{name}.png")
        text = PAGE.read_text(encoding="utf-8")
        begin, end = markers(scale)
        before, rest = text.split(begin)
        where = f"{hardware()}, {today()}"
        PAGE.write_text(f"{before}{begin}\n{section(results, where)}{end}{rest.split(end)[1]}", encoding="utf-8")


def keep_evidence(results: StudyResults, path: Path = EVIDENCE) -> None:
    """Write a study's evidence in place of its former evidence, and of what was measured by hand before."""
    evidence = Evidence.model_validate_json(path.read_text(encoding="utf-8"))
    write_evidence(path, evidence.replace_source(list_evidence(results)))


def markers(scale: str) -> tuple[str, str]:
    """Return the lines of the page between which a scale's findings are."""
    return f"<!-- findings of {scale}: written by benchmarks/study_doc.py -->", f"<!-- /findings of {scale} -->"


def written_scales() -> list[str]:
    """Return the scales whose findings are on the page."""
    return re.findall(r"<!-- findings of (\w+):", PAGE.read_text(encoding="utf-8"))


def kept(scale: str) -> Path:
    """Return where the results of a scale are kept."""
    return ROOT / "benchmarks" / "results" / f"study_{scale}.json"


def section(results: StudyResults, where: str) -> str:
    """Return the findings in Markdown."""
    numbers, scale = NumberFormatter(results), results.scale
    took = "In more than one sitting" if results.resumed else f"In {results.wall_seconds / 60:.0f} minutes"
    lines = [
        f"Scale `{scale.name}`: {len(results.cells)} models, {len(results.arms)} ways of training on {scale.film_sets} "
        f"film sets, films of {scale.synth.seconds:g} s, {scale.unseen_films} unseen ones in each set; at length 1 a "
        f"model saw {scale.batch_clips * scale.steps:,} clips. {took} on {where}. Shares and differences with 95 % "
        "intervals over film sets; p corrected within each section.",
        "",
        *([f"![Gain against films and passes](study/{scale.name}-map.png)", ""] if has_map(scale.name) else []),
    ]
    for finding in list_findings(results):
        sentences = [numbers.format_sentence(sentence) for sentence in finding.sentences]
        lines += [f"#### {finding.title}", "", *[f"{sentence}  " for sentence in sentences], ""]
        lines += [f"![{finding.title}](study/{scale.name}-{finding.figure}.png)", ""]
    return "\n".join(lines) + "\n"


def has_map(scale: str) -> bool:
    """Return whether the scale's figures have a map."""
    return (FIGURES / f"{scale}-map.png").is_file()


if __name__ == "__main__":
    main()
