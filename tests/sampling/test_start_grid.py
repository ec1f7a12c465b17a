"""Clips that start on a grid: exactly the choices of starts on it, each equally likely; the other rules as ever."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_films import (
    Spans,
    by_film,
    chi_square,
    drawn_starts,
    every_choice,
    films,
    most_clips,
    plan_of,
    plan_of_copies,
    seldom_above,
    shots_between,
    spans_after_holes,
)

from talkies.core import PlanError, Span
from talkies.sampling import BatchPlan, SamplingConfig

HOLES = [Span(1, 9), Span(13, 22), Span(40, 46)]


def choices_on_grid(step: int, spans: Spans, *rest: object, **rules: object) -> set[tuple[int, ...]]:
    """All choices that a batch may take, of which every start is a multiple of the step."""
    every = every_choice(spans, *rest, **rules)  # type: ignore[arg-type]
    return {choice for choice in every if all(start % step == 0 for start in choice)}


@pytest.mark.parametrize(
    ("spans", "clips", "window", "gap", "step", "rules"),
    [
        ([Span(0, 24)], 3, 4, 1, 2, {}),
        ([Span(3, 29)], 2, 5, 0, 3, {}),
        (HOLES, 2, 3, 1, 2, {}),
        (HOLES, 2, 4, 0, 4, {"widest_window_seconds": 16.0}),
        ([Span(0, 40)], 2, 4, 0, 3, {"shots": shots_between(40, [7, 8, 20, 31])}),
        ([Span(0, 40)], 2, 5, 0, 2, {"shots": shots_between(40, [11, 20, 21, 33]), "widest_window_seconds": 19.0}),
    ],
)
def test_every_choice_of_starts_on_the_grid_is_drawn_and_no_other(
    spans: Spans, clips: int, window: int, gap: int, step: int, rules: dict[str, object]
) -> None:
    shots = rules.get("shots")
    widest = rules.get("widest_window_seconds")
    expected = choices_on_grid(step, spans, clips, window, gap, widest and int(widest), shots)  # type: ignore[call-overload]
    settings = {"least_gap_seconds": gap, "start_grid_seconds": float(step), **rules}
    if shots:
        settings["one_clip_per_shot"] = True
    drawn = drawn_starts(plan_of_copies(spans, clips, window, **settings), 60 * len(expected))  # type: ignore[arg-type]
    assert set(drawn) == expected
    if not shots and not widest:
        counts = Counter(drawn)
        assert chi_square([counts[choice] for choice in expected]) < seldom_above(len(expected))


@given(
    runs=st.lists(st.tuples(st.integers(0, 6), st.integers(1, 20)), min_size=1, max_size=4),
    window=st.integers(1, 6),
    gap=st.integers(0, 3),
    step=st.integers(1, 5),
    clips=st.integers(1, 3),
)
def test_films_give_what_all_choices_on_the_grid_say(
    runs: list[tuple[int, int]], window: int, gap: int, step: int, clips: int
) -> None:
    spans = spans_after_holes(runs)
    expected = choices_on_grid(step, spans, clips, window, gap)
    settings = {"least_gap_seconds": float(gap), "start_grid_seconds": float(step)}
    if not expected:
        with pytest.raises(PlanError, match="cannot give"):
            plan_of_copies(spans, clips, window, **settings)
        return
    assert set(drawn_starts(plan_of_copies(spans, clips, window, **settings), 64)) <= expected


def test_a_grid_of_one_frame_draws_what_no_grid_draws() -> None:
    with_grid = plan_of(films(HOLES, HOLES), 2, 3, 3, start_grid_seconds=1.0)
    without = plan_of(films(HOLES, HOLES), 2, 3, 3)
    for step in range(20):
        assert list(with_grid.draw_batch(step)) == list(without.draw_batch(step))
    assert most_clips(HOLES, 3, 0) >= 3


def test_the_sound_of_another_moment_starts_on_the_grid_too() -> None:
    plan = plan_of(films([Span(0, 60)]), 1, 3, 4, start_grid_seconds=3.0, positives_within_seconds=7.0)
    for step in range(40):
        for [*clips] in by_film(plan.draw_batch(step)):
            for clip in clips:
                assert clip.window.start_frame % 3 == clip.audio_shift_frames % 3 == 0
                assert abs(clip.audio_shift_frames) in (3, 6)


def test_a_grid_between_frames_is_refused() -> None:
    config = SamplingConfig(films_per_batch=1, clips_per_film=2, start_grid_seconds=0.3)
    with pytest.raises(PlanError, match=r"start_grid_seconds must be a whole number .* \(1/16 s\), got 0\.3"):
        BatchPlan(films([Span(0, 600)]), config, 16, fps=16, seed=0)
