import re

import numpy as np
import pytest

from talkies.core import Span, as_film_id
from talkies.sampling import FilmSpans

A, B = as_film_id("a" * 16), as_film_id("b" * 16)


def starts(spans: list[Span], window_frames: int) -> list[int]:
    found = FilmSpans.of({A: spans}).starts_of(0, window_frames)
    return found.frames(np.arange(len(found))).tolist()


def test_films_come_in_the_order_of_their_ids() -> None:
    films = FilmSpans.of({B: [Span(0, 5)], A: [Span(2, 9), Span(9, 12)]})
    assert films.film_ids == (A, B)
    assert films.spans == ((Span(2, 9), Span(9, 12)), (Span(0, 5),))
    assert len(films) == 2


def test_a_film_without_a_name_is_called_by_its_id() -> None:
    assert FilmSpans.of({B: [Span(0, 5)], A: [Span(0, 5)]}, {B: "metropolis"}).names == (A, "metropolis")


def test_windows_begin_wherever_they_fit_inside_one_span() -> None:
    assert starts([Span(2, 7), Span(10, 13)], window_frames=3) == [2, 3, 4, 10]


def test_a_window_does_not_run_over_from_one_span_into_the_next_that_touches_it() -> None:
    assert starts([Span(0, 4), Span(4, 8)], window_frames=3) == [0, 1, 4, 5]


def test_spans_shorter_than_a_window_give_no_start() -> None:
    assert starts([Span(0, 2), Span(5, 8), Span(9, 11)], window_frames=3) == [5]
    assert starts([Span(0, 2)], window_frames=3) == []


def test_parts_that_differ_in_number_are_refused() -> None:
    with pytest.raises(ValueError, match="films, spans and names differ in number: 2, 1, 2"):
        FilmSpans((A, B), ((Span(0, 5),),), ("a", "b"))


def test_a_film_that_is_there_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="a film is there twice"):
        FilmSpans((A, A), ((Span(0, 5),), (Span(0, 5),)), ("a", "b"))


@pytest.mark.parametrize("spans", [(Span(0, 5), Span(4, 8)), (Span(6, 8), Span(0, 5))])
def test_spans_that_overlap_or_are_out_of_order_are_refused(spans: tuple[Span, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape(f"a film's spans must be in order and apart, got {spans}")):
        FilmSpans((A,), (spans,), ("a",))
