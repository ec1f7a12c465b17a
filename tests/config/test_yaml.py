"""YAML as people write it: numbers like `1e-3`, and no key twice."""

import re
from pathlib import Path

import pytest

from talkies.config import read_yaml
from talkies.config.yaml import format_yaml, parse_yaml
from talkies.core import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 0.001), ("2.5E4", 25_000.0), ("-.5", -0.5), ("7", 7), ("1.", 1.0), ("true", True), ("a1e3", "a1e3")],
)
def test_numbers_are_numbers_however_they_are_written(text: str, value: object) -> None:
    assert parse_yaml(text) == value
    assert type(parse_yaml(text)) is type(value)


def test_a_key_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("steps: 3\nseed: 1\nsteps: 4\n")
    with pytest.raises(ConfigError, match=re.escape(f"{path} is not valid YAML: the key 'steps' is given twice")):
        read_yaml(path)


def test_a_date_that_is_none_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("steps: 2001-99-99\n")
    with pytest.raises(ConfigError, match=r"is not valid YAML: month must be in 1\.\.12"):
        read_yaml(path)


def test_what_is_formatted_reads_back_as_itself() -> None:
    values = {"rate": 1e-05, "name": "1e-3", "deep": {"flag": False, "list": [1, 2.5, "ä"]}}
    assert parse_yaml(format_yaml(values)) == values
