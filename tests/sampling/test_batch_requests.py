"""The clip requests of a batch: a sequence, shared among ranks, and split by film."""

from itertools import chain, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_films import alike, plan_of

from talkies.core import ClipRequest, Span, parse_film_id
from talkies.sampling import BatchRequests

IDS = tuple(parse_film_id(f"{number:016x}") for number in range(30))


def requests(clips_of_films: list[int]) -> BatchRequests:
    """Clips of films 0, 2, 4, …, so many of each."""
    film_N = np.repeat(np.arange(len(clips_of_films)) * 2, clips_of_films)
    return BatchRequests(IDS, film_N, np.arange(len(film_N)) * 7, np.arange(len(film_N)) % 3, window_frames=5)


SEVEN = requests([3, 1, 3])


def test_requests_are_made_of_film_window_and_shift() -> None:
    assert list(SEVEN) == [
        ClipRequest(IDS[film], Span(7 * place, 7 * place + 5), place % 3)
        for place, film in enumerate((0, 0, 0, 2, 4, 4, 4))
    ]
    assert type(SEVEN[1].window.start_frame) is type(SEVEN[1].audio_shift_frames) is int


def test_a_batch_is_a_sequence() -> None:
    assert len(SEVEN) == 7
    assert SEVEN[-1] == SEVEN[6] == list(SEVEN)[6]
    assert SEVEN[3] in SEVEN
    assert SEVEN.index(SEVEN[3]) == 3
    assert list(reversed(SEVEN)) == list(SEVEN)[::-1]
    assert all(request != SEVEN[0] for request in SEVEN[1:])
    for place in (7, -8):
        with pytest.raises(IndexError):
            SEVEN[place]


@pytest.mark.parametrize("part", [slice(2, 5), slice(None), slice(None, None, 2), slice(-2, None), slice(5, 2)])
def test_a_slice_is_a_batch_of_those_clips(part: slice) -> None:
    assert isinstance(SEVEN[part], BatchRequests)
    assert list(SEVEN[part]) == list(SEVEN)[part]
    assert len(SEVEN[part]) == len(list(SEVEN)[part])


def test_a_batch_tells_its_size() -> None:
    assert repr(SEVEN) == "BatchRequests(7 clips of 3 films)"
    assert repr(SEVEN[:0]) == "BatchRequests(0 clips of 0 films)"
    assert repr(plan_of(alike(9, 30), 4, 3).draw_batch(0)) == "BatchRequests(12 clips of 4 films)"


sizes = st.lists(st.integers(1, 9), min_size=1, max_size=12)


@given(sizes, st.integers(1, 20))
def test_ranks_share_a_batch_without_overlap_in_order_and_equally_within_one(sizes: list[int], world: int) -> None:
    whole = requests(sizes)
    shares = [whole.select_rank(rank, world) for rank in range(world)]
    assert list(chain.from_iterable(shares)) == list(whole)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize(("films", "clips", "world"), [(4, 3, 2), (4, 3, 4), (8, 2, 4), (6, 5, 3)])
def test_where_ranks_divide_the_films_each_film_is_of_one_rank(films: int, clips: int, world: int) -> None:
    whole = requests([clips] * films)
    for rank in range(world):
        share = whole.select_rank(rank, world)
        assert (len(set(share.film_N.tolist())), len(share)) == (films // world, films * clips // world)


@given(sizes, st.integers(1, 25))
def test_parts_are_whole_films_of_at_most_so_many_clips_unless_one_film_has_more(sizes: list[int], most: int) -> None:
    whole = requests(sizes)
    parts = list(whole.split_by_film(most))
    assert list(chain.from_iterable(parts)) == list(whole)
    assert sum(len(set(part.film_N.tolist())) for part in parts) == len(sizes)
    assert all(len(part) <= most or len(set(part.film_N.tolist())) == 1 for part in parts)
    assert all(len(part) for part in parts)
    for part, after in pairwise(parts):  # as large as may be
        assert len(part) + int((after.film_N == after.film_N[0]).sum()) > most


def test_a_ranks_share_that_begins_within_a_film_is_cut_there_and_where_films_end() -> None:
    share = requests([4, 4, 4]).select_rank(1, 2)
    assert [(part.film_N.tolist(), part.start_N.tolist()) for part in share.split_by_film(3)] == [
        ([2, 2], [42, 49]),
        ([4, 4, 4, 4], [56, 63, 70, 77]),
    ]
