"""Load the encoders of a run, of an exported model, or at the address of public ones."""

from pathlib import Path

from talkies.clips import ClipConfig
from talkies.config import check, read_yaml
from talkies.core import MODALITIES, RunError
from talkies.library import Profile
from talkies.models import AdaptationConfig, build_model, load_learnt, set_layout
from talkies.runs.address_encoder import is_model_address, load_address
from talkies.runs.clip_encoder import ClipEncoder, make_transform
from talkies.runs.computation import read_computation
from talkies.runs.exported_model import (
    DESCRIPTION,
    check_step,
    is_exported_model,
    open_exported_towers,
    read_exported_model,
    read_exported_weights,
)
from talkies.runs.run_folder import RunFolder
from talkies.runs.run_model import RunModel, load_run_model
from talkies.runs.texts import TextSpace, find_text_spaces
from talkies.runs.trust import check_trust
from talkies.transforms import TransformConfig


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
    if is_exported_model(path):
        return _load_exported_model(path, step, trust_code=trust_code)
    return build_run_encoder(load_run_model(path, step, trust_code=trust_code))


def build_run_encoder(loaded: RunModel) -> ClipEncoder:
    """Return the encoders of a run's model, ready for clips."""
    folder, model = RunFolder(loaded.run), loaded.model
    values, where = read_yaml(folder.config_path), str(folder.config_path)
    clip = check(ClipConfig, values.get("clip", {}), where)
    transforms = check(TransformConfig, values.get("transforms", {}), where)
    profile = Profile.model_validate(folder.read_record().profile)
    texts = find_text_spaces(model, loaded.adaptation)
    computation = read_computation(values, where)
    set_layout(model, channels_last=computation.channels_last)
    return ClipEncoder(
        model,
        make_transform(model, transforms, profile, clip),
        clip=clip,
        profile=profile,
        stamp=loaded.checkpoint.read_state().stamp,
        run=loaded.run,
        step=loaded.checkpoint.step,
        texts=texts.spaces,
        moved=texts.moved,
        precision=computation.to_precision(),
    )


def _load_exported_model(folder: Path, step: int | None, *, trust_code: bool) -> ClipEncoder:
    exported = read_exported_model(folder)
    check_step(folder, exported, step)
    check_trust((exported.model.video, exported.model.audio), folder, trust_code=trust_code)
    weights = read_exported_weights(folder, exported)
    towers = open_exported_towers(folder, exported)
    # Adapters are merged into the weights, so only which head it is depends on how it was trained.
    adaptation = AdaptationConfig.model_validate(
        {modality: {"train": "none" if exported.has_native_head(modality) else "all"} for modality in MODALITIES}
    )
    try:
        model = build_model(exported.model, adaptation, towers)
        load_learnt(model, weights, exported.towers)
    except RuntimeError as error:
        raise RunError(f"the weights in {folder} are not of the model in its config.json") from error
    computation = read_computation(exported.recipe, str(folder / DESCRIPTION))
    set_layout(model, channels_last=computation.channels_last)
    return ClipEncoder(
        model,
        make_transform(model, exported.transforms, exported.profile, exported.clip),
        clip=exported.clip,
        profile=exported.profile,
        stamp=exported.stamp,
        run=folder,
        step=exported.step,
        texts={modality: TextSpace(text.address, text.modality) for modality, text in exported.texts.items()},
        moved=exported.moved,
        precision=computation.to_precision(),
    )
