import re
from collections import Counter
from itertools import combinations, pairwise

import pytest

from talkies.core import ClipRequest, PlanError, Span, as_film_id
from talkies.sampling import BatchPlan, FilmSpans, SamplingConfig, within_film_share

CHI_SQUARE_34_ONE_IN_A_THOUSAND = 65.25
CHI_SQUARE_13_ONE_IN_A_THOUSAND = 34.53


def films(*spans: list[Span]) -> FilmSpans:
    ids = [as_film_id(f"{number:016x}") for number in range(len(spans))]
    return FilmSpans.of(dict(zip(ids, spans, strict=True)), {film: f"film-{int(film, 16)}" for film in ids})


def chi_square(counts: list[int]) -> float:
    expected = sum(counts) / len(counts)
    return sum((count - expected) ** 2 / expected for count in counts)


def starts_of(requests: tuple[ClipRequest, ...]) -> tuple[int, ...]:
    return tuple(request.window.start_frame for request in requests)


def test_every_choice_of_starts_that_keeps_the_gap_is_drawn_equally_often() -> None:
    window, gap, clips, draws = 2, 1, 3, 2100
    plan = BatchPlan(films([Span(5, 17)]), 1, clips, window, gap, seed=11)
    valid = [
        choice
        for choice in combinations(range(5, 17 - window + 1), clips)
        if all(later - earlier >= window + gap for earlier, later in pairwise(choice))
    ]
    drawn = Counter(starts_of(plan.batch(step)) for step in range(draws))
    assert len(valid) == 35
    assert set(drawn) == set(valid)
    assert chi_square([drawn[choice] for choice in valid]) < CHI_SQUARE_34_ONE_IN_A_THOUSAND


def test_a_single_clip_begins_at_every_start_of_every_span_equally_often() -> None:
    plan = BatchPlan(films([Span(0, 7), Span(7, 9), Span(20, 33)]), 1, 1, window_frames=4, gap_frames=0, seed=5)
    drawn = Counter(starts_of(plan.batch(step)) for step in range(1400))
    assert set(drawn) == {(start,) for start in [*range(4), *range(20, 30)]}
    assert chi_square(list(drawn.values())) < CHI_SQUARE_13_ONE_IN_A_THOUSAND


def test_clips_that_only_just_fit_leave_one_choice() -> None:
    plan = BatchPlan(films([Span(3, 17)]), 1, 3, window_frames=4, gap_frames=1, seed=0)
    assert {starts_of(plan.batch(step)) for step in range(20)} == {(3, 8, 13)}


def test_a_cycle_visits_every_film_once_and_the_next_comes_in_another_order() -> None:
    plan = BatchPlan(films(*[[Span(0, 9)]] * 12), 3, 1, window_frames=4, gap_frames=0, seed=0)
    first, second = ([film for step in steps for film in plan.films_of(step)] for steps in (range(4), range(4, 8)))
    assert sorted(first) == sorted(second) == list(range(12))
    assert first != second


def test_films_that_do_not_divide_into_batches_close_the_circle_before_it_is_shuffled() -> None:
    plan = BatchPlan(films(*[[Span(0, 9)]] * 5), 3, 1, window_frames=4, gap_frames=0, seed=0)
    circle = [film for step in range(5) for film in plan.films_of(step)]
    assert circle == circle[:5] * 3
    assert Counter(circle) == dict.fromkeys(range(5), 3)


def test_clips_of_one_film_differ_from_step_to_step() -> None:
    plan = BatchPlan(films([Span(0, 100_000)]), 1, 4, window_frames=4, gap_frames=0, seed=0)
    assert len({starts_of(plan.batch(step)) for step in range(50)}) == 50


def test_another_seed_gives_other_films_and_other_clips() -> None:
    table = films(*[[Span(0, 100_000)]] * 30)
    plans = [BatchPlan(table, 10, 2, window_frames=4, gap_frames=0, seed=seed) for seed in range(20)]
    assert len({tuple(plan.films_of(0)) for plan in plans}) == 20
    assert len({plan.batch(0) for plan in plans}) == 20


def test_a_plan_takes_its_numbers_from_the_config_and_its_gap_in_frames() -> None:
    config = SamplingConfig(films_per_batch=2, clips_per_film=3, least_gap_seconds=0.5)
    plan = BatchPlan.of(films([Span(0, 200)], [Span(0, 200)]), config, window_frames=32, fps=16, seed=4)
    assert (plan.films_per_batch, plan.clips_per_film, plan.window_frames, plan.gap_frames, plan.seed) == (
        2,
        3,
        32,
        8,
        4,
    )


def test_too_few_films_are_refused_with_a_remedy() -> None:
    sentence = (
        "a batch takes 4 films and the library has 3; ingest more films, or set sampling.films_per_batch to at most 3"
    )
    with pytest.raises(PlanError, match=f"^{re.escape(sentence)}$"):
        BatchPlan(films(*[[Span(0, 9)]] * 3), 4, 1, window_frames=4, gap_frames=0, seed=0)


def test_a_film_too_short_is_named_with_what_it_could_give_and_the_remedies() -> None:
    sentence = (
        "1 film cannot give 4 clips a batch: film-1 (at most 2); set sampling.clips_per_film to at most 2, "
        "or shorten the clips or the gap, or ingest without it"
    )
    with pytest.raises(PlanError, match=f"^{re.escape(sentence)}$"):
        BatchPlan(films([Span(0, 99)], [Span(0, 13)]), 1, 4, window_frames=4, gap_frames=1, seed=0)


def test_what_a_short_film_could_give_it_gives_when_asked() -> None:
    plan = BatchPlan(films([Span(0, 99)], [Span(0, 13)]), 2, 2, window_frames=4, gap_frames=1, seed=0)
    assert len(plan.batch(0)) == 4


def test_a_film_that_gives_one_clip_at_most_is_no_reason_to_ask_for_one() -> None:
    sentence = "film-0 (at most 1), film-1 (at most 0); shorten the clips or the gap, or ingest without it"
    with pytest.raises(PlanError, match=re.escape(sentence)):
        BatchPlan(films([Span(0, 7)], [Span(0, 3)]), 1, 2, window_frames=4, gap_frames=0, seed=0)


def test_of_many_short_films_five_are_named_and_the_others_counted() -> None:
    named = ", ".join(f"film-{number} (at most 1)" for number in range(5))
    sentence = f"7 films cannot give 2 clips a batch: {named} and 2 more; "
    with pytest.raises(PlanError, match=re.escape(sentence)):
        BatchPlan(films(*[[Span(0, 7)]] * 7), 1, 2, window_frames=4, gap_frames=0, seed=0)


@pytest.mark.parametrize(("film_count", "clip_count"), [(1, 2), (2, 1), (3, 4), (16, 16)])
def test_the_within_film_share_is_that_of_counted_negatives(film_count: int, clip_count: int) -> None:
    clips = [(film, clip) for film in range(film_count) for clip in range(clip_count)]
    negatives = [(query, other) for query in clips for other in clips if query != other]
    of_own_film = sum(query[0] == other[0] for query, other in negatives)
    assert within_film_share(film_count, clip_count) == pytest.approx(of_own_film / len(negatives), rel=1e-12)
