"""All that the features of a frozen tower depend on, as a document and a short hash of it."""

import json
from hashlib import blake2b
from typing import Any

from torch import nn

from talkies.clips import TrainingClips
from talkies.core import FilmId, Modality
from talkies.library import Library
from talkies.models import Encoder, compute_model_stamp
from talkies.models.public import PublicEncoder
from talkies.training.config import RunConfig

_VERSION = 1  # raise it when a change of talkies changes features
_ANY = ("transformers_version", "_name_or_path", "dtype", "torch_dtype")  # of a network's config, without effect


def describe_space(encoder: Encoder, modality: Modality, config: RunConfig, clips: TrainingClips) -> dict[str, Any]:
    """Return all that the features of one tower depend on, beside the film, the moment and the view."""
    transforms = config.transforms.video if modality == "video" else config.transforms.audio
    is_augmented = bool(config.adaptation.views)
    shape = clips.source.shape
    window = shape.window_frames
    moment = [shape.frames, shape.stride, window] if modality == "video" else [shape.audio_frames, window]
    return {
        "schema_version": _VERSION,
        "modality": modality,
        "encoder": encoder.address if isinstance(encoder, PublicEncoder) else type(encoder).__name__,
        "weights": compute_model_stamp(get_frozen_part(encoder)),
        "base": getattr(getattr(encoder, "base", None), "stamp", None),  # of networks whose weights are not PyTorch's
        "network": _describe_network(encoder),
        "input": repr(encoder.input),
        "transforms": transforms.model_dump(mode="json") if is_augmented or encoder.input is None else None,
        "is_augmented": is_augmented,
        "moment_frames": moment,
        "profile": clips.profile.model_dump(mode="json"),
        "precision": config.training.precision,
        "shape": list(find_feature_shape(encoder, config)),
    }


def name_space(space: dict[str, Any]) -> str:
    """Return the name of the folder for features that depend on this."""
    # Where the same weights lie, and what they are called there, makes no difference.
    content = {key: value for key, value in space.items() if key != "encoder"}
    digest = blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=6)
    return f"{space['modality']}-{digest.hexdigest()}"


def name_film(library: Library, film_id: FilmId) -> str:
    """Return the name of a film's folder: its id, and digits that change when it is ingested again."""
    record = library.film_file(film_id, "film.json").read_bytes()
    return f"{film_id}-{blake2b(record, digest_size=4).hexdigest()}"


def find_feature_shape(encoder: Encoder, config: RunConfig) -> tuple[int, ...]:
    """Return the shape of the features of one clip before the layers that are trained."""
    has_pool = getattr(encoder, "pool", None) is not None and isinstance(encoder, PublicEncoder)
    return (config.clip.frames, encoder.out_dim) if has_pool else (encoder.out_dim,)


def get_frozen_part(encoder: Encoder) -> nn.Module:
    """Return the part of an encoder that makes its features, without new layers after it."""
    if isinstance(encoder, PublicEncoder):
        network: nn.Module = encoder.network
        return network
    return encoder


def is_frozen(encoder: Encoder) -> bool:
    """Return whether nothing of what makes an encoder's features is trained."""
    return not any(parameter.requires_grad for parameter in get_frozen_part(encoder).parameters())


def _describe_network(encoder: Encoder) -> dict[str, Any] | None:
    """Return the config of a public network: the same weights may be used differently."""
    config: Any = getattr(getattr(encoder, "network", None), "config", None)
    if not hasattr(config, "to_dict"):
        return None
    values: dict[str, Any] = json.loads(json.dumps(config.to_dict(), default=str))
    return {key: value for key, value in values.items() if key not in _ANY}
