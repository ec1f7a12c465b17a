"""Overrides `key=value` set single values of a config."""

import re

import pytest

from talkies.config import Config, apply_overrides, list_keys
from talkies.core import ConfigError


class Lens(Config):
    millimetres: float = 50.0
    filters: tuple[str, ...] = ()


class Body(Config):
    lens: Lens = Lens()
    weight_grams: int = 900


class Camera(Config):
    name: str
    body: Body = Body()


def test_the_keys_of_a_config_are_its_single_values_dotted_and_in_order() -> None:
    assert list_keys(Camera) == ["name", "body.lens.millimetres", "body.lens.filters", "body.weight_grams"]


def test_an_override_sets_one_value_and_leaves_the_others() -> None:
    values = {"name": "a", "body": {"lens": {"millimetres": 35.0}, "weight_grams": 700}}
    changed = apply_overrides(values, ["body.lens.millimetres=85.0"], Camera)
    assert changed == {"name": "a", "body": {"lens": {"millimetres": 85.0}, "weight_grams": 700}}


def test_overrides_leave_what_they_were_given_as_it_was() -> None:
    values = {"name": "a", "body": {"lens": {"millimetres": 35.0}}}
    apply_overrides(values, ["name=b", "body.lens.millimetres=85.0"], Camera)
    assert values == {"name": "a", "body": {"lens": {"millimetres": 35.0}}}


def test_an_override_makes_the_sections_above_it() -> None:
    assert apply_overrides({}, ["body.lens.millimetres=85.0"], Camera) == {"body": {"lens": {"millimetres": 85.0}}}


def test_the_last_override_of_a_key_counts() -> None:
    assert apply_overrides({}, ["name=a", "name=b"], Camera) == {"name": "b"}


@pytest.mark.parametrize(
    ("text", "value"),
    [("7", 7), ("0.5", 0.5), ("true", True), ("[a, b]", ["a", "b"]), ("", None), ("a=b", "a=b"), ("'7'", "7")],
)
def test_the_value_of_an_override_is_read_as_yaml(text: str, value: object) -> None:
    got = apply_overrides({}, [f"name={text}"], Camera)["name"]
    assert got == value
    assert type(got) is type(value)


def test_an_override_without_an_equals_sign_is_refused() -> None:
    with pytest.raises(ConfigError, match=re.escape("an override is key=value, got 'body.lens.millimetres'")):
        apply_overrides({}, ["body.lens.millimetres"], Camera)


def test_an_override_of_an_unknown_key_names_the_nearest() -> None:
    sentence = "unknown key 'body.lens.milimeters' in --set (did you mean 'body.lens.millimetres'?)"
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        apply_overrides({}, ["body.lens.milimeters=3"], Camera)


def test_an_override_of_a_key_near_to_none_names_them_all() -> None:
    known = "name, body.lens.millimetres, body.lens.filters, body.weight_grams"
    with pytest.raises(ConfigError, match=re.escape(f"unknown key 'xyzzy' in --set, known keys are {known}")):
        apply_overrides({}, ["xyzzy=3"], Camera)


def test_an_override_of_a_whole_section_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown key 'body' in --set"):
        apply_overrides({}, ["body={weight_grams: 3}"], Camera)


def test_a_value_that_is_no_yaml_is_refused() -> None:
    with pytest.raises(ConfigError, match=re.escape("the value of --set name cannot be read, got '[1'")):
        apply_overrides({}, ["name=[1"], Camera)
