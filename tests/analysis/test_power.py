"""The smallest difference that a comparison could have seen: published sample sizes, closed forms, and simulation."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import nct, norm, ttest_1samp
from scipy.stats import t as student

from talkies.analysis.power import compute_power, smallest_detectable, smallest_detectable_share


@pytest.mark.parametrize(("effect", "pairs"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_pairs_are_as_many_as_published_tables_say(effect: float, pairs: int) -> None:
    """Small, medium and large effects at 80 % power and a level of 5 %, as in G*Power and R's power.t.test."""
    assert smallest_detectable(1.0, pairs) <= effect < smallest_detectable(1.0, pairs - 1)
    assert smallest_detectable(3.0, pairs) == pytest.approx(3 * smallest_detectable(1.0, pairs))


@pytest.mark.parametrize("freedom", [1, 2, 4, 33, 5000])
@pytest.mark.parametrize("noncentrality", [0.0, 0.7, 2.8, 5.0])
def test_power_is_that_of_scipys_noncentral_distribution(freedom: int, noncentrality: float) -> None:
    critical = student.ppf(0.975, freedom)
    wanted = nct.sf(critical, freedom, noncentrality) + nct.cdf(-critical, freedom, noncentrality)
    assert compute_power(freedom, noncentrality, critical) == pytest.approx(wanted, abs=1e-9)


def test_many_values_need_what_normal_ones_do() -> None:
    wanted = (norm.ppf(0.995) + norm.ppf(0.9)) / math.sqrt(1e6)
    assert smallest_detectable(1.0, 10**6, alpha=0.01, power=0.9) == pytest.approx(wanted, rel=1e-4)
    assert smallest_detectable(0.0, 5) == 0


@pytest.mark.parametrize(("pairs", "power"), [(2, 0.8), (3, 0.8), (5, 0.8), (20, 0.9)])
def test_a_t_test_finds_it_as_often_as_claimed(pairs: int, power: float) -> None:
    difference = smallest_detectable(0.7, pairs, power=power)
    values = np.random.default_rng(pairs).normal(difference, 0.7, (20_000, pairs))
    assert np.mean(ttest_1samp(values, 0, axis=1).pvalue < 0.05) == pytest.approx(power, abs=0.02)


@pytest.mark.parametrize(("discordant", "clips"), [(0.05, 3783), (0.2, 400), (0.5, 150), (0.3, 1530)])
def test_mcnemars_test_finds_it_as_often_as_claimed(discordant: float, clips: int) -> None:
    difference = smallest_detectable_share(discordant, clips)
    shares = ((discordant + difference) / 2, (discordant - difference) / 2, 1 - discordant)
    better, worse, _ = np.random.default_rng(clips).multinomial(clips, shares, 20_000).T
    found = np.abs(better - worse) > norm.ppf(0.975) * np.sqrt(better + worse)
    assert np.mean(found) == pytest.approx(0.8, abs=0.02)


@given(st.floats(0, 1), st.integers(1, 10_000), st.sampled_from([0.01, 0.05]), st.sampled_from([0.8, 0.95]))
def test_the_share_solves_the_published_equation(discordant: float, clips: int, alpha: float, power: float) -> None:
    difference = smallest_detectable_share(discordant, clips, alpha, power)
    share = max(discordant, difference)
    root = norm.ppf(1 - alpha / 2) * math.sqrt(share) + norm.ppf(power) * math.sqrt(share - difference**2)
    assert 0 < difference <= 1
    if difference < 1:
        assert (root / difference) ** 2 == pytest.approx(clips, rel=1e-6)
    else:
        assert root**2 >= clips


def test_clips_that_agree_can_still_not_see_less_than_eight_of_them() -> None:
    """With no discordant clip the difference itself must bring them: (1.96 + 0.84)² is 7.85."""
    assert smallest_detectable_share(0.0, 10_000) == pytest.approx(7.849 / 10_000, rel=1e-3)
    assert smallest_detectable_share(0.0, 3) == 1


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: smallest_detectable(1.0, 1), r"^a comparison needs 2 values or more, got 1$"),
        (lambda: smallest_detectable(-1.0, 5), r"^a standard deviation is 0 or more, got -1\.0$"),
        (lambda: smallest_detectable(math.nan, 5), r"^a standard deviation is 0 or more, got nan$"),
        (lambda: smallest_detectable(1.0, 5, power=0.01), r"0 < alpha < power < 1, got 0\.05 and 0\.01$"),
        (lambda: smallest_detectable_share(1.5, 5), r"^a share is within 0 and 1, got 1\.5$"),
        (lambda: smallest_detectable_share(0.5, 0), r"^a comparison needs 1 values or more, got 0$"),
    ],
)
def test_what_makes_no_sense_is_refused(call: Callable[[], float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        call()
