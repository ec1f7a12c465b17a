"""A thread that prefetches: items come in order, it is bounded, and it ends when no more items are wanted."""

import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talkies.core import MediaError
from talkies.runtime import prefetch


class Counted:
    """An endless source that counts what was taken of it."""

    def __init__(self) -> None:
        self.made = 0

    def __iter__(self) -> Iterator[int]:
        while True:
            self.made += 1
            yield self.made


def settled(source: Counted) -> int:
    """How much was made when nothing more is made."""
    before = -1
    while before != source.made:
        before = source.made
        time.sleep(0.05)
    return before


@given(st.lists(st.integers()), st.integers(1, 5))
def test_everything_comes_in_order_and_once(items: list[int], depth: int) -> None:
    with prefetch(items, depth) as taken:
        assert list(taken) == items
        assert list(taken) == []


@pytest.mark.parametrize("depth", [1, 3, 8])
def test_it_runs_ahead_so_far_and_no_further(depth: int) -> None:
    source = Counted()
    with prefetch(source, depth) as taken:
        assert settled(source) == depth + 1  # one more is in its hand
        assert next(taken) == 1
        assert settled(source) == depth + 2


def test_the_work_is_done_in_another_thread() -> None:
    def name() -> Iterator[str]:
        yield threading.current_thread().name

    with prefetch(name(), 1) as taken:
        assert next(taken) != threading.current_thread().name


@pytest.mark.parametrize("fault", [MediaError("torn", "the film is torn"), KeyError("x"), MemoryError()])
def test_what_the_work_raises_is_raised_where_its_items_are_wanted_and_after_those_before_it(fault: Exception) -> None:
    def failing() -> Iterator[int]:
        yield 1
        yield 2
        raise fault

    with prefetch(failing(), 8) as taken:
        assert [next(taken), next(taken)] == [1, 2]
        with pytest.raises(type(fault)) as raised:
            next(taken)
    assert raised.value is fault


@pytest.mark.parametrize("leave", ["at once", "after one", "by an exception"])
def test_who_leaves_early_ends_the_work(leave: str) -> None:
    source, before = Counted(), threading.active_count()

    def look() -> None:
        with prefetch(source, 2) as taken:
            if leave != "at once":
                next(taken)
            if leave == "by an exception":
                raise LookupError

    if leave == "by an exception":
        with pytest.raises(LookupError):
            look()
    else:
        look()
    assert threading.active_count() == before
    made = source.made
    assert made <= 8
    time.sleep(0.05)
    assert source.made == made


def test_an_error_that_nobody_came_for_is_no_error() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise ValueError("unseen")

    with prefetch(failing(), 4) as taken:
        assert next(taken) == 1
