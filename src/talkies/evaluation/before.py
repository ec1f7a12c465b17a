"""The public encoders that a run came from: what its towers were before they were adapted."""

from dataclasses import dataclass
from pathlib import Path

from talkies.config import check, read_yaml
from talkies.core import ConfigError
from talkies.models import ModelConfig, is_address
from talkies.runs import ClipEncoder, RunFolder, is_exported_model, load_model, read_exported_model
from talkies.transforms import ClipTransform

BEFORE = "public encoder"
"""The name of the baseline in results."""


@dataclass(frozen=True, slots=True)
class Before:
    """The public encoders that a run came from, or the reason why they are not measured; neither for other models."""

    encoder: ClipEncoder | None = None
    reason: str = ""


def find_before(encoder: ClipEncoder) -> Before:
    """Return the public encoders that a model's towers came from, with its clips and the films of its profile.

    Args:
        encoder: a run's encoders, or an exported model's.
    """
    address = None if encoder.is_public else find_base_address(Path(encoder.run))
    if address is None:
        return Before()
    try:
        before = load_model(address, profile=encoder.profile)
    except ConfigError as error:
        return Before(reason=f"{address} cannot be loaded: {error}")
    # The same protocol: the run's clips, and not those that public encoders usually take.
    model, rate_hz = before.model, encoder.profile.audio_rate_hz
    transform = ClipTransform(
        encoder.transforms, rate_hz, model.video_input, model.audio_input, audio_seconds=encoder.clip.audio_seconds
    )
    same_clips = ClipEncoder(
        model,
        transform,
        clip=encoder.clip,
        profile=encoder.profile,
        stamp=before.stamp,
        run=before.run,
        step=before.step,
        joint=before.joint,
        texts=before.texts,
        license=before.license,
        precision=encoder.precision,
    )
    return Before(same_clips)


def find_base_address(folder: Path) -> str | None:
    """Return the address of the public encoders that the towers of a run or exported model came from, if any did."""
    if is_exported_model(folder):
        config = read_exported_model(folder).model
    else:
        path = RunFolder(folder).config_path
        config = check(ModelConfig, read_yaml(path).get("model", {}), str(path))
    towers = (("video", config.video), ("audio", config.audio))
    return ",".join(f"{modality}={name}" for modality, name in towers if is_address(name)) or None
