"""Which blocks of pairs are known to hold only pairs of different films, without reading anything from a device."""

from dataclasses import replace

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from talkies.core import ClipStarts
from talkies.objectives.film_queue import QueuedPairs
from talkies.objectives.pairs import ClipPairs, label_films

runs_of_films = st.lists(st.integers(1, 4), min_size=1, max_size=6)
films_in_any_order = st.lists(st.integers(0, 4), min_size=1, max_size=12)


def pairs_of(films: list[int], first: int = 0, queries: int | None = None) -> ClipPairs:
    film_N = torch.tensor(films)
    own = film_N[first:][:queries] if queries is not None else film_N[first:]
    labels_N = label_films(ClipStarts(film_N.numpy(), np.zeros(len(films), np.int64)))
    return ClipPairs(own, torch.zeros_like(own), film_N, torch.zeros_like(film_N), first, labels_N=labels_N)


def halves(length: int) -> list[slice]:
    middle = max(1, length // 2)
    return [part for part in (slice(0, middle), slice(middle, length)) if len(range(length)[part])]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(lengths=runs_of_films, numbers=st.permutations(range(6)), first=st.integers(0, 3))
def test_where_a_film_s_clips_come_together_every_block_of_other_films_is_known(
    lengths: list[int], numbers: list[int], first: int
) -> None:
    """Whatever the numbers of the films are: a plan draws them in any order."""
    films = [number for number, length in zip(numbers, lengths, strict=False) for _ in range(length)]
    pairs = pairs_of(films, min(first, len(films) - 1))
    for rows in halves(pairs.shape[0]):
        for columns in halves(pairs.shape[1]):
            across = pairs.compute_masks(rows, columns).across
            assert pairs.are_all_across(rows, columns) == bool(across.all())


@settings(max_examples=100, deadline=None, derandomize=True)
@given(films=films_in_any_order)
def test_a_block_is_never_said_to_be_of_other_films_if_it_is_not(films: list[int]) -> None:
    pairs = pairs_of(films)
    for rows in halves(len(films)):
        for columns in halves(len(films)):
            if pairs.are_all_across(rows, columns):
                assert pairs.compute_masks(rows, columns).across.all()


def test_nothing_is_said_where_films_are_not_known_or_other_things_decide() -> None:
    pairs = pairs_of([0, 0, 1, 1])
    assert pairs.are_all_across(slice(0, 2), slice(2, 4))
    assert not replace(pairs, labels_N=None).are_all_across(slice(0, 2), slice(2, 4))


def test_keys_of_a_queue_are_negatives_only_where_the_queue_is_for_all_films() -> None:
    plain = pairs_of([0, 0, 1, 1], 0, 2)
    parts = (plain.film_B, plain.start_B, plain.film_N, plain.start_N, 0)
    for is_across in (False, True):
        pairs = QueuedPairs(*parts, labels_N=plain.labels_N, queued=2, is_across=is_across)
        rows, columns = slice(0, 2), slice(2, 4)
        assert pairs.are_all_across(rows, columns) is is_across
        assert bool(pairs.compute_masks(rows, columns).across.all()) is is_across
