from collections import Counter
from dataclasses import replace
from itertools import groupby, pairwise

from hypothesis import given
from hypothesis import strategies as st

from talkies.core import ClipRequest, Span, as_film_id
from talkies.sampling import BatchPlan, FilmSpans

STEPS = range(15)


def spans_of(runs: list[tuple[int, int]], long_enough: int) -> list[Span]:
    """Spans from pairs (hole before, frames), and one at the end that alone is long enough for all clips."""
    spans, at = [], 0
    for hole, frames in [*runs, (1, long_enough)]:
        spans.append(Span(at + hole, at + hole + frames))
        at = spans[-1].end_frame
    return spans


@st.composite
def plans(draw: st.DrawFn) -> BatchPlan:
    count = draw(st.integers(1, 7))
    clips, window, gap = draw(st.integers(1, 4)), draw(st.integers(1, 6)), draw(st.integers(0, 4))
    runs = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 15)), max_size=4)
    table = {
        as_film_id(f"{film:016x}"): spans_of(draw(runs), clips * (window + gap) + draw(st.integers(0, 9)))
        for film in range(count)
    }
    return BatchPlan(FilmSpans.of(table), draw(st.integers(1, count)), clips, window, gap, draw(st.integers(0, 2**40)))


def by_film(requests: tuple[ClipRequest, ...]) -> list[list[ClipRequest]]:
    return [list(clips) for _, clips in groupby(requests, key=lambda request: request.film_id)]


@given(plans())
def test_a_batch_is_distinct_films_of_equally_many_clips_film_by_film(plan: BatchPlan) -> None:
    for step in STEPS:
        groups = by_film(plan.batch(step))
        assert [len(group) for group in groups] == [plan.clips_per_film] * plan.films_per_batch
        assert len({group[0].film_id for group in groups}) == plan.films_per_batch


@given(plans())
def test_clips_of_a_film_come_in_the_order_of_time_and_keep_the_gap(plan: BatchPlan) -> None:
    for step in STEPS:
        for clips in by_film(plan.batch(step)):
            for earlier, later in pairwise(clip.window for clip in clips):
                assert later.start_frame - earlier.end_frame >= plan.gap_frames


@given(plans())
def test_every_window_is_whole_and_inside_one_eligible_span(plan: BatchPlan) -> None:
    spans = dict(zip(plan.films.film_ids, plan.films.spans, strict=True))
    for request in (request for step in STEPS for request in plan.batch(step)):
        assert len(request.window) == plan.window_frames
        assert any(span.holds(request.window) for span in spans[request.film_id])


@given(plans())
def test_after_every_step_all_films_were_visited_equally_often_within_one(plan: BatchPlan) -> None:
    visits = Counter(dict.fromkeys(range(len(plan.films)), 0))
    for step in range(40):
        visits.update(plan.films_of(step))
        assert max(visits.values()) - min(visits.values()) <= 1


@given(plans(), st.permutations(STEPS))
def test_a_fresh_plan_gives_the_same_batches_in_whatever_order_they_are_asked_for(
    plan: BatchPlan, order: list[int]
) -> None:
    in_order = {step: plan.batch(step) for step in STEPS}
    fresh = replace(plan)
    assert {step: fresh.batch(step) for step in order} == in_order


@given(st.integers(0, 2**40), st.integers(0, 2**40))
def test_two_seeds_give_two_sequences_of_batches(one: int, other: int) -> None:
    table = FilmSpans.of({as_film_id(f"{film:016x}"): [Span(0, 100_000)] for film in range(20)})
    first, second = (BatchPlan(table, 8, 2, window_frames=4, gap_frames=0, seed=seed) for seed in (one, other))
    assert ([first.batch(step) for step in range(3)] == [second.batch(step) for step in range(3)]) == (one == other)
