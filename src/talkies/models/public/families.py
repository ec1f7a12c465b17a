"""The architectures of transformers that talkies knows, by the `model_type` of their config and by modality."""

from collections.abc import Callable, Mapping

from talkies.core import MODALITIES, Modality
from talkies.models.public.base import PublicTower, TextEncoder
from talkies.models.public.checkpoint import HubCheckpoint
from talkies.models.public.contrastive import ClipText, build_clip_video
from talkies.models.public.video import build_videomae
from talkies.models.public.waveform import build_wav2vec2

FAMILIES: Mapping[tuple[str, Modality], Callable[[HubCheckpoint], PublicTower]] = {
    ("videomae", "video"): build_videomae,
    ("clip", "video"): build_clip_video,
    ("wav2vec2", "audio"): build_wav2vec2,
}
TEXT_FAMILIES: Mapping[str, Callable[[HubCheckpoint], TextEncoder]] = {"clip": ClipText}


def find_modalities(model_type: str) -> tuple[Modality, ...]:
    """Return the modalities that an architecture can encode; none if it is not known."""
    return tuple(modality for modality in MODALITIES if (model_type, modality) in FAMILIES)
