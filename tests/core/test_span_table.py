"""Spans of many films in arrays, against sets of single frames."""

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from talkies.core import Int64s, Span, SpanTable

laws = settings(derandomize=True, deadline=None, max_examples=80, database=None)
Films = list[list[Span]]


def in_order(runs: list[tuple[int, int]]) -> list[Span]:
    """Spans from pairs (hole before, frames); without a hole they touch."""
    spans: list[Span] = []
    for hole, frames in runs:
        begin = hole + (spans[-1].end_frame if spans else 0)
        spans.append(Span(begin, begin + frames))
    return spans


some_spans = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 6)), max_size=4).map(in_order)
films = st.lists(some_spans, max_size=5)
two_tables = st.integers(0, 5).flatmap(
    lambda count: st.tuples(*[st.lists(some_spans, min_size=count, max_size=count)] * 2)
)
rows = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 20), st.integers(1, 8)), max_size=12)


def list_all(table: SpanTable) -> Films:
    return [table.list_spans(film) for film in range(len(table))]


def array(values: list[int]) -> Int64s:
    return np.array(values, np.int64)


def frames_of(spans: list[Span]) -> set[int]:
    return {frame for span in spans for frame in range(span.start_frame, span.end_frame)}


def runs_of(frames: list[int]) -> list[Span]:
    """Frames in order as spans of those that follow each other."""
    begins = [f for i, f in enumerate(frames) if i == 0 or frames[i - 1] != f - 1]
    ends = [f + 1 for i, f in enumerate(frames) if i == len(frames) - 1 or frames[i + 1] != f + 1]
    return [Span(begin, end) for begin, end in zip(begins, ends, strict=True)]


@laws
@given(films)
def test_what_goes_into_a_table_comes_out_film_by_film(spans: Films) -> None:
    table = SpanTable.of(spans)
    assert list_all(table) == spans
    assert len(table) == len(spans)
    assert table.film_R.tolist() == [film for film, own in enumerate(spans) for _ in own]
    assert table.frames_F.tolist() == [len(frames_of(own)) for own in spans]
    assert repr(table) == f"SpanTable({len(spans)} films, {sum(map(len, spans))} spans)"


@laws
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(-3, 9)), max_size=6))
def test_one_span_a_film_is_made_from_ends_and_none_where_the_end_is_not_after_the_start(
    bounds: list[tuple[int, int]],
) -> None:
    table = SpanTable.from_bounds(array([begin for begin, _ in bounds]), array([end for _, end in bounds]))
    assert list_all(table) == [[Span(begin, end)] if end > begin else [] for begin, end in bounds]


@laws
@given(rows)
def test_rows_in_any_order_are_joined_where_they_share_a_frame_and_only_there(rows: list[tuple[int, int, int]]) -> None:
    films, starts, frames = (array(list(column)) for column in zip(*rows, strict=True)) if rows else [array([])] * 3
    table = SpanTable.from_rows(5, films, starts, starts + frames)
    expected: Films = [[], [], [], [], []]
    for film, start, count in sorted(rows, key=lambda row: row[1]):
        new = Span(start, start + count)
        joined = [span for span in expected[film] if span.overlaps(new)]
        while joined:
            expected[film] = [span for span in expected[film] if span not in joined]
            new = Span(min(s.start_frame for s in (*joined, new)), max(s.end_frame for s in (*joined, new)))
            joined = [span for span in expected[film] if span.overlaps(new)]
        expected[film].append(new)
    assert list_all(table) == [sorted(spans) for spans in expected]


def test_spans_that_only_touch_stay_two_and_one_inside_another_goes() -> None:
    table = SpanTable.from_rows(1, array([0] * 4), array([9, 0, 2, 5]), array([12, 5, 3, 9]))
    assert list_all(table) == [[Span(0, 5), Span(5, 9), Span(9, 12)]]


@laws
@given(films.filter(bool), st.data())
def test_some_films_alone_come_in_the_order_in_which_they_are_asked_for(spans: Films, data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.integers(0, len(spans) - 1), max_size=6))
    assert list_all(SpanTable.of(spans).take(array(chosen))) == [spans[film] for film in chosen]


@laws
@given(two_tables)
def test_what_lies_outside_of_another_table_is_every_frame_that_is_not_in_it(tables: tuple[Films, Films]) -> None:
    spans, holes = tables
    left = SpanTable.of(spans).subtract(SpanTable.of(holes))
    assert list_all(left) == [
        [
            run
            for span in own
            for run in runs_of([f for f in range(span.start_frame, span.end_frame) if f not in frames_of(out)])
        ]
        for own, out in zip(spans, holes, strict=True)
    ]


def test_without_nothing_all_stays_and_without_everything_nothing() -> None:
    table = SpanTable.of([[], [Span(0, 4), Span(4, 8)], [], [Span(2, 3)], []])
    assert list_all(table.subtract(SpanTable.of([[]] * 5))) == list_all(table)
    assert list_all(table.subtract(table)) == [[]] * 5
    assert list_all(table.subtract(SpanTable.of([[Span(0, 99)]] * 5))) == [[]] * 5


def test_one_films_holes_do_not_touch_the_next_film() -> None:
    table = SpanTable.of([[Span(0, 9)], [Span(0, 9)], [Span(0, 9)]])
    holes = SpanTable.of([[], [Span(3, 2**39)], []])
    assert list_all(table.subtract(holes)) == [[Span(0, 9)], [Span(0, 3)], [Span(0, 9)]]


@pytest.mark.parametrize(
    ("offsets", "starts", "ends"),
    [([0, 1], [0, 5], [1, 6]), ([1, 2], [0, 5], [1, 6]), ([0, 2], [0, 5], [1]), ([0, 3], [0, 5], [1, 6])],
)
def test_parts_that_do_not_belong_together_are_refused(offsets: list[int], starts: list[int], ends: list[int]) -> None:
    sentence = f"the parts of a span table do not belong together: SpanTable(1 films, {len(starts)} spans)"
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        SpanTable(array(offsets), array(starts), array(ends))


@pytest.mark.parametrize(
    ("bounds", "wrong"),
    [
        ([(0, 5), (4, 8)], 1),
        ([(6, 8), (0, 5)], 1),
        ([(0, 5), (0, 5)], 1),
        ([(0, 5), (5, 5)], 1),
        ([(7, 6), (8, 9)], 0),
        ([(-1, 5), (8, 9)], 0),
    ],
)
def test_a_films_spans_that_are_empty_overlap_or_are_out_of_order_are_refused(
    bounds: list[tuple[int, int]], wrong: int
) -> None:
    start, end = bounds[wrong]
    sentence = f"a film's spans must be in order and apart, got [{start}, {end}) in film number 1"
    starts, ends = ([0, *(bound[side] for bound in bounds)] for side in (0, 1))
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        SpanTable(array([0, 1, 3]), array(starts), array([1, *ends[1:]]))


def test_the_next_films_spans_may_begin_before_the_last_ones_end() -> None:
    spans = [[Span(5, 9)], [Span(0, 6)], [], [Span(2, 3)]]
    assert list_all(SpanTable.of(spans)) == spans


def test_every_pair_of_neighbours_in_a_table_is_apart() -> None:
    table = SpanTable.from_rows(1, array([0] * 50), np.arange(50) * 7 % 40, np.arange(50) * 7 % 40 + 3)
    assert all(one.end_frame <= other.start_frame for one, other in pairwise(table.list_spans(0)))
