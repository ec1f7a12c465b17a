"""The architectures of transformers that talkies knows, by the `model_type` of their config and by modality."""

from collections.abc import Callable, Mapping

from talkies.core import MODALITIES, Modality
from talkies.models.public.base import PublicTower, TextEncoder
from talkies.models.public.checkpoint import HubCheckpoint
from talkies.models.public.clap import ClapText, build_clap
from talkies.models.public.contrastive import (
    ClipText,
    SiglipText,
    build_clip_video,
    build_siglip2_video,
    build_siglip_video,
)
from talkies.models.public.images import (
    build_convnext,
    build_dinov2,
    build_dinov3_convnext,
    build_dinov3_vit,
    build_vit,
)
from talkies.models.public.pe_av import PeText, build_pe_audio, build_pe_video
from talkies.models.public.spectrogram import build_ast, build_whisper
from talkies.models.public.video import build_timesformer, build_videomae, build_vivit, build_vjepa2
from talkies.models.public.waveform import build_hubert, build_wav2vec2, build_wavlm

FAMILIES: Mapping[tuple[str, Modality], Callable[[HubCheckpoint], PublicTower]] = {
    ("videomae", "video"): build_videomae,
    ("timesformer", "video"): build_timesformer,
    ("vivit", "video"): build_vivit,
    ("vjepa2", "video"): build_vjepa2,
    ("clip", "video"): build_clip_video,
    ("clip_vision_model", "video"): build_clip_video,
    ("siglip", "video"): build_siglip_video,
    ("siglip_vision_model", "video"): build_siglip_video,
    ("siglip2", "video"): build_siglip2_video,
    ("siglip2_vision_model", "video"): build_siglip2_video,
    ("dinov2", "video"): build_dinov2,
    ("dinov2_with_registers", "video"): build_dinov2,
    ("dinov3_vit", "video"): build_dinov3_vit,
    ("dinov3_convnext", "video"): build_dinov3_convnext,
    ("vit", "video"): build_vit,
    ("convnext", "video"): build_convnext,
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
    "siglip": SiglipText,
    "siglip2": SiglipText,
    "clap": ClapText,
    "pe_audio_video": PeText,
    "pe_audio": PeText,
    "pe_video": PeText,
}


def find_modalities(model_type: str) -> tuple[Modality, ...]:
    """Return the modalities that an architecture can encode; none if it is not known."""
    return tuple(modality for modality in MODALITIES if (model_type, modality) in FAMILIES)
