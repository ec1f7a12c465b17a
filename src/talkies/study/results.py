"""The results of a study: every trial and the summaries of each arm; every number has a name of its own.

A number of the report is `summaries:<arm>:<measure>`, `comparisons:<arm>:<measure>` or `changes:<arm>:<measure>`, the
`id` of one line of `results.json`.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from scipy.stats import ttest_1samp

from talkies.analysis.metric import Metric
from talkies.config import Config
from talkies.runtime import write_atomically
from talkies.study.arms import PLAIN, Arm
from talkies.study.scale import Scale
from talkies.study.trials import Measurement, TrialResult

SCHEMA_VERSION = 1
UNTRAINED = "untrained"


class Summary(Metric):
    """A measure of an arm over its seeds, after `step` steps; `id` is its name in the report."""

    id: str
    arm: str
    measure: str
    step: int


class Comparison(Metric):
    """The difference of a measure between two arms, paired by seed; `p` is that of the two-sided paired t-test.

    The mean and its interval are those of the differences.
    """

    id: str
    arm: str
    against: str
    measure: str
    p: Annotated[float, Field(ge=0, le=1)] | None


class StudyResults(Config):
    """The complete results of a study. `chance` is given by nature of the films and by measure.

    A comparison is the difference between an arm and random films of the same nature; a change is how much that
    differs from the pair's difference on plain films.

    `wall_seconds` counts from the last start; if the study was `resumed`, it ran longer in total.
    """

    schema_version: int = SCHEMA_VERSION
    scale: Scale
    tools: dict[str, str]
    wall_seconds: float
    resumed: bool
    chance: dict[str, dict[str, float]]
    arms: tuple[dict[str, Any], ...]
    cells: tuple[TrialResult, ...]
    summaries: tuple[Summary, ...]
    comparisons: tuple[Comparison, ...]
    changes: tuple[Comparison, ...]

    def summary(self, arm: str, measure: str) -> Summary | None:
        """Return a measure of an arm after its last step."""
        wanted = f"summaries:{arm}:{measure}"
        return next((summary for summary in self.summaries if summary.id == wanted), None)

    def comparison(self, arm: str, measure: str) -> Comparison | None:
        """Return the difference of a measure between an arm and random films of the same nature."""
        wanted = f"comparisons:{arm}:{measure}"
        return next((comparison for comparison in self.comparisons if comparison.id == wanted), None)

    def change(self, arm: str, measure: str) -> Comparison | None:
        """Return how an arm's advantage over random films differs from the pair's advantage on plain films."""
        wanted = f"changes:{arm}:{measure}"
        return next((change for change in self.changes if change.id == wanted), None)

    def of_pair(self, axis: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Return the arms (random, within) that were compared along an axis, in ascending order of `at`."""
        arms = [arm for arm in self.arms if arm["axis"] == axis and arm["pair"]]
        random, within = (sorted((a for a in arms if a["pair"] == p), key=_get_position) for p in ("random", "within"))
        return list(zip(random, within, strict=True))


def _get_position(arm: dict[str, Any]) -> float:
    return float(arm["at"] or 0)


def summarise(arms: Sequence[Arm], trials: Sequence[TrialResult]) -> tuple[Summary, ...]:
    """Return each measure of each arm at each measured step, and of each nature of films before training."""
    summaries: list[Summary] = []
    for arm in arms:
        own = [trial for trial in trials if trial.arm == arm.name]
        for index, measured in enumerate(own[0].judged):
            of_seeds = [trial.judged[index] for trial in own]
            if measured.step == 0:
                if arm.pair == "random" and arm.axis != "batch":
                    summaries += _compute_summaries(f"{UNTRAINED}-{arm.nature}", of_seeds)
            elif measured.step == arm.steps:
                summaries += _compute_summaries(arm.name, of_seeds)
            else:
                summaries += _compute_summaries(f"{arm.name}@{measured.step}", of_seeds)
    return tuple(summaries)


