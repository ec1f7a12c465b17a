"""The clips of a film: every choice equally likely, gaps kept, inside the widest window."""

from collections import Counter
from itertools import combinations as choices
from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_films import (
    chi_square,
    drawn_starts,
    every_choice,
    every_start,
    films,
    most_clips,
    plan_of,
    plan_of_copies,
    seldom_above,
    spans_after_holes,
)

from talkies.core import Int64s, PlanError, Span, SpanTable
from talkies.sampling import BatchPlan, SamplingConfig
from talkies.sampling.combinations import draw_combinations
from talkies.sampling.draw import ClipsAnywhere
from talkies.sampling.starts import Starts

HOLES = [Span(0, 5), Span(9, 12), Span(12, 15), Span(40, 46)]


class EveryOutcome:
    """Stands for a random generator: gives all that it could give, each once."""

    def integers(self, low: int, high_MK: Int64s) -> Int64s:
        assert low == 0
        outcomes = list(product(*(range(high) for high in high_MK[0])))
        assert len(outcomes) == len(high_MK)
        return np.array(outcomes, np.int64).reshape(len(outcomes), -1)


@pytest.mark.parametrize(("count", "size"), [(n, k) for n in range(1, 8) for k in range(1, n + 1)])
def test_of_all_that_the_dice_can_show_each_combination_has_exactly_its_part(count: int, size: int) -> None:
    outcomes = int(np.prod(range(count - size + 1, count + 1)))
    drawn = draw_combinations(EveryOutcome(), np.full(outcomes, count), size)  # type: ignore[arg-type]
    assert Counter(map(tuple, drawn.tolist())) == dict.fromkeys(
        choices(range(count), size), outcomes // comb(count, size)
    )


@pytest.mark.parametrize(("count", "size"), [(9, 2), (9, 7), (9, 8)])
def test_combinations_of_many_rows_at_once_are_uniform(count: int, size: int) -> None:
    drawn = draw_combinations(np.random.default_rng(1), np.full(9000, count), size)
    counts = Counter(map(tuple, drawn.tolist()))
    assert set(counts) == set(choices(range(count), size))
    assert chi_square(list(counts.values())) < seldom_above(comb(count, size))


def test_each_row_of_combinations_is_of_its_own_count() -> None:
    counts = np.array([3, 10, 100, 10**9])
    for _ in range(50):
        drawn = draw_combinations(np.random.default_rng(1), counts, 3)
        assert drawn[0].tolist() == [0, 1, 2]
        assert (np.diff(drawn, axis=1) > 0).all()
        assert ((drawn >= 0) & (drawn < counts[:, None])).all()


@pytest.mark.parametrize(
    ("spans", "clips", "window", "gap"),
    [
        ([Span(5, 17)], 3, 2, 1),
        ([Span(0, 12)], 2, 4, 0),
        (HOLES, 2, 2, 1),
        (HOLES, 3, 3, 0),
        ([Span(0, 3), Span(3, 6), Span(20, 23), Span(30, 35)], 2, 3, 0),
    ],
)
def test_every_choice_of_starts_that_keeps_the_gap_is_drawn_equally_often(
    spans: list[Span], clips: int, window: int, gap: int
) -> None:
    valid = every_choice(spans, clips, window, gap)
    plan = plan_of_copies(spans, clips, window, seed=11, least_gap_seconds=gap)
    drawn = Counter(drawn_starts(plan, 30 * len(valid)))
    assert set(drawn) == valid
    assert len(valid) > 5
    assert chi_square(list(drawn.values())) < seldom_above(len(valid))


def test_a_single_clip_begins_at_every_start_of_every_span_equally_often() -> None:
    spans = [Span(0, 7), Span(7, 9), Span(20, 33)]
    drawn = Counter(drawn_starts(plan_of_copies(spans, 1, seed=5), 1400))
    assert set(drawn) == {(start,) for start in [*range(4), *range(20, 30)]}
    assert chi_square(list(drawn.values())) < seldom_above(14)


