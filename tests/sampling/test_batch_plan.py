"""The plan of batches: reproducible, refused in one sentence where the films do not suffice."""

import re

import pytest
from small_films import alike, by_film, films, plan_of, shots_between

from talkies.core import PlanError, Span, parse_film_id
from talkies.sampling import BatchPlan, SamplingConfig, within_film_share

ALL_AT_ONCE: dict[str, object] = {
    "least_gap_seconds": 1,
    "widest_window_seconds": 60,
    "one_clip_per_shot": True,
    "film_weights": "duration",
    "positives_within_seconds": 5,
    "schedule": ({"from_step": 4, "clips_per_film": 4}, {"from_step": 9, "clips_per_film": 1}),
}


def eventful(seed: int = 0, **sampling: object) -> BatchPlan:
    """A plan of films of many lengths with cuts everywhere, with every option at once."""
    spans = [[Span(0, 60), Span(63, 150 + 20 * number)] for number in range(11)]
    shots = [shots_between(400, range(number + 3, 400, 9)) for number in range(11)]
    return plan_of(films(*spans, shots=shots), 4, 2, seed=seed, **{**ALL_AT_ONCE, **sampling})


def test_a_fresh_plan_goes_on_as_the_old_one_would_have_with_every_option_at_once() -> None:
    old = eventful()
    batches = [list(old.draw_batch(step)) for step in range(16)]
    for step in (15, 3, 0, 9, 8, 4):
        assert list(eventful().draw_batch(step)) == batches[step]
    fresh = eventful()
    assert [list(fresh.draw_batch(step)) for step in (7, 15, 2, 7)] == [batches[step] for step in (7, 15, 2, 7)]


def test_options_that_concern_the_clips_leave_the_order_of_the_films_alone() -> None:
    one, other = eventful(), eventful(one_clip_per_shot=False, widest_window_seconds=None, positives_within_seconds=0)
    assert all(one.select_films(step).tolist() == other.select_films(step).tolist() for step in range(12))
    assert list(one.draw_batch(0)) != list(other.draw_batch(0))


def test_a_plan_tells_what_it_is() -> None:
    plan = eventful(seed=12)
    assert repr(plan) == "BatchPlan(11 films, 8 clips a batch, seed 12)"
    assert (plan.seed, plan.window_frames, plan.config.films_per_batch, plan.left_out) == (12, 4, 4, ())
    assert [len(plan.select_films(step)) for step in (0, 4, 9)] == [4, 2, 8]


def test_another_seed_gives_other_films_and_other_clips() -> None:
    plans = [plan_of(alike(30, 100_000), 10, 2, seed=seed) for seed in range(20)]
    assert len({tuple(plan.select_films(0).tolist()) for plan in plans}) == 20
    assert len({tuple(request.window for request in plan.draw_batch(0)) for plan in plans}) == 20


def test_one_clip_a_shot_needs_shots() -> None:
    with pytest.raises(ValueError, match=r"^one clip a shot needs the shots of the films$"):
        plan_of(alike(4, 50), 2, 2, one_clip_per_shot=True)


# Too few films, and films too short.


def test_too_few_films_are_refused_with_a_remedy() -> None:
    sentence = (
        "a batch takes 4 films and the library has 3; ingest more films, or set sampling.films_per_batch to at most 3"
    )
    with pytest.raises(PlanError, match=f"^{re.escape(sentence)}$"):
        plan_of(alike(3), 4, 1)


def test_no_films_at_all_are_refused() -> None:
    with pytest.raises(PlanError, match=r"^a batch takes 4 films and the library has 0; ingest more films$"):
        plan_of(films(), 4, 1)


def test_a_film_too_short_is_named_with_what_it_could_give_and_the_remedies() -> None:
    sentence = (
        "1 film cannot give 4 clips a batch: film-1 (at most 2); set sampling.clips_per_film to at most 2, "
        "or shorten the clips or the gap, or leave such films out with sampling.short_films=leave_out"
    )
    with pytest.raises(PlanError, match=f"^{re.escape(sentence)}$"):
        plan_of(films([Span(0, 99)], [Span(0, 13)]), 1, 4, least_gap_seconds=1)


def test_what_a_short_film_could_give_it_gives_when_asked() -> None:
    plan = plan_of(films([Span(0, 99)], [Span(0, 13)]), 2, 2, least_gap_seconds=1)
    assert [len(clips) for step in range(20) for clips in by_film(plan.draw_batch(step))] == [2] * 40


def test_a_film_that_gives_one_clip_at_most_is_no_reason_to_ask_for_one() -> None:
    sentence = (
        "2 films cannot give 2 clips a batch: film-0 (at most 1), film-1 (at most 0); shorten the clips or the gap, "
        "or leave such films out with sampling.short_films=leave_out"
    )
    with pytest.raises(PlanError, match=f"^{re.escape(sentence)}$"):
        plan_of(films([Span(0, 7)], [Span(0, 3)], [Span(0, 8)]), 1, 2)


def test_of_many_short_films_five_are_named_and_the_others_counted() -> None:
    named = ", ".join(f"film-{number} (at most 1)" for number in range(5))
    with pytest.raises(PlanError, match=re.escape(f"7 films cannot give 2 clips a batch: {named} and 2 more; ")):
        plan_of(alike(7, 7), 1, 2)


