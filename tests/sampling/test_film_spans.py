"""Films and their eligible spans."""

import re

import numpy as np
import pytest

from talkies.core import Span, SpanTable, parse_film_id
from talkies.sampling import FilmSpans

A, B, C = parse_film_id("a" * 16), parse_film_id("b" * 16), parse_film_id("c" * 16)


def test_films_come_in_the_order_of_their_ids() -> None:
    films = FilmSpans.of(
        {B: [Span(0, 5)], A: [Span(2, 9), Span(9, 12)]}, shots={A: [Span(0, 12)], B: [Span(0, 3), Span(3, 5)]}
    )
    assert films.film_ids == (A, B)
    assert [films.spans.list_spans(film) for film in range(2)] == [[Span(2, 9), Span(9, 12)], [Span(0, 5)]]
    assert films.shots is not None
    assert [films.shots.list_spans(film) for film in range(2)] == [[Span(0, 12)], [Span(0, 3), Span(3, 5)]]
    assert len(films) == 2


def test_a_film_without_a_name_is_called_by_its_id() -> None:
    assert FilmSpans.of({B: [Span(0, 5)], A: [Span(0, 5)]}, {B: "metropolis"}).names == (A, "metropolis")


def test_some_films_alone_keep_what_is_theirs() -> None:
    spans = {A: [Span(0, 5)], B: [], C: [Span(2, 9), Span(9, 12)]}
    films = FilmSpans.of(spans, {C: "metropolis"}, {film: [Span(0, 20)] for film in spans})
    kept = films.take(np.array([0, 2]))
    assert (kept.film_ids, kept.names) == ((A, C), (A, "metropolis"))
    assert [kept.spans.list_spans(film) for film in range(2)] == [spans[A], spans[C]]
    assert kept.shots is not None
    assert len(kept.shots) == 2
    assert len(films.take(np.arange(0))) == 0
    assert FilmSpans.of(spans).take(np.array([1])).shots is None


@pytest.mark.parametrize(
    ("names", "shots", "counted"),
    [(("a",), None, "2, 2, 1, 2"), (("a", "b"), SpanTable.of([[]]), "2, 2, 2, 1"), (("a", "b", "c"), None, "2, 2, 3")],
)
def test_parts_that_differ_in_number_are_refused(names: tuple[str, ...], shots: SpanTable | None, counted: str) -> None:
    sentence = f"films, spans, names and shots differ in number: {counted}"
    with pytest.raises(ValueError, match=re.escape(sentence)):
        FilmSpans((A, B), SpanTable.of([[Span(0, 5)], []]), names, shots)


def test_spans_of_too_few_films_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^films, spans, names and shots differ in number: 2, 1, 2, 2$"):
        FilmSpans((A, B), SpanTable.of([[Span(0, 5)]]), ("a", "b"))


def test_a_film_that_is_there_twice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^a film is listed twice$"):
        FilmSpans((A, A), SpanTable.of([[Span(0, 5)], [Span(0, 5)]]), ("a", "b"))


@pytest.mark.parametrize("spans", [(Span(0, 5), Span(4, 8)), (Span(6, 8), Span(4, 8))])
def test_spans_that_overlap_or_are_out_of_order_are_refused(spans: tuple[Span, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape("a film's spans must be in order and apart, got [4, 8) in film")):
        FilmSpans.of({A: spans})
