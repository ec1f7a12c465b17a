"""Films with holes: distances are counted in frames, every choice is equally likely, and no able film is refused."""

from collections import Counter
from itertools import pairwise
from math import comb, lgamma, log

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from small_films import (
    Spans,
    chi_square,
    drawn_starts,
    every_choice,
    every_start,
    films,
    most_clips,
    plan_of,
    plan_of_copies,
    seldom_above,
    shots_between,
    spans_after_holes,
)

from talkies.core import PlanError, Span, SpanTable
from talkies.sampling import BatchPlan, run_counts, spaced
from talkies.sampling.run_counts import draw_run_counts
from talkies.sampling.spaced import SpacedStarts, draw_exactly
from talkies.sampling.starts import StartRanges, Starts

HARDLY_EVER = 4.7534  # standard deviations: once in a million


@st.composite
def films_with_holes(draw: st.DrawFn) -> tuple[list[Span], int, int]:
    """Spans, window and gap: holes from none to longer than the gap, spans too short, just long enough and long."""
    window, gap = draw(st.integers(1, 4)), draw(st.integers(0, 6))
    holes = st.sampled_from([0, 1, max(gap - 1, 0), gap, gap + 1, window + gap, 3 * (window + gap)])
    frames = st.sampled_from([max(window - 1, 1), window, window + 1, window + min(gap, 3), 2 * window + min(gap, 2)])
    return spans_after_holes(draw(st.lists(st.tuples(holes, frames), min_size=2, max_size=7))), window, gap


def is_choice(spans: Spans, choice: tuple[int, ...], window: int, gap: int, widest: int | None = None) -> bool:
    """Whether these starts, in order, may be taken together."""
    of_spans = all(any(span.covers(Span(start, start + window)) for span in spans) for start in choice)
    apart = all(later - earlier >= window + gap for earlier, later in pairwise(choice))
    return of_spans and apart and (widest is None or choice[-1] + window - choice[0] <= widest)


def earliest_choice(spans: Spans, window: int, gap: int) -> list[int]:
    """The first start of a film, the first that may follow it, and so on."""
    chosen: list[int] = []
    for start in every_start(spans, window):
        if not chosen or start - chosen[-1] >= window + gap:
            chosen.append(start)
    return chosen


def spaced_starts(spans: Spans, window: int, gap: int) -> tuple[Starts, SpacedStarts]:
    """The starts of a film that lies between two others, and the choices of them."""
    starts = Starts(SpanTable.of([[Span(0, 9)], spans, [Span(5, 90)]]), window)
    return starts, SpacedStarts(starts, window + gap)


# Which films are able.


def test_holes_count_as_distance() -> None:
    """Four spans 9 frames apart have five starts: by their number no two are 6 apart, by their frames seven choices."""
    spans = spans_after_holes([(0, 4), (5, 4), (5, 4), (5, 5)])
    valid = every_choice(spans, 3, 4, 2)
    assert (len(valid), most_clips(spans, 4, 2)) == (7, 4)
    assert set(drawn_starts(plan_of_copies(spans, 3, least_gap_seconds=2), 500)) == valid
    assert len(plan_of_copies(spans, 4, least_gap_seconds=5).draw_batch(0)) == 64


@given(films_with_holes(), st.none() | st.integers(0, 40))
def test_a_film_is_able_to_give_what_trying_all_finds_and_no_more(
    film: tuple[list[Span], int, int], more: int | None
) -> None:
    spans, window, gap = film
    widest = None if more is None else window + more
    most = most_clips(spans, window, gap, widest)
    sampling = {"least_gap_seconds": gap, "widest_window_seconds": widest}
    for clips in {1, 2, most, most + 1} - {0}:
        if widest is not None and clips * (window + gap) - gap > widest:
            continue  # refused whatever the films
        if clips <= most:
            batch = plan_of(films(spans, spans), 2, clips, window, **sampling).draw_batch(0)
            for choice in batch.start_N.reshape(-1, clips).tolist():
                assert is_choice(spans, choice, window, gap, widest)
        else:
            with pytest.raises(PlanError, match=rf"film-0 \(at most {most}\), film-1 \(at most {most}\)"):
                plan_of(films(spans, spans), 2, clips, window, **sampling)


