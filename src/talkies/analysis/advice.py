"""Advice on clips per film and the weight of other films, from the evidence of the studies and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2
from typing import Literal, get_args

import numpy as np
from scipy.optimize import linprog

from talkies.analysis.advice_words import (
    describe_choice,
    describe_outside,
    describe_reliance,
    describe_weight,
    list_unknown,
)
from talkies.analysis.evidence import Evidence, EvidenceRow, FilmKind, StudiedSampling, read_evidence
from talkies.config import Config

Standing = Literal["better", "worse", "equivalent", "undecided", "untested", "outside"]


class FilmReliance(Config):
    """How much a trained model relies on the film, as the audit measured it: 0 as chance, 1 as a pure recogniser.

    `leans` is whether the audit's verdict is that the model leans on the film. The numbers are None where pictures and
    sounds cannot be compared.
    """

    leans: bool
    mean: float | None = None
    low: float | None = None
    high: float | None = None


class SamplingAdvice(Config):
    """Clips of each film and the weight of other films, both None where there is no evidence to advise by.

    `standing` is what the evidence says of several clips of a film against one clip of each: the studies' verdict, or
    "outside" where nothing was measured. `words` explains it, `evidence` holds the rows nearest in log films and log
    passes, and `unknown` what they leave open.
    """

    films: int
    passes: float | None
    reliance: FilmReliance | None
    standing: Standing
    clips_per_film: int | None
    cross_film_weight: float | None
    words: str
    evidence: tuple[EvidenceRow, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Measured:
    """What was measured near a point: the gain of a sampling, and that of each lower weight of other films."""

    sampling: StudiedSampling
    gain: tuple[EvidenceRow, ...]
    lower_weights: dict[float, tuple[EvidenceRow, ...]]

    @property
    def rows(self) -> tuple[EvidenceRow, ...]:
        return (*self.gain, *(row for rows in self.lower_weights.values() for row in rows))


def advise_sampling(
    films: int, passes: float | None, reliance: FilmReliance | None = None, evidence: Evidence | None = None
) -> SamplingAdvice:
    """Return the clips per film and the weight of other films that the evidence speaks for.

    The rules:
    1. The evidence is that of the measured point nearest in log films and log passes, of each kind of films. A point
       outside the convex hull of the measured ones has none, and nothing is advised there.
    2. Several clips of a film are advised where the studies' verdict is "better" in a measure and "worse" in none, and
       one clip of each where it is the other way round. Otherwise either does, and the sign of the mean difference
       says which the numbers favour.
    3. Other films weigh less than 1 only where that, too, is "better".
    4. A model that leans on the film gets one step more within the film: from one clip to several, or the next lower
       weight, unless the evidence says that this weight is worse.

    Args:
        films: The number of films to learn from.
        passes: How often a model sees each second of them, on average; None if that is unknown.
        reliance: The reliance of a trained model on the film; None before training.
        evidence: The evidence; None for that which the package ships.
    """
    rows = (evidence or read_evidence()).rows
    measured = _find_measured(rows, films, passes) if passes else None
    standing: Standing = "outside"
    clips: int | None = None
    weight: float | None = None
    if measured is None:
        found = _list_nearest(rows, films, passes) if passes else ()
        words = describe_outside(films, passes, rows, found)
    else:
        standing, found = judge(measured.gain), measured.rows
        (clips, weight), words = _choose(measured, (films, passes or 0.0), reliance)
    if reliance is not None and measured is None:
        words += f" {describe_reliance(reliance.leans, _numbers(reliance), step=None)}"
    return SamplingAdvice(
        films=films,
        passes=passes,
        reliance=reliance,
        standing=standing,
        clips_per_film=clips,
        cross_film_weight=weight,
        words=words,
        evidence=found,
        unknown=list_unknown(found),
    )


def judge(rows: Sequence[EvidenceRow]) -> Literal["better", "worse", "equivalent", "undecided", "untested"]:
    """Return what several rows together say: what they disagree on is undecided.

    A difference in one measure counts if no other measure has the opposite one.
    """
    verdicts = {row.verdict for row in rows}
    if "better" in verdicts:
        return "undecided" if "worse" in verdicts else "better"
    if "worse" in verdicts:
        return "worse"
    if len(verdicts) == 1:
        return rows[0].verdict
    return "undecided"


def is_measured(points: Sequence[tuple[int, float]], films: int, passes: float) -> bool:
    """Return whether a point lies in the convex hull of measured points, on logarithmic axes.

    Args:
        points: The measured numbers of films and passes.
        films: The number of films.
        passes: The passes over them.
    """
    if not points:
        return False
    measured_2P = np.log2(np.array(sorted(set(points)), np.float64)).T
    is_mixture = np.vstack([measured_2P, np.ones(measured_2P.shape[1])])
    wanted = [log2(films), log2(passes), 1.0]
    return bool(linprog(np.zeros(measured_2P.shape[1]), A_eq=is_mixture, b_eq=wanted).status == 0)


def _find_measured(rows: Sequence[EvidenceRow], films: int, passes: float) -> _Measured | None:
    """Return what was measured near a point; None if nothing was measured around it."""
    gain: list[EvidenceRow] = []
    weights: list[EvidenceRow] = []
    for kind in get_args(FilmKind):
        own = [row for row in rows if row.kind == kind]
        gain_rows = [row for row in own if row.is_gain]
        if is_measured([row.point for row in gain_rows], films, passes):
            gain += _keep_nearest(gain_rows, films, passes)
            weights += _keep_nearest([row for row in own if row.is_weight], films, passes)
    if not gain:
        return None

    sampling = _find_headline(gain)
    lower: dict[float, tuple[EvidenceRow, ...]] = {}
    for row in weights:
        if row.against == sampling:
            weight = row.sampling.cross_film_weight
            lower[weight] = (*lower.get(weight, ()), row)
    return _Measured(sampling, tuple(row for row in gain if row.sampling == sampling), lower)


def _find_headline(gain: Sequence[EvidenceRow]) -> StudiedSampling:
    """Return the sampling whose gain counts where several were measured: the one nearest to plain InfoNCE."""
    return max((row.sampling for row in gain), key=lambda each: (each.cross_film_weight, -each.clips_per_film))


def _list_nearest(rows: Sequence[EvidenceRow], films: int, passes: float) -> tuple[EvidenceRow, ...]:
    """Return the gain at the nearest measured point of each kind of films."""
    gains = [[row for row in rows if row.kind == kind and row.is_gain] for kind in get_args(FilmKind)]
    nearest = [_keep_nearest(own, films, passes) for own in gains if own]
    return tuple(row for own in nearest for row in own if row.sampling == _find_headline(own))


def _keep_nearest(rows: Sequence[EvidenceRow], films: int, passes: float) -> list[EvidenceRow]:
    """Return the rows of the point nearest in log films and log passes; of two as near, the one with fewer films."""
    if not rows:
        return []

    def measure(point: tuple[int, float]) -> tuple[float, tuple[int, float]]:
        distance = log2(point[0] / films) ** 2 + log2(point[1] / passes) ** 2
        return round(distance, 9), point

    nearest = min({row.point for row in rows}, key=measure)
    return [row for row in rows if row.point == nearest]


def _choose(
    measured: _Measured, point: tuple[int, float], reliance: FilmReliance | None
) -> tuple[tuple[int, float], str]:
    """Return the clips per film and the weight of other films at a point, and the explanation."""
    standing, several = judge(measured.gain), measured.sampling.clips_per_film
    favours_several = float(np.mean([row.mean for row in measured.gain])) > 0
    takes_several = standing == "better" or (standing != "worse" and favours_several)
    sentences = [describe_choice(point, standing, several, measured.gain, favours_several=favours_several)]

    weight = _choose_weight(measured)
    step = None
    if reliance is not None and reliance.leans:
        step = _find_step(measured, weight if takes_several else None)
    clips = several if takes_several or step else 1
    if takes_several:
        sentences.append(describe_weight(weight, measured.sampling.cross_film_weight, measured.lower_weights))
    if step is not None:
        clips, weight = step
    if reliance is not None:
        sentences.append(describe_reliance(reliance.leans, _numbers(reliance), step))
    return (clips, weight if clips > 1 else 1.0), " ".join(sentences)


def _choose_weight(measured: _Measured) -> float:
    """Return the weight of other films among several clips of a film: lower than the study's only where better."""
    better = {weight: rows for weight, rows in measured.lower_weights.items() if judge(rows) == "better"}
    if not better:
        return measured.sampling.cross_film_weight
    return max(better, key=lambda weight: (float(np.mean([row.mean for row in better[weight]])), weight))


def _find_step(measured: _Measured, weight: float | None) -> tuple[int, float] | None:
    """Return the clips and the weight one step further within the film; None if no such step was measured.

    Args:
        measured: What was measured near the point.
        weight: The advised weight of other films; None if one clip of each film is advised.
    """
    clips = measured.sampling.clips_per_film
    if weight is None:
        return clips, _choose_weight(measured)
    lower = [each for each, rows in measured.lower_weights.items() if each < weight and judge(rows) != "worse"]
    return (clips, max(lower)) if lower else None


def _numbers(reliance: FilmReliance) -> tuple[float, float, float] | None:
    if reliance.mean is None or reliance.low is None or reliance.high is None:
        return None
    return reliance.mean, reliance.low, reliance.high
