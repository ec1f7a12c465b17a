"""Configs are read from YAML files and saved to them."""

import re
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from talkies.config import Config, check, read_yaml, to_yaml
from talkies.core import ConfigError


class Lens(Config):
    millimetres: Annotated[float, Field(gt=0)] = 50.0
    filters: tuple[str, ...] = ()


class Camera(Config):
    name: str
    lens: Lens = Lens()
    digital: bool = False


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "camera.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_yaml_mapping_is_read_with_its_types(tmp_path: Path) -> None:
    path = written(tmp_path, "name: Größe\nlens:\n  millimetres: 35.0\n  filters: [red]\n")
    assert read_yaml(path) == {"name": "Größe", "lens": {"millimetres": 35.0, "filters": ["red"]}}


def test_a_missing_file_is_told_with_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    with pytest.raises(ConfigError, match=re.escape(f"{path} cannot be read as a config: no such file or directory")):
        read_yaml(path)


def test_a_folder_is_no_config(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"{tmp_path} cannot be read as a config: is a directory")):
        read_yaml(tmp_path)


def test_bytes_that_are_no_text_are_no_config(tmp_path: Path) -> None:
    path = written(tmp_path, b"name: \xff\xfe")
    with pytest.raises(ConfigError, match=re.escape(f"{path} cannot be read as a config: it is not UTF-8 text")):
        read_yaml(path)


def test_text_that_is_no_yaml_is_told_with_its_line_in_one_line(tmp_path: Path) -> None:
    path = written(tmp_path, "name: a\nlens: [1")
    with pytest.raises(ConfigError, match=re.escape(f"{path} is not valid YAML: ") + ".*line 2") as caught:
        read_yaml(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("content", "got"), [("", "NoneType"), ("- a\n- b\n", "list"), ("just words", "str")])
def test_yaml_that_is_no_mapping_is_refused(tmp_path: Path, content: str, got: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(ConfigError, match=re.escape(f"{path} must hold a mapping of keys to values, got {got}")):
        read_yaml(path)


def test_yaml_that_would_make_objects_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "name: !!python/object/apply:os.getcwd []")
    with pytest.raises(ConfigError, match="is not valid YAML: could not determine a constructor for the tag"):
        read_yaml(path)


def test_a_config_reads_back_from_its_yaml_as_the_same_config(tmp_path: Path) -> None:
    camera = Camera(name="no: #1 'é'", lens=Lens(millimetres=1e-7, filters=("red", "yes", "1")), digital=True)
    path = written(tmp_path, to_yaml(camera))
    assert check(Camera, read_yaml(path), str(path)) == camera


def test_yaml_keeps_the_order_of_the_fields_and_the_letters_of_words() -> None:
    text = to_yaml(Camera(name="Größe", lens=Lens(millimetres=35)))
    assert text == "name: Größe\nlens:\n  millimetres: 35.0\n  filters: []\ndigital: false\n"
