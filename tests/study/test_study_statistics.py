"""The study's statistics: against references, their properties, and their rates in simulated studies.

Shapes: `N` repetitions of a simulated study, `C` contrasts of a family, `S` film sets, `F` unseen films, `R` resamples.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit
from scipy.stats import chi2, norm, ttest_1samp, ttest_rel
from scipy.stats import t as student

from talkies.analysis.metric import Metric
from talkies.analysis.power import smallest_detectable
from talkies.core import Float64s
from talkies.study.statistics import (
    ArmPair,
    Contrast,
    bootstrap_films,
    compare_family,
    contrast,
    decide,
    equivalence,
    holm,
    paired_t,
)

MARGIN = 0.05
P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=6)
SHARES = arrays(np.float64, (4, 6), elements=st.integers(0, 20).map(lambda hits: hits / 20))


def pair(arm_SF: Float64s, against_SF: Float64s, name: str = "a") -> ArmPair:
    return ArmPair(id=name, measure="m", arm=name, against="b", arm_SF=arm_SF, against_SF=against_SF)


def one(arm_SF: Float64s, against_SF: Float64s) -> Contrast:
    return compare_family("only", [pair(arm_SF, against_SF)], MARGIN)[0]


# References


@pytest.mark.parametrize("film_sets", [2, 3, 5, 7])
def test_the_interval_and_p_are_those_of_the_paired_t_test_over_film_sets(film_sets: int) -> None:
    first_SF, second_SF = np.random.default_rng(film_sets).random((2, film_sets, 12))
    expected = ttest_rel(first_SF.mean(1), second_SF.mean(1))
    low, high = expected.confidence_interval(0.95)

    for result in (contrast(first_SF, second_SF), contrast(first_SF.mean(1), second_SF.mean(1))):
        assert (result.n, result.p) == (film_sets, pytest.approx(expected.pvalue))
        assert (result.low, result.high) == (pytest.approx(low), pytest.approx(high))
        assert result.mean == pytest.approx((first_SF - second_SF).mean())
        assert result.sd == pytest.approx(np.std((first_SF - second_SF).mean(1), ddof=1))


def test_the_film_interval_is_that_of_resampling_films_one_by_one() -> None:
    difference_SF = np.random.default_rng(0).normal(0.1, 0.2, (3, 12))
    rng, distances = np.random.default_rng(1), []

    def estimate(d_SF: Float64s) -> tuple[float, float]:
        return d_SF.mean(), np.sqrt(sum(row.var(ddof=1) / 12 for row in d_SF)) / 3

    mean, error = estimate(difference_SF)
    for _ in range(4000):
        resample_SF = np.stack([rng.choice(row, 12) for row in difference_SF])
        own_mean, own_variance = resample_SF.mean(), sum(row.var() / 11 for row in resample_SF) / 9
        distances.append(abs(own_mean - mean) / np.sqrt(own_variance))
    low, high = bootstrap_films(difference_SF)
    assert (high - low) / 2 == pytest.approx(np.quantile(distances, 0.95) * error, rel=0.04)
    assert (high + low) / 2 == pytest.approx(mean)


def test_holm_gives_the_values_of_his_definition() -> None:
    p_values = np.array([0.01, 0.04, 0.03, 0.005, 0.9])
    np.testing.assert_allclose(holm(p_values), [0.04, 0.09, 0.09, 0.025, 0.9])
    np.testing.assert_allclose(holm(np.stack([p_values, p_values[::-1]])), [holm(p_values), holm(p_values)[::-1]])


@settings(max_examples=50, deadline=None)
@given(P_VALUES)
def test_holm_is_the_closed_test_of_bonferroni_over_every_subset(p_values: list[float]) -> None:
    every = range(len(p_values))
    subsets = [s for size in range(1, len(p_values) + 1) for s in itertools.combinations(every, size)]
    expected = [max(min(1.0, len(s) * min(p_values[j] for j in s)) for s in subsets if i in s) for i in every]
    np.testing.assert_allclose(holm(np.array(p_values)), expected)


@settings(max_examples=50, deadline=None)
@given(SHARES, st.floats(0.01, 0.5))
def test_equivalence_is_the_worse_of_two_one_sided_t_tests(shares_SF: Float64s, margin: float) -> None:
    difference_S = (shares_SF - 0.4).mean(1) * 0.2 + np.array([-0.01, 0, 0, 0.03])
    if np.ptp(difference_S) < 1e-9:
        return
    above = ttest_1samp(difference_S, -margin, alternative="greater").pvalue
    below = ttest_1samp(difference_S, margin, alternative="less").pvalue
    assert equivalence(Metric.of([*difference_S]), margin) == pytest.approx(max(above, below), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("n", [2, 3, 5, 7])
@pytest.mark.parametrize(("alpha", "power"), [(0.05, 0.8), (0.05 / 12, 0.8), (0.05 / 40, 0.999), (0.05, 0.06)])
def test_the_smallest_detectable_difference_has_the_power_when_integrated_over_the_spread(
    n: int, alpha: float, power: float
) -> None:
    shift = smallest_detectable(0.02, n, alpha, power) * np.sqrt(n) / 0.02
    quantiles = (np.arange(100_000) + 0.5) / 100_000
    threshold = student.ppf(1 - alpha / 2, n - 1) * np.sqrt(chi2.ppf(quantiles, n - 1) / (n - 1))
    assert (norm.sf(threshold - shift) + norm.cdf(-threshold - shift)).mean() == pytest.approx(power, abs=1e-4)


# Properties


@settings(max_examples=50, deadline=None)
@given(P_VALUES, st.randoms())
def test_holm_never_lowers_a_p_keeps_their_order_and_follows_them(p_values: list[float], random) -> None:
    raw = np.array(p_values)
    adjusted, order = holm(raw), np.array(random.sample(range(len(raw)), len(raw)))
    assert (adjusted >= raw).all()
    assert (adjusted <= 1).all()
    assert (np.diff(adjusted[np.argsort(raw, kind="stable")]) >= 0).all()
    np.testing.assert_array_equal(holm(raw[order]), adjusted[order])


def test_an_empty_family_has_no_contrasts() -> None:
    assert compare_family("none", [], MARGIN) == ()


@settings(max_examples=50, deadline=None)
@given(SHARES, SHARES)
def test_swapped_arms_give_the_negated_contrast(first_SF: Float64s, second_SF: Float64s) -> None:
    there, back = one(first_SF, second_SF), one(second_SF, first_SF)
    assert back.mean == pytest.approx(-there.mean)
    assert (back.sd, back.p, back.p_equivalent) == pytest.approx((there.sd, there.p, there.p_equivalent))
    for low, high in (("low", "high"), ("films_low", "films_high")):
        if getattr(there, low) is None:
            assert getattr(back, low) is getattr(back, high) is None
        else:
            assert getattr(back, low) == pytest.approx(-getattr(there, high))
            assert getattr(back, high) == pytest.approx(-getattr(there, low))
    opposite = {"better": "worse", "worse": "better"}
    assert back.verdict == opposite.get(there.verdict, there.verdict)


def test_films_are_resampled_within_their_film_set_alike_each_time() -> None:
    difference_SF = np.random.default_rng(2).normal(0, 0.1, (3, 12))
    low, high = bootstrap_films(difference_SF)
    assert bootstrap_films(difference_SF) == (low, high)
    assert bootstrap_films(difference_SF, seed=1) != (low, high)

    shift_S1 = np.array([[-0.5], [0.1], [0.4]])  # film sets may differ: that spread belongs to Student's interval
    assert bootstrap_films(difference_SF + shift_S1) == (pytest.approx(low), pytest.approx(high))


def test_many_contrasts_at_once_give_what_each_gives_alone() -> None:
    difference_CSF = np.random.default_rng(3).normal(0, 0.1, (4, 3, 12))
    test, (low, high) = paired_t(difference_CSF.mean(-1)), bootstrap_films(difference_CSF)
    for index, difference_SF in enumerate(difference_CSF):
        alone = contrast(difference_SF, np.zeros((3, 12)))
        assert (alone.p, alone.low) == (pytest.approx(test.p[index]), pytest.approx(test.low[index]))
        assert (alone.films_low, alone.films_high) == (pytest.approx(low[index]), pytest.approx(high[index]))


# Edges


@pytest.mark.parametrize("shape", [(3, 12), (3,), (1, 12), (1,)])
@pytest.mark.parametrize("difference", [0.0, 0.1, 1 / 3])
def test_without_spread_nothing_is_claimed(shape: tuple[int, ...], difference: float) -> None:
    first_SF = np.full(shape, 0.3) + np.arange(shape[0]).reshape(-1, *[1] * (len(shape) - 1)) / 7
    result = one(first_SF + difference, first_SF)
    assert result.mean == pytest.approx(difference)
    assert (result.sd, result.low, result.high, result.p) == (0, None, None, 1)
    assert (result.p_equivalent, result.verdict) == (1, "undecided")
    assert (result.films_low, result.films_high) == (None, None)


def test_film_sets_alike_and_films_not_give_only_the_film_interval() -> None:
    films_SF = np.tile(np.linspace(0, 0.5, 12), (3, 1))
    result = one(films_SF, np.zeros((3, 12)))
    assert (result.low, result.p) == (None, 1)
    assert result.films_low is not None
    assert 0 < result.films_low < result.mean


def test_a_single_film_that_differs_gives_no_film_interval() -> None:
    first_SF = np.zeros((3, 12))
    first_SF[1, 4] = 0.5
    result = one(first_SF, np.zeros((3, 12)))
    assert result.films_low is result.films_high is None
    assert result.low is not None
    assert one(first_SF[:, :1], np.zeros((3, 1))).films_low is None


@pytest.mark.parametrize(("first", "second"), [((3, 12), (3, 11)), ((3, 12), (3,)), ((), ()), ((0, 12), (0, 12))])
def test_arrays_that_do_not_fit_are_refused(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="two arrays"):
        contrast(np.zeros(first), np.zeros(second))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_missing_value_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        contrast(np.array([0.1, value, 0.3]), np.zeros(3))


@pytest.mark.parametrize("margin", [0.0, -0.05, np.nan])
def test_a_margin_is_positive(margin: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        compare_family("f", [pair(np.zeros(3), np.ones(3))], margin)


# Verdicts


def test_the_verdicts_of_a_family_follow_the_corrected_tests() -> None:
    zeros, spread = np.zeros(5), np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    means = {"better": 0.3, "worse": -0.3, "equivalent": 0.0, "undecided": 0.0}
    sds = {"better": 0.02, "worse": 0.02, "equivalent": 0.005, "undecided": 0.2}
    family = compare_family("f", [pair(means[v] + sds[v] * spread, zeros, v) for v in means], MARGIN)
    assert [result.verdict for result in family] == [*means]
    assert [(result.family, result.margin, result.arm) for result in family] == [("f", MARGIN, v) for v in means]
    np.testing.assert_allclose([c.p_holm for c in family], holm(np.array([c.p for c in family])))
    np.testing.assert_allclose([c.p_equivalent_holm for c in family], holm(np.array([c.p_equivalent for c in family])))


def test_a_difference_that_only_the_uncorrected_test_sees_is_undecided() -> None:
    arm_S = np.array([0.10, 0.12, 0.2])
    assert (alone := one(arm_S, np.zeros(3))).verdict == "better"
    in_family = compare_family("f", [pair(arm_S, np.zeros(3), str(i)) for i in range(3)], MARGIN)
    assert [(c.p, c.p_holm, c.verdict) for c in in_family] == [(alone.p, pytest.approx(3 * alone.p), "undecided")] * 3


def test_a_small_difference_that_is_there_is_not_called_equivalent() -> None:
    assert decide(0.01, 0.001, 0.001) == "better"
    assert decide(-0.01, 0.05, 0.001) == "worse"
    assert decide(0.01, 0.0501, 0.025) == "equivalent"
    assert decide(0.01, 0.0501, 0.0251) == "undecided"


@settings(max_examples=50, deadline=None)
@given(SHARES, st.sampled_from([0.02, 0.05, 0.2]))
def test_arms_alone_in_their_family_are_equivalent_if_the_interval_lies_within_the_margin(
    shares_SF: Float64s, margin: float
) -> None:
    result = compare_family("only", [pair(0.1 * shares_SF, np.full((4, 6), 0.05))], margin)[0]
    within = result.low is not None and result.high is not None and max(-result.low, result.high) <= margin
    assert (result.p_equivalent_holm <= 0.025) == within
    assert result.verdict != "equivalent" or within


# Simulated studies


@dataclass(frozen=True)
class Study:
    """Shares [N, C, S, F] of two arms, `truth` [C] of their difference, `truth_given_models` [N, C] of these models."""

    first: Float64s
    second: Float64s
    truth: Float64s
    truth_given_models: Float64s


FILM, FILM_OF_ARM, FILM_SET = 1.0, 0.5, 0.3  # standard deviations of logits


def simulate(
    levels_C: list[float],
    difference: float,
    film_sets: int,
    *,
    run: float = 0.3,
    one_reference: bool = False,
    repetitions: int = 400,
    films: int = 12,
    clips: int = 20,
    seed: int = 0,
) -> Study:
    """Simulate shares of clips: binomial, with effects of films, film sets and training runs on the logits.

    Args:
        levels_C: The second arm's expected share in each contrast.
        difference: The first arm's expected share above it; 0 makes the arms identical.
        film_sets: Their number S.
        run: The standard deviation of training runs (arms within film sets).
        one_reference: Use the first contrast's second arm in all contrasts.
        repetitions: N.
        films: Unseen films of each film set, F.
        clips: Clips of each film.
        seed: Draws everything.
    """
    rng, shape = np.random.default_rng(seed), (repetitions, len(levels_C), film_sets)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()

    # Find the logits at which the expected share, over all effects, is the wanted one.
    grid = np.linspace(-9, 9, 4001)
    total = np.sqrt(FILM**2 + FILM_OF_ARM**2 + FILM_SET**2 + run**2)
    expected = expit(grid[:, None] + total * nodes) @ weights
    second_C = np.array(levels_C)
    centre_C1, second_centre_C1 = (np.interp(s, expected, grid)[:, None] for s in (second_C + difference, second_C))

    film_set_effect = rng.normal(0, FILM_SET, (repetitions, 1, film_sets))
    film_effect = rng.normal(0, FILM, (repetitions, 1, film_sets, films))
    arms, of_models = [], []
    for centre in (centre_C1, second_centre_C1):
        of_model = centre + film_set_effect + rng.normal(0, run, shape)
        logits = of_model[..., None] + film_effect + rng.normal(0, FILM_OF_ARM, (*shape, films))
        arms.append(rng.binomial(clips, expit(logits)) / clips)
        of_models.append((expit(of_model[..., None] + np.hypot(FILM, FILM_OF_ARM) * nodes) @ weights).mean(-1))
    if one_reference:
        arms[1], of_models[1] = (np.broadcast_to(a[:, :1], a.shape) for a in (arms[1], of_models[1]))
    return Study(arms[0], arms[1], np.full(len(levels_C), difference), of_models[0] - of_models[1])


def claim_rate(p_NC: Float64s, alpha: float = 0.05) -> float:
    """Return the share of families in which at least one contrast is significant after correction."""
    return float((holm(p_NC).min(-1) <= alpha).mean())


def difference_rate(study: Study) -> float:
    return claim_rate(paired_t((study.first - study.second).mean(-1)).p)


def equivalence_rate(study: Study) -> float:
    test, sets = paired_t((study.first - study.second).mean(-1)), study.first.shape[2]
    pairs = zip(test.mean.ravel().tolist(), test.sd.ravel().tolist(), strict=True)
    p_values = [equivalence(Metric(mean=mean, sd=sd, n=sets), MARGIN) for mean, sd in pairs]
    return claim_rate(np.reshape(p_values, test.mean.shape), 0.025)


def coverage(study: Study) -> tuple[float, float]:
    """Return how often Student's interval holds the true difference, and the films' interval that of these models."""
    difference = study.first - study.second
    test, (low, high) = paired_t(difference.mean(-1)), bootstrap_films(difference, resamples=999)
    student_covers = (test.low <= study.truth) & (study.truth <= test.high)
    films_cover = (low <= study.truth_given_models) & (study.truth_given_models <= high)
    return float(student_covers[test.sd > 0].mean()), float(films_cover[np.isfinite(low)].mean())


LEVELS = {
    "middle": [0.5] * 12,
    "near 0": [0.03] * 12,
    "near 0, middle, near 1": [0.03] * 4 + [0.5] * 4 + [0.97] * 4,
    "one of another level": [0.03] * 11 + [0.5],
}


@pytest.mark.parametrize("film_sets", [3, 5])
@pytest.mark.parametrize("levels", LEVELS)
def test_identical_arms_are_found_different_in_seven_percent_of_families_at_most(levels: str, film_sets: int) -> None:
    assert 0.01 <= difference_rate(simulate(LEVELS[levels], 0.0, film_sets)) <= 0.07


def test_arms_that_share_their_reference_keep_the_rate() -> None:
    assert difference_rate(simulate([0.3] * 12, 0.0, 3, one_reference=True)) <= 0.07


@pytest.mark.parametrize("film_sets", [3, 5])
@pytest.mark.parametrize("difference", [0.0, 0.2])
def test_intervals_cover_the_truth_in_93_to_97_percent(difference: float, film_sets: int) -> None:
    study = simulate([0.03, 0.2, 0.5, 0.75], difference, film_sets)
    assert all(0.93 <= share <= 0.97 for share in coverage(study)), coverage(study)


@pytest.mark.parametrize("film_sets", [3, 5])
@pytest.mark.parametrize("levels", [[0.03], [0.5], [0.9], [0.03, 0.5, 0.9]])
@pytest.mark.parametrize("run", [0.0, 0.3])
def test_arms_that_differ_by_the_margin_are_called_equivalent_in_seven_percent_at_most(
    film_sets: int, levels: list[float], run: float
) -> None:
    assert equivalence_rate(simulate(levels, MARGIN, film_sets, run=run)) <= 0.07


def test_arms_alike_are_called_equivalent_where_the_spread_is_small() -> None:
    assert equivalence_rate(simulate([0.03, 0.97], 0.0, 5, run=0.1)) >= 0.9


def test_a_true_difference_is_found_as_often_as_its_power_says() -> None:
    study = simulate([0.4], 0.15, 5, repetitions=1000)
    difference = (study.first - study.second).mean(-1)
    seen = smallest_detectable(float(difference.std()), 5)
    scaled = simulate([0.4], seen, 5, repetitions=1000)
    assert difference_rate(scaled) == pytest.approx(0.8, abs=0.04)
