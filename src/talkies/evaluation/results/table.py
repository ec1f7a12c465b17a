"""Results as one table, with published results of other methods, in plain text, Markdown or LaTeX."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from talkies.evaluation.results.published_results import find_published_results
from talkies.evaluation.results.result import Metric, Result

Form = Literal["text", "markdown", "latex"]
HEADINGS = ("task", "what", "metric", "value", "95 %", "n", "chance", "protocol")

_LATEX = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"}
    | {"×": r"$\times$", "±": r"$\pm$"}
    | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
)
_MARKDOWN = str.maketrans({c: f"\\{c}" for c in "\\|"})
_NOT_COMPARED = {
    "run",
    "checkpoint_step",
    "model_stamp",
    "license",
    "public encoder",
    "chance",
    "chosen",
    "splits",
    "unfit",
    "profile",
}
"""Keys of a protocol that describe the run or the data: results that differ only in them share a protocol number."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `protocol` is the number of its protocol."""

    task: str
    what: str
    metric: str
    value: str
    interval: str
    n: str
    chance: str
    protocol: int

    @property
    def cells(self) -> tuple[str, ...]:
        """The text of each column."""
        cells = (self.task, self.what, self.metric, self.value, self.interval, self.n, self.chance)
        return (*cells, f"[{self.protocol}]")


@dataclass(frozen=True, slots=True)
class ResultTable:
    """Rows, and the protocols that they refer to by number, from 1."""

    rows: tuple[Row, ...]
    protocols: tuple[str, ...]


def build_table(results: Iterable[tuple[Path, Result]]) -> ResultTable:
    """Return all results as a table, sorted by task: the run, its baselines, then published results."""
    rows: list[Row] = []
    protocols: dict[str, int] = {}
    published: set[tuple[str, str]] = set()
    for _, result in sorted(results, key=lambda item: (item[1].task, str(item[0]))):
        rows += _build_rows(result, protocols)
        method = str(result.protocol.get("method", ""))
        if (result.task, method) not in published:
            published.add((result.task, method))
            rows += _build_published_rows(result.task, method, protocols)
    return ResultTable(tuple(rows), tuple(protocols))


def format_table(table: ResultTable, form: Form) -> str:
    """Return a table as Markdown, LaTeX or aligned text, followed by its protocols."""
    lines = [HEADINGS, *(row.cells for row in table.rows)]
    notes = [f"[{number}] {words}" for number, words in enumerate(table.protocols, 1)]
    match form:
        case "markdown":
            return "\n".join([*_format_markdown(lines), "", *(f"- {note}" for note in notes)])
        case "latex":
            return "\n".join([*_format_latex(lines), *(f"% {note}" for note in notes)])
        case "text":
            return "\n".join([*_format_text(lines), "", *notes])


def name_measured(result: Result) -> str:
    """Return what was measured: a run with its step, the address of public encoders, or features of any kind."""
    run = str(result.protocol.get("run", "features"))
    if "license" in result.protocol:
        return run
    return f"{run}, step {result.protocol.get('checkpoint_step', '-')}"


def _build_rows(result: Result, protocols: dict[str, int]) -> Iterator[Row]:
    """Yield a row for each metric of the run and of its baselines."""
    number = _assign_number(protocols, _format_protocol(result))
    chances = result.protocol.get("chance", {})
    run = name_measured(result)
    metrics_of = {run: result.metrics}
    metrics_of |= {f"{run}: {name}": metrics for name, metrics in result.baselines.items()}
    for what, metrics in metrics_of.items():
        for name, metric in metrics.items():
            yield _build_row((result.task, what, name), metric, chances.get(name), number)


def _build_row(names: tuple[str, str, str], metric: Metric, chance: float | None, protocol: int) -> Row:
    """Return the row of a metric; `names` are task, what was measured, and metric."""
    is_share = "rank" not in names[2] and "lift" not in names[2]
    unit = " %" if is_share else ""
    deviation = f" ± {_format_number(metric.sd, is_share)}" if metric.n > 1 else ""
    low, high = metric.low, metric.high
    has_interval = low is not None and high is not None
    return Row(
        *names,
        value=f"{_format_number(metric.mean, is_share)}{unit}{deviation}",
        interval=f"{_format_number(low, is_share)} to {_format_number(high, is_share)}" if has_interval else "",
        n=str(metric.n),
        chance="" if chance is None else f"{_format_number(chance, is_share)}{unit}",
        protocol=protocol,
    )


def _build_published_rows(task: str, method: str, protocols: dict[str, int]) -> Iterator[Row]:
    for published in find_published_results(task, method):
        yield Row(
            task=published.task,
            what=f"{published.method} ({published.pretraining}), published",
            metric="accuracy",
            value=f"{published.accuracy:.1f} %",
            interval="",
            n="",
            chance="",
            protocol=_assign_number(protocols, f"as published: {published.protocol}"),
        )


def _format_markdown(lines: list[tuple[str, ...]]) -> list[str]:
    rows = [f"| {' | '.join(cell.translate(_MARKDOWN) for cell in line)} |" for line in lines]
    return [rows[0], f"|{'---|' * len(HEADINGS)}", *rows[1:]]


def _format_latex(lines: list[tuple[str, ...]]) -> list[str]:
    rows = [" & ".join(cell.translate(_LATEX) for cell in line) + r" \\" for line in lines]
    return [
        r"\begin{tabular}{lllllrrl}",
        r"\hline",
        rows[0],
        r"\hline",
        *rows[1:],
        r"\hline",
        r"\end{tabular}",
    ]


def _format_text(lines: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def _format_number(value: float | None, is_share: bool) -> str:
    if value is None:
        return ""
    return f"{100 * value:.1f}" if is_share else f"{value:.1f}"


def _format_protocol(result: Result) -> str:
    """Return a protocol in one line, without what describes the run or the data."""
    missing = result.protocol.get("missing_share", 0)
    parts = [f"{key}: {value}" for key, value in result.protocol.items() if key not in _NOT_COMPARED]
    if missing:
        parts.append(f"{100 * missing:.1f} % OF THE CLIPS MISSING")
    return "; ".join(parts)


def _assign_number(protocols: dict[str, int], words: str) -> int:
    """Return the number of a protocol, the next one if it is new."""
    return protocols.setdefault(words, len(protocols) + 1)
