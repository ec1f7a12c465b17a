"""Models that were trained to bring pictures or sounds and their descriptions together: they have a text encoder.

Shapes: `B` clips, `T` frames, `C H W` pictures, `E` features, `N` texts, `D` embedding.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from talkies.core import Modality
from talkies.models.public.base import PublicTower, TextEncoder
from talkies.models.public.checkpoint import HubCheckpoint
from talkies.models.public.frames import FrameEncoder
from talkies.models.public.preprocessing import read_video_input
from talkies.models.public.video import name_layers


class ClipFrames(FrameEncoder):
    """CLIP's image encoder (Radford et al. 2021, arXiv:2103.00020), frame by frame."""

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return the patch embedding and the layers."""
        return name_layers(self.network.embeddings, self.network.encoder.layers)

    def extract_pictures(self, pictures: Tensor) -> Tensor:
        """Return features `[B, E]` of pictures `[B, 3, H, W]`."""
        features_BE: Tensor = self.network(pixel_values=pictures).pooler_output
        return features_BE


def build_clip_video(checkpoint: HubCheckpoint) -> PublicTower:
    """Return the image encoder of a CLIP checkpoint, with its projection."""
    from transformers import CLIPVisionModelWithProjection

    network = checkpoint.load(CLIPVisionModelWithProjection, partial(_set_projection, checkpoint))
    vision, projection = network.vision_model, network.visual_projection
    input_ = read_video_input(checkpoint, network.config.image_size)
    encoder = ClipFrames(vision, "video", input_, network.config.hidden_size, checkpoint.address)
    return PublicTower(
        encoder,
        projection,
        network.config.projection_dim,
        space=checkpoint.address,
        text_address=checkpoint.address,
        license=checkpoint.license,
        files=checkpoint.read_files(),
    )


class ClipText(TextEncoder):
    """CLIP's text encoder."""

    modalities = ("video",)

    def __init__(self, checkpoint: HubCheckpoint) -> None:
        """Load the tokenizer and the encoder of a checkpoint."""
        from transformers import CLIPTextModelWithProjection

        self._tokenizer = checkpoint.load_tokenizer()
        self._network = checkpoint.load(CLIPTextModelWithProjection, partial(_set_projection, checkpoint)).eval()

    @torch.inference_mode()
    def encode(self, texts: Sequence[str], _modality: Modality) -> Tensor:
        """Return embeddings of texts as unit vectors, float32 `[N, D]`."""
        tokens = self._tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
        return normalize(self._network(**tokens).text_embeds.float(), dim=1)


def _set_projection(checkpoint: HubCheckpoint, config: Any) -> None:
    """Set the width of the joint space, which the whole model's config has and its parts' may not."""
    config.projection_dim = checkpoint.config.get("projection_dim", config.projection_dim)
