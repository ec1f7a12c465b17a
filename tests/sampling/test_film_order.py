"""The films of a batch: distinct, equally often, or in proportion to their eligible duration."""

from collections import Counter
from itertools import chain, combinations, pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_films import alike, chi_square, films, plan_of, seldom_above

from talkies.core import Span
from talkies.sampling import BatchPlan

SIZES = [(2, 1), (3, 3), (5, 3), (7, 4), (9, 8), (12, 3), (13, 5), (31, 30), (100, 3), (1000, 7)]


def sized(lengths: list[int], films_per_batch: int, clips: int = 1, **sampling: object) -> BatchPlan:
    """A plan of films that have so many starts each."""
    return plan_of(films(*[[Span(0, 3 + starts)] for starts in lengths]), films_per_batch, clips, **sampling)


@pytest.mark.parametrize(("film_count", "per_batch"), SIZES)
def test_at_any_time_every_film_was_visited_equally_often_within_one(film_count: int, per_batch: int) -> None:
    plan, visits = plan_of(alike(film_count), per_batch, 2), Counter(dict.fromkeys(range(film_count), 0))
    for step in range(max(60, 3 * film_count // per_batch)):
        taken = plan.select_films(step).tolist()
        assert len(set(taken)) == len(taken) == per_batch
        visits.update(taken)
        assert max(visits.values()) - min(visits.values()) <= 1


@pytest.mark.parametrize(("film_count", "per_batch"), SIZES)
def test_films_of_a_late_step_are_those_that_going_on_gives(film_count: int, per_batch: int) -> None:
    table, sampling = alike(film_count), {"seed": 8}
    whole = plan_of(table, per_batch, 2, **sampling)
    going_on = [whole.select_films(step).tolist() for step in range(400)]
    for step in (0, 1, 77, 190, 399):
        fresh = plan_of(table, per_batch, 2, **sampling)
        assert fresh.select_films(step).tolist() == going_on[step]
        assert fresh.select_films(step - 1 if step else 399).tolist() == going_on[step - 1]


@pytest.mark.parametrize(("film_count", "per_batch"), [(5, 3), (7, 4), (31, 30), (100_000, 16)])
def test_a_batch_of_a_very_late_step_is_found(film_count: int, per_batch: int) -> None:
    late = 10**6 if film_count > 100 else 10**5
    taken = plan_of(alike(film_count), per_batch, 2).select_films(late)
    assert len(set(taken.tolist())) == per_batch
    assert set(taken.tolist()) <= set(range(film_count))


def test_each_epoch_visits_every_film_once_and_the_next_comes_in_another_order() -> None:
    plan = plan_of(alike(12), 3, 1)
    films_of_step = [plan.select_films(step).tolist() for step in range(80)]
    epochs = [tuple(chain.from_iterable(films_of_step[begin : begin + 4])) for begin in range(0, 80, 4)]
    assert all(sorted(epoch) == list(range(12)) for epoch in epochs)
    assert len(set(epochs)) == 20


def test_the_first_epoch_comes_in_every_order_equally_often() -> None:
    orders = Counter(
        tuple(film for step in range(2) for film in plan_of(alike(4), 2, 1, seed=seed).select_films(step))
        for seed in range(1200)
    )
    assert set(orders) == set(permutations(range(4)))
    assert chi_square(list(orders.values())) < seldom_above(24)


@pytest.mark.parametrize("step", [1, 2, 7])
def test_any_films_can_meet_in_a_batch_also_where_two_epochs_meet(step: int) -> None:
    batches = Counter(
        tuple(sorted(plan_of(alike(5), 3, 1, seed=seed).select_films(step).tolist())) for seed in range(1000)
    )
    assert set(batches) == set(combinations(range(5), 3))
    assert chi_square(list(batches.values())) < seldom_above(10)


def test_the_order_of_films_does_not_depend_on_how_many_clips_they_give() -> None:
    one, other = plan_of(alike(20, 99), 4, 2), plan_of(alike(20, 99), 4, 6)
    assert all(one.select_films(step).tolist() == other.select_films(step).tolist() for step in range(30))


# In proportion to what is eligible.


def shares(lengths: list[int], films_per_batch: int) -> list[float]:
    """How often a film is in a batch: in proportion to its length, but never twice."""
    share = [0.0] * len(lengths)
    rest, places = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True), films_per_batch
    while rest and lengths[rest[0]] * places >= sum(lengths[film] for film in rest) * (1 - 1e-12):
        share[rest.pop(0)], places = 1.0, places - 1
    for film in rest:
        share[film] = lengths[film] * places / sum(lengths[other] for other in rest)
    return share


def visits(plan: BatchPlan, steps: range) -> list[int]:
    counts = Counter(film for step in steps for film in plan.select_films(step).tolist())
    return [counts[film] for film in range(len(plan.films))]


weighted = st.integers(1, 5).flatmap(
    lambda per_batch: st.tuples(
        st.lists(st.integers(1, 60), min_size=per_batch, max_size=12), st.just(per_batch), st.integers(0, 99)
    )
)


@given(weighted.filter(lambda drawn: drawn[1] > 1))
def test_in_each_block_every_film_is_visited_as_often_as_its_share_within_one(
    drawn: tuple[list[int], int, int],
) -> None:
    lengths, per_batch, seed = drawn
    plan = sized(lengths, per_batch, film_weights="duration", seed=seed)
    block = -(-len(lengths) // per_batch)
    for begin in range(0, 4 * block, block):
        for count, share in zip(visits(plan, range(begin, begin + block)), shares(lengths, per_batch), strict=True):
            assert abs(count - share * block) < 1 + 1e-6
            assert share < 1 or count == block


@given(weighted.filter(lambda drawn: drawn[1] > 1))
def test_weighted_batches_are_of_distinct_films_and_found_in_any_order(drawn: tuple[list[int], int, int]) -> None:
    lengths, per_batch, seed = drawn
    plan, fresh = (sized(lengths, per_batch, film_weights="duration", seed=seed) for _ in range(2))
    batches = [plan.select_films(step).tolist() for step in range(20)]
    assert all(len(set(taken)) == per_batch == len(taken) for taken in batches)
    assert [fresh.select_films(step).tolist() for step in reversed(range(20))] == batches[::-1]


@pytest.mark.parametrize(
    ("lengths", "per_batch"),
    [([1, 2, 3, 4, 5, 6, 7], 2), ([100, 3, 2, 1], 2), ([50, 40, 1, 1, 1], 3), ([7] * 10, 3), ([1, 1, 1000], 2)],
)
def test_in_the_long_run_visits_are_in_proportion_to_what_is_eligible(lengths: list[int], per_batch: int) -> None:
    steps = range(3000)
    counted = visits(sized(lengths, per_batch, film_weights="duration"), steps)
    assert counted == pytest.approx([share * len(steps) for share in shares(lengths, per_batch)], abs=5)


def test_a_film_with_more_than_one_visit_a_batch_is_in_every_batch_and_only_once() -> None:
    plan = sized([500, 1, 30, 1, 30, 1, 1], 3, film_weights="duration")
    for step in range(50):
        taken = plan.select_films(step).tolist()
        assert taken.count(0) == 1
    rest = visits(plan, range(3200))
    assert rest[2] == pytest.approx(3200 * 2 * 30 / 64, abs=3)


def test_what_counts_is_what_is_eligible_and_not_how_long_a_film_is() -> None:
    """Two films of one length, of which one has but a tenth left, in spans that a window fits in and in others."""
    whole, scraps = [Span(0, 203)], [Span(0, 13), Span(20, 23), Span(40, 43), Span(190, 203)]
    counted = visits(plan_of(films(whole, scraps, whole), 2, 1, film_weights="duration"), range(2100))
    assert counted == pytest.approx([2000, 200, 2000], abs=3)


def test_weighted_films_meet_in_other_batches_from_block_to_block() -> None:
    plan = sized([10] * 8, 2, film_weights="duration")
    blocks = [tuple(tuple(plan.select_films(step).tolist()) for step in range(at, at + 4)) for at in range(0, 80, 4)]
    assert len(set(blocks)) == 20
    assert {tuple(sorted(batch)) for block in blocks for batch in block} == set(combinations(range(8), 2))


def test_another_seed_weighs_the_same_and_draws_otherwise() -> None:
    one, other = (sized([30, 20, 10, 5, 5], 2, film_weights="duration", seed=seed) for seed in (1, 2))
    assert [one.select_films(step).tolist() for step in range(9)] != [
        other.select_films(step).tolist() for step in range(9)
    ]
    assert visits(one, range(3000)) == pytest.approx(visits(other, range(3000)), abs=5)


def test_as_many_films_as_a_batch_takes_are_all_in_every_batch() -> None:
    for weights in ("uniform", "duration"):
        plan = sized([90, 2, 1], 3, film_weights=weights)
        assert all(sorted(plan.select_films(step).tolist()) == [0, 1, 2] for step in range(20))


def test_films_that_follow_each_other_in_an_epoch_are_not_neighbours_by_number() -> None:
    plan = plan_of(alike(1000), 10, 1)
    taken = [film for step in range(100) for film in plan.select_films(step).tolist()]
    assert sum(later - earlier == 1 for earlier, later in pairwise(taken)) < 10
