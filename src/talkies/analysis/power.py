"""The smallest difference that a comparison could have seen, for a two-sided test at a level and with a power.

A comparison that finds nothing says little if it could not have found much. These are the two tests of evaluations: a
paired t test over values such as folds, films or repetitions, and McNemar's test over the clips of a test set.
"""

import math

from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import chdtr, ndtri, stdtrit

ALPHA, POWER = 0.05, 0.8


def smallest_detectable(sd: float, n: int, alpha: float = ALPHA, power: float = POWER) -> float:
    """Return the mean difference that a paired t test over `n` differences finds with probability `power`.

    The statistic of a true difference d follows Student's noncentral distribution with n - 1 degrees of freedom and
    noncentrality d · sqrt(n) / sd (Cohen 1988, *Statistical Power Analysis for the Behavioral Sciences*, chapter 2);
    both tails count.

    Args:
        sd: The standard deviation of the differences (with n - 1); 0 gives 0.
        n: The number of differences, at least 2.
        alpha: The level of the two-sided test, above 0.
        power: The probability of finding the difference, above `alpha` and below 1.

    Raises:
        ValueError: if an argument is out of range.
    """
    _check(n, 2, alpha, power)
    if sd < 0 or not math.isfinite(sd):
        raise ValueError(f"a standard deviation is 0 or more, got {sd}")
    if sd == 0:
        return 0.0
    return sd / math.sqrt(n) * _find_noncentrality(n - 1, alpha, power)


def smallest_detectable_share(discordant: float, clips: int, alpha: float = ALPHA, power: float = POWER) -> float:
    """Return the difference of two accuracies on the same clips that McNemar's test finds with probability `power`.

    By the normal approximation (Connor 1987, *Biometrics* 43, 207-211): the difference d at which
    (z(1 - alpha/2) · sqrt(p) + z(power) · sqrt(p - d²))² / d² clips are needed. The discordant share p is never below d
    itself, so with few or no discordant clips the result is that of clips that all change in one direction.

    Args:
        discordant: The share of clips that only one of the two recognises, 0 to 1; for graded scores (ties share the
            point, seeds are averaged) the mean squared difference of a clip's scores, of which it is a special case.
        clips: The number of test clips, at least 1.
        alpha: The level of the two-sided test, above 0.
        power: The probability of finding the difference, above `alpha` and below 1.

    Returns:
        The difference, at most 1: with a few clips there may be none that could be seen, and this is then 1.

    Raises:
        ValueError: if an argument is out of range.
    """
    _check(clips, 1, alpha, power)
    if not 0 <= discordant <= 1:
        raise ValueError(f"a share is within 0 and 1, got {discordant}")
    z_level, z_power = float(ndtri(1 - alpha / 2)), float(ndtri(power))

    def compute_excess(difference: float) -> float:
        """Return how much larger the difference is than what these clips can see, by standard errors."""
        share = max(discordant, difference)
        seen = z_level * math.sqrt(share) + z_power * math.sqrt(share - difference * difference)
        return difference * math.sqrt(clips) - seen

    if compute_excess(1.0) <= 0:
        return 1.0
    return float(brentq(compute_excess, 1e-12, 1.0, xtol=1e-12))


def _find_noncentrality(freedom: int, alpha: float, power: float) -> float:
    """Return the noncentrality at which a two-sided t test has a power."""
    critical = float(stdtrit(freedom, 1 - alpha / 2))
    upper = critical + 1.0
    while compute_power(freedom, upper, critical) < power:
        upper *= 2
    return float(brentq(lambda shift: compute_power(freedom, shift, critical) - power, 0.0, upper, xtol=1e-10))


def compute_power(freedom: int, noncentrality: float, critical: float) -> float:
    """Return the probability that a t statistic exceeds `critical` in absolute value.

    The statistic is (z + noncentrality) / u, where z is normal and u² a chi-square over its degrees of freedom: the
    integral over z of the probability that u is small enough. SciPy's noncentral distribution gives NaN where the
    noncentrality is large for few degrees of freedom.
    """

    def weigh(z: float) -> float:
        below = (z + noncentrality) / critical
        return math.exp(-z * z / 2) * float(chdtr(freedom, freedom * below * below))

    turns = [point for point in (-noncentrality, critical - noncentrality) if -9 < point < 9]
    integral, _ = quad(weigh, -9, 9, points=turns or None, limit=200, epsabs=1e-11, epsrel=1e-9)
    return float(integral / math.sqrt(2 * math.pi))


def _check(count: int, least: int, alpha: float, power: float) -> None:
    if count < least:
        raise ValueError(f"a comparison needs {least} values or more, got {count}")
    if not 0 < alpha < power < 1:
        raise ValueError(f"a level and a power are 0 < alpha < power < 1, got {alpha} and {power}")