def test_two_films_of_a_batch_are_drawn_from_each_on_its_own() -> None:
    plan = plan_of(films([Span(0, 6)], [Span(0, 6)]), 2, 1, seed=3)
    pairs = Counter(tuple(r.window.start_frame for r in sorted(plan.draw_batch(step))) for step in range(900))
    assert set(pairs) == set(product(range(3), repeat=2))
    assert chi_square(list(pairs.values())) < seldom_above(9)


def test_clips_that_only_just_fit_leave_one_choice() -> None:
    plan = plan_of_copies([Span(3, 17)], 3, least_gap_seconds=1)
    assert set(drawn_starts(plan, 20)) == {(3, 8, 13)}


@pytest.mark.parametrize(("gap_seconds", "starts"), [(0.5, (0, 40, 80)), (0.51, (0, 41, 82)), (0.1, (0, 34, 68))])
def test_the_gap_is_told_in_seconds_and_never_rounded_down(gap_seconds: float, starts: tuple[int, ...]) -> None:
    config = SamplingConfig(films_per_batch=1, clips_per_film=3, least_gap_seconds=gap_seconds)
    plan = BatchPlan(films([Span(0, starts[-1] + 32)]), config, 32, fps=16, seed=0)
    assert set(drawn_starts(plan, 5)) == {starts}
    with pytest.raises(PlanError, match=r"^1 film cannot give 3 clips a batch: film-0 \(at most 2\); "):
        BatchPlan(films([Span(0, starts[-1] + 31)]), config, 32, fps=16, seed=0)


def test_a_gap_that_is_a_whole_number_of_frames_but_for_rounding_is_that_number() -> None:
    config = SamplingConfig(films_per_batch=1, clips_per_film=2, least_gap_seconds=0.28)
    plan = BatchPlan(films([Span(0, 2 * 4 + 7)]), config, 4, fps=25, seed=0)  # 0.28 * 25 is above 7 in floats
    assert set(drawn_starts(plan, 5)) == {(0, 11)}


def test_clips_of_one_film_differ_from_step_to_step() -> None:
    assert len(set(drawn_starts(plan_of(films([Span(0, 100_000)]), 1, 4), 50))) == 50


# The widest window.

SCATTERED = [Span(0, 8), Span(20, 24), Span(30, 45), Span(46, 50), Span(90, 92), Span(95, 104)]


@pytest.mark.parametrize(
    ("spans", "clips", "window", "gap", "widest"),
    [
        ([Span(3, 23)], 3, 2, 1, 12),
        (SCATTERED, 2, 3, 0, 14),
        (SCATTERED, 3, 3, 1, 16),
        (SCATTERED, 2, 4, 2, 27),
        ([Span(0, 4), Span(10, 14), Span(100, 108)], 2, 4, 0, 12),
    ],
)
def test_within_the_widest_window_every_choice_is_drawn_in_its_share_and_no_other(
    spans: list[Span], clips: int, window: int, gap: int, widest: int
) -> None:
    """A first start is drawn of those after which all fit, and from there every choice is equally likely."""
    valid = every_choice(spans, clips, window, gap, widest)
    within = {
        first: [choice for choice in valid if first <= choice[0] and choice[-1] + window <= first + widest]
        for first in every_start(spans, window)
    }
    firsts = [choices for choices in within.values() if choices]
    shares = {choice: sum((choice in few) / len(few) for few in firsts) / len(firsts) for choice in valid}
    plan = plan_of_copies(spans, clips, window, seed=2, least_gap_seconds=gap, widest_window_seconds=widest)
    drawn = Counter(drawn_starts(plan, round(10 / min(shares.values()))))
    assert set(drawn) == valid
    assert valid < every_choice(spans, clips, window, gap)
    assert chi_square([drawn[choice] for choice in valid], [shares[c] for c in valid]) < seldom_above(len(valid))


def test_the_first_start_of_a_single_clip_is_uniform_with_a_window_too() -> None:
    spans = [Span(0, 7), Span(7, 9), Span(20, 33)]
    drawn = Counter(drawn_starts(plan_of_copies(spans, 1, seed=5, widest_window_seconds=4), 1400))
    assert set(drawn) == {(start,) for start in [*range(4), *range(20, 30)]}
    assert chi_square(list(drawn.values())) < seldom_above(14)


