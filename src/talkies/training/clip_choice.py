"""What a clip is made of where the encoders decide: as many pictures and as much sound as they usually take."""

from pathlib import Path

import torch

from talkies.clips import ClipConfig
from talkies.config import check, read_yaml
from talkies.core import ConfigError
from talkies.library import Library
from talkies.models import build_model
from talkies.runs import RunFolder, choose_clip
from talkies.training.config import RunConfig


def choose_clip_of_encoders(config: RunConfig, library: str | Path) -> RunConfig:
    """Return the config with the clips that its public encoders usually take, if it has `clip.auto`.

    Raises:
        ConfigError: if neither encoder is a public one, or they cannot be loaded.
        LibraryError: if there is no such library.
    """
    if not config.clip.auto:
        return config
    profile = Library.open(library).profile
    with torch.random.fork_rng(devices=[]):
        model = build_model(config.model)
    if model.video_input is None and model.audio_input is None:
        raise ConfigError(
            f"clip.auto takes the clips that public encoders usually take, and {config.model.video} and "
            f"{config.model.audio} are encoders of talkies; set clip.auto=false and give frames, fps and audio_seconds"
        )
    return config.model_copy(update={"clip": choose_clip(model, profile)})


def keep_chosen_clip(config: RunConfig, folder: RunFolder) -> RunConfig:
    """Return the config of a run that is resumed with the clip that was chosen when it began."""
    if not config.clip.auto or not folder.config_path.is_file():
        return config
    saved = read_yaml(folder.config_path).get("clip", {})
    return config.model_copy(update={"clip": check(ClipConfig, saved, str(folder.config_path))})
