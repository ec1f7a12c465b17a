"""The learning rate: a linear warm-up, then half a cosine down to zero."""

from itertools import pairwise

import pytest
from torch import nn

from talkies.training import OptimiserConfig
from talkies.training.optimiser import build_optimiser, compute_learning_rate, set_learning_rate

CONFIG = OptimiserConfig(learning_rate=0.4, warmup_steps=4)
STEPS = 12


def test_the_warm_up_rises_in_equal_steps_from_the_first_to_the_full_rate() -> None:
    assert [compute_learning_rate(step, STEPS, CONFIG) for step in range(4)] == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_after_the_warm_up_the_rate_is_full_then_half_then_nothing() -> None:
    rates = [compute_learning_rate(step, STEPS, CONFIG) for step in (4, 8, 12)]
    assert rates == pytest.approx([0.4, 0.2, 0.0], abs=1e-12)


def test_the_rate_only_falls_after_the_warm_up_and_the_last_step_still_learns() -> None:
    rates = [compute_learning_rate(step, STEPS, CONFIG) for step in range(4, STEPS)]
    assert all(before > after for before, after in pairwise(rates))
    assert 0 < rates[-1] < 0.05 * CONFIG.learning_rate


def test_without_a_warm_up_the_first_step_has_the_full_rate() -> None:
    assert compute_learning_rate(0, STEPS, OptimiserConfig(learning_rate=0.4)) == 0.4


def test_a_run_no_longer_than_its_warm_up_never_divides_by_nothing() -> None:
    assert [compute_learning_rate(step, 2, CONFIG) for step in range(2)] == pytest.approx([0.1, 0.2])


def test_the_rate_is_set_for_every_group() -> None:
    optimiser = build_optimiser(nn.Linear(3, 2), CONFIG)
    set_learning_rate(optimiser, 0.125)
    assert [group["lr"] for group in optimiser.param_groups] == [0.125, 0.125]
