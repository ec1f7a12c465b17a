"""`evenly_spaced`: at most so many places, from the first to the last, no two of them equal."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from talkies.core import evenly_spaced


@settings(deadline=None)
@given(count=st.integers(0, 5000), most=st.integers(2, 700))
def test_places_are_spread_from_the_first_to_the_last(count: int, most: int) -> None:
    places = evenly_spaced(count, most).tolist()
    assert len(places) == min(count, most)
    if count:
        assert (places[0], places[-1]) == (0, count - 1)
    gaps = [later - earlier for earlier, later in pairwise(places)]
    assert all(gap >= 1 for gap in gaps)
    assert not gaps or max(gaps) - min(gaps) <= 2


def test_one_place_is_the_first() -> None:
    assert evenly_spaced(7, 1).tolist() == [0]