def test_clips_that_only_just_fit_into_the_window_leave_as_many_choices_as_beginnings() -> None:
    plan = plan_of_copies([Span(0, 20)], 3, least_gap_seconds=1, widest_window_seconds=14)
    assert set(drawn_starts(plan, 200)) == {(first, first + 5, first + 10) for first in range(7)}


def test_a_window_longer_than_the_film_changes_nothing_in_what_can_be_drawn() -> None:
    plan = plan_of_copies(HOLES, 2, 2, least_gap_seconds=1, widest_window_seconds=1000)
    assert set(drawn_starts(plan, 5000)) == every_choice(HOLES, 2, 2, 1)


def test_a_place_that_cannot_give_all_clips_is_drawn_when_fewer_are_asked_for() -> None:
    """From step 5 on one clip a film is enough, and the lonely span comes into its own."""
    spans = [Span(0, 10), Span(50, 54)]
    plan = plan_of(
        films(*[spans] * 2), 1, 2, 4, widest_window_seconds=12, schedule=({"from_step": 100, "clips_per_film": 1},)
    )
    assert {r.window.start_frame for step in range(100) for r in plan.draw_batch(step)} == {0, 1, 2, 4, 5, 6}
    later = {r.window.start_frame for step in range(100, 200) for r in plan.draw_batch(step)}
    assert later == set(every_start(spans, 4)) == {*range(7), 50}


def test_a_window_too_narrow_for_the_clips_is_refused_with_the_time_they_take() -> None:
    sentence = (
        r"^3 clips with their gaps take 4\.25 s, and sampling\.widest_window_seconds is 4\.2; "
        r"raise it, or take fewer clips or a smaller gap$"
    )
    config = SamplingConfig(films_per_batch=2, clips_per_film=3, least_gap_seconds=0.625, widest_window_seconds=4.2)
    with pytest.raises(PlanError, match=sentence):
        BatchPlan(films([Span(0, 900)], [Span(0, 900)]), config, 16, fps=16, seed=0)
    enough = config.model_copy(update={"widest_window_seconds": 4.25})
    assert len(BatchPlan(films([Span(0, 900)], [Span(0, 900)]), enough, 16, fps=16, seed=0).draw_batch(0)) == 6


def test_the_most_clips_of_a_schedule_must_fit_into_the_window() -> None:
    with pytest.raises(PlanError, match=r"^4 clips with their gaps take 16 s, and "):
        plan_of(
            films(*[[Span(0, 99)]] * 4),
            4,
            1,
            widest_window_seconds=15,
            schedule=({"from_step": 3, "clips_per_film": 4},),
        )


@st.composite
def small_films(draw: st.DrawFn) -> list[list[Span]]:
    made = []
    for runs in draw(st.lists(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 9)), max_size=4), max_size=4)):
        made.append(spans_after_holes(runs))
    return made


@given(small_films(), st.integers(1, 4), st.integers(0, 3), st.none() | st.integers(4, 40))
def test_how_many_clips_a_film_can_give_is_what_trying_all_finds(
    table: list[list[Span]], window: int, gap: int, widest: int | None
) -> None:
    reach = None if widest is None else widest - window
    draw = ClipsAnywhere(Starts(SpanTable.of(table), window), window + gap, reach)
    assert draw.count_most_clips(99).tolist() == [most_clips(spans, window, gap, widest) for spans in table]


@given(small_films(), st.integers(1, 3), st.integers(0, 2), st.integers(1, 3), st.none() | st.integers(0, 20))
def test_whatever_is_drawn_is_a_choice_that_trying_all_finds(
    table: list[list[Span]], window: int, gap: int, clips: int, more: int | None
) -> None:
    widest = None if more is None else clips * (window + gap) + more
    draw = ClipsAnywhere(
        starts := Starts(SpanTable.of(table), window), window + gap, None if widest is None else widest - window
    )
    able = np.flatnonzero(draw.count_most_clips(clips) >= clips)
    for film in able.tolist():
        valid = every_choice(table[film], clips, window, gap, widest)
        numbers = draw.draw(np.random.default_rng(film), np.full(60, film), clips)
        assert set(starts.find_films(numbers.reshape(-1)).tolist()) == {film}
        assert set(map(tuple, starts.find_frames(numbers).tolist())) <= valid