def _compute_summaries(name: str, of_seeds: Sequence[Measurement]) -> Iterator[Summary]:
    for measure in of_seeds[0].measures:
        metric = Metric.of([measured.measures[measure] for measured in of_seeds], 0.0, 1.0)
        line = f"summaries:{name}:{measure}"
        yield Summary(id=line, arm=name, measure=measure, step=of_seeds[0].step, **metric.model_dump())


def compare_arms(arms: Sequence[Arm], trials: Sequence[TrialResult]) -> tuple[Comparison, ...]:
    """Return the differences between each arm and random films of the same nature and batch, paired by seed."""
    return tuple(
        _compute_comparison("comparisons", arm.name, other.name, measure, differences)
        for arm in arms
        if (other := _find_random_arm(arm, arms)) is not None and other.name != arm.name
        for measure, differences in _compute_differences(arm, other, trials).items()
    )


def compare_natures(arms: Sequence[Arm], trials: Sequence[TrialResult]) -> tuple[Comparison, ...]:
    """Return how the pair's differences on other films or batch sizes differ from those on plain films."""
    random, within = arms[:2]
    plain = _compute_differences(within, random, trials)
    comparisons: list[Comparison] = []
    for arm in arms[2:]:
        other = _find_random_arm(arm, arms)
        if arm.pair != "within" or other is None:
            continue
        for measure, differences in _compute_differences(arm, other, trials).items():
            if measure in plain:
                seeds = sorted(differences.keys() & plain[measure].keys())
                changes = {seed: differences[seed] - plain[measure][seed] for seed in seeds}
                comparisons.append(_compute_comparison("changes", arm.name, within.name, measure, changes))
    return tuple(comparisons)


def _compute_differences(arm: Arm, other: Arm, trials: Sequence[TrialResult]) -> dict[str, dict[int, float]]:
    """Return the difference of each measure between two arms, by the seeds that both have."""
    first, second = ({trial.seed: trial.judged[-1] for trial in trials if trial.arm == a.name} for a in (arm, other))
    seeds = sorted(first.keys() & second.keys())
    return {
        measure: {seed: first[seed].measures[measure] - second[seed].measures[measure] for seed in seeds}
        for measure in first[seeds[0]].measures
    }


def _find_random_arm(arm: Arm, arms: Sequence[Arm]) -> Arm | None:
    same = [a for a in arms if a.pair == "random" and a.nature == arm.nature and a.steps == arm.steps]
    return same[0] if same else None


def _compute_comparison(kind: str, arm: str, other: str, measure: str, differences: dict[int, float]) -> Comparison:
    values = [*differences.values()]
    metric, p = Metric.of(values), None
    if len(values) > 1 and metric.sd > 0:
        p = float(ttest_1samp(values, 0.0).pvalue)  # on differences this is the paired test
    line = f"{kind}:{arm}:{measure}"
    return Comparison(id=line, arm=arm, against=other, measure=measure, p=p, **metric.model_dump())


def write_results(path: Path, results: StudyResults) -> None:
    """Write `results.json` with one line for each record, so that a number of the report can be found by its line."""
    document = results.model_dump(mode="json")
    lines = ["{"]
    for name, value in document.items():
        if isinstance(value, list):
            lines += [f" {json.dumps(name)}: [", *_separate_by_commas(f"  {json.dumps(each)}" for each in value), " ],"]
        else:
            lines.append(f" {json.dumps(name)}: {json.dumps(value)},")
    lines[-1] = lines[-1].removesuffix(",")
    write_atomically(path, "\n".join([*lines, "}", ""]))


def _separate_by_commas(lines: Iterable[str]) -> list[str]:
    every = list(lines)
    return [line + "," for line in every[:-1]] + every[-1:]


def get_plain_pair(results: StudyResults) -> tuple[str, str]:
    """Return the names of the two arms of the pair on plain films: random, within."""
    by_side = {arm["pair"]: arm["name"] for arm in results.arms if arm["nature"] == PLAIN and arm["axis"] == "sampling"}
    return by_side["random"], by_side["within"]
