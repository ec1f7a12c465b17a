"""Metrics of a transfer method: folds, seeds and intervals."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from talkies.evaluation.datasets import DataSet, Example, Split
from talkies.evaluation.results.result import Metric, wilson_interval
from talkies.evaluation.transfer.methods import FeatureChoice, TransferMethod
from talkies.evaluation.transfer.probes import ClipScores
from talkies.evaluation.transfer.protocol import Protocol
from talkies.evaluation.transfer.scoring import count_fits, score_method, summarise_scores

CLIPS = 40


class FixedMethod(TransferMethod):
    """Right on clips whose number is not a multiple of four, with odd seeds not a multiple of five."""

    def fit_and_score(self, choice: FeatureChoice, split: Split, seed: int) -> ClipScores:
        """Return one window a clip."""
        right = [number % (5 if seed % 2 else 4) != 0 for number in split.test]
        labels = [number % 2 for number in split.test]
        predicted = [label if good else 1 - label for label, good in zip(labels, right, strict=True)]
        return ClipScores(np.eye(2)[predicted][:, None], {"C": float(seed)})


def data(folds: int) -> DataSet:
    """Return a data set of two classes in turn, in so many folds, or in one split."""
    examples = tuple(Example(f"{number}.wav", (number % 2,), f"{number}") for number in range(CLIPS))
    parts = [tuple(range(fold, CLIPS, folds)) for fold in range(folds)] if folds > 1 else [tuple(range(20, CLIPS))]
    splits = tuple(
        Split(f"fold {fold}", tuple(n for n in range(CLIPS) if n not in test), test) for fold, test in enumerate(parts)
    )
    return DataSet("some", Path(), "audio", ("even", "odd"), examples, splits)


def metrics_of(folds: int, *seeds: int) -> Metric:
    some = data(folds)
    scores, _ = score_method(some, some.splits, Protocol(seeds=seeds), FixedMethod(), lambda what: None)
    return summarise_scores(some, scores)["accuracy"]


@pytest.mark.parametrize("folds", [1, 5])
def test_more_of_the_same_seeds_are_no_more_evidence(folds: int) -> None:
    once, often = metrics_of(folds, 0), metrics_of(folds, 0, 2, 4, 6, 8)
    assert often == once


def test_seeds_are_averaged_clip_by_clip() -> None:
    both = metrics_of(1, 0, 1)
    assert both.mean == pytest.approx((metrics_of(1, 0).mean + metrics_of(1, 1).mean) / 2)
    assert both.n == 20


def test_each_fit_is_reported_and_each_setting_kept() -> None:
    reported: list[str] = []
    some, protocol = data(5), Protocol(seeds=(0, 1))
    _, chosen = score_method(some, some.splits, protocol, FixedMethod(), reported.append)
    assert len(reported) == count_fits(some, some.splits, protocol) == 10
    assert chosen == {"audio C": [0.0, 1.0] * 5}


def test_folds_that_agree_are_not_certain() -> None:
    metric = Metric.of_folds([np.ones(8)] * 5)
    assert (metric.mean, metric.sd, metric.high) == (1.0, 0.0, 1.0)
    assert metric.low == wilson_interval(1.0, 40)[0] < 0.95


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=12), min_size=1, max_size=6))
def test_an_interval_holds_its_mean_and_stays_where_shares_are(folds: list[list[bool]]) -> None:
    metric = Metric.of_folds([np.array(fold, float) for fold in folds])
    assert metric.low is not None
    assert metric.high is not None
    assert 0 <= metric.low <= metric.mean + 1e-12
    assert metric.mean - 1e-12 <= metric.high <= 1


@given(st.integers(1, 500), st.floats(0, 1))
def test_wilsons_interval_is_scipys(trials: int, share: float) -> None:
    hits = round(share * trials)
    wanted = binomtest(hits, trials).proportion_ci(0.95, method="wilson")
    np.testing.assert_allclose(wilson_interval(hits / trials, trials), (wanted.low, wanted.high), atol=1e-9)


def test_students_interval_holds_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    held = []
    for _ in range(2000):
        metric = Metric.of(list(random.normal(3.0, 1.0, 5)))
        assert metric.low is not None
        assert metric.high is not None
        held.append(metric.low <= 3.0 <= metric.high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.015)
