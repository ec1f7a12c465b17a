"""Open the encoder at an address."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from talkies.core import ConfigError, Modality, path_to_text, suggest_nearest
from talkies.models.address import EncoderAddress
from talkies.models.public.base import PublicTower, TextEncoder
from talkies.models.public.checkpoint import HubCheckpoint, open_checkpoint
from talkies.models.public.families import FAMILIES, TEXT_FAMILIES, find_modalities
from talkies.models.public.record import PublicBase


def open_tower(address: EncoderAddress, modality: Modality) -> PublicTower:
    """Return the encoder of one modality at an address, with the weights that it came with.

    Raises:
        ConfigError: if there is none, it is of another modality, or it cannot be loaded.
    """
    assert address.scheme == "hf", address
    checkpoint = open_checkpoint(address)
    tower = _build_tower(checkpoint, address, modality)
    folder, is_local = checkpoint.folder.absolute(), Path(address.name).expanduser().is_dir()
    return replace(
        tower,
        folder=path_to_text(folder) if is_local else "",
        revision=folder.name if not is_local and folder.parent.name == "snapshots" else "",
    )


def build_described_tower(base: PublicBase, modality: Modality, weights: Path | None = None) -> PublicTower:
    """Return an encoder that was opened before, without looking for it at its address.

    Args:
        base: what was kept about it.
        modality: what it encodes.
        weights: a folder with its weights; None: they are random, and are to be replaced.

    Raises:
        ConfigError: if its files do not describe a network, or the weights are of another one.
    """
    address = EncoderAddress.parse(base.address)
    with TemporaryDirectory(prefix="talkies-") as name:
        for file, text in base.files.items():
            (Path(name) / Path(file).name).write_text(text, encoding="utf-8")
        found = open_checkpoint(EncoderAddress("hf", name))
        checkpoint = replace(found, address=base.address, weights=weights, is_described=weights is None)
        tower = _build_tower(checkpoint, address, modality)
    tower.encoder.base = base
    return replace(
        tower,
        folder=base.folder,
        revision=base.revision,
        weights_stamp=base.stamp,
        license=base.license,
        files=dict(base.files),
        text_address=base.text_address,
    )


def _build_tower(checkpoint: HubCheckpoint, address: EncoderAddress, modality: Modality) -> PublicTower:
    """Return the encoder of one modality of a checkpoint."""
    known = find_modalities(checkpoint.model_type)
    if not known:
        names = sorted({name for name, _ in FAMILIES})
        raise ConfigError(
            f"{address} is of the architecture '{checkpoint.model_type}', which talkies does not know"
            f"{suggest_nearest(checkpoint.model_type, names)}; it knows: {', '.join(names)}"
        )
    if modality not in known:
        raise ConfigError(f"{address} encodes {' and '.join(known)}, not {modality}; name it for {known[0]}")
    tower = FAMILIES[checkpoint.model_type, modality](checkpoint)
    return replace(tower, whole=checkpoint.loaded[0] if checkpoint.loaded else None)


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
