"""Hit selection (temporal non-maximum suppression) compared with a plain reference."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from talkies.retrieval.index import IndexRows
from talkies.retrieval.search import Moment, SearchQuery
from talkies.retrieval.search.hit_selection import HitSelector

FILMS = ("a" * 16, "b" * 16, "c" * 16)


def build_rows(films: list[int], starts: list[int], shots: list[int]) -> IndexRows:
    """Rows of one second each, without vectors that matter."""
    start = np.array(starts, np.float64) / 2
    vectors = np.zeros((len(starts), 2), np.float32)
    names = np.array([FILMS[film] for film in films], np.object_)
    return IndexRows(names, start, start + 1, np.array(shots, np.int32), np.zeros(len(starts), bool), vectors, vectors)


def select_by_definition(
    rows: IndexRows, scores: np.ndarray, query: SearchQuery, asked: tuple[str, float, float], own_shot: int
) -> list[int]:
    """All hits by the words of the definition, one row at a time."""
    film, begin, end = asked
    hits: list[int] = []
    for n in sorted(range(len(rows)), key=lambda n: (-scores[n], n)):
        if scores[n] < 0.25:
            break
        same = rows.film_B[n] == film
        if same and rows.start_B[n] < end and rows.end_B[n] > begin:
            continue
        if same and abs((rows.start_B[n] + rows.end_B[n]) / 2 - (begin + end) / 2) < query.apart_seconds:
            continue
        if query.span_seconds and not (
            rows.start_B[n] >= query.span_seconds[0] and rows.end_B[n] <= query.span_seconds[1]
        ):
            continue
        others = [(rows.film_B[m], int(rows.shot_B[m]), rows.start_B[m], rows.end_B[m]) for m in hits]
        others.append((film, own_shot, begin, end))
        if any(_is_suppressed(query.per, rows, n, other) for other in others):
            continue
        hits.append(n)
    return hits


def _is_suppressed(per: str, rows: IndexRows, n: int, other: tuple[Any, int, float, float]) -> bool:
    film, shot, begin, end = other
    if rows.film_B[n] != film:
        return False
    if per == "film":
        return True
    mine = int(rows.shot_B[n])
    if per == "shot" and (mine >= 0 or shot >= 0):
        return mine == shot
    return bool(rows.start_B[n] < end and rows.end_B[n] > begin)


@settings(max_examples=150, deadline=None)
@given(
    clips=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 20), st.integers(-1, 3)), min_size=1, max_size=40),
    per=st.sampled_from(["moment", "shot", "film"]),
    skip=st.integers(0, 3),
    count=st.integers(1, 5),
    apart=st.sampled_from([0.0, 2.0]),
    span=st.sampled_from([None, (1.0, 7.0)]),
    seed=st.integers(0, 99),
)
def test_hits_are_those_of_a_plain_reference(
    clips: Any, per: Any, skip: int, count: int, apart: float, span: Any, seed: int
) -> None:
    rows = build_rows(*map(list, zip(*clips, strict=True)))
    scores = np.random.default_rng(seed).permutation(len(rows)).astype(np.float32) / len(rows)
    asked, shot = (FILMS[0], float(rows.start_B[0]), float(rows.end_B[0])), int(rows.shot_B[0])
    query = SearchQuery(Moment("film", 0.0), "video", "video", count, skip, per, (), span, apart)
    chosen, done = HitSelector(query, FILMS[0], asked[1:], shot, FILMS, None).select_rows(rows, scores, 0.25)
    assert chosen == select_by_definition(rows, scores, query, asked, shot)[: skip + count + 1]
    assert done or len(chosen) <= skip + count


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 1000), pages=st.integers(1, 4))
def test_pages_put_together_are_one_long_answer(seed: int, pages: int) -> None:
    random = np.random.default_rng(seed)
    rows = build_rows(random.integers(0, 3, 60).tolist(), random.integers(0, 80, 60).tolist(), [0] * 60)
    scores = random.random(60).astype(np.float32)

    def places(skip: int, count: int) -> list[int]:
        query = SearchQuery(Moment("film", 0.0), count=count, skip=skip)
        return HitSelector(query, None, (0.0, 0.0), -1, FILMS, None).select_rows(rows, scores, -1.0)[0][
            skip : skip + count
        ]

    assert [place for page in range(pages) for place in places(3 * page, 3)] == places(0, 3 * pages)


def test_films_that_have_left_the_library_and_films_not_asked_for_give_no_hits() -> None:
    rows = build_rows([0, 1, 2], [0, 0, 0], [0, 0, 0])
    scores = np.array([0.9, 0.8, 0.7], np.float32)
    query = SearchQuery(Moment("film", 0.0))
    assert HitSelector(query, None, (0, 0), -1, FILMS[1:], None).select_rows(rows, scores, -1)[0] == [1, 2]
    assert HitSelector(query, None, (0, 0), -1, FILMS, {FILMS[2]}).select_rows(rows, scores, -1)[0] == [2]


def test_of_very_many_rows_the_order_is_that_of_their_scores() -> None:
    random = np.random.default_rng(3)
    count = 5_000
    rows = build_rows([0] * count, list(range(0, 2 * count, 2)), [0] * count)
    scores = random.permutation(count).astype(np.float32)
    query = SearchQuery(Moment("film", 0.0), count=1000)
    chosen, _ = HitSelector(query, None, (0, 0), -1, FILMS, None).select_rows(rows, scores, -1)
    assert chosen == np.argsort(-scores)[:1001].tolist()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"count": 0}, "a search returns 1 to 1000 hits, got 0"),
        ({"count": 1001}, "a search returns 1 to 1000 hits, got 1001"),
        ({"skip": -1}, "a search skips 0 hits or more, got -1"),
        ({"apart_seconds": -2.0}, "hits are 0 s or more apart from the query, got -2"),
        ({"apart_seconds": float("nan")}, "hits are 0 s or more apart from the query, got nan"),
        ({"span_seconds": (5.0, 5.0)}, "starts at 0 s or later and before its end, got 5 to 5"),
        ({"span_seconds": (-1.0, 5.0)}, "starts at 0 s or later and before its end, got -1 to 5"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused_when_it_is_made(values: dict[str, Any], sentence: str) -> None:
    from talkies.core import UsageError

    with pytest.raises(UsageError, match=sentence):
        SearchQuery(Moment("film", 0.0), **values)
