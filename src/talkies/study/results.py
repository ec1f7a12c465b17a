"""The results of a study: every trial, the summaries of each arm, and the contrasts of each family.

A number of the report is `summaries:<arm>:<measure>` or `contrasts:<family>:<arm>:<against>:<measure>`, the `id` of one
line of `results.json`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from talkies.analysis.metric import Metric
from talkies.config import Config
from talkies.core import Float64s
from talkies.runtime import write_atomically
from talkies.study.arms import Arm, name_arm
from talkies.study.scale import UNTRAINED, Scale
from talkies.study.statistics import ArmPair, Contrast, compare_family
from talkies.study.trials import Measurement, TrialResult

SCHEMA_VERSION = 2


class Summary(Metric):
    """A measure of an arm over the film sets, after `step` steps; `id` is its name in the report."""

    id: str
    arm: str
    measure: str
    step: int


class StudyResults(Config):
    """The complete results of a study.

    `chance` is given by nature of the films and by measure; `clip_seconds` is how long a clip is. `wall_seconds` counts
    from the last start; if the study was `resumed`, it ran longer in total.
    """

    schema_version: int = SCHEMA_VERSION
    scale: Scale
    tools: dict[str, str]
    wall_seconds: float
    resumed: bool
    clip_seconds: float
    chance: dict[str, dict[str, float]]
    arms: tuple[dict[str, Any], ...]
    cells: tuple[TrialResult, ...]
    summaries: tuple[Summary, ...]
    contrasts: tuple[Contrast, ...]

    def summary(self, arm: str, measure: str) -> Summary | None:
        """Return a measure of an arm after its last step, or of an untrained model."""
        wanted = f"summaries:{arm}:{measure}"
        return next((summary for summary in self.summaries if summary.id == wanted), None)

    def list_contrasts(self, family: str) -> list[Contrast]:
        """Return the contrasts of a family in their order."""
        return [contrast for contrast in self.contrasts if contrast.family == family]

    def arm(self, name: str) -> dict[str, Any] | None:
        """Return an arm by name; None for an untrained model."""
        return next((arm for arm in self.arms if arm["name"] == name), None)


def build_results(
    scale: Scale,
    arms: Sequence[Arm],
    trials: Sequence[TrialResult],
    *,
    tools: dict[str, str],
    wall_seconds: float,
    resumed: bool,
    clip_seconds: float,
    chance: dict[str, dict[str, float]],
) -> StudyResults:
    """Return the results of all trials."""
    return StudyResults(
        scale=scale,
        tools=tools,
        wall_seconds=wall_seconds,
        resumed=resumed,
        clip_seconds=clip_seconds,
        chance=chance,
        arms=tuple(asdict(arm) for arm in arms),
        cells=tuple(trials),
        summaries=summarise(scale, arms, trials),
        contrasts=compare(scale, arms, trials),
    )


def summarise(scale: Scale, arms: Sequence[Arm], trials: Sequence[TrialResult]) -> tuple[Summary, ...]:
    """Return each measure of each arm at each measured step, and of each untrained model."""
    summaries: list[Summary] = []
    for arm in arms:
        own = [trial for trial in trials if trial.arm == arm.name]
        for index, measured in enumerate(own[0].judged):
            name = arm.name if measured.step == arm.steps else f"{arm.name}@{measured.step}"
            if measured.step == 0:
                name = name_arm(scale, UNTRAINED, arm.point)
            summaries += _summarise_measures(name, [trial.judged[index] for trial in own])
    return tuple(summaries)


def _summarise_measures(name: str, of_sets: Sequence[Measurement]) -> Iterator[Summary]:
    for measure in of_sets[0].measures:
        metric = Metric.of([measured.measures[measure] for measured in of_sets], 0.0, 1.0)
        line = f"summaries:{name}:{measure}"
        yield Summary(id=line, arm=name, measure=measure, step=of_sets[0].step, **metric.model_dump())


def compare(scale: Scale, arms: Sequence[Arm], trials: Sequence[TrialResult]) -> tuple[Contrast, ...]:
    """Return the contrasts of every family, each paired by film set and corrected within its family."""
    measured = _collect_measurements(scale, arms, trials)
    contrasts: list[Contrast] = []
    for key, family in scale.families.items():
        pairs = []
        for pairing in family.pairings:
            for point in scale.list_points(pairing):
                arm, against = (name_arm(scale, name, point) for name in (pairing.arm, pairing.against))
                for measure in family.endpoints or scale.endpoints:
                    both = (_stack(measured[name], measure) for name in (arm, against))
                    line = f"contrasts:{key}:{arm}:{against}:{measure}"
                    pairs.append(ArmPair(line, measure, arm, against, *both))
        contrasts += compare_family(key, pairs, margin=scale.equivalence_margin)
    return tuple(contrasts)


def _collect_measurements(
    scale: Scale, arms: Sequence[Arm], trials: Sequence[TrialResult]
) -> Mapping[str, list[Measurement]]:
    """Return the last measurement of each arm and those of untrained models, film set by film set."""
    by_name: dict[str, list[Measurement]] = {}
    for arm in arms:
        own = sorted((trial for trial in trials if trial.arm == arm.name), key=lambda trial: trial.film_set)
        by_name[arm.name] = [trial.judged[-1] for trial in own]
        if arm.measures_untrained:
            by_name[name_arm(scale, UNTRAINED, arm.point)] = [trial.judged[0] for trial in own]
    return by_name


def _stack(measurements: Sequence[Measurement], measure: str) -> Float64s:
    """Return a measure of single films, `[S, F]`, or of whole film sets, `[S]`."""
    if all(measure in each.of_films for each in measurements):
        return np.array([each.of_films[measure] for each in measurements])
    return np.array([each.measures[measure] for each in measurements])


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
