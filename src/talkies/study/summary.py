"""How a study's numbers are written: a share with its interval, or a difference in points with its p value."""

from collections.abc import Callable

from talkies.study.findings import Line, Sentence, describe_arm_point, describe_measure, name_sampling
from talkies.study.results import StudyResults, Summary
from talkies.study.statistics import Contrast

MINUS = "−"
SUMMARY_COLUMNS = ("learnt from", "compared", "measure", "difference", "verdict")


class NumberFormatter:
    """Formats the numbers of a study's results, found by their `id`."""

    def __init__(self, results: StudyResults) -> None:
        every: tuple[Summary | Contrast, ...] = (*results.summaries, *results.contrasts)
        self._lines = {line.id: line for line in every}

    def __contains__(self, line: str) -> bool:
        return line in self._lines

    def format_line(self, line: str) -> str:
        """Return a share as `61.2 % [58.0, 64.4]`, or a difference as `+12.3 points [9.0, 15.6] (p = 0.002)`.

        Raises:
            KeyError: if the results have no such line.
        """
        number = self._lines[line]
        if isinstance(number, Contrast):
            p = "" if number.p_holm is None else f" (p {_format_p(number.p_holm)})"
            return f"{_format_points(number.mean)} points{_format_interval(number, _format_points)}{p}"
        return f"{100 * number.mean:.1f} %{_format_interval(number, _format_share)}"

    def format_sentence(self, sentence: Sentence) -> str:
        """Return a sentence as plain text."""
        return "".join(self.format_line(part.id) if isinstance(part, Line) else part for part in sentence)


def _format_interval(number: Summary | Contrast, format_number: Callable[[float], str]) -> str:
    if number.low is None or number.high is None or number.low == number.high:
        return ""  # no film set changes the value
    return f" [{format_number(number.low)}, {format_number(number.high)}]"


def _format_share(share: float) -> str:
    return f"{100 * share:.1f}"


def _format_points(share: float) -> str:
    points = f"{100 * share:+.1f}"
    return points.replace("-", MINUS)


def _format_p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def list_summary_rows(results: StudyResults) -> list[tuple[str, ...]]:
    """Return the rows that the command prints: every contrast of the first family."""
    numbers, first = NumberFormatter(results), next(iter(results.scale.families))
    return [
        (
            describe_arm_point(results, contrast.arm),
            f"{name_sampling(results, contrast.arm)} − {name_sampling(results, contrast.against)}",
            describe_measure(contrast.measure),
            numbers.format_line(contrast.id),
            contrast.verdict,
        )
        for contrast in results.list_contrasts(first)
    ]