@given(films_with_holes())
def test_a_film_that_is_able_by_one_frame_is_not_able_without_it(film: tuple[list[Span], int, int]) -> None:
    """A film that ends with the last clip of its earliest choice has one place for it; a frame less, and none."""
    spans, window, gap = film
    earliest = earliest_choice(spans, window, gap)
    assume(len(earliest) > 1)
    last = earliest[-1]
    kept = [Span(span.start_frame, min(span.end_frame, last + window)) for span in spans if span.start_frame <= last]
    drawn = drawn_starts(plan_of_copies(kept, len(earliest), window, least_gap_seconds=gap), 16)
    assert {choice[-1] for choice in drawn} == {last}
    less = [
        Span(span.start_frame, end)
        for span in kept
        if (end := min(span.end_frame, last + window - 1)) > span.start_frame
    ]
    with pytest.raises(PlanError, match=rf"film-0 \(at most {len(earliest) - 1}\)"):
        plan_of_copies(less, len(earliest), window, least_gap_seconds=gap)


@given(st.lists(films_with_holes(), min_size=1, max_size=6), st.integers(1, 4))
def test_films_that_are_left_out_are_those_that_are_not_able(
    table: list[tuple[list[Span], int, int]], clips: int
) -> None:
    _, window, gap = table[0]
    able = [most_clips(spans, window, gap) >= clips for spans, _, _ in table]
    assume(any(able) and clips * sum(able) > 1)
    sampling = {"least_gap_seconds": gap, "short_films": "leave_out"}
    plan = plan_of(films(*[spans for spans, _, _ in table]), sum(able), clips, window, **sampling)
    assert plan.left_out == tuple(f"film-{film}" for film, is_able in enumerate(able) if not is_able)


# Every choice is equally likely, whichever way it is drawn.


