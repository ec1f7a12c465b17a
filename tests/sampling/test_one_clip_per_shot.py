"""One clip a shot: no two clips of a film in a batch have their middles in one shot."""

from collections import Counter
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_films import (
    by_film,
    chi_square,
    drawn_starts,
    every_choice,
    every_start,
    films,
    most_clips,
    plan_of,
    plan_of_copies,
    seldom_above,
    shot_of,
    shots_between,
)

from talkies.core import Span, SpanTable
from talkies.sampling import BatchPlan
from talkies.sampling.draw import OneClipPerShot
from talkies.sampling.starts import Starts

CUTS = (7, 9, 10, 21, 33, 34)
SHOTS = shots_between(50, CUTS)
ELIGIBLE = [Span(1, 15), Span(17, 30), Span(31, 48)]


def plan(spans: list[Span], shots: list[Span], clips: int, window: int = 4, **sampling: object) -> BatchPlan:
    return plan_of_copies(spans, clips, window, shots, seed=1, one_clip_per_shot=True, **sampling)


@pytest.mark.parametrize(("clips", "window", "gap"), [(2, 1, 0), (2, 4, 0), (3, 4, 0), (3, 3, 2), (4, 2, 1)])
def test_no_two_clips_of_a_film_have_their_middles_in_one_shot_and_the_gap_is_kept(
    clips: int, window: int, gap: int
) -> None:
    valid = every_choice(ELIGIBLE, clips, window, gap, None, SHOTS)
    drawn = set(drawn_starts(plan(ELIGIBLE, SHOTS, clips, window, least_gap_seconds=gap), 600))
    assert drawn <= valid
    assert len(drawn) > 100


@pytest.mark.parametrize(("clips", "window", "gap"), [(2, 4, 0), (2, 3, 1), (3, 4, 2)])
@pytest.mark.parametrize("widest", [None, 24])
def test_every_choice_that_may_be_taken_is_drawn(clips: int, window: int, gap: int, widest: int | None) -> None:
    spans, shots = [Span(0, 12), Span(14, 21), Span(23, 33)], shots_between(40, (6, 13, 16, 18, 29))
    sampled = plan(spans, shots, clips, window, least_gap_seconds=gap, widest_window_seconds=widest)
    assert set(drawn_starts(sampled, 16000)) == every_choice(spans, clips, window, gap, widest, shots)


@pytest.mark.parametrize(("clips", "window", "gap"), [(1, 4, 0), (2, 1, 0), (2, 4, 0), (3, 4, 0), (3, 3, 2)])
def test_every_eligible_start_is_drawn(clips: int, window: int, gap: int) -> None:
    drawn = drawn_starts(plan(ELIGIBLE, SHOTS, clips, window, least_gap_seconds=gap), 3000)
    assert {start for choice in drawn for start in choice} == set(every_start(ELIGIBLE, window))


