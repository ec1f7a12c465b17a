"""A schedule changes how many clips a film gives, and nothing else."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_films import alike, by_film, films, plan_of

from talkies.core import PlanError, Span
from talkies.sampling import BatchPlan, SamplingConfig

STAGES = (
    {"from_step": 3, "clips_per_film": 4},
    {"from_step": 10, "clips_per_film": 1},
    {"from_step": 11, "clips_per_film": 6},
)


def staged(film_count: int, seed: int = 0, **sampling: object) -> BatchPlan:
    return plan_of(alike(film_count, 40), 6, 2, seed=seed, schedule=STAGES, **sampling)


def clips_at(step: int) -> int:
    return 2 if step < 3 else 4 if step < 10 else 1 if step < 11 else 6


@pytest.mark.parametrize("weights", ["uniform", "duration"])
@pytest.mark.parametrize("film_count", [12, 13, 29])
def test_from_the_step_told_films_give_the_clips_told_and_a_batch_is_as_large_as_ever(
    film_count: int, weights: str
) -> None:
    plan = staged(film_count, film_weights=weights)
    for step in range(30):
        groups = by_film(plan.draw_batch(step))
        assert plan.count_clips_per_film(step) == clips_at(step)
        assert [len(group) for group in groups] == [clips_at(step)] * (12 // clips_at(step))
        assert len({group[0].film_id for group in groups}) == len(groups)
        assert len(plan.select_films(step)) == len(groups)


stages = st.lists(
    st.tuples(st.integers(1, 30), st.sampled_from([1, 2, 3, 4, 6, 12])), max_size=4, unique_by=lambda stage: stage[0]
).map(lambda drawn: tuple({"from_step": step, "clips_per_film": clips} for step, clips in sorted(drawn)))


@given(stages, st.integers(12, 40), st.integers(0, 99), st.lists(st.integers(0, 60), max_size=5))
def test_films_are_visited_equally_often_through_all_stages_and_found_from_anywhere(
    schedule: tuple[dict[str, int], ...], film_count: int, seed: int, steps: list[int]
) -> None:
    table = alike(film_count, 99)
    plan = plan_of(table, 4, 3, seed=seed, schedule=schedule)
    visits, taken = Counter(dict.fromkeys(range(film_count), 0)), []
    for step in range(61):
        taken.append(plan.select_films(step).tolist())
        assert len(set(taken[step])) == len(taken[step])
        visits.update(taken[step])
        assert max(visits.values()) - min(visits.values()) <= 1
    fresh = plan_of(table, 4, 3, seed=seed, schedule=schedule)
    assert [fresh.select_films(step).tolist() for step in steps] == [taken[step] for step in steps]


def test_before_its_first_stage_a_schedule_changes_nothing() -> None:
    with_stages, without = staged(20), plan_of(alike(20, 40), 6, 2)
    assert all(list(with_stages.draw_batch(step)) == list(without.draw_batch(step)) for step in range(3))
    assert list(with_stages.draw_batch(3)) != list(without.draw_batch(3))


def test_a_stage_may_come_again() -> None:
    plan = plan_of(
        alike(12, 40),
        6,
        2,
        schedule=({"from_step": 4, "clips_per_film": 4}, {"from_step": 9, "clips_per_film": 2}),
        film_weights="duration",
    )
    assert [plan.count_clips_per_film(step) for step in (0, 3, 4, 8, 9, 100)] == [2, 2, 4, 4, 2, 2]
    assert len(plan.draw_batch(9)) == 12


def test_the_films_must_be_long_enough_for_the_most_clips_of_any_stage() -> None:
    table = films(*[[Span(0, 40)]] * 11, [Span(0, 20)])
    with pytest.raises(PlanError, match=r"^1 film cannot give 6 clips a batch: film-11 \(at most 5\); "):
        plan_of(table, 6, 2, schedule=STAGES)


def test_there_must_be_films_enough_for_the_stage_that_takes_most() -> None:
    with pytest.raises(PlanError, match=r"^a batch takes 12 films and the library has 11; ingest more films, or "):
        staged(11)


def test_the_most_clips_and_the_most_films_of_a_schedule_are_those_of_its_stages() -> None:
    config = SamplingConfig(films_per_batch=6, clips_per_film=2, schedule=STAGES)
    assert config.clip_counts == (2, 4, 1, 6)
    assert config.batch_clips == 12
