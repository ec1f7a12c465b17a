"""The public encoders that a run began with: found again, and checked to be the same."""

from collections.abc import Mapping
from pathlib import Path

from talkies.core import ConfigError, Modality, RunError
from talkies.models import AdaptationConfig, EncoderAddress
from talkies.models.public import PublicBase, PublicTower, build_described_tower, describe_base, open_tower


def open_bases(
    bases: Mapping[Modality, PublicBase], adaptation: AdaptationConfig, run: Path, *, needs_weights: bool = False
) -> dict[Modality, PublicTower]:
    """Return the public encoders of a run, as they were before it was trained.

    Where all weights were trained the run has them all, and the encoder is built from its description alone.

    Args:
        bases: what the run keeps about them.
        adaptation: what of each tower was trained.
        run: the run's folder, for messages.
        needs_weights: whether the weights that they came with are needed in any case.

    Raises:
        RunError: if one cannot be opened, or has other weights now.
    """
    towers: dict[Modality, PublicTower] = {}
    for modality, base in bases.items():
        is_complete = adaptation.of(modality).train == "all" and base.address.startswith("hf:")
        if is_complete and not needs_weights:
            towers[modality] = build_described_tower(base, modality)
        else:
            towers[modality] = _open_same(base, modality, run)
    return towers


def _open_same(base: PublicBase, modality: Modality, run: Path) -> PublicTower:
    """Return the encoder of a base, with the weights that it had."""
    address = EncoderAddress.parse(base.address)
    if base.revision:
        address = EncoderAddress(address.scheme, address.name, base.revision)
    elif base.folder and Path(base.folder).is_dir():  # the address may be relative to another folder
        address = EncoderAddress(address.scheme, base.folder)

    remedy = f"put the former ones back{f' in {base.folder}' if base.folder else ''}, or load an export of the run"
    revision = f", revision {base.revision}" if base.revision else ""
    try:
        tower = open_tower(address, modality)
    except ConfigError as error:
        raise RunError(
            f"{run} keeps only what it learnt beside the weights of {base.address} ({base.stamp}{revision}), and they "
            f"are gone: {error}. To load the run, {remedy}"
        ) from error
    stamp = describe_base(tower, base.address).stamp
    if stamp != base.stamp:
        raise RunError(
            f"{run} keeps only what it learnt beside the weights of {base.address} ({base.stamp}{revision}), and those "
            f"there now are others ({stamp}); {remedy}"
        )
    tower.encoder.base = base.model_copy(update={"text_address": tower.text_address})
    return tower
