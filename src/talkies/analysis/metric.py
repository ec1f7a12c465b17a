"""A metric: the mean of several values, with a 95 % confidence interval."""

import math
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field
from scipy.stats import t as student

from talkies.config import Config
from talkies.core import Float64s

CONFIDENCE = 0.95


class Metric(Config):
    """The mean of `n` values (folds, films, or the test clips of one split), and their standard deviation.

    `low` and `high` are the ends of the 95 % interval of the mean, None where `n` is too small for one: Student's over
    the values, or for a share of clips Wilson's score interval.
    """

    mean: float
    sd: Annotated[float, Field(ge=0)]
    n: Annotated[int, Field(ge=1)]
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, values: Sequence[float], least: float = -math.inf, most: float = math.inf) -> "Metric":
        """Return the metric of some values; a single value has no interval.

        Args:
            values: The values.
            least: The smallest possible value, at which the interval is cut.
            most: The largest possible value.
        """
        mean = float(np.mean(values))
        if len(values) < 2:
            return cls(mean=mean, sd=0.0, n=len(values))
        sd = float(np.std(values, ddof=1))
        half = float(student.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * sd / math.sqrt(len(values))
        return cls(mean=mean, sd=sd, n=len(values), low=max(least, mean - half), high=min(most, mean + half))

    @classmethod
    def of_share(cls, hits: float, trials: int) -> "Metric":
        """Return the metric of a share: `hits` of `trials`, with Wilson's interval."""
        share = hits / trials
        low, high = wilson_interval(share, trials)
        return cls(mean=share, sd=math.sqrt(share * (1 - share)), n=trials, low=low, high=high)

    @classmethod
    def of_folds(cls, folds: Sequence[Float64s]) -> "Metric":
        """Return the metric of the scores (0 to 1) of the test clips of each fold: over the folds, or of the only one.

        Args:
            folds: For each fold the scores of its test clips.
        """
        if len(folds) == 1:
            return cls.of_share(float(folds[0].sum()), len(folds[0]))
        return cls.of_shares([float(fold.mean()) for fold in folds], sum(map(len, folds)))

    @classmethod
    def of_shares(cls, shares: Sequence[float], trials: int) -> "Metric":
        """Return the metric of two or more shares, with the wider of two intervals.

        One is Student's over the shares. Where they agree by chance it is too narrow, or empty; so the interval is
        never narrower than Wilson's of one share of all trials.

        Args:
            shares: The shares, 0 to 1.
            trials: The number of trials of all shares together.
        """
        metric, (low, high) = cls.of(shares, 0.0, 1.0), wilson_interval(float(np.mean(shares)), trials)
        assert metric.low is not None, "a single share has no interval of its own"
        assert metric.high is not None, "a single share has no interval of its own"
        return metric.model_copy(update={"low": min(low, metric.low), "high": max(high, metric.high)})


def wilson_interval(share: float, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of this many trials (Wilson 1927)."""
    z = 1.959963984540054
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    return max(0.0, centre - half), min(1.0, centre + half)
