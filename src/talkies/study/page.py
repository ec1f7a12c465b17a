"""The study's report: one standalone HTML file with the findings, their figures, and every number of every arm."""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from talkies.reporting.pages import render_page
from talkies.runtime import write_atomically
from talkies.study.figures import write_figures
from talkies.study.findings import Line, Sentence, list_findings
from talkies.study.measure import MEASURES
from talkies.study.results import UNTRAINED, StudyResults
from talkies.study.summary import NumberFormatter

_CAPTIONS = {
    "pair": "Dots: seeds; symbols and whiskers: mean and 95 % interval over seeds.",
    "grid": "Mean and 95 % interval over seeds; on the left the usual recipe, one clip per film.",
    "policies": "Mean and 95 % interval over seeds, sorted by concept accuracy from pictures.",
    "shortcut": "Every model trained on films with strong shortcut cues: film accuracy against concept accuracy.",
    "losses": (
        "Each term relative to that of a guess: mean over seeds, in a band of all seeds. "
        "Random films have one clip each."
    ),
}
_USUAL_CAPTION = "Mean and 95 % interval over seeds."


@dataclass(frozen=True, slots=True)
class PageFinding:
    """A finding on the page; `figure` is a data URI or None."""

    title: str
    sentences: tuple[Markup, ...]
    figure: str | None
    caption: str


def write_report(out: Path, results: StudyResults) -> Path:
    """Write `report.html` and `figures/` into the study's folder; return the page."""
    figures = write_figures(out / "figures", results)
    numbers = NumberFormatter(results)
    findings = [
        PageFinding(
            finding.title,
            tuple(_format_sentence(sentence, numbers) for sentence in finding.sentences),
            _encode_image(out / "figures" / f"{finding.figure}.svg") if finding.figure in figures else None,
            _CAPTIONS.get(finding.figure, _USUAL_CAPTION),
        )
        for finding in list_findings(results)
    ]
    measures = {name: words for name, words in MEASURES.items() if any(s.measure == name for s in results.summaries)}
    page = out / "report.html"
    write_atomically(
        page,
        render_page(
            "talkies.study",
            "study.html",
            results=results,
            scale=results.scale,
            findings=findings,
            measures=measures,
            rows=_list_rows(results, list(measures), numbers),
            differences=_list_differences(results, list(measures), numbers),
        ),
    )
    return page


def _list_rows(
    results: StudyResults, measures: list[str], numbers: NumberFormatter
) -> list[tuple[str, str, list[Markup]]]:
    """Return the table's rows, untrained models first: description, films, measures."""
    rows = []
    for nature in results.chance:
        name = f"{UNTRAINED}-{nature}"
        rows.append(
            ("untrained", nature, [_format_cell(f"summaries:{name}:{measure}", numbers) for measure in measures])
        )
    for arm in results.arms:
        cells = [_format_cell(f"summaries:{arm['name']}:{measure}", numbers) for measure in measures]
        rows.append((_describe(arm), arm["nature"], cells))
    return rows


def _list_differences(
    results: StudyResults, measures: list[str], numbers: NumberFormatter
) -> list[tuple[str, str, list[Markup]]]:
    """Return a row for each arm: its differences from random films of the same nature."""
    arms = [arm for arm in results.arms if any(c.arm == arm["name"] for c in results.comparisons)]
    return [
        (
            _describe(a),
            a["nature"],
            [_format_cell(f"comparisons:{a['name']}:{measure}", numbers) for measure in measures],
        )
        for a in arms
    ]


def _describe(arm: dict[str, Any]) -> str:
    return str(arm["words"]) + (f", batch of {arm['at']:g}" if arm["axis"] == "batch" else "")


def _format_cell(line: str, numbers: NumberFormatter) -> Markup:
    return _format_span(line, numbers) if line in numbers else Markup("")


def _format_sentence(sentence: Sentence, numbers: NumberFormatter) -> Markup:
    parts = [_format_span(part.id, numbers) if isinstance(part, Line) else Markup.escape(part) for part in sentence]
    return Markup("").join(parts)


def _format_span(line: str, numbers: NumberFormatter) -> Markup:
    """Return a number with a reference to its line of `results.json`."""
    return Markup('<span class="number" data-line="{0}" title="{0}">{1}</span>').format(line, numbers.format_line(line))


def _encode_image(path: Path) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode()
