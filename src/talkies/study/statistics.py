"""Contrasts between the arms of a study: intervals, tests, Holm's correction, equivalence, power.

The unit of replication is the film set: films to learn from, and its own unseen films, on which both arms of a pair
are measured. What is said of film sets rests on Student's paired t over them. Variances pooled or moderated over a
family (Smyth 2004) would give more power, but the variance of a share depends on its level, and a family spans many
levels: in simulated families without any difference they found one in up to 30 % (pooled) or 17 % (moderated) of the
families instead of 5 %.

Shapes: `S` film sets, `F` unseen films of each, `C` contrasts of a family, `R` resamples; `...` any leading axes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from scipy.stats import t as student

from talkies.analysis.metric import CONFIDENCE, Metric
from talkies.analysis.power import smallest_detectable
from talkies.core import Float64s

ALPHA = 0.05
EQUIVALENCE_ALPHA = 0.025  # see `decide`
RESAMPLES = 9999
NO_SPREAD = 1e-12  # a standard deviation up to this comes from rounding
RELATIVE_ROUNDING = 1e-6  # a resample's standard error up to this share of that of all films comes from rounding

Probability = Annotated[float, Field(ge=0, le=1)]
Verdict = Literal["better", "worse", "equivalent", "undecided"]


class Difference(Metric):
    """The difference of a measure between two arms (first - second), paired by film set; `n` is the film sets.

    `low` and `high` are the ends of Student's 95 % interval over film sets, which speaks of other film sets and other
    runs; `p` is that of the two-sided paired t-test. `films_low` and `films_high` are the ends of the film-level
    bootstrap interval, which speaks of other unseen films for the models that were trained.
    Where the film sets show no spread (a single one, or equal differences), no t can be computed: `p` is 1 and there is
    no interval. `films_low` and `films_high` are None likewise, and for a measure that isn't given by film.
    """

    p: Probability
    films_low: float | None = None
    films_high: float | None = None


class Contrast(Difference):
    """A declared comparison of one family: `arm` - `against` in `measure`; `id` is its name in the report.

    `p_holm` is `p` corrected within the family. `p_equivalent` is that of the hypothesis that the arms differ by
    `margin` or more (two one-sided t-tests), and `p_equivalent_holm` the corrected one.

    `verdict`: "better" or "worse" if `p_holm` is at most 0.05 (the arm's measure is higher, or lower); otherwise
    "equivalent" if `p_equivalent_holm` is at most 0.025 (alone in its family: if the interval lies within the margin);
    otherwise "undecided", which isn't evidence of no difference. `detectable` is the true difference that the first
    step of Holm's correction would have found with a probability of 80 %; 1 for a single film set.
    """

    id: str
    family: str
    measure: str
    arm: str
    against: str
    p_holm: Probability
    p_equivalent: Probability
    p_equivalent_holm: Probability
    detectable: float
    margin: Annotated[float, Field(gt=0)]
    verdict: Verdict


@dataclass(frozen=True)
class ArmPair:
    """What two arms reached in a measure: `arm_SF` and `against_SF`, [S, F] by unseen film or [S] by film set."""

    id: str
    measure: str
    arm: str
    against: str
    arm_SF: Float64s
    against_SF: Float64s


@dataclass(frozen=True)
class TTest:
    """Paired t-tests, each field [...]; `low` and `high` are NaN and `p` is 1 where there is no spread."""

    mean: Float64s
    sd: Float64s
    low: Float64s
    high: Float64s
    p: Float64s


def compare_family(family: str, pairs: Sequence[ArmPair], margin: float) -> tuple[Contrast, ...]:
    """Return the contrasts of a family, in the given order, each corrected by Holm for all of them.

    Differences and equivalences are corrected separately: a difference that isn't there is found in at most 5 % of
    families, an equivalence that isn't there in about as many.

    Args:
        family: The family's name.
        pairs: Every contrast that was declared for the family, whatever came out.
        margin: The smallest difference that matters, chosen before the run (0.05 is five points of a share).

    Raises:
        ValueError: if a pair doesn't fit together, a value isn't finite, or `margin` isn't positive.
    """
    differences = [contrast(pair.arm_SF, pair.against_SF) for pair in pairs]
    p_equivalents = [equivalence(difference, margin) for difference in differences]
    ps_holm = holm(np.array([difference.p for difference in differences]))
    ps_equivalent_holm = holm(np.array(p_equivalents))
    return tuple(
        Contrast(
            id=pair.id,
            family=family,
            measure=pair.measure,
            arm=pair.arm,
            against=pair.against,
            p_holm=p_holm,
            p_equivalent=p_equivalent,
            p_equivalent_holm=p_equivalent_holm,
            detectable=_find_detectable(difference, len(pairs)),
            margin=margin,
            verdict=decide(difference.mean, p_holm, p_equivalent_holm),
            **difference.model_dump(),
        )
        for pair, difference, p_holm, p_equivalent, p_equivalent_holm in zip(
            pairs, differences, ps_holm.tolist(), p_equivalents, ps_equivalent_holm.tolist(), strict=True
        )
    )


def _find_detectable(difference: Difference, contrasts: int) -> float:
    """Return the difference that could have been seen among this many contrasts."""
    if difference.n < 2:
        return 1.0
    return min(1.0, smallest_detectable(difference.sd, difference.n, ALPHA / contrasts))


def contrast(first_SF: Float64s, second_SF: Float64s, seed: int = 0) -> Difference:
    """Return the difference first - second with its intervals and its test.

    Args:
        first_SF: A measure of the first arm, [S, F] by unseen film, or [S] by film set.
        second_SF: The same of the second arm, on the same films.
        seed: Draws the resamples of films.

    Raises:
        ValueError: if the arrays' shapes differ or aren't [S, F] or [S], or a value isn't finite.
    """
    first_SF, second_SF = np.asarray(first_SF, np.float64), np.asarray(second_SF, np.float64)
    if first_SF.shape != second_SF.shape or first_SF.ndim not in (1, 2) or 0 in first_SF.shape:
        raise ValueError(f"two arrays [film sets, films] or [film sets], got {first_SF.shape} and {second_SF.shape}")
    difference_SF = first_SF - second_SF
    if not np.isfinite(difference_SF).all():
        raise ValueError("each film set and each film needs a finite value of the measure")

    by_film = difference_SF.ndim == 2
    test = paired_t(difference_SF.mean(1) if by_film else difference_SF)
    films_low, films_high = bootstrap_films(difference_SF, seed) if by_film else (None, None)
    return Difference(
        mean=float(test.mean),
        sd=float(test.sd),
        n=len(difference_SF),
        low=_to_float(test.low),
        high=_to_float(test.high),
        p=float(test.p),
        films_low=_to_float(films_low),
        films_high=_to_float(films_high),
    )


def _to_float(value: Float64s | None) -> float | None:
    """Return a number, or None for NaN."""
    return None if value is None or np.isnan(value) else float(value)


def paired_t(difference_S: Float64s) -> TTest:
    """Return Student's intervals and two-sided p over film sets.

    Args:
        difference_S: [..., S], the mean difference of each film set.
    """
    mean, sd, error = _compute_error(difference_S)
    df = max(1, difference_S.shape[-1] - 1)
    half = float(student.ppf((1 + CONFIDENCE) / 2, df)) * error
    p = np.nan_to_num(2 * student.sf(np.abs(mean) / error, df), nan=1.0)
    return TTest(mean=mean, sd=sd, low=mean - half, high=mean + half, p=p)


def _compute_error(difference_S: Float64s) -> tuple[Float64s, Float64s, Float64s]:
    """Return the mean, the standard deviation and the standard error [...]; NaN error where there is no spread."""
    sets = difference_S.shape[-1]
    mean = np.asarray(difference_S.mean(-1))
    sd = np.asarray(difference_S.std(-1, ddof=1)) if sets > 1 else np.zeros_like(mean)
    sd = np.where(sd > NO_SPREAD * np.maximum(1.0, np.abs(mean)), sd, 0.0)
    return mean, sd, np.where(sd > 0, sd, np.nan) / math.sqrt(sets)


def bootstrap_films(difference_SF: Float64s, seed: int = 0, resamples: int = RESAMPLES) -> tuple[Float64s, Float64s]:
    """Return the ends [...] of the film-level 95 % interval of the mean difference, given the trained models.

    The unseen films are resampled within each film set. The interval is the symmetric studentised one (Hall 1988):
    percentile and BCa intervals of a dozen films are too narrow, covering 88 to 94 % in simulations where this one
    covered 93 to 97 %. Both ends are NaN where too few films differ for an interval: in 5 % of the resamples or more
    the films of each set are all alike.

    Args:
        difference_SF: [..., S, F], the paired difference of each unseen film.
        seed: Draws the resamples; all contrasts of the same shape see the same ones.
        resamples: The number of resamples R.
    """
    sets, films = difference_SF.shape[-2:]
    mean_S = difference_SF.mean(-1, keepdims=True)
    mean = mean_S.mean((-2, -1))
    if films < 2:
        none = np.full(mean.shape, np.nan)
        return none, none
    centred_SF = difference_SF - mean_S
    error = np.sqrt((centred_SF**2).mean(-1).sum(-1) / (films - 1)) / sets

    # Measure how far each resample's mean lies from that of all films, in the resample's own standard errors.
    weights_SFR = _draw_film_weights(sets, films, seed, resamples)
    shift_R, variance_R = np.zeros((*mean.shape, resamples)), np.zeros((*mean.shape, resamples))
    for centred_F, weights_FR in zip(np.moveaxis(centred_SF, -2, 0), weights_SFR, strict=True):
        mean_R = centred_F @ weights_FR
        shift_R += mean_R / sets
        variance_R += np.maximum(centred_F**2 @ weights_FR - mean_R**2, 0.0) / (films - 1) / sets**2
    error_R = np.sqrt(variance_R)
    measurable = error_R > RELATIVE_ROUNDING * error[..., None]
    distance_R = np.where(measurable, np.abs(shift_R) / np.where(measurable, error_R, 1.0), np.inf)

    rank = min(resamples, math.ceil(CONFIDENCE * (resamples + 1))) - 1
    furthest = np.partition(distance_R, rank, -1)[..., rank]
    finite = np.isfinite(furthest) & (error > NO_SPREAD)
    half = np.where(finite, np.where(finite, furthest, 0.0) * error, np.nan)
    return mean - half, mean + half


@lru_cache(maxsize=4)
def _draw_film_weights(sets: int, films: int, seed: int, resamples: int) -> Float64s:
    """Return how often each film is drawn in each resample, as a share of the film set's draws, [S, F, R]."""
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(films, np.full(films, 1 / films), (sets, resamples))
    return np.ascontiguousarray(counts.transpose(0, 2, 1) / films)


def equivalence(difference: Metric, margin: float) -> float:
    """Return the p of the hypothesis that two arms differ by `margin` or more: small means "equivalent".

    Two one-sided t-tests over film sets (Schuirmann 1987); 1 where the film sets show no spread.

    Args:
        difference: The mean of the paired differences, their standard deviation and number.
        margin: The smallest difference that matters, chosen before the run.

    Raises:
        ValueError: if `margin` isn't positive.
    """
    if not margin > 0:
        raise ValueError(f"a margin of equivalence is positive, got {margin}")
    if difference.n < 2 or difference.sd == 0:
        return 1.0
    error = difference.sd / math.sqrt(difference.n)
    return float(student.sf((margin - abs(difference.mean)) / error, difference.n - 1))


def holm(p_C: Float64s) -> Float64s:
    """Return the p-values [..., C] corrected for the C tests of a family (Holm 1979): at most 0.05 is significant.

    The i-th smallest of C (from 0) is multiplied by C - i; none falls below a smaller one, or rises above 1.
    """
    order = np.argsort(p_C, -1, kind="stable")
    factors = np.arange(p_C.shape[-1], 0, -1)
    adjusted = np.maximum.accumulate(np.take_along_axis(p_C, order, -1) * factors, -1)
    corrected = np.empty_like(adjusted)
    np.put_along_axis(corrected, order, np.minimum(adjusted, 1.0), -1)
    return corrected


def decide(mean: float, p_holm: float, p_equivalent_holm: float) -> Verdict:
    """Return the verdict on a contrast from its mean difference and its corrected p-values.

    "equivalent" needs 0.025: shares near 0 or 1 are skewed, and at 0.05 arms that differed by the margin were called
    equivalent in up to 13 % of simulated studies with a single contrast. At 0.025 the verdict alone in its family is
    that the 95 % interval lies within the margin.
    """
    if p_holm <= ALPHA:
        return "better" if mean > 0 else "worse"
    return "equivalent" if p_equivalent_holm <= EQUIVALENCE_ALPHA else "undecided"
