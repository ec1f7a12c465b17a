"""A run that began before a setting was there goes on with what held then."""

from collections.abc import Callable
from pathlib import Path

import yaml

from talkies.runs import RunFolder
from talkies.training import RunConfig
from talkies.training.fitting import keep_older_settings


def test_a_run_without_the_setting_keeps_the_middle_and_one_with_it_what_it_says(
    two_steps: Callable[..., RunConfig], tmp_path: Path
) -> None:
    config = two_steps("sampling.crop_position=random")
    folder = RunFolder(tmp_path)
    values = config.model_dump(mode="json")
    folder.config_path.write_text(yaml.safe_dump(values))
    assert keep_older_settings(config, folder) == config
    del values["sampling"]["crop_position"]
    folder.config_path.write_text(yaml.safe_dump(values))
    assert keep_older_settings(config, folder).sampling.crop_position == "centre"


def test_a_run_without_a_rate_of_the_spectrogram_counts_in_samples_of_its_library(
    two_steps: Callable[..., RunConfig], tmp_path: Path
) -> None:
    config, folder = two_steps(), RunFolder(tmp_path)
    assert config.transforms.audio.rate_hz == 16_000
    values = config.model_dump(mode="json")
    folder.config_path.write_text(yaml.safe_dump(values))
    assert keep_older_settings(config, folder) == config
    del values["transforms"]["audio"]["rate_hz"]
    folder.config_path.write_text(yaml.safe_dump(values))
    kept = keep_older_settings(config, folder)
    assert kept.transforms.audio == config.transforms.audio.model_copy(update={"rate_hz": None})
    assert kept.transforms.video == config.transforms.video
