"""Load the encoders of a run, of an exported model, or at the address of public ones."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from talkies.clips import ClipConfig
from talkies.config import check, read_yaml
from talkies.core import RunError
from talkies.library import Profile
from talkies.models import AdaptationConfig, ModelConfig, TwoTower, build_model
from talkies.runs.address_encoder import is_model_address, load_address
from talkies.runs.checkpoint import select_model_weights
from talkies.runs.clip_encoder import ClipEncoder
from talkies.runs.exported_model import check_step, is_exported_model, read_exported_model, read_exported_weights
from talkies.runs.run_folder import RunFolder
from talkies.runs.trust import check_trust
from talkies.transforms import ClipTransform, TransformConfig


def load_encoder(
    path: str | Path, step: int | None = None, *, profile: Profile | None = None, trust_code: bool = False
) -> ClipEncoder:
    """Return the encoders of a run's checkpoint, of an exported model, or at the address of public ones.

    Args:
        path: The folder of a run or of an exported model, or an address: `hf:…`, or `video=ADDRESS,audio=ADDRESS`.
        step: The checkpoint's step (0: the untrained model); None takes the newest.
        profile: The profile of the library that public encoders are to encode; None: the smallest that they need.
        trust_code: Whether to run the code that a run names (an encoder `python:MODULE:FUNCTION`). An address given
            here is trusted.

    Raises:
        RunError: if there is no such run, checkpoint or exported model, or it is damaged.
        ConfigError: if public encoders cannot be loaded.
        LibraryError: if the profile gives less than public encoders need.
    """
    if isinstance(path, str) and is_model_address(path):
        return load_address(path, profile)
    path = Path(path)
    load = _load_exported_model if is_exported_model(path) else _load_run
    return load(path, step, trust_code=trust_code)


def _load_run(run: Path, step: int | None, *, trust_code: bool) -> ClipEncoder:
    folder = RunFolder(run)
    checkpoint, record = folder.get_checkpoint(step), folder.read_record()
    values, where = read_yaml(folder.config_path), str(folder.config_path)
    clip = check(ClipConfig, values.get("clip", {}), where)
    transforms = check(TransformConfig, values.get("transforms", {}), where)
    config = check(ModelConfig, values.get("model", {}), where)
    adaptation = check(AdaptationConfig, values.get("adaptation", {}), where)
    check_trust((config.video, config.audio), run, trust_code=trust_code)

    weights = select_model_weights(checkpoint.read_encoder_weights())
    model = _build_model(
        config, adaptation, weights, f"the weights in {checkpoint.folder} are not of the model in {where}"
    )
    profile = Profile.model_validate(record.profile)
    return ClipEncoder(
        model,
        ClipTransform(
            transforms,
            profile.audio_rate_hz,
            model.video_input,
            model.audio_input,
            audio_seconds=clip.audio_seconds,
        ),
        clip=clip,
        profile=profile,
        stamp=checkpoint.read_state().stamp,
        run=run,
        step=checkpoint.step,
    )


def _load_exported_model(folder: Path, step: int | None, *, trust_code: bool) -> ClipEncoder:
    exported = read_exported_model(folder)
    check_step(folder, exported, step)
    check_trust((exported.model.video, exported.model.audio), folder, trust_code=trust_code)
    weights = read_exported_weights(folder, exported)
    model = _build_model(
        exported.model, None, weights, f"the weights in {folder} are not of the model in its config.json"
    )
    return ClipEncoder(
        model,
        ClipTransform(
            exported.transforms,
            exported.profile.audio_rate_hz,
            model.video_input,
            model.audio_input,
            audio_seconds=exported.clip.audio_seconds,
        ),
        clip=exported.clip,
        profile=exported.profile,
        stamp=exported.stamp,
        run=folder,
        step=exported.step,
    )


def _build_model(
    config: ModelConfig, adaptation: AdaptationConfig | None, weights: Mapping[str, Tensor], message: str
) -> TwoTower:
    """Return the model of a config with its weights.

    Raises:
        RunError: with `message`, if the weights are of another model.
    """
    model = build_model(config, adaptation)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise RunError(message) from error
    model.video.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # the transform's layout
    return model