@pytest.fixture(params=["proposals first", "by run", "exactly"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How often proposals and draws by run are tried before choices are counted one start after the other."""
    proposals, run_draws = {"proposals first": (3, 4), "by run": (0, 9), "exactly": (0, 0)}[request.param]
    monkeypatch.setattr(spaced, "_PROPOSALS", proposals)
    monkeypatch.setattr(spaced, "_RUN_DRAWS", run_draws)
    return str(request.param)


@pytest.mark.parametrize(
    ("runs", "window", "gap", "clips"),
    [
        ([(0, 6), (14, 7)], 4, 2, 2),  # 12 choices, of which one is 6 starts apart
        ([(0, 4), (1, 4), (1, 4), (2, 4), (1, 4), (1, 4)], 4, 6, 3),  # one start each, holes shorter than the gap
        ([(3, 7), (2, 5), (1, 6)], 2, 4, 3),
        ([(0, 5), (9, 5), (0, 6), (3, 6)], 4, 1, 3),
        ([(0, 5), (4, 5), (4, 5)], 4, 0, 3),
        ([(0, 10), (30, 3), (30, 9)], 3, 2, 3),
        ([(0, 2), (2, 2), (2, 2), (2, 2), (2, 2), (2, 3)], 2, 3, 2),  # more holes than clips
    ],
)
def test_every_choice_of_a_film_with_holes_is_drawn_equally_often(
    way: str, runs: list[tuple[int, int]], window: int, gap: int, clips: int
) -> None:
    spans = spans_after_holes(runs)
    valid = every_choice(spans, clips, window, gap)
    assert len(valid) > 2
    plan = plan_of_copies(spans, clips, window, seed=3, least_gap_seconds=gap)
    drawn = Counter(drawn_starts(plan, 40 * len(valid)))
    assert set(drawn) == valid
    assert chi_square(list(drawn.values())) < seldom_above(len(valid))


@given(films_with_holes(), st.integers(2, 3), st.sampled_from([(3, 4), (0, 9), (0, 0)]))
def test_every_choice_of_any_film_is_drawn_equally_often(
    film: tuple[list[Span], int, int], clips: int, ways: tuple[int, int]
) -> None:
    spans, window, gap = film
    valid = every_choice(spans, clips, window, gap)
    assume(2 <= len(valid) <= 60)
    starts, choices = spaced_starts(spans, window, gap)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spaced, "_PROPOSALS", ways[0])
        patch.setattr(spaced, "_RUN_DRAWS", ways[1])
        copies = StartRanges.of_films(starts, np.ones(30 * len(valid), np.int64))
        numbers = choices.draw(np.random.default_rng(len(valid)), copies, clips)
    drawn = Counter(map(tuple, starts.find_frames(numbers).tolist()))
    assert set(drawn) <= valid
    assert chi_square([drawn[choice] for choice in valid]) < seldom_above(len(valid), HARDLY_EVER)


@given(films_with_holes(), st.integers(0, 12), st.integers(20, 50))
def test_every_choice_within_a_range_of_starts_is_drawn_equally_often(
    film: tuple[list[Span], int, int], first: int, frames: int
) -> None:
    spans, window, gap = film
    clips, end = 2, first + frames
    valid = {choice for choice in every_choice(spans, clips, window, gap) if first <= choice[0] and choice[-1] < end}
    assume(2 <= len(valid) <= 60)
    starts, choices = spaced_starts(spans, window, gap)
    film_M = np.ones(30 * len(valid), np.int64)
    low_M, high_M = (starts.find_first_at(film_M, np.full_like(film_M, frame)) for frame in (first, end))
    ranges = StartRanges.between(starts, film_M, low_M, high_M)
    drawn = Counter(map(tuple, starts.find_frames(choices.draw(np.random.default_rng(1), ranges, clips)).tolist()))
    assert set(drawn) <= valid
    assert chi_square([drawn[choice] for choice in valid]) < seldom_above(len(valid), HARDLY_EVER)


def test_long_films_and_many_clips_are_drawn_in_exact_shares(way: str) -> None:
    """How many of 24 clips lie in the first of two spans, against the numbers of choices as exact integers."""
    spans, window, gap, clips, distance = [Span(0, 3000), Span(3100, 5600)], 32, 16, 24, 48
    sizes = [len(span) - window + 1 for span in spans]
    ways = [
        [comb(size - (of - 1) * (distance - 1), of) if of else 1 for of in range(clips + 1)] for size in sizes
    ]  # fmt: skip
    total = sum(ways[0][of] * ways[1][clips - of] for of in range(clips + 1))
    likely = [of for of in range(clips + 1) if ways[0][of] * ways[1][clips - of] * 100 > total]
    shares = [ways[0][of] * ways[1][clips - of] / total for of in likely]

    starts, choices = spaced_starts(spans, window, gap)
    films_M = np.ones(300 if way == "exactly" else 4000, np.int64)
    numbers = choices.draw(np.random.default_rng(2), StartRanges.of_films(starts, films_M), clips)
    drawn = Counter((starts.find_frames(numbers) < 3000).sum(axis=1).tolist())
    counts = [drawn[of] for of in likely]
    rest = len(films_M) - sum(counts)
    assert chi_square([*counts, rest], [*shares, 1 - sum(shares)]) < seldom_above(len(likely) + 1)


def test_clips_of_a_film_of_a_hundred_thousand_frames_keep_their_distance() -> None:
    """Three hundred holes, some shorter than the gap; and, beside it, a film that only just can."""
    random = np.random.default_rng(1)
    long = spans_after_holes([(int(hole), 320) for hole in random.integers(1, 40, 300)])
    tight = spans_after_holes([(20, 48 * 8)] * 8)
    plan = BatchPlan(
        films(long, tight),
        plan_of(films(long, tight), 2, 64, 32, least_gap_seconds=16).config,
        window_frames=32,
        fps=1,
        seed=1,
    )
    for step in range(5):
        batch = plan.draw_batch(step)
        for film, spans in enumerate((long, tight)):
            starts = batch.start_N[batch.film_N == film].tolist()
            assert len(starts) == 64
            assert min(later - earlier for earlier, later in pairwise(starts)) >= 48
            assert all(any(span.covers(Span(start, start + 32)) for span in spans) for start in starts)


def test_one_film_is_drawn_exactly_where_every_other_choice_is_impossible() -> None:
    """Starts at even places only, of which a thousand in a row are just far enough: one choice, and almost two."""
    frame_N = np.arange(1000) * 7
    assert draw_exactly(np.random.default_rng(0), frame_N, 1000, 7).tolist() == list(range(1000))
    assert draw_exactly(np.random.default_rng(0), frame_N, 500, 14).tolist() in (
        [[2 * clip + (clip >= moved) for clip in range(500)] for moved in range(501)]
    )


# The numbers behind the draw by run.


@pytest.mark.parametrize(
    ("sizes", "clips", "distance"), [([7, 1, 12, 3], 4, 3), ([1] * 6, 3, 9), ([30, 2], 5, 4), ([5, 5, 5], 6, 4)]
)
def test_runs_give_clips_in_proportion_to_the_choices_that_are_left(
    sizes: list[int], clips: int, distance: int
) -> None:
    ways = [[comb(max(size - max(of - 1, 0) * (distance - 1), 0), of) for of in range(clips + 1)] for size in sizes]
    shares: dict[tuple[int, ...], float] = {}
    for counts in np.ndindex(*[clips + 1] * len(sizes)):
        choices = int(np.prod([ways[run][of] for run, of in enumerate(counts)]))
        if sum(counts) == clips and choices:
            shares[counts] = choices
    total = sum(shares.values())

    copies = 20000
    edge_M1 = np.arange(copies + 1) * len(sizes)
    count_X, is_drawn_M = draw_run_counts(np.random.default_rng(3), np.tile(sizes, copies), edge_M1, clips, distance)
    drawn = Counter(map(tuple, count_X.reshape(copies, -1)[is_drawn_M].tolist()))
    assert set(drawn) <= set(shares)
    assert is_drawn_M.mean() > 0.5
    if len(shares) > 1:
        square = chi_square([drawn[c] for c in shares], [share / total for share in shares.values()])
        assert square < seldom_above(len(shares))


@given(st.integers(0, 2**39), st.integers(0, 400))
def test_logarithms_of_binomials_are_right_to_eleven_digits(rest: int, size: int) -> None:
    counted = run_counts._log_binomial(np.array([rest + size]), np.array([size]))[0]
    assert counted == pytest.approx(log(comb(rest + size, size)), abs=2e-11)
    if rest + size < 1000:
        assert counted == pytest.approx(lgamma(rest + size + 1) - lgamma(rest + 1) - lgamma(size + 1), abs=1e-10)


# The same clips as ever where there are no holes.


@pytest.mark.parametrize(
    ("sampling", "starts", "shifts"),
    [
        ({}, [[112, 316, 372], [187, 596, 747]], [0] * 6),
        ({"least_gap_seconds": 3}, [[112, 317, 375], [186, 595, 748]], [0] * 6),
        ({"widest_window_seconds": 90, "least_gap_seconds": 2}, [[373, 416, 432], [355, 371, 410]], [0] * 6),
        ({"positives_within_seconds": 9}, [[112, 316, 372], [187, 596, 747]], [5, -8, 9, 2, 2, 2]),
        ({"one_clip_per_shot": True}, [[103, 298, 357], [193, 596, 719]], [0] * 6),
        (
            {"one_clip_per_shot": True, "widest_window_seconds": 150},
            [[352, 450, 492], [328, 347, 446]],
            [0] * 6,
        ),
    ],
)
def test_films_without_holes_give_the_clips_that_version_0_1_0_gave_before(
    sampling: dict[str, object], starts: list[list[int]], shifts: list[int]
) -> None:
    spans = [[Span(3 * film, 900 + 37 * film)] for film in range(5)]
    shots = [shots_between(1200, range(20 + film, 1200, 31)) for film in range(5)]
    batch = plan_of(films(*spans, shots=shots), 2, 3, seed=4, **sampling).draw_batch(7)
    assert batch.film_N.tolist() == [0, 0, 0, 2, 2, 2]
    assert batch.start_N.reshape(-1, 3).tolist() == starts
    assert batch.shift_N.tolist() == shifts


@pytest.mark.parametrize("sampling", [{}, {"widest_window_seconds": 200}, {"positives_within_seconds": 30}])
def test_how_often_a_film_with_holes_is_drawn_again_changes_no_other_film(sampling: dict[str, object]) -> None:
    whole = [Span(0, 3000)]
    easy, hard = spans_after_holes([(0, 1000), (5, 1000)]), spans_after_holes([(3, 9)] * 60)
    clips = []
    for holes in (easy, hard):
        plan = plan_of(films(whole, holes), 2, 4, seed=9, least_gap_seconds=8, **sampling)
        batches = [plan.draw_batch(step) for step in range(30)]
        clips.append(
            [
                (batch.start_N[batch.film_N == 0].tolist(), batch.shift_N[batch.film_N == 0].tolist())
                for batch in batches
            ]
        )
    assert clips[0] == clips[1]
