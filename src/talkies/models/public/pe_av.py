"""PE-AV: pictures, sounds and their descriptions in one space (Vyas et al. 2025, arXiv:2512.19687).

Shapes: `B` clips, `T` frames, `C H W` pictures, `S` samples, `E` features, `N` texts, `D` embedding.
"""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from talkies.core import ConfigError, Modality
from talkies.models.public.base import PublicEncoder, PublicTower, TextEncoder, silence_dropout
from talkies.models.public.checkpoint import HubCheckpoint
from talkies.models.public.preprocessing import read_processor, read_video_input
from talkies.models.public.sound_inputs import read_pe_audio_input
from talkies.models.public.video import name_layers
from talkies.models.public.weights import load_weights

_SIZE = 336
_USUAL_FRAMES, _USUAL_FPS = 16, 2.0
_TIMM = "timm_wrapper"

# What precedes the names of a part's weights, by the `model_type` of the checkpoint. The whole model saves what it uses
# twice under one of two names.
_AUDIO = {
    "pe_audio_video": ("audio_model.audio_encoder.", "audio_video_encoder.embedder.audio_encoder."),
    "pe_audio": ("audio_encoder.",),
}
_VIDEO = {
    "pe_audio_video": ("video_model.video_encoder.", "audio_video_encoder.embedder.video_encoder."),
    "pe_video": ("video_encoder.",),
}
_TEXT = {
    "pe_audio_video": ("text_model.", "audio_model.text_model.", "video_model.text_model."),
    "pe_audio": ("text_model.",),
    "pe_video": ("text_model.",),
}
_MODELS: Mapping[str, Mapping[Modality, str]] = {  # where the heads of a modality are
    "pe_audio_video": {"video": "video_model.", "audio": "audio_model."},
    "pe_audio": {"audio": ""},
    "pe_video": {"video": ""},
}


