"""Former keys of configs: still read from files and `--set`, each with one line of warning."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from talkies.config import Config, apply_overrides, check, list_keys, read_yaml
from talkies.core import ConfigError

OLD_NAME = "'body.lens.focal_length' is now called 'body.lens.millimetres'; use the new name"
DROPPED = "'body.film_roll' is ignored: every camera is digital"


class Lens(Config):
    renamed_keys: ClassVar[Mapping[str, str]] = {"focal_length": "millimetres"}

    millimetres: float = 50.0


class Body(Config):
    dropped_keys: ClassVar[Mapping[str, str]] = {"film_roll": "every camera is digital"}

    lens: Lens = Lens()


class Camera(Config):
    renamed_keys: ClassVar[Mapping[str, str]] = {"case": "body"}

    name: str = "a"
    body: Body = Body()


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    assert {record.levelname for record in caplog.records} <= {"WARNING"}
    return [record.getMessage() for record in caplog.records]


def test_a_former_key_in_a_file_sets_the_value_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("body:\n  lens:\n    focal_length: 35.0\n")
    assert check(Camera, read_yaml(path), str(path)).body.lens.millimetres == 35.0
    assert warnings_of(caplog) == [f"{path}: {OLD_NAME}"]


def test_a_former_key_in_an_override_sets_the_value_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    values = apply_overrides({}, ["body.lens.focal_length=35.0"], Camera)
    assert values == {"body": {"lens": {"millimetres": 35.0}}}
    assert check(Camera, values, "--set").body.lens.millimetres == 35.0
    assert warnings_of(caplog) == [f"--set: {OLD_NAME}"]


def test_a_former_key_with_the_default_warns_too(caplog: pytest.LogCaptureFixture) -> None:
    assert check(Lens, {"focal_length": 50.0}, "lens.yaml") == Lens()
    assert warnings_of(caplog) == ["lens.yaml: 'focal_length' is now called 'millimetres'; use the new name"]


def test_a_former_section_is_read(caplog: pytest.LogCaptureFixture) -> None:
    assert check(Camera, {"case": {"lens": {"millimetres": 35.0}}}, "old.yaml").body.lens.millimetres == 35.0
    assert apply_overrides({}, ["case.lens.millimetres=85.0"], Camera) == {"body": {"lens": {"millimetres": 85.0}}}
    sentence = "'case' is now called 'body'; use the new name"
    assert warnings_of(caplog) == [f"old.yaml: {sentence}", f"--set: {sentence}"]


def test_a_dropped_key_is_ignored_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    assert check(Camera, {"body": {"film_roll": "anything"}}, "old.yaml") == Camera()
    assert apply_overrides({}, ["body.film_roll=anything"], Camera) == {}
    assert warnings_of(caplog) == [f"old.yaml: {DROPPED}", f"--set: {DROPPED}"]


@pytest.mark.parametrize("overrides", [["body.lens.millimetres=85.0"], ["body.lens.focal_length=85.0"]])
@pytest.mark.parametrize("key", ["millimetres", "focal_length"])
def test_an_override_replaces_a_files_value_whichever_name_each_uses(overrides: list[str], key: str) -> None:
    values: dict[str, Any] = {"body": {"lens": {key: 35.0}}}
    assert apply_overrides(values, overrides, Camera) == {"body": {"lens": {"millimetres": 85.0}}}
    assert values == {"body": {"lens": {key: 35.0}}}


BOTH = "is the former name of 'body.lens.millimetres', and both are given; keep only 'body.lens.millimetres'"


@pytest.mark.parametrize("keys", [("focal_length", "millimetres"), ("millimetres", "focal_length")])
def test_both_names_in_a_file_are_refused(keys: tuple[str, str]) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"old.yaml: 'body.lens.focal_length' {BOTH}")):
        check(Camera, {"body": {"lens": dict.fromkeys(keys, 35.0)}}, "old.yaml")


@pytest.mark.parametrize("keys", [("focal_length", "millimetres"), ("millimetres", "focal_length")])
def test_both_names_in_overrides_are_refused(keys: tuple[str, str]) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"--set: 'body.lens.focal_length' {BOTH}")):
        apply_overrides({}, [f"body.lens.{key}=35.0" for key in keys], Camera)


def test_an_unknown_key_fails_as_before(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ConfigError, match=re.escape("old.yaml: unknown key 'body.lens.focus'")):
        check(Camera, {"body": {"lens": {"focus": 1}}}, "old.yaml")
    with pytest.raises(ConfigError, match=re.escape("unknown key 'body.lens.focus' in --set")):
        apply_overrides({}, ["body.lens.focus=1"], Camera)
    assert warnings_of(caplog) == []


def test_a_wrong_value_under_a_former_key_is_refused_under_the_present_one() -> None:
    with pytest.raises(ConfigError, match=re.escape("old.yaml: 'body.lens.millimetres' got 'wide'")):
        check(Camera, {"body": {"lens": {"focal_length": "wide"}}}, "old.yaml")


def test_only_present_keys_are_known() -> None:
    assert list_keys(Camera) == ["name", "body.lens.millimetres"]


def test_a_terminal_shows_one_plain_line() -> None:
    program = """
from typing import ClassVar
from talkies.config import Config, check

class Lens(Config):
    renamed_keys: ClassVar[dict[str, str]] = {"focal_length": "millimetres"}
    millimetres: float = 50.0

check(Lens, {"focal_length": 35.0}, "lens.yaml")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert done.stderr == "lens.yaml: 'focal_length' is now called 'millimetres'; use the new name\n"
