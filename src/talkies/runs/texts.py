"""Which text encoder goes with the embeddings of a model, and why there may be none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from talkies.core import MODALITIES, Modality
from talkies.models import AdaptationConfig, Encoder, TwoTower
from talkies.models.public import PublicEncoder

_NAMES = {"video": "pictures", "audio": "sounds"}


@dataclass(frozen=True, slots=True)
class TextSpace:
    """A text encoder: its address, and the modality of its own model whose space it shares."""

    address: str
    modality: Modality


@dataclass(frozen=True, slots=True)
class TextSpaces:
    """The text encoders of a model by the modality that they meet, and why those of the others do not any more."""

    spaces: Mapping[Modality, TextSpace]
    moved: Mapping[Modality, str]


def find_text_spaces(model: TwoTower, adaptation: AdaptationConfig) -> TextSpaces:
    """Return the text encoders whose embeddings can be compared with those of a trained model.

    A tower that was not trained still meets its texts, and so does the other one, which was trained into the same space
    (locked tuning; Zhai et al. 2022, arXiv:2111.07991). A tower that was trained has left the space of its own.
    """
    locked: dict[Modality, TextSpace] = {}
    moved: dict[Modality, str] = {}
    encoders: dict[Modality, Encoder] = {"video": model.video, "audio": model.audio}
    for modality, encoder in encoders.items():
        address = encoder.base.text_address if isinstance(encoder, PublicEncoder) and encoder.base else None
        if address is None:
            continue
        train = adaptation.of(modality).train
        if train == "none":
            locked[modality] = TextSpace(address, modality)
        else:
            moved[modality] = f"{address}, and training moved them (adaptation.{modality}.train = {train})"
    if not locked:
        return TextSpaces({}, moved)
    shared = next(iter(locked.values()))
    return TextSpaces({modality: locked.get(modality, shared) for modality in MODALITIES}, {})


def explain_no_words(
    model: str | Path, modality: Modality, others: Sequence[Modality], moved: Mapping[Modality, str] | None = None
) -> str:
    """Return the sentence that says that words do not meet a modality of a model, and what would."""
    what = f"the {_NAMES[modality]} of {model} cannot be searched by words"
    if others:
        return f"{what}; its {_NAMES[others[0]]} can: use --to {others[0]}"
    if moved and modality in moved:
        return (
            f"{what}: they were in one space with the words of {moved[modality]}; embed the library with that model "
            f"itself, or train a run with this tower locked, so that only the other one moves "
            f"(adaptation.{modality}.train=none)"
        )
    return (
        f"{what}, because it has no text encoder in their space; embed the library with a model that has one, such as "
        "CLIP or SigLIP (pictures), CLAP (sounds) or PE-AV (both), or train with such an encoder locked "
        "(adaptation.video.train=none)"
    )
