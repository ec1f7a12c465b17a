"""Results as a table: text, Markdown or LaTeX, with what others report beside, and the protocol of each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from talkies.evaluation.results.published_results import peers_of
from talkies.evaluation.results.result import Metric, Result

Form = Literal["text", "markdown", "latex"]
HEADINGS = ("task", "what", "metric", "value", "95 %", "n", "chance", "protocol")
_LATEX = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"}
    | {"×": r"$\times$", "±": r"$\pm$"}
    | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
)
_MARKDOWN = str.maketrans({c: f"\\{c}" for c in "\\|"})


@dataclass(frozen=True, slots=True)
class Row:
    """One line: the task, what was measured, the metric, its value with interval, and the number of its protocol."""

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
        """The texts of the columns."""
        cells = (self.task, self.what, self.metric, self.value, self.interval, self.n, self.chance)
        return (*cells, f"[{self.protocol}]")


@dataclass(frozen=True, slots=True)
class ResultTable:
    """Rows, and the protocols that they name by number from 1."""

    rows: tuple[Row, ...]
    protocols: tuple[str, ...]


def table_of(results: Iterable[tuple[Path, Result]]) -> ResultTable:
    """Return all results as a table, task by task: the run, its baselines, then what others report."""
    rows: list[Row] = []
    protocols: list[str] = []
    told: set[tuple[str, str]] = set()
    for _, result in sorted(results, key=lambda each: (each[1].task, str(each[0]))):
        number = _number(protocols, _words(result))
        chance = result.protocol.get("chance", {})
        run = f"{result.protocol.get('run', 'features')}, step {result.protocol.get('checkpoint_step', '-')}"
        baselines = {f"{run}: {name}": metrics for name, metrics in result.baselines.items()}
        for what, metrics in {run: result.metrics, **baselines}.items():
            rows += [
                _row((result.task, what, name), metric, chance.get(name), number) for name, metric in metrics.items()
            ]
        method = str(result.protocol.get("method", ""))
        if (result.task, method) not in told:
            told.add((result.task, method))
            rows += [
                Row(p.task, f"{p.method} ({p.pretraining}), published", "accuracy", f"{p.accuracy:.1f} %", "", "", "",
                    _number(protocols, f"as published: {p.protocol}"))
                for p in peers_of(result.task, method)
            ]  # fmt: skip
    return ResultTable(tuple(rows), tuple(protocols))


def as_text(table: ResultTable, form: Form) -> str:
    """Return a table in Markdown or LaTeX, or aligned with blanks, and its protocols below."""
    cells = [HEADINGS, *(row.cells for row in table.rows)]
    notes = [f"[{number}] {words}" for number, words in enumerate(table.protocols, 1)]
    if form == "markdown":
        lines = [f"| {' | '.join(cell.translate(_MARKDOWN) for cell in line)} |" for line in cells]
        return "\n".join([lines[0], f"|{'---|' * len(HEADINGS)}", *lines[1:], "", *(f"- {note}" for note in notes)])
    if form == "latex":
        body = [" & ".join(cell.translate(_LATEX) for cell in line) + r" \\" for line in cells]
        return "\n".join(
            [r"\begin{tabular}{lllllrrl}", r"\hline", body[0], r"\hline", *body[1:], r"\hline", r"\end{tabular}"]
            + [f"% {note}" for note in notes]
        )
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    return "\n".join([*lines, "", *notes])


def _row(names: tuple[str, str, str], metric: Metric, chance: float | None, number: int) -> Row:
    share = "rank" not in names[2] and "lift" not in names[2]
    unit = " %" if share else ""
    low, high = metric.low, metric.high
    return Row(
        *names,
        value=f"{_of(metric.mean, share)}{unit}" + (f" ± {_of(metric.sd, share)}" if metric.n > 1 else ""),
        interval="" if low is None or high is None else f"{_of(low, share)} to {_of(high, share)}",
        n=str(metric.n),
        chance="" if chance is None else f"{_of(chance, share)}{unit}",
        protocol=number,
    )


def _of(value: float, share: bool) -> str:
    return f"{100 * value:.1f}" if share else f"{value:.1f}"


def _number(protocols: list[str], words: str) -> int:
    if words not in protocols:
        protocols.append(words)
    return protocols.index(words) + 1


def _words(result: Result) -> str:
    """Return a protocol in a line; what tells the run or the data alone is left out."""
    apart = {"run", "checkpoint_step", "model_stamp", "chance", "chosen", "splits", "unfit", "profile"}
    missing = result.protocol.get("missing_share", 0)
    parts: Sequence[str] = [f"{key}: {value}" for key, value in result.protocol.items() if key not in apart]
    return "; ".join([*parts, f"{100 * missing:.1f} % OF THE CLIPS MISSING"] if missing else parts)