def test_a_clip_of_an_even_and_of_an_odd_window_belongs_to_the_shot_of_its_middle_frame() -> None:
    for window in (4, 5):
        shots = [Span(0, 10), Span(10, 30)]
        drawn = drawn_starts(plan([Span(0, 30)], shots, 2, window), 4000)
        assert {first for first, _ in drawn} == set(range(10 - window // 2))
        assert {second for _, second in drawn} == set(range(10 - window // 2, 30 - window + 1))


def test_shots_that_are_long_enough_are_drawn_from_in_every_choice() -> None:
    shots = shots_between(60, range(0, 60, 10))
    drawn = drawn_starts(plan([Span(0, 60)], shots, 3), 800)
    chosen = {tuple(shot_of(shots, start, 4) for start in choice) for choice in drawn}
    assert chosen == set(combinations(range(6), 3))


def test_of_two_clips_each_choice_of_shots_is_drawn_equally_often() -> None:
    shots = shots_between(100, (10, 30, 36, 70))
    drawn = drawn_starts(plan([Span(0, 100)], shots, 2), 2000)
    counts = Counter(tuple(shot_of(shots, start, 4) for start in choice) for choice in drawn)
    assert set(counts) == set(combinations(range(5), 2))
    assert chi_square(list(counts.values())) < seldom_above(10)


def test_a_clip_of_each_shot_only_just_fits() -> None:
    shots = shots_between(14, (4, 8))  # by their middles the starts of a clip are those below 2, 6 and 11
    drawn = set(drawn_starts(plan([Span(0, 14)], shots, 3), 300))
    assert drawn == every_choice([Span(0, 14)], 3, 4, 0, None, shots)
    assert {choice[0] for choice in drawn} == {0, 1}


def test_very_short_shots_make_way_for_the_clips() -> None:
    """Shots of one frame, clips of four: every clip has its own shot, and enough others lie between."""
    shots = shots_between(40, range(40))
    drawn = drawn_starts(plan([Span(0, 40)], shots, 5), 1000)
    assert {start for choice in drawn for start in choice} == set(range(37))
    assert all(later - earlier >= 4 for choice in drawn for earlier, later in pairwise(choice))


def test_films_with_other_shots_are_drawn_from_by_their_own() -> None:
    cuts = [(8,), (30,), (12, 40)]
    table = films(*[[Span(0, 50)]] * 3, shots=[shots_between(50, own) for own in cuts])
    sampled = plan_of(table, 3, 2, one_clip_per_shot=True)
    for step in range(200):
        for clips in by_film(sampled.draw_batch(step)):
            shots = shots_between(50, cuts[table.film_ids.index(clips[0].film_id)])
            assert len({shot_of(shots, clip.window.start_frame, 4) for clip in clips}) == 2


# With the widest window.


@pytest.mark.parametrize(("clips", "gap", "widest"), [(2, 0, 30), (3, 0, 40), (2, 2, 30)])
def test_with_a_widest_window_all_rules_hold_and_every_start_is_drawn(clips: int, gap: int, widest: int) -> None:
    shots = shots_between(100, (10, 17, 30, 36, 50, 60, 71, 85, 90))
    eligible = [Span(0, 40), Span(44, 100)]
    drawn = set(drawn_starts(plan(eligible, shots, clips, least_gap_seconds=gap, widest_window_seconds=widest), 8000))
    starts = every_start(eligible, 4)
    for choice in drawn:
        assert choice[-1] + 4 - choice[0] <= widest
        assert len({shot_of(shots, start, 4) for start in choice}) == clips
        assert all(later - earlier >= 4 + gap for earlier, later in pairwise(choice))
    assert {start for choice in drawn for start in choice} == set(starts)


def test_a_first_clip_whose_next_waits_behind_a_hole_is_drawn_only_where_the_window_reaches_that_far() -> None:
    """Clips 7 apart in a window of 8: from frames 3 to 5 the next start is frame 13, too far; from 6 it is not."""
    eligible, shots = [Span(0, 10), Span(13, 26)], [Span(0, 8), Span(8, 30)]
    drawn = drawn_starts(plan(eligible, shots, 2, 1, least_gap_seconds=6, widest_window_seconds=8), 400)
    assert set(drawn) == {(1, 8), (2, 9), (6, 13), (7, 14)} == every_choice(eligible, 2, 1, 6, 8, shots)


def test_a_place_with_too_few_shots_within_the_window_is_not_drawn_from() -> None:
    shots = shots_between(200, (8, 16, 100, 108, 192))
    eligible = [Span(0, 24), Span(60, 70), Span(92, 116), Span(150, 160)]
    drawn = drawn_starts(plan(eligible, shots, 3, widest_window_seconds=24), 2000)
    valid = every_choice(eligible, 3, 4, 0, 24, shots)
    assert set(drawn) <= valid
    assert {start for choice in drawn for start in choice} == {start for choice in valid for start in choice}
    assert {choice[0] // 90 for choice in drawn} == {0, 1}


def test_a_shot_that_is_longer_than_the_window_is_drawn_from_at_its_ends() -> None:
    shots = shots_between(140, (100, 120))
    drawn = drawn_starts(plan([Span(0, 140)], shots, 2, widest_window_seconds=20), 4000)
    assert {start for choice in drawn for start in choice} == set(range(82, 134))
    alone = drawn_starts(plan([Span(0, 140)], shots, 1, widest_window_seconds=20), 2000)
    assert {start for choice in alone for start in choice} == set(range(137))


# How many there are.


@st.composite
def cut_films(draw: st.DrawFn) -> tuple[list[Span], list[Span]]:
    spans: list[Span] = []
    for hole, frames in draw(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 12)), max_size=4)):
        begin = hole + (spans[-1].end_frame if spans else 0)
        spans.append(Span(begin, begin + frames))
    frames = (spans[-1].end_frame if spans else 0) + 5
    return spans, shots_between(frames, draw(st.lists(st.integers(1, 60), max_size=8)))


windows, gaps = st.integers(1, 4), st.integers(0, 3)


def counted(spans: list[Span], shots: list[Span], window: int, gap: int, widest: int | None = None) -> int:
    reach = None if widest is None else widest - window
    table = SpanTable.of([[], spans, []])
    draw = OneClipPerShot(Starts(table, window), window + gap, reach, SpanTable.of([shots] * 3))
    assert draw.count_most_clips(99)[[0, 2]].tolist() == [0, 0]
    return int(draw.count_most_clips(99)[1])


@given(cut_films(), windows, gaps)
def test_how_many_clips_a_film_can_give_is_what_trying_all_finds(
    film: tuple[list[Span], list[Span]], window: int, gap: int
) -> None:
    spans, shots = film
    assert counted(spans, shots, window, gap) == most_clips(spans, window, gap, None, shots)


@given(cut_films(), windows, gaps, st.integers(0, 40))
def test_how_many_it_can_give_within_the_window_is_what_trying_all_finds(
    film: tuple[list[Span], list[Span]], window: int, gap: int, more: int
) -> None:
    spans, shots = film
    assert counted(spans, shots, window, gap, window + more) == most_clips(spans, window, gap, window + more, shots)


@given(cut_films(), windows, gaps, st.integers(1, 3), st.none() | st.integers(0, 20))
def test_what_is_drawn_is_what_trying_all_finds_and_every_start_of_it_is_drawn(
    film: tuple[list[Span], list[Span]], window: int, gap: int, clips: int, more: int | None
) -> None:
    spans, shots = film
    widest = None if more is None else clips * (window + gap) + more
    valid = every_choice(spans, clips, window, gap, widest, shots)
    reach = None if widest is None else widest - window
    starts = Starts(SpanTable.of([[], spans]), window)
    draw = OneClipPerShot(starts, window + gap, reach, SpanTable.of([shots] * 2))
    assert (draw.count_most_clips(99)[1] >= clips) == bool(valid)
    if valid:
        drawn = starts.find_frames(draw.draw(np.random.default_rng(0), np.full(2000, 1), clips))
        assert set(map(tuple, drawn.tolist())) <= valid
        assert set(drawn.reshape(-1).tolist()) == {start for choice in valid for start in choice}
