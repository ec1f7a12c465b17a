"""Where clips may start: numbers, frames and films of starts, against a list of all of them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from small_films import every_start, spans_after_holes

from talkies.core import Span, SpanTable
from talkies.sampling.starts import Starts


@st.composite
def films_of_spans(draw: st.DrawFn) -> list[list[Span]]:
    """Up to six films, some without spans, whose spans may touch and begin at frame 0."""
    films = []
    for runs in draw(st.lists(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 7)), max_size=4), max_size=6)):
        films.append(spans_after_holes(runs))
    return films


def listed(films: list[list[Span]], window: int) -> list[tuple[int, int]]:
    """Film and frame of every start, by number."""
    return [(film, start) for film, spans in enumerate(films) for start in every_start(spans, window)]


@given(films_of_spans(), st.integers(1, 5))
def test_starts_are_numbered_film_by_film_in_the_order_of_time(films: list[list[Span]], window: int) -> None:
    starts, expected = Starts(SpanTable.of(films), window), listed(films, window)
    numbers = np.arange(len(expected))
    assert starts.find_films(numbers).tolist() == [film for film, _ in expected]
    assert starts.find_frames(numbers).tolist() == [frame for _, frame in expected]
    assert starts.find_frames(numbers, np.array([film for film, _ in expected], np.int64)).tolist() == [
        f for _, f in expected
    ]
    assert starts.count_F.tolist() == [len(every_start(spans, window)) for spans in films]
    assert starts.bound_F1.tolist() == [sum(film < bound for film, _ in expected) for bound in range(len(films) + 1)]


@given(films_of_spans(), st.integers(1, 5))
def test_the_first_start_from_a_frame_on_is_the_first_of_the_list_or_the_next_films(
    films: list[list[Span]], window: int
) -> None:
    starts, expected = Starts(SpanTable.of(films), window), listed(films, window)
    queries = [(film, frame) for film in range(len(films)) for frame in range(50)]
    if not queries:
        return
    found = starts.find_first_at(*(np.array(column, np.int64) for column in zip(*queries, strict=True)))
    later = [sum(start < place for start in expected) for place in queries]
    assert found.tolist() == later
    assert found.dtype == np.int64


def test_a_table_in_which_no_film_has_a_start_is_asked_without_harm() -> None:
    for films in ([], [[]], [[], [Span(0, 3)], []]):
        starts = Starts(SpanTable.of(films), 4)
        numbers = starts.find_first_at(np.arange(len(films)), np.zeros(len(films), np.int64))
        assert numbers.tolist() == starts.count_F.tolist() == [0] * len(films)


def test_the_first_start_of_a_film_is_found_from_before_its_beginning() -> None:
    starts = Starts(SpanTable.of([[Span(0, 9)], [Span(0, 9)]]), 4)
    assert starts.find_first_at(np.array([0, 1]), np.array([-3, -3])).tolist() == [0, 6]


def test_frames_of_very_long_films_are_told_apart() -> None:
    far = 2**39
    starts = Starts(SpanTable.of([[Span(far, far + 5)], [Span(0, 5), Span(far, far + 5)]]), 4)
    assert starts.find_frames(np.arange(6)).tolist() == [far, far + 1, 0, 1, far, far + 1]
    assert starts.find_first_at(np.array([0, 1, 1]), np.array([far + 2, far, far + 1])).tolist() == [2, 4, 5]


def test_windows_begin_wherever_they_fit_inside_one_span() -> None:
    assert frames([Span(2, 7), Span(10, 13)], 3) == [2, 3, 4, 10]


def test_a_window_does_not_run_over_from_one_span_into_the_next_that_touches_it() -> None:
    assert frames([Span(0, 4), Span(4, 8)], 3) == [0, 1, 4, 5]


def test_spans_shorter_than_a_window_give_no_start() -> None:
    assert frames([Span(0, 2), Span(5, 8), Span(9, 11)], 3) == [5]
    assert frames([Span(0, 2)], 3) == []


def frames(spans: list[Span], window: int) -> list[int]:
    starts = Starts(SpanTable.of([spans]), window)
    return starts.find_frames(np.arange(starts.count_F[0])).tolist()
