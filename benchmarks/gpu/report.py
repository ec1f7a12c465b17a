"""The results as JSON and Markdown, and their place in docs/training.md.

Everything is made of the JSON document, so that a page can be written again from a results file.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gpu.parts import COLUMNS, Columns

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "training.md"
BEGIN, END = "<!-- measured on a GPU: written by benchmarks/gpu -->", "<!-- /measured on a GPU -->"
NOT_MEASURED = (
    "Nothing of this has been measured on a GPU yet: no number here says how fast a GPU is. `make gpu` measures it "
    "on a machine with a CUDA device in nine minutes, and writes its table here."
)
SHOWN_IN_PAGE = ("steps-r2plus1d18", "steps-vit-s", "loader", "loss", "embedding", "adaptation")
BASELINE = "float32, contiguous"
Document = Mapping[str, Any]


def name_results(card: str, date: str) -> str:
    """Return the name of a card's results of a day, without a suffix: `gpu_nvidia-h200_2026-12-01`."""
    slug = re.sub(r"[^a-z0-9]+", "-", card.lower()).strip("-")
    return f"gpu_{slug}_{date}"


def format_results(document: Document) -> str:
    """Return the page of all results in Markdown."""
    lines = [
        f"# A GPU's day: {document['card']}",
        "",
        f"{document['machine']}, {document['date']}; {document['seconds']:.0f} s of {document['limit_seconds']:.0f} s."
        + (" A dry run: its numbers mean nothing." if document["dry_run"] else ""),
        "",
    ]
    for part in document["parts"]:
        lines += [f"## {part['title']}", "", *_format_part(part), ""]
    return "\n".join(lines)


def _format_part(part: Document) -> list[str]:
    state = f"{part['state'].capitalize()} in {part['seconds']:.0f} s"
    if part["reason"]:
        state = f"{part['state'].capitalize()} after {part['seconds']:.0f} s: {part['reason']}"
    if part["name"] == "tests" and part["rows"]:
        state += f". {_count_outcomes(part['rows'])}"
    rows = _add_speed_ups(part["rows"])
    table = _format_table(rows, COLUMNS[part["name"]]) if rows else []
    return [f"{state.rstrip('.')}.", "", *table, *([""] if table else []), *(f"- {note}" for note in part["notes"])]


def _count_outcomes(rows: Sequence[Document]) -> str:
    outcomes = [row["outcome"] for row in rows]
    return ", ".join(f"{outcomes.count(each)} {each}" for each in dict.fromkeys(sorted(outcomes)))


def _add_speed_ups(rows: Sequence[Document]) -> list[Document]:
    """Return the rows with their speed relative to that of plain float32, where both are there."""
    base = next((row.get("clips_per_second") for row in rows if row.get("configuration") == BASELINE), None)
    if not base:
        return list(rows)
    return [{**row, "speed_up": row["clips_per_second"] / base} if row.get("clips_per_second") else row for row in rows]


def _format_table(rows: Sequence[Document], columns: Columns) -> list[str]:
    """Return a table; columns that no row has are left out, and a row that failed has its reason in the last cell."""
    used = {key: column for key, column in columns.items() if any(row.get(key) is not None for row in rows)}
    has_reasons = any("reason" in row for row in rows)
    titles = [title for title, _ in used.values()] + (["why not"] if has_reasons else [])
    lines = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]
    for row in rows:
        cells = [_format_cell(row.get(key), form) for key, (_, form) in used.items()]
        cells += [str(row.get("reason", "")).replace("|", "\\|")] if has_reasons else []
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _format_cell(value: object, form: str) -> str:
    return "" if value is None else format(value, form)


def format_section(document: Document | None) -> str:
    """Return what docs/training.md says between its marks: the tables of a GPU, or that there are none yet."""
    if document is None:
        return NOT_MEASURED
    link = name_results(document["card"], document["date"])
    lines = [
        f"Measured on {document['card']} with {document['machine']}, {document['date']} (all of it: "
        f"`benchmarks/results/{link}.md`).",
        "",
    ]
    for part in document["parts"]:
        if part["name"] in SHOWN_IN_PAGE:
            lines += [f"**{part['title']}.** {' '.join(_format_part(part)[:1])}", "", *_format_part(part)[2:], ""]
    return "\n".join(lines).rstrip()


def find_newest(folder: Path = RESULTS) -> Document | None:
    """Return the newest results of a GPU, or None if there are none; dry runs and processors do not count."""
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("gpu_*.json"))]
    measured = [each for each in documents if each["device"] == "cuda" and not each["dry_run"]]
    return max(measured, key=lambda each: (each["date"], each["card"]), default=None)


def read_section(page: str) -> str:
    """Return what a page says between its marks."""
    return page.split(BEGIN)[1].split(END)[0].strip("\n")


def replace_section(page: str, section: str) -> str:
    """Return a page with another section between its marks."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n\n{section}\n\n{END}{rest.split(END)[1]}"
