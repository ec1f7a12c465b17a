"""A number with its spread."""

import pytest
from pydantic import ValidationError

from talkies.evaluation.results import Metric


def test_a_metric_is_the_mean_and_the_sample_deviation_of_its_values() -> None:
    metric = Metric.of([0.2, 0.4, 0.9])
    assert (metric.mean, metric.n) == (pytest.approx(0.5), 3)
    assert metric.sd == pytest.approx(((0.09 + 0.01 + 0.16) / 2) ** 0.5)


def test_a_single_value_has_no_spread() -> None:
    assert Metric.of([0.7]) == Metric(mean=0.7, sd=0.0, n=1)


def test_what_is_not_a_number_is_no_metric() -> None:
    with pytest.raises(ValidationError, match="Input should be a finite number"):
        Metric(mean=float("nan"), sd=0.0, n=1)
