"""Public encoders as they are, without a run: loaded by address, for the films of one profile."""

import math
import re
from dataclasses import dataclass

from torch import nn

from talkies.clips import ClipConfig
from talkies.core import MODALITIES, ConfigError, Modality
from talkies.library import Profile, choose_profile
from talkies.models import EncoderAddress, NoEncoder, TwoTower, compute_model_stamp, is_address
from talkies.models.public import PublicTower, list_modalities, open_tower
from talkies.runs.clip_encoder import ClipEncoder, make_transform
from talkies.runs.needs import check_profile, find_needs
from talkies.runs.texts import TextSpace
from talkies.transforms import TransformConfig, VideoTransformConfig

_ROUNDING = 1e-6  # of products of seconds and frames a second
_PART = re.compile(r"(?:^|,)(video|audio)=")


@dataclass(frozen=True, slots=True)
class ModelAddress:
    """The addresses of a video and an audio encoder; None for a modality without one. `str` can be parsed again."""

    video: EncoderAddress | None
    audio: EncoderAddress | None

    def __str__(self) -> str:
        if self.video == self.audio:
            return str(self.video)
        parts = (("video", self.video), ("audio", self.audio))
        return ",".join(f"{name}={address}" for name, address in parts if address)


def is_model_address(text: str) -> bool:
    """Return whether a text names public encoders, and not the folder of a run."""
    return is_address(text) or any(is_address(part) for part in _PART.split(text)[2::2])


def parse_model_address(text: str) -> ModelAddress:
    """Return the encoders that `ADDRESS`, `video=ADDRESS`, `audio=ADDRESS` or `video=ADDRESS,audio=ADDRESS` names.

    An address alone names the encoders of all modalities that its model has.

    Raises:
        ConfigError: if the text has another form, or an address is wrong.
    """
    before, *parts = _PART.split(text)
    if not parts:
        address = EncoderAddress.parse(text)
        known = list_modalities(address)
        return ModelAddress(*(address if modality in known else None for modality in MODALITIES))
    named = {modality: EncoderAddress.parse(value) for modality, value in zip(parts[::2], parts[1::2], strict=True)}
    if before or len(named) * 2 != len(parts):
        raise ConfigError(f"a model is ADDRESS or video=ADDRESS,audio=ADDRESS, got '{text}'")
    return ModelAddress(named.get("video"), named.get("audio"))


def make_address_absolute(text: str) -> str:
    """Return the address of public encoders with the folders and files in it absolute, as a set of a library keeps it.

    Raises:
        ConfigError: if the text has another form, or an address is wrong.
    """
    return ",".join(f"{name}={address}" if name else address for name, address in _split_absolute(text).items())


def list_addresses(text: str) -> tuple[str, ...]:
    """Return the addresses of the encoders that a text names."""
    return tuple(_split_absolute(text).values())


def is_same_model(text: str, other: str) -> bool:
    """Return whether two texts name the same public encoders; an address alone names all that its model has.

    Raises:
        ConfigError: if a text has another form, or an address is wrong.
    """
    first, second = _split_absolute(text), _split_absolute(other)
    return first == second or ("" in first and {first[""]} == set(second.values()))


def _split_absolute(text: str) -> dict[str, str]:
    """Return the absolute addresses in a text by modality; one that stands alone, or for both, has no name."""
    before, *parts = _PART.split(text)
    if not parts:
        return {"": str(EncoderAddress.parse(text).make_absolute())}
    if before:
        raise ConfigError(f"a model is ADDRESS or video=ADDRESS,audio=ADDRESS, got '{text}'")
    names, values = parts[::2], parts[1::2]
    named = {name: str(EncoderAddress.parse(value).make_absolute()) for name, value in zip(names, values, strict=True)}
    return {"": named["video"]} if len(named) == 2 and named["video"] == named["audio"] else named


def load_address(text: str, profile: Profile | None = None) -> ClipEncoder:
    """Return the public encoders that a text names, for films of a profile.

    Raises:
        ConfigError: if they cannot be loaded.
        LibraryError: if the profile gives less than they need.
    """
    address = parse_model_address(text)
    named: dict[Modality, EncoderAddress | None] = {"video": address.video, "audio": address.audio}
    towers = {modality: open_tower(each, modality) for modality, each in named.items() if each}
    model = _build_model(towers)
    if profile:
        check_profile(model, profile, str(address))
    else:
        profile = choose_profile(find_needs(model))
    size = model.video_input.size if model.video_input else 112
    transforms = TransformConfig(video=VideoTransformConfig(size=size))
    clip = choose_clip(model, profile)
    return ClipEncoder(
        model,
        make_transform(model, transforms, profile, clip),
        clip=clip,
        profile=profile,
        stamp=compute_model_stamp(model),
        run=str(address),
        step=0,
        joint=len({tower.space for tower in towers.values()}) == 1,
        texts={m: TextSpace(tower.text_address, m) for m, tower in towers.items() if tower.text_address},
        license=_join_licenses(towers),
    )


def _join_licenses(towers: dict[Modality, PublicTower]) -> str:
    """Return the licence of the weights; of towers with different ones, each with its modality."""
    licenses = {modality: tower.license for modality, tower in towers.items()}
    if len(set(licenses.values())) == 1:
        return next(iter(licenses.values()))
    return ", ".join(f"{license or 'not stated'} ({modality})" for modality, license in licenses.items())  # noqa: A001


def choose_clip(model: TwoTower, profile: Profile) -> ClipConfig:
    """Return the clips that public encoders usually take, on the grid of a profile."""
    video, audio = model.video_input, model.audio_input
    frames, fps = (video.usual_frames, video.usual_fps) if video else (4, 2.0)
    accepted = [each for each in range(1, profile.fps + 1) if profile.fps % each == 0]
    chosen = min(accepted, key=lambda each: abs(each - fps))
    seconds = audio.usual_seconds if audio else frames / chosen
    whole_frames = max(1, math.floor(seconds * profile.fps + _ROUNDING))
    return ClipConfig(frames=frames, fps=chosen, audio_seconds=whole_frames / profile.fps)


def _build_model(towers: dict[Modality, PublicTower]) -> TwoTower:
    encoders = {m: towers[m].encoder if m in towers else NoEncoder(m) for m in MODALITIES}
    heads = {m: towers[m].native_head if m in towers else nn.Identity() for m in MODALITIES}
    width = max(tower.native_dim for tower in towers.values())
    return TwoTower(
        encoders["video"], encoders["audio"], width, 1, video_head=heads["video"], audio_head=heads["audio"]
    )
