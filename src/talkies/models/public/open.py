"""Open the encoder at an address."""

from talkies.core import ConfigError, Modality, suggest_nearest
from talkies.models.address import EncoderAddress
from talkies.models.public.base import PublicTower, TextEncoder
from talkies.models.public.checkpoint import open_checkpoint
from talkies.models.public.families import FAMILIES, TEXT_FAMILIES, find_modalities


def open_tower(address: EncoderAddress, modality: Modality) -> PublicTower:
    """Return the encoder of one modality at an address, with the weights that it came with.

    Raises:
        ConfigError: if there is none, it is of another modality, or it cannot be loaded.
    """
    assert address.scheme == "hf", address
    checkpoint = open_checkpoint(address)
    known = find_modalities(checkpoint.model_type)
    if not known:
        names = sorted({name for name, _ in FAMILIES})
        raise ConfigError(
            f"{address} is of the architecture '{checkpoint.model_type}', which talkies does not know"
            f"{suggest_nearest(checkpoint.model_type, names)}; it knows: {', '.join(names)}"
        )
    if modality not in known:
        raise ConfigError(f"{address} encodes {' and '.join(known)}, not {modality}; name it for {known[0]}")
    return FAMILIES[checkpoint.model_type, modality](checkpoint)


def list_modalities(address: EncoderAddress) -> tuple[Modality, ...]:
    """Return the modalities that the model at an address can encode, without loading its weights."""
    return find_modalities(open_checkpoint(address).model_type)


def open_text(address: EncoderAddress) -> TextEncoder:
    """Return the text encoder of the model at an address.

    Raises:
        ConfigError: if it has none, or it cannot be loaded.
    """
    checkpoint = open_checkpoint(address)
    if checkpoint.model_type not in TEXT_FAMILIES:
        raise ConfigError(
            f"{address} has no text encoder; words need a model such as CLIP or SigLIP (pictures), CLAP (sounds) or "
            "PE-AV (both)"
        )
    return TEXT_FAMILIES[checkpoint.model_type](checkpoint)
