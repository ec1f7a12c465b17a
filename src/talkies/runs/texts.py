"""Which text encoder goes with the embeddings of a model, and why there may be none."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from talkies.core import Modality

_NAMES = {"video": "pictures", "audio": "sounds"}


@dataclass(frozen=True, slots=True)
class TextSpace:
    """A text encoder: its address, and the modality of its own model whose space it shares."""

    address: str
    modality: Modality


def explain_no_words(model: str | Path, modality: Modality, others: Sequence[Modality]) -> str:
    """Return the sentence that says that words do not meet a modality of a model, and what would."""
    if others:
        return (
            f"the {_NAMES[modality]} of {model} cannot be searched by words; its {_NAMES[others[0]]} can: use --to "
            f"{others[0]}"
        )
    return (
        f"the {_NAMES[modality]} of {model} cannot be searched by words, because it has no text encoder in their "
        "space; embed the library with a model that has one, such as "
        "CLIP or SigLIP (pictures), CLAP (sounds) or PE-AV (both), or train with such an encoder locked "
        "(adaptation.video.train=none)"
    )
