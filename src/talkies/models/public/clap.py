"""CLAP: sounds and their descriptions in one space.

Shapes: `B` clips, `C L F` spectrograms, `E` features, `N` texts, `D` embedding.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from talkies.core import Modality
from talkies.models.public.base import PublicEncoder, PublicTower, TextEncoder
from talkies.models.public.checkpoint import HubCheckpoint
from talkies.models.public.sound_inputs import read_clap_input


class Clap(PublicEncoder):
    """CLAP's sound encoder (Wu et al. 2023, arXiv:2211.06687), a Swin transformer over the spectrogram as a picture.

    Clips are at most as long as it takes, so its fusion of several parts of longer ones is not used, and frozen.
    """

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return the norm, the patch embedding, and the blocks of the four stages with the merging after each."""
        encoder = self.network.audio_encoder
        blocks: list[tuple[str, nn.Module]] = [("stem", encoder.batch_norm), ("stem", encoder.patch_embed)]
        for index, stage in enumerate(encoder.layers):
            modules = [*stage.blocks, *([stage.downsample] if stage.downsample is not None else [])]
            blocks += [(f"layer{1 + index}", module) for module in modules]
        return tuple(blocks)

    def list_final_modules(self) -> tuple[nn.Module, ...]:
        """Return the norm after the last stage."""
        return (self.network.audio_encoder.norm,)

    def extract(self, x: Tensor) -> Tensor:
        """Return features `[B, E]` of spectrograms `[B, C, L, F]`."""
        is_longer = torch.zeros(len(x), 1, dtype=torch.bool, device=x.device)
        features_BE: Tensor = self.network(input_features=x, is_longer=is_longer).pooler_output
        return features_BE


def build_clap(checkpoint: HubCheckpoint) -> PublicTower:
    """Return the sound encoder of a CLAP checkpoint, with its projection."""
    from transformers import ClapAudioModelWithProjection

    network = checkpoint.load(ClapAudioModelWithProjection, partial(_set_projection, checkpoint))
    config = network.config
    patches = network.audio_model.audio_encoder.patch_embed
    for name in ("fusion_model", "mel_conv2d"):
        if hasattr(patches, name):
            getattr(patches, name).requires_grad_(False)
    input_ = read_clap_input(checkpoint, config.num_mel_bins, fused=config.enable_fusion)
    encoder = Clap(network.audio_model, "audio", input_, config.hidden_size, checkpoint.address)
    return PublicTower(
        encoder,
        network.audio_projection,
        config.projection_dim,
        space=checkpoint.address,
        text_address=checkpoint.address if checkpoint.model_type == "clap" else None,
        license=checkpoint.license,
        files=checkpoint.read_files(),
    )


class ClapText(TextEncoder):
    """CLAP's text encoder."""

    modalities = ("audio",)

    def __init__(self, checkpoint: HubCheckpoint) -> None:
        """Load the tokenizer and the encoder of a checkpoint."""
        from transformers import ClapTextModelWithProjection

        self._tokenizer = checkpoint.load_tokenizer()
        self._network = checkpoint.load(ClapTextModelWithProjection, partial(_set_projection, checkpoint)).eval()

    @torch.inference_mode()
    def encode(self, texts: Sequence[str], _modality: Modality) -> Tensor:
        """Return embeddings of texts as unit vectors, float32 `[N, D]`."""
        tokens = self._tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
        output = self._network(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"])
        return normalize(output.text_embeds.float(), dim=1)


def _set_projection(checkpoint: HubCheckpoint, config: Any) -> None:
    """Set what the whole model's config says of the joint space, and its parts' may not."""
    for name in ("projection_dim", "projection_hidden_act"):
        setattr(config, name, checkpoint.config.get(name, getattr(config, name)))
