"""The objective against the slow reference, with every setting."""

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slow_contrastive import SlowObjective, views_of

from talkies.objectives import ContrastiveObjective, ObjectiveConfig, WeightPoint

FPS = 8
FILMS = [4, 4, 9, 4, 9, 2, 4]  # of four, two and one clips, in no order
STARTS = [0, 8, 3, 20, 12, 0, 12]
SCHEDULE = (WeightPoint(at_step=10, cross_film_weight=0.2), WeightPoint(at_step=30, cross_film_weight=0.9))
KNOBS: dict[str, dict[str, Any]] = {
    "plain": {},
    "within film alone": {"cross_film_weight": 0.0},
    "other films count less": {"cross_film_weight": 0.3},
    "other films' candidates count nothing": {"cross_film_weight": 0.0, "cross_film_weighs": "negatives"},
    "other films' candidates count less": {"cross_film_weight": 0.3, "cross_film_weighs": "negatives"},
    "other films' candidates count": {"cross_film_weight": 1.0, "cross_film_weighs": "negatives"},
    "scheduled": {"cross_film_schedule": SCHEDULE},
    "scheduled candidates": {"cross_film_schedule": SCHEDULE, "cross_film_weighs": "negatives"},
    "cold": {"temperature": 0.01},
    "learnt temperature": {"temperature": 0.5, "learn_temperature": True},
    "near clips masked": {"mask_nearer_than_seconds": 1.5, "cross_film_weight": 0.3},
    "several positives": {"within_film_positives_seconds": 1.0, "cross_film_weight": 0.3},
    "positives and a mask": {"within_film_positives_seconds": 1.0, "mask_nearer_than_seconds": 1.5},
    "a mask within the positives": {"within_film_positives_seconds": 1.5, "mask_nearer_than_seconds": 1.0},
    "two views": {"within_modal_weight": 0.7, "cross_film_weight": 0.3},
    "two views and all else": {
        "within_modal_weight": 2.0,
        "cross_film_weight": 0.3,
        "cross_film_weighs": "negatives",
        "within_film_positives_seconds": 1.0,
        "mask_nearer_than_seconds": 1.5,
    },
}
STEP = 14  # on the way from one point of the schedule to the next


def expect_the_slow_numbers(config: ObjectiveConfig, fps: int, film: list[int], start: list[int], step: int) -> None:
    fast, views = ContrastiveObjective(config, fps).double(), views_of(config, film, start)
    output = fast(views, step)
    losses, report = SlowObjective(config, fps, fast.log_temperature.item())(views, step)
    assert {name: loss.item() for name, loss in output.losses.items()} == pytest.approx(losses, rel=0, abs=1e-10)
    got = {name: output.report[name].item() for name in report}
    exact = {name: value for name, value in got.items() if name not in _SINGLE}
    assert exact == pytest.approx({name: report[name] for name in exact}, rel=0, abs=1e-10)
    assert got == pytest.approx(report, rel=1e-6)
    assert all(loss.dtype == torch.float64 for loss in output.losses.values())


_SINGLE = {  # reported in single precision: counts and shares
    *("cross_film_weight", "negatives", "within_film_share"),
    *(f"{of}accuracy_{what}_film" for of in ("", "within_modal_") for what in ("within", "which")),
}


@pytest.mark.parametrize("block", [None, 1, 3, 4, 50])
@pytest.mark.parametrize("knob", KNOBS)
def test_losses_and_report_are_the_slow_ones_with_every_knob(knob: str, block: int | None) -> None:
    config = ObjectiveConfig(**KNOBS[knob], block_clips=block)
    expect_the_slow_numbers(config, FPS, FILMS, STARTS, STEP)


eighths = st.integers(0, 24).map(lambda n: n / 8)  # times a whole number of frames a second, exact in binary
weights = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0.01, 0.99))


@st.composite
def configs(draw: st.DrawFn) -> ObjectiveConfig:
    """Any objective."""
    steps = sorted(draw(st.sets(st.integers(1, 40), max_size=3)))
    return ObjectiveConfig(
        cross_film_weight=draw(weights),
        cross_film_weighs=draw(st.sampled_from(["term", "negatives"])),
        cross_film_schedule=tuple(WeightPoint(at_step=step, cross_film_weight=draw(weights)) for step in steps),
        temperature=draw(st.floats(0.01, 10.0)),
        learn_temperature=draw(st.booleans()),
        mask_nearer_than_seconds=draw(eighths),
        within_film_positives_seconds=draw(eighths),
        within_modal_weight=draw(st.sampled_from([0.0, 0.0, 0.3, 4.0])),
        block_clips=draw(st.sampled_from([None, 1, 2, 3, 5, 64])),
    )


clips = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60)), min_size=1, max_size=9)


@settings(
    max_examples=120, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(config=configs(), fps=st.sampled_from([1, 8, 25]), clips=clips, step=st.integers(0, 50), seed=st.integers(0, 99))
def test_losses_and_report_are_the_slow_ones_for_any_clips_and_knobs(
    config: ObjectiveConfig, fps: int, clips: list[tuple[int, int]], step: int, seed: int
) -> None:
    torch.manual_seed(seed)
    expect_the_slow_numbers(config, fps, [film for film, _ in clips], [start for _, start in clips], step)


@pytest.mark.parametrize(
    ("fps", "frames", "setting"),
    [
        (10, 11, {"mask_nearer_than_seconds": 1.1}),  # in binary 1.1 × 10 is a little over 11
        (100, 28, {"mask_nearer_than_seconds": 0.28}),  # 28.000000000000004
    ],
)
def test_a_clip_just_as_far_as_the_mask_reaches_is_a_negative(fps: int, frames: int, setting: dict[str, float]) -> None:
    for start, negatives in ((frames, 1), (frames - 1, 0)):
        output = ContrastiveObjective(ObjectiveConfig(**setting), fps)(views_of(ObjectiveConfig(), [0, 0], [0, start]))
        assert output.report["negatives"] == negatives


def test_a_clip_just_as_far_as_positives_reach_is_a_positive() -> None:
    config = ObjectiveConfig(within_film_positives_seconds=0.29)  # in binary 0.29 × 100 is a little under 29
    for start, negatives in ((29, 0), (30, 1)):
        output = ContrastiveObjective(config, 100)(views_of(config, [0, 0], [0, start]))
        assert output.report["negatives"] == negatives


@pytest.mark.parametrize("weighs", ["term", "negatives"])
def test_a_weight_of_one_is_the_plain_loss_however_it_weighs(weighs: str) -> None:
    (view,) = views_of(ObjectiveConfig(), FILMS, STARTS)
    plain, weighed = (
        ContrastiveObjective(ObjectiveConfig(cross_film_weighs=how)).double()([view]).losses["contrastive"].item()
        for how in ("term", weighs)
    )
    assert weighed == plain
