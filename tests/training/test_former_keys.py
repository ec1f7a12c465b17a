"""Configs with keys of former versions are still read, with one line of warning for each."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from talkies.core import ConfigError
from talkies.library import Library
from talkies.training import PretrainReport, Progress, RunConfig, pretrain, resolve

Config = Callable[..., RunConfig]
NO_EFFECT = "'training.cpu_convolutions' is ignored: it has no effect; PyTorch computes all convolutions"
RENAMED = "'optimiser.longest_gradient' is now called 'optimiser.max_grad_norm'; use the new name"


class StopError(Exception):
    """What stops a run in these tests."""


def stop_after_four_steps(done: int) -> None:
    if done == 4:
        raise StopError


def write_with_former_keys(config: RunConfig, path: Path) -> None:
    """Write a config as a former version of talkies did."""
    values = config.model_dump(mode="json")
    values["training"]["cpu_convolutions"] = "winograd"
    values["optimiser"]["longest_gradient"] = values["optimiser"].pop("max_grad_norm")
    path.write_text(yaml.safe_dump(values))


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_recipe_with_former_keys_is_read_with_a_line_for_each(
    small: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config, path = small("optimiser.max_grad_norm=0.5"), tmp_path / "recipe.yaml"
    write_with_former_keys(config, path)
    assert resolve(str(path)) == config
    assert sorted(warnings_in(caplog)) == sorted([f"recipe {path}: {NO_EFFECT}", f"recipe {path}: {RENAMED}"])


def test_former_keys_in_set_are_read_with_a_line_for_each(small: Config, caplog: pytest.LogCaptureFixture) -> None:
    config = small("training.cpu_convolutions=winograd", "optimiser.longest_gradient=0.5")
    assert config == small("optimiser.max_grad_norm=0.5")
    assert warnings_in(caplog) == [f"--set: {NO_EFFECT}", f"--set: {RENAMED}"]


def test_both_names_of_a_key_are_refused(small: Config) -> None:
    with pytest.raises(ConfigError, match=r"'optimiser\.longest_gradient'.*'optimiser\.max_grad_norm'"):
        small("optimiser.max_grad_norm=0.5", "optimiser.longest_gradient=0.5")


def test_a_run_of_a_former_version_is_resumed(
    library: Library, small: Config, whole_run: PretrainReport, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(StopError):
        pretrain(library.root, small(), tmp_path / "run", progress=Progress(on_step=stop_after_four_steps))
    former = Path(shutil.copytree(tmp_path / "run", tmp_path / "former"))
    write_with_former_keys(small(), former / "config.yaml")
    report = pretrain(library.root, small(), former, resume=True)
    assert report.stamp == whole_run.stamp
    path = former / "config.yaml"
    assert sorted(warnings_in(caplog)) == sorted([f"{path}: {NO_EFFECT}", f"{path}: {RENAMED}"])
    assert "cpu_convolutions" not in path.read_text()
