"""Laws of every plan, whatever the films and the options."""

from collections import Counter
from itertools import chain, groupby, pairwise

from hypothesis import given
from hypothesis import strategies as st

from talkies.core import ClipRequest, Span, parse_film_id
from talkies.sampling import BatchPlan, FilmSpans, SamplingConfig

STEPS = range(15)


def spans_of(runs: list[tuple[int, int]], long_enough: int) -> list[Span]:
    """Spans from pairs (hole before, frames), and one at the end that alone is long enough for all clips."""
    spans, at = [], 0
    for hole, frames in [*runs, (1, long_enough)]:
        spans.append(Span(at + hole, at + hole + frames))
        at = spans[-1].end_frame
    return spans


def shots_of(spans: list[Span], lengths: list[int]) -> list[Span]:
    """Shots over all of a film: of these lengths, and then one of ten frames after the other."""
    edges = [0]
    while edges[-1] < spans[-1].end_frame:
        edges.append(edges[-1] + (lengths[len(edges) - 1] if len(edges) <= len(lengths) else 10))
    return [Span(begin, end) for begin, end in pairwise(edges)]


@st.composite
def plans(draw: st.DrawFn, weights: tuple[str, ...] = ("uniform",)) -> BatchPlan:
    """Plans on a grid of one frame a second, of films that are long enough for their clips."""
    films_per_batch, clips = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    clips += films_per_batch * clips == 1
    count = films_per_batch + draw(st.integers(0, 5))
    window, gap, per_shot = draw(st.integers(1, 6)), draw(st.integers(0, 4)), draw(st.booleans())
    runs = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 15)), max_size=4)
    space = clips * (window + gap + (20 if per_shot else 0))
    spans = [spans_of(draw(runs), space + draw(st.integers(0, 9))) for _ in range(count)]
    shots = [shots_of(own, draw(st.lists(st.integers(1, 12), max_size=6))) for own in spans]
    ids = [parse_film_id(f"{film:016x}") for film in range(count)]
    config = SamplingConfig(
        films_per_batch=films_per_batch,
        clips_per_film=clips,
        least_gap_seconds=gap,
        widest_window_seconds=draw(st.none() | st.integers(space, 4 * space)),
        one_clip_per_shot=per_shot,
        film_weights=draw(st.sampled_from(weights)),
        positives_within_seconds=draw(st.sampled_from([0, 7])),
    )
    table = FilmSpans.of(dict(zip(ids, spans, strict=True)), None, dict(zip(ids, shots, strict=True)))
    return BatchPlan(table, config, window, fps=1, seed=draw(st.integers(0, 2**40)))


any_plan = plans(weights=("uniform", "duration"))


def again(plan: BatchPlan) -> BatchPlan:
    return BatchPlan(plan.films, plan.config, plan.window_frames, fps=1, seed=plan.seed)


def by_film(requests: list[ClipRequest]) -> list[list[ClipRequest]]:
    return [list(clips) for _, clips in groupby(requests, key=lambda request: request.film_id)]


def groups_of(plan: BatchPlan) -> list[list[ClipRequest]]:
    return [clips for step in STEPS for clips in by_film(list(plan.draw_batch(step)))]


@given(any_plan)
def test_a_batch_is_distinct_films_of_equally_many_clips_film_by_film(plan: BatchPlan) -> None:
    for step in STEPS:
        groups = by_film(list(plan.draw_batch(step)))
        assert [len(group) for group in groups] == [plan.config.clips_per_film] * plan.config.films_per_batch
        assert len({group[0].film_id for group in groups}) == plan.config.films_per_batch


@given(any_plan)
def test_clips_of_a_film_come_in_the_order_of_time_and_keep_the_gap(plan: BatchPlan) -> None:
    for clips in groups_of(plan):
        for earlier, later in pairwise(clip.window for clip in clips):
            assert later.start_frame - earlier.end_frame >= plan.config.least_gap_seconds


@given(any_plan)
def test_clips_of_a_film_lie_within_the_widest_window(plan: BatchPlan) -> None:
    widest = plan.config.widest_window_seconds
    for clips in groups_of(plan):
        assert widest is None or clips[-1].window.end_frame - clips[0].window.start_frame <= widest


@given(any_plan)
def test_where_that_is_asked_no_two_clips_of_a_film_have_their_middles_in_one_shot(plan: BatchPlan) -> None:
    assert plan.films.shots is not None
    for clips in groups_of(plan) if plan.config.one_clip_per_shot else ():
        shots = plan.films.shots.list_spans(int(clips[0].film_id, 16))
        middles = [clip.window.start_frame + plan.window_frames // 2 for clip in clips]
        assert max(Counter(next(s for s in shots if middle in s) for middle in middles).values()) == 1


@given(any_plan)
def test_every_window_and_every_sound_is_whole_and_inside_one_eligible_span(plan: BatchPlan) -> None:
    for request in chain.from_iterable(groups_of(plan)):
        spans = plan.films.spans.list_spans(int(request.film_id, 16))
        assert len(request.window) == plan.window_frames
        assert any(span.covers(request.window) for span in spans)
        assert any(span.covers(request.audio_window) for span in spans)
        assert abs(request.audio_shift_frames) <= plan.config.positives_within_seconds


@given(plans())
def test_after_every_step_all_films_were_visited_equally_often_within_one(plan: BatchPlan) -> None:
    visits = Counter(dict.fromkeys(range(len(plan.films)), 0))
    for step in range(40):
        visits.update(plan.select_films(step).tolist())
        assert max(visits.values()) - min(visits.values()) <= 1


@given(any_plan, st.permutations(STEPS))
def test_a_fresh_plan_gives_the_same_batches_in_whatever_order_they_are_asked_for(
    plan: BatchPlan, order: list[int]
) -> None:
    in_order = {step: list(plan.draw_batch(step)) for step in STEPS}
    fresh = again(plan)
    assert {step: list(fresh.draw_batch(step)) for step in order} == in_order


@given(any_plan, st.integers(1, 9))
def test_ranks_share_a_batch_whatever_their_number(plan: BatchPlan, world: int) -> None:
    for step in range(3):
        shares = [again(plan).draw_batch(step).select_rank(rank, world) for rank in range(world)]
        assert list(chain.from_iterable(shares)) == list(plan.draw_batch(step))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


@given(st.integers(0, 2**40), st.integers(0, 2**40))
def test_two_seeds_give_two_sequences_of_batches(one: int, other: int) -> None:
    table = FilmSpans.of({parse_film_id(f"{film:016x}"): [Span(0, 100_000)] for film in range(20)})
    config = SamplingConfig(films_per_batch=8, clips_per_film=2)
    first, second = (BatchPlan(table, config, 4, fps=1, seed=seed) for seed in (one, other))
    same = [list(first.draw_batch(step)) == list(second.draw_batch(step)) for step in range(3)]
    assert same == [one == other] * 3
