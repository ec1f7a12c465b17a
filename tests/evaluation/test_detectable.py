"""How large a difference from a baseline could have been seen, of clips, splits, and films."""

import numpy as np
import pytest

from talkies.analysis.power import smallest_detectable, smallest_detectable_share
from talkies.evaluation.results import Detectable, Metric, Result, describe_detectable
from talkies.evaluation.results.detectable import compare_clips, compare_metrics, compare_values

RANDOM = np.random.default_rng(0)


def hits(share: float, clips: int) -> np.ndarray:
    return (RANDOM.random(clips) < share).astype(float)


def test_a_single_split_is_judged_by_its_clips() -> None:
    own, other = hits(0.7, 400), hits(0.5, 400)
    compared = compare_clips([own], [other])
    assert compared.smallest == smallest_detectable_share(np.mean(own != other), 400)
    assert compared.found == pytest.approx(own.mean() - other.mean())
    assert (compared.n, compared.test) == (400, "McNemar's test over 400 test clips")
    assert (compared.power, compared.alpha) == (0.8, 0.05)


def test_splits_are_judged_by_a_paired_t_test() -> None:
    own = [hits(share, 80) for share in (0.9, 0.5, 0.7, 0.8, 0.6)]
    other = [hits(0.5, 80) for _ in own]
    compared = compare_clips(own, other)
    differences = [mine.mean() - theirs.mean() for mine, theirs in zip(own, other, strict=True)]
    assert compared.smallest == pytest.approx(smallest_detectable(np.std(differences, ddof=1), 5))
    assert (compared.n, compared.test) == (5, "paired t test over 5 splits")


def test_splits_that_agree_by_chance_see_no_more_than_their_clips() -> None:
    own, other = np.tile([1.0, 0.0], 40), np.tile([0.0, 1.0, 1.0, 0.0], 20)
    compared = compare_clips([own] * 5, [other] * 5)
    assert compared.smallest == smallest_detectable_share(np.mean(own != other), 400) > 0
    assert compared.n == 400


def test_scores_that_are_graded_are_judged_by_their_squares() -> None:
    own, other = np.full(100, 0.75), np.full(100, 0.25)
    assert compare_clips([own], [other]).smallest == smallest_detectable_share(0.25, 100)
    assert compare_clips([own], [own]).smallest == smallest_detectable_share(0.0, 100)


def test_a_single_number_says_nothing() -> None:
    compared = compare_values([0.5], [0.25])
    assert (compared.smallest, compared.n, compared.found) == (None, 1, 0.25)
    assert describe_detectable("untrained", {"mean_average_precision": compared}) == (
        "Against untrained, a single value does not say how large a difference could have been seen."
    )
    assert compare_values([0.5, 0.7], [0.25, 0.2]).smallest == pytest.approx(
        smallest_detectable(np.std([0.25, 0.5], ddof=1), 2)
    )


def test_films_are_judged_by_their_means_as_if_independent() -> None:
    own = {"recall": Metric.of([0.1, 0.5, 0.9]), "miou": Metric.of([0.5])}
    other = {"recall": Metric.of([0.2, 0.3, 0.4]), "miou": Metric.of([0.4]), "more": Metric.of([1.0])}
    compared = compare_metrics(own, other)
    assert list(compared) == ["recall", "miou"]
    assert compared["recall"].smallest == pytest.approx(smallest_detectable(np.hypot(0.4, 0.1), 3))
    assert compared["recall"].test == "t test over 3 values, as if independent"
    assert compared["miou"].smallest is None


def test_one_sentence_says_it() -> None:
    compared = {
        "accuracy": Detectable(found=0.26, smallest=0.0712, n=5, test="paired t test over 5 splits"),
        "miou": Detectable(found=0.1, smallest=None, n=1, test="none: a single value"),
    }
    assert describe_detectable("untrained", compared) == (
        "Against untrained, differences could have been seen (power 80%, two-sided level 0.05) from 0.071 in accuracy "
        "(paired t test over 5 splits; found +0.260)."
    )


def test_a_result_of_an_older_version_has_none() -> None:
    assert Result.model_validate({"task": "esc50", "protocol": {}, "metrics": {}}).detectable == {}
