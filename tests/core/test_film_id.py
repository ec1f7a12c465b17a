"""Film ids are sixteen hexadecimal digits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talkies.core import parse_film_id


@given(st.integers(0, 2**64 - 1))
def test_sixteen_hexadecimal_digits_are_a_film_id(number: int) -> None:
    assert parse_film_id(f"{number:016x}") == f"{number:016x}"


@pytest.mark.parametrize(
    "text",
    ["", "0" * 15, "0" * 17, "0" * 15 + "g", "A" * 16, " " + "0" * 15, "0" * 16 + "\n", "../../../../../..", "٠" * 16],
)
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"^a film id is sixteen hexadecimal digits, got "):
        parse_film_id(text)
