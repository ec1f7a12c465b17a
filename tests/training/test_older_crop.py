"""A run that began when every clip was the middle square goes on with it."""

from collections.abc import Callable
from pathlib import Path

import yaml

from talkies.runs import RunFolder
from talkies.training import RunConfig
from talkies.training.pretrain import _keep_older_crop


def test_a_run_without_the_setting_keeps_the_middle_and_one_with_it_what_it_says(
    two_steps: Callable[..., RunConfig], tmp_path: Path
) -> None:
    config = two_steps("sampling.crop_position=random")
    folder = RunFolder(tmp_path)
    values = config.model_dump(mode="json")
    folder.config_path.write_text(yaml.safe_dump(values))
    assert _keep_older_crop(config, folder) == config
    del values["sampling"]["crop_position"]
    folder.config_path.write_text(yaml.safe_dump(values))
    assert _keep_older_crop(config, folder).sampling.crop_position == "centre"