@pytest.mark.parametrize(
    ("widest", "shots", "most"), [(None, None, 4), (8, None, 2), (None, [Span(0, 9), Span(9, 99)], 2)]
)
def test_how_many_clips_a_film_could_give_depends_on_the_options(
    widest: int | None, shots: list[Span] | None, most: int
) -> None:
    table = films([Span(0, 8), Span(30, 38)], shots=[shots or [Span(0, 99)]])
    sampling = {"widest_window_seconds": widest, "one_clip_per_shot": shots is not None}
    assert len(plan_of(table, 1, most, **sampling).draw_batch(0)) == most
    if widest is None:
        with pytest.raises(PlanError, match=rf"film-0 \(at most {most}\); set sampling\.clips_per_film to at most"):
            plan_of(table, 1, most + 1, **sampling)


def test_films_with_too_few_clips_within_the_window_are_named_too() -> None:
    table = films([Span(0, 50)], [Span(0, 6), Span(20, 26), Span(40, 46)], [Span(0, 9), Span(40, 46)])
    with pytest.raises(PlanError, match=r"^1 film cannot give 2 clips a batch: film-1 \(at most 1\); shorten "):
        plan_of(table, 2, 2, widest_window_seconds=20)


@pytest.mark.parametrize("weights", ["uniform", "duration"])
def test_short_films_are_left_out_where_that_is_asked_and_no_others(weights: str) -> None:
    shots = [[Span(0, 100)], *[[Span(0, 20), Span(20, 100)]] * 4]
    table = films([Span(0, 99)], [Span(0, 30)], [Span(0, 7)], [], [Span(50, 58)], shots=shots)
    plan = plan_of(table, 2, 2, short_films="leave_out", film_weights=weights)
    assert plan.left_out == ("film-2", "film-3")
    assert plan.films.names == ("film-0", "film-1", "film-4")
    assert {r.film_id for s in range(30) for r in plan.draw_batch(s)} == {parse_film_id(f"{n:016x}") for n in (0, 1, 4)}
    for step in range(30):
        for clips in by_film(plan.draw_batch(step)):
            spans = table.spans.list_spans(int(clips[0].film_id, 16))
            assert len(clips) == 2
            assert all(any(span.covers(clip.window) for span in spans) for clip in clips)
    of_shots = plan_of(table, 1, 2, short_films="leave_out", film_weights=weights, one_clip_per_shot=True)
    assert of_shots.left_out == ("film-0", "film-2", "film-3", "film-4")


def test_where_all_are_long_enough_none_is_left_out() -> None:
    plan = plan_of(alike(4), 2, 2, short_films="leave_out")
    assert (plan.left_out, len(plan.films)) == ((), 4)


@pytest.mark.parametrize("one_clip_per_shot", [False, True])
def test_too_few_films_after_some_were_left_out_are_refused_with_their_number(one_clip_per_shot: bool) -> None:
    shots = [shots_between(50, (4, 8, 12, 16))] * 4
    table = films([Span(0, 50)], [Span(0, 6)], [Span(0, 40)], [Span(0, 5)], shots=shots)
    sampling = {"short_films": "leave_out", "one_clip_per_shot": one_clip_per_shot}
    sentence = (
        "a batch takes 3 films and the library has 2 (2 films too short for its clips left out); "
        "ingest more films, or set sampling.films_per_batch to at most 2"
    )
    with pytest.raises(PlanError, match=f"^{re.escape(sentence)}$"):
        plan_of(table, 3, 2, **sampling)
    sentence = "a batch takes 3 films and the library has 0 (4 films too short for its clips left out); ingest more"
    with pytest.raises(PlanError, match=f"^{re.escape(sentence)} films$"):
        plan_of(table, 3, 40, **sampling)


# The recipes of the literature.


@pytest.mark.parametrize(("film_count", "clip_count"), [(1, 2), (2, 1), (3, 4), (16, 16)])
def test_the_within_film_share_is_that_of_counted_negatives(film_count: int, clip_count: int) -> None:
    clips = [(film, clip) for film in range(film_count) for clip in range(clip_count)]
    negatives = [(query, other) for query in clips for other in clips if query != other]
    of_own_film = sum(query[0] == other[0] for query, other in negatives)
    assert within_film_share(film_count, clip_count) == pytest.approx(of_own_film / len(negatives), rel=1e-12)


@pytest.mark.parametrize(
    ("config", "films_clips", "share"),
    [
        (SamplingConfig.random(12), (12, 1), 0.0),
        (SamplingConfig.within_film(3, 4), (3, 4), 3 / 11),
        (SamplingConfig.within_film_positives(12, within_seconds=8), (12, 1), 0.0),
    ],
)
def test_each_recipe_draws_the_share_of_within_film_negatives_that_it_promises(
    config: SamplingConfig, films_clips: tuple[int, int], share: float
) -> None:
    plan = BatchPlan(alike(20, 90), config, 4, fps=1, seed=0)
    groups = by_film(plan.draw_batch(5))
    assert (len(groups), len(groups[0])) == films_clips
    clips = list(plan.draw_batch(5))
    own = sum(one.film_id == other.film_id for one in clips for other in clips if one is not other)
    assert own / (12 * 11) == pytest.approx(share)
    assert within_film_share(*films_clips) == pytest.approx(share)
    assert any(clip.audio_shift_frames for clip in clips) == (config.positives_within_seconds > 0)
