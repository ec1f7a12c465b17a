"""The study's report: one standalone HTML file with the findings, their figures, and every number of every arm."""

import base64
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from talkies.reporting.pages import render_page
from talkies.runtime import write_atomically
from talkies.study.figures import write_figures
from talkies.study.findings import Line, Sentence, describe_arm_point, list_findings
from talkies.study.measure import MEASURES
from talkies.study.results import StudyResults
from talkies.study.scale import UNTRAINED
from talkies.study.summary import NumberFormatter

_CAPTION = "Symbols and whiskers: mean and 95 % interval over film sets; dots: film sets."
_MAP_CAPTION = (
    "Above 0: negatives of the same film teach more than negatives of other films. Whiskers: 95 % interval over film "
    "sets."
)
_FILMS_CAPTION = "Every model on plain films: how well its features tell which film a clip is from, and what it shows."


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
            _FILMS_CAPTION if finding.figure == "identity" else _CAPTION,
        )
        for finding in list_findings(results)
    ]
    if "map" in figures:
        title = "At a glance: gain against films and passes over them"
        findings.insert(0, PageFinding(title, (), _encode_image(out / "figures" / "map.svg"), _MAP_CAPTION))
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
        ),
    )
    return page


def _list_rows(
    results: StudyResults, measures: list[str], numbers: NumberFormatter
) -> list[tuple[str, str, list[Markup]]]:
    """Return the table's rows, untrained models first: description, films, measures."""
    names = list(dict.fromkeys(summary.arm for summary in results.summaries))
    names.sort(key=lambda name: not name.startswith(UNTRAINED))
    return [
        (*_describe(results, name), [_format_cell(f"summaries:{name}:{measure}", numbers) for measure in measures])
        for name in names
    ]


def _describe(results: StudyResults, name: str) -> tuple[str, str]:
    arm_name, _, step = name.partition("@")
    arm = results.arm(arm_name)
    if arm is None:
        return name.replace("_", ", "), ""
    return str(arm["words"]) + (f" after {step} steps" if step else ""), describe_arm_point(results, arm_name)


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
