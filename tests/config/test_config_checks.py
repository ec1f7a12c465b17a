"""Configs are checked when they are made, with one sentence for the first error."""

import re
from typing import Annotated, Any, Literal, Self

import pytest
from pydantic import Field, ValidationError, model_validator

from talkies.config import Config, check
from talkies.core import ConfigError


class Reel(Config):
    metres: Annotated[int, Field(ge=1)] = 300
    colour: Literal["colour", "black-and-white"] = "colour"
    marks: tuple[int, ...] = ()


class Show(Config):
    title: str
    minutes: Annotated[float, Field(gt=0)] = 90.0
    reel: Reel = Reel()
    reels: int = 1

    @model_validator(mode="after")
    def _long_enough(self) -> Self:
        if self.reels * self.reel.metres < self.minutes:
            raise ValueError(f"{self.reels} x {self.reel.metres} m do not last {self.minutes} minutes")
        return self


def fault(values: dict[str, Any]) -> str:
    with pytest.raises(ConfigError, match=r"^recipe x: ") as caught:
        check(Show, values, "recipe x")
    return str(caught.value).removeprefix("recipe x: ")


def test_values_become_a_config_with_lists_as_tuples() -> None:
    show = check(Show, {"title": "M", "minutes": 110, "reel": {"metres": 400, "marks": [1, 2]}}, "recipe x")
    assert show == Show(title="M", minutes=110.0, reel=Reel(metres=400, marks=(1, 2)))


def test_an_unknown_key_is_named_with_the_nearest() -> None:
    assert fault({"title": "M", "minuts": 3.0}) == "unknown key 'minuts' (did you mean 'minutes'?)"


def test_an_unknown_key_of_a_section_is_named_with_its_section() -> None:
    assert fault({"title": "M", "reel": {"meters": 3}}) == "unknown key 'reel.meters' (did you mean 'reel.metres'?)"


def test_a_misspelt_section_is_named_with_the_nearest_key_or_section() -> None:
    assert fault({"title": "M", "rel": {"metres": 3}}) == "unknown key 'rel' (did you mean 'reel'?)"


def test_an_unknown_key_near_to_none_is_named_alone() -> None:
    assert fault({"title": "M", "zzzzzzzzzz": 3}) == "unknown key 'zzzzzzzzzz'"


def test_a_missing_key_is_named() -> None:
    assert fault({"minutes": 3.0}) == "the key 'title' is missing"


def test_a_value_of_another_type_is_told_with_what_it_got_and_what_is_accepted() -> None:
    assert fault({"title": "M", "minutes": "long"}) == "'minutes' got 'long': input should be a valid number"
    assert fault({"title": 3}) == "'title' got 3: input should be a valid string"


def test_a_value_out_of_bounds_is_told_with_its_bound() -> None:
    sentence = "'reel.metres' got 0: input should be greater than or equal to 1"
    assert fault({"title": "M", "reel": {"metres": 0}}) == sentence


def test_a_value_that_is_none_of_the_choices_is_told_with_the_choices() -> None:
    sentence = "'reel.colour' got 'red': input should be 'colour' or 'black-and-white'"
    assert fault({"title": "M", "reel": {"colour": "red"}}) == sentence


def test_a_section_that_is_no_mapping_is_refused() -> None:
    assert fault({"title": "M", "reel": 3}).startswith("'reel' got 3: input should be a valid dictionary")


def test_values_that_contradict_each_other_are_told_in_the_words_of_the_config() -> None:
    assert fault({"title": "M", "minutes": 301.0}) == "1 x 300 m do not last 301.0 minutes"


@pytest.mark.parametrize(
    "values", [{"reels": 2.0}, {"reels": True}, {"reels": "2"}, {"minutes": "90"}, {"title": b"M"}]
)
def test_nothing_is_converted_silently(values: dict[str, Any]) -> None:
    (key,) = values
    assert fault({"title": "M", **values}).startswith(f"'{key}' got {values[key]!r}: input should be a valid ")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(number: float) -> None:
    assert fault({"title": "M", "minutes": number}) == f"'minutes' got {number}: input should be a finite number"


def test_a_config_cannot_be_changed_once_made() -> None:
    show = Show(title="M")
    with pytest.raises(ValidationError, match=re.escape("Instance is frozen")):
        show.title = "N"
