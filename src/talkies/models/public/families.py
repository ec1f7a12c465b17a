"""The architectures of transformers that talkies knows, by the `model_type` of their config and by modality."""

from collections.abc import Callable, Mapping

from talkies.core import MODALITIES, Modality
from talkies.models.public.base import PublicTower, TextEncoder
from talkies.models.public.checkpoint import HubCheckpoint
from talkies.models.public.clap import ClapText, build_clap
from talkies.models.public.contrastive import ClipText, build_clip_video
from talkies.models.public.pe_av import PeText, build_pe_audio, build_pe_video
from talkies.models.public.spectrogram import build_ast, build_whisper
from talkies.models.public.video import build_videomae
from talkies.models.public.waveform import build_hubert, build_wav2vec2, build_wavlm

FAMILIES: Mapping[tuple[str, Modality], Callable[[HubCheckpoint], PublicTower]] = {
    ("videomae", "video"): build_videomae,
    ("clip", "video"): build_clip_video,
    ("wav2vec2", "audio"): build_wav2vec2,
    ("hubert", "audio"): build_hubert,
    ("wavlm", "audio"): build_wavlm,
    ("audio-spectrogram-transformer", "audio"): build_ast,
    ("whisper", "audio"): build_whisper,
    ("clap", "audio"): build_clap,
    ("clap_audio_model", "audio"): build_clap,
    ("pe_audio_video", "video"): build_pe_video,
    ("pe_audio_video", "audio"): build_pe_audio,
    ("pe_audio", "audio"): build_pe_audio,
    ("pe_video", "video"): build_pe_video,
}
TEXT_FAMILIES: Mapping[str, Callable[[HubCheckpoint], TextEncoder]] = {
    "clip": ClipText,
    "clap": ClapText,
    "pe_audio_video": PeText,
    "pe_audio": PeText,
    "pe_video": PeText,
}


def find_modalities(model_type: str) -> tuple[Modality, ...]:
    """Return the modalities that an architecture can encode; none if it is not known."""
    return tuple(modality for modality in MODALITIES if (model_type, modality) in FAMILIES)