class PeAudio(PublicEncoder):
    """PE-AV's sound encoder: a codec's convolutions, and a transformer whose class token is the feature.

    The codec runs without a gradient in every use of it, so it is frozen.
    """

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return the embedders and the layers."""
        return name_layers((self.network.embedder, self.network.patch_embedder), self.network.layers)

    def extract(self, x: Tensor) -> Tensor:
        """Return features `[B, E]` of samples `[B, 1, S]`."""
        features_BE: Tensor = self.network(input_values=x).pooler_output
        return features_BE


class PeVideo(PublicEncoder):
    """PE-AV's video encoder: an image encoder frame by frame, and a transformer whose class token is the feature."""

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return the embedders, the image encoder among them, and the layers over time."""
        return name_layers((self.network.embedder, self.network.patch_embedder), self.network.layers)

    def extract(self, x: Tensor) -> Tensor:
        """Return features `[B, E]` of video `[B, 3, T, H, W]`."""
        features_BE: Tensor = self.network(pixel_values_videos=x.transpose(1, 2).contiguous()).pooler_output
        return features_BE


def build_pe_audio(checkpoint: HubCheckpoint) -> PublicTower:
    """Return the sound encoder of a PE-AV checkpoint, with its projection."""
    from transformers.models.pe_audio.modeling_pe_audio import PeAudioContrastiveHead, PeAudioEncoder

    config = _read_config(checkpoint, "audio_config")
    part = config.audio_config
    with torch.random.fork_rng(devices=[]):  # the weights that are drawn are replaced
        network: Any = PeAudioEncoder(part)
        head = PeAudioContrastiveHead(part.hidden_size, config.text_config.hidden_size)
    load_weights(checkpoint, network, _AUDIO[checkpoint.model_type])
    load_weights(checkpoint, head, [_MODELS[checkpoint.model_type]["audio"] + "audio_head."])
    for module in (network.embedder.dac_encoder, network.embedder.bottleneck):
        module.requires_grad_(False)
    input_ = read_pe_audio_input(checkpoint)
    encoder = PeAudio(network, "audio", input_, part.hidden_size, checkpoint.address)
    return _make_tower(encoder, head, config.text_config.hidden_size, checkpoint)


def build_pe_video(checkpoint: HubCheckpoint) -> PublicTower:
    """Return the video encoder of a PE-AV checkpoint, with its projection.

    Raises:
        ConfigError: if its image encoder needs timm, which is not installed.
    """
    from transformers.models.pe_video.modeling_pe_video import PeVideoContrastiveHead, PeVideoEncoder

    config = _read_config(checkpoint, "video_config")
    part = config.video_config
    if part.vision_config.model_type == _TIMM and find_spec("timm") is None:
        raise ConfigError(
            f"the pictures of {checkpoint.address} need timm, which is not installed; install it with: pip install timm"
        )
    with torch.random.fork_rng(devices=[]):
        network: Any = PeVideoEncoder(part)
        head = PeVideoContrastiveHead(part.hidden_size, config.text_config.hidden_size)
    load_weights(checkpoint, network, _VIDEO[checkpoint.model_type])
    load_weights(checkpoint, head, [_MODELS[checkpoint.model_type]["video"] + "video_head."])
    processor = read_processor(checkpoint)
    input_ = read_video_input(
        checkpoint,
        processor.get("size") or _SIZE,
        any_size=True,
        frames=processor.get("num_frames"),
        usual_frames=_USUAL_FRAMES,
        usual_fps=_USUAL_FPS,
    )
    encoder = PeVideo(network, "video", input_, part.hidden_size, checkpoint.address)
    return _make_tower(encoder, head, config.text_config.hidden_size, checkpoint)


class PeText(TextEncoder):
    """The text encoder of PE-AV, with a projection of its own for each modality."""

    def __init__(self, checkpoint: HubCheckpoint) -> None:
        """Load the tokenizer, the encoder and its projections."""
        from transformers import AutoModel
        from transformers.models.pe_audio.modeling_pe_audio import PeAudioContrastiveHead

        self._tokenizer = checkpoint.load_tokenizer()
        config = _read_config(checkpoint)
        width = config.text_config.hidden_size
        self._heads: dict[Modality, nn.Module] = {}
        with torch.random.fork_rng(devices=[]):
            build: Any = AutoModel.from_config  # its library does not annotate it
            self._network = build(config.text_config).eval()
            for modality in _MODELS[checkpoint.model_type]:
                self._heads[modality] = PeAudioContrastiveHead(width, width).eval()  # the same for both
        self.modalities = tuple(self._heads)
        load_weights(checkpoint, self._network, _TEXT[checkpoint.model_type])
        for modality, prefix in _MODELS[checkpoint.model_type].items():
            load_weights(checkpoint, self._heads[modality], [f"{prefix}text_{modality}_head."])

    @torch.inference_mode()
    def encode(self, texts: Sequence[str], modality: Modality) -> Tensor:
        """Return embeddings of texts as unit vectors, float32 `[N, D]`, for comparison with a modality."""
        tokens = self._tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
        output = self._network(
            input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"], output_hidden_states=True
        )
        return normalize(self._heads[modality](output.hidden_states[-1][:, 0]).float(), dim=1)


def _read_config(checkpoint: HubCheckpoint, side: str | None = None) -> Any:
    """Return the config of transformers, of the whole model or of one side; its image encoder is the one it names."""
    from transformers import CONFIG_MAPPING

    config = CONFIG_MAPPING[checkpoint.model_type].from_pretrained(checkpoint.folder, local_files_only=True)
    described = checkpoint.config.get("audio_video_config") or checkpoint.config
    vision = dict((described.get("video_config") or {}).get("vision_config") or {})
    named = vision.get("model_type", _TIMM)
    if named != _TIMM:  # transformers takes each for one of timm
        getattr(config, "audio_video_config", config).video_config.vision_config = CONFIG_MAPPING[named](**vision)
    silence_dropout(config)
    return getattr(config, side) if side and checkpoint.model_type == "pe_audio_video" else config


def _make_tower(encoder: PublicEncoder, head: nn.Module, width: int, checkpoint: HubCheckpoint) -> PublicTower:
    has_text = any(checkpoint.has_weights(prefix) for prefix in _TEXT[checkpoint.model_type])
    return PublicTower(
        encoder,
        head,
        width,
        space=checkpoint.address,
        text_address=checkpoint.address if has_text else None,
        license=checkpoint.license,
        files=checkpoint.read_files(),
    )
