"""With `positives_within_seconds`, a clip's audio is from another moment of its film."""

from collections import Counter

import pytest
from small_films import chi_square, every_start, films, plan_of, plan_of_copies, seldom_above

from talkies.core import Span
from talkies.sampling import BatchPlan, SamplingConfig

SPANS = [Span(0, 9), Span(9, 14), Span(30, 39), Span(60, 64)]
STARTS = every_start(SPANS, 4)


def shifts(within: float, draws: int = 3000) -> dict[int, Counter[int]]:
    """How often the sound begins how many frames after the pictures, by the frame at which these begin."""
    plan = plan_of_copies(SPANS, 1, seed=4, positives_within_seconds=within)
    drawn: dict[int, Counter[int]] = {start: Counter() for start in STARTS}
    for step in range(draws // 16):
        batch = plan.draw_batch(step)
        for start, shift in zip(batch.start_N.tolist(), batch.shift_N.tolist(), strict=True):
            drawn[start][shift] += 1
    return drawn


@pytest.mark.parametrize("within", [1, 3, 16, 25, 200])
def test_the_sound_is_that_of_any_other_eligible_moment_so_near_before_or_after(within: int) -> None:
    for start, counts in shifts(within).items():
        others = {other - start for other in STARTS if other != start and abs(other - start) <= within}
        assert set(counts) == (others or {0})


def test_every_other_moment_is_the_sounds_equally_often() -> None:
    counts = shifts(5, 8000)
    assert set(counts[5]) == {-5, -4, -3, -2, -1, 4, 5}
    assert chi_square(list(counts[5].values())) < seldom_above(7)
    assert chi_square(list(counts[0].values())) < seldom_above(5)


def test_a_moment_that_has_no_other_near_it_keeps_its_own_sound() -> None:
    assert set(shifts(20)[60]) == {0}
    assert set(shifts(21)[60]) == {0}
    assert set(shifts(25)[60]) == {-25}


def test_without_them_sound_and_pictures_are_one_moment() -> None:
    assert all(set(counts) == {0} for counts in shifts(0).values())
    assert all(set(counts) == {0} for counts in shifts(0.9).values())  # less than a frame


def test_the_sound_is_of_the_clips_own_film() -> None:
    """Each film has its own place in time, where no other has anything."""
    table = films(*[[Span(100 * film, 100 * film + 10)] for film in range(8)])
    plan = plan_of(table, 4, 2, positives_within_seconds=500)
    for step in range(100):
        for request in plan.draw_batch(step):
            film = table.film_ids.index(request.film_id)
            assert Span(100 * film, 100 * film + 10).covers(request.audio_window)
            assert request.audio_shift_frames != 0


def test_the_distance_is_told_in_seconds() -> None:
    config = SamplingConfig.within_film_positives(2, within_seconds=1.5)
    plan = BatchPlan(films(*[[Span(0, 1000)]] * 2), config, 32, fps=16, seed=0)
    drawn = [request.audio_shift_frames for step in range(1000) for request in plan.draw_batch(step)]
    assert (min(drawn), max(drawn), 0 in drawn) == (-24, 24, False)


def test_the_pictures_are_those_that_would_be_drawn_without() -> None:
    table = films(SPANS, SPANS, SPANS)
    moved, still = (plan_of(table, 2, 2, positives_within_seconds=within) for within in (9, 0))
    for step in range(30):
        assert [r.window for r in moved.draw_batch(step)] == [r.window for r in still.draw_batch(step)]


def test_with_one_clip_a_shot_the_sound_may_be_of_another_shot() -> None:
    shots = [Span(0, 10), Span(10, 20)]
    table = films([Span(0, 20)], shots=[shots])
    plan = plan_of(table, 1, 2, one_clip_per_shot=True, positives_within_seconds=6)
    drawn = {
        (r.window.start_frame + 2 >= 10, r.audio_window.start_frame + 2 >= 10)
        for s in range(200)
        for r in plan.draw_batch(s)
    }
    assert drawn == {(False, False), (False, True), (True, False), (True, True)}
