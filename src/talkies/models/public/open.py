"""Open the encoder at an address."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from talkies.core import ConfigError, Modality, path_to_text, suggest_nearest
from talkies.models.address import EncoderAddress, Scheme
from talkies.models.public.base import PublicTower, TextEncoder
from talkies.models.public.checkpoint import HubCheckpoint, open_checkpoint
from talkies.models.public.families import FAMILIES, TEXT_FAMILIES, find_modalities
from talkies.models.public.modules import open_module
from talkies.models.public.onnx_models import find_onnx_modality, open_onnx
from talkies.models.public.record import PublicBase
from talkies.models.public.timm_models import open_timm

_OTHERS: Mapping[Scheme | None, Callable[[EncoderAddress], PublicTower]] = {
    "timm": open_timm,
    "onnx": open_onnx,
    "python": open_module,
    None: open_module,
}
WORDS_REMEDY = "words need a model such as CLIP or SigLIP (pictures), CLAP (sounds) or PE-AV (both)"


def open_tower(address: EncoderAddress, modality: Modality) -> PublicTower:
    """Return the encoder of one modality at an address, with the weights that it came with.

    Raises:
        ConfigError: if there is none, it is of another modality, or it cannot be loaded.
    """
    if address.scheme == "hf":
        checkpoint = open_checkpoint(address)
        folder, is_local = checkpoint.folder.absolute(), Path(address.name).expanduser().is_dir()
        return replace(
            _build_tower(checkpoint, address, modality),
            folder=path_to_text(folder) if is_local else "",
            revision=folder.name if not is_local and folder.parent.name == "snapshots" else "",
        )
    tower = _OTHERS[address.scheme](address)
    _check_modality(address, modality, (tower.encoder.modality,))
    return tower


def build_described_tower(base: PublicBase, modality: Modality, weights: Path | None = None) -> PublicTower:
    """Return an encoder of transformers that was opened before, without looking for it at its address.

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
        checkpoint = replace(
            found, address=base.address, weights=weights, is_described=weights is None, has=dict(base.has)
        )
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
    """Return the encoder of one modality of a checkpoint of transformers."""
    _check_modality(address, modality, _find_known_modalities(address, checkpoint))
    tower = FAMILIES[checkpoint.model_type, modality](checkpoint)
    whole = checkpoint.loaded[0] if checkpoint.loaded else None
    return replace(tower, whole=whole, is_described=checkpoint.is_described, has=dict(checkpoint.has))


def list_modalities(address: EncoderAddress) -> tuple[Modality, ...]:
    """Return the modalities that the model at an address can encode.

    Raises:
        ConfigError: if there is no such model, or its architecture is not known.
    """
    if address.scheme == "hf":
        return _find_known_modalities(address, open_checkpoint(address))
    if address.scheme == "timm":
        return ("video",)
    if address.scheme == "onnx":
        return (find_onnx_modality(address),)
    return (open_module(address).encoder.modality,)


def open_text(address: EncoderAddress) -> TextEncoder:
    """Return the text encoder of the model at an address.

    Raises:
        ConfigError: if it has none, or it cannot be loaded.
    """
    checkpoint = open_checkpoint(address) if address.scheme == "hf" else None
    if checkpoint is None or checkpoint.model_type not in TEXT_FAMILIES:
        raise ConfigError(f"{address} has no text encoder; {WORDS_REMEDY}")
    return TEXT_FAMILIES[checkpoint.model_type](checkpoint)


def _find_known_modalities(address: EncoderAddress, checkpoint: HubCheckpoint) -> tuple[Modality, ...]:
    known = find_modalities(checkpoint.model_type)
    if known:
        return known
    names = sorted({name for name, _ in FAMILIES})
    if checkpoint.is_text_model():
        raise ConfigError(
            f"{address} encodes text ('{checkpoint.model_type}'), and a tower encodes pictures or sound; {WORDS_REMEDY}"
        )
    raise ConfigError(
        f"{address} is of the architecture '{checkpoint.model_type}', which talkies does not know"
        f"{suggest_nearest(checkpoint.model_type, names)}; it knows: {', '.join(names)}"
    )


def _check_modality(address: EncoderAddress, modality: Modality, known: tuple[Modality, ...]) -> None:
    if modality not in known:
        raise ConfigError(
            f"{address} encodes {' and '.join(known)}, not {modality}; name it as {known[0]}={address}, or another for "
            f"{modality}"
        )
