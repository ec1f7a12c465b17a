"""Models that were trained to bring pictures and their descriptions together: CLIP and SigLIP, frame by frame.

Shapes: `B` pictures, `C H W` pixels, `N` texts, `E` features, `D` embedding.
"""

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, pixel_unshuffle

from talkies.core import ConfigError, Modality
from talkies.models.public.base import PublicTower, TextEncoder
from talkies.models.public.checkpoint import HubCheckpoint
from talkies.models.public.frames import FrameEncoder
from talkies.models.public.preprocessing import read_processor, read_video_input
from talkies.models.public.video import make_tower, name_layers

_TEXTS_AT_ONCE = 64


class ClipFrames(FrameEncoder):
    """CLIP's image encoder (Radford et al. 2021, arXiv:2103.00020): features are the normalised class token.

    Its projection then brings them to the texts.
    """

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return the patch embedding with its norm, and the layers."""
        network = self.network
        return name_layers([network.embeddings, network.pre_layrnorm], network.encoder.layers)

    def extract_pictures(self, pictures: Tensor) -> Tensor:
        """Return features `[B, E]` of pictures `[B, 3, H, W]`."""
        features_BE: Tensor = self.network(pixel_values=pictures).pooler_output
        return features_BE


class ClipPatchFrames(ClipFrames):
    """CLIP's image encoder, fine-tuned to classify: features are the mean of the patches, as its classifier's."""

    def extract_pictures(self, pictures: Tensor) -> Tensor:
        """Return features `[B, E]` of pictures `[B, 3, H, W]`."""
        tokens_BNE: Tensor = self.network(pixel_values=pictures).last_hidden_state
        return tokens_BNE[:, 1:].mean(1)


class SiglipFrames(FrameEncoder):
    """SigLIP's image encoder (Zhai et al. 2023, arXiv:2303.15343): features are its attention pool's.

    They are compared with texts as they are. SigLIP 2 of a fixed size (Tschannen et al. 2025, arXiv:2502.14786) is the
    same network. Without that pool, as in checkpoints fine-tuned to classify, features are the mean of the patches.
    """

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return the patch embedding and the layers."""
        return name_layers([self.network.embeddings], self.network.encoder.layers)

    def run_network(self, pictures: Tensor) -> Any:
        """Return the output of the network for pictures `[B, 3, H, W]`."""
        return self.network(pixel_values=pictures)

    def extract_pictures(self, pictures: Tensor) -> Tensor:
        """Return features `[B, E]` of pictures `[B, 3, H, W]`."""
        output = self.run_network(pictures)
        features_BE: Tensor = output.pooler_output if self.network.use_head else output.last_hidden_state.mean(1)
        return features_BE


class Siglip2Frames(SiglipFrames):
    """SigLIP 2's image encoder for any aspect (NaFlex; Tschannen et al. 2025, arXiv:2502.14786).

    A square has as many rows of patches as columns; its positions are interpolated to them, as in its official use.
    """

    def run_network(self, pictures: Tensor) -> Any:
        """Return the output of the network for pictures `[B, 3, H, W]`, which are cut into patches first."""
        side = int(self.network.config.patch_size)
        rows, columns = pictures.shape[2] // side, pictures.shape[3] // side
        channels = pictures.shape[1]
        patches_BCPN = pixel_unshuffle(pictures, side).view(len(pictures), channels, side * side, rows * columns)
        patches_BNP = patches_BCPN.permute(0, 3, 2, 1).flatten(2)  # in a patch: rows, columns, then colours
        shapes_B2 = torch.tensor([[rows, columns]], device=pictures.device).expand(len(pictures), 2)
        return self.network(pixel_values=patches_BNP, pixel_attention_mask=None, spatial_shapes=shapes_B2)


def build_clip_video(checkpoint: HubCheckpoint) -> PublicTower:
    """Return the image encoder of a CLIP checkpoint, with its projection if it has one."""
    from transformers import CLIPVisionModel, CLIPVisionModelWithProjection

    if not checkpoint.has_weights("visual_projection."):
        network = checkpoint.load(CLIPVisionModel)
        config = network.config
        input_ = read_video_input(checkpoint, config.image_size)
        frames: type[ClipFrames] = ClipFrames
        if checkpoint.has_weights("classifier."):
            network.post_layernorm = nn.Identity()  # of the class token, which the classifier does not take
            frames = ClipPatchFrames
        return make_tower(frames(network, "video", input_, config.hidden_size, checkpoint.address), checkpoint)

    network = checkpoint.load(CLIPVisionModelWithProjection, partial(_set_projection, checkpoint))
    vision, projection, config = network.vision_model, network.visual_projection, network.config
    input_ = read_video_input(checkpoint, config.image_size)
    encoder = ClipFrames(vision, "video", input_, config.hidden_size, checkpoint.address)
    return _make_text_tower(checkpoint, encoder, projection, config.projection_dim)


def build_siglip_video(checkpoint: HubCheckpoint) -> PublicTower:
    """Return the image encoder of a SigLIP checkpoint, or of a SigLIP 2 checkpoint of a fixed size."""
    from transformers import SiglipVisionModel

    network = checkpoint.load(SiglipVisionModel, partial(_drop_unused_pool, checkpoint))
    config = network.config
    input_ = read_video_input(checkpoint, config.image_size)
    encoder = SiglipFrames(network, "video", input_, config.hidden_size, checkpoint.address)
    return _make_siglip_tower(checkpoint, encoder)


def build_siglip2_video(checkpoint: HubCheckpoint) -> PublicTower:
    """Return the image encoder of a SigLIP 2 checkpoint for any aspect: squares of as many patches as it allows."""
    from transformers import Siglip2VisionModel

    network = checkpoint.load(Siglip2VisionModel, partial(_drop_unused_pool, checkpoint))
    config, values = network.config, read_processor(checkpoint)
    if int(values.get("patch_size", config.patch_size)) != config.patch_size:
        raise ConfigError(
            f"{checkpoint.address} describes patches of {values['patch_size']} pixels, and its network takes "
            f"{config.patch_size}; name a checkpoint whose files belong together"
        )
    side = config.patch_size * math.isqrt(int(values.get("max_num_patches", config.num_patches)))
    input_ = read_video_input(checkpoint, side)
    encoder = Siglip2Frames(network, "video", input_, config.hidden_size, checkpoint.address)
    return _make_siglip_tower(checkpoint, encoder)


class HubTextEncoder(TextEncoder):
    """A text encoder of transformers for pictures, with its tokenizer; texts that are too long are cut."""

    modalities = ("video",)

    def __init__(self, checkpoint: HubCheckpoint) -> None:
        """Load the tokenizer and the encoder of a checkpoint."""
        self._tokenizer = checkpoint.load_tokenizer()
        self.network = self.load_network(checkpoint).eval()

    @abstractmethod
    def load_network(self, checkpoint: HubCheckpoint) -> Any:
        """Return the network."""

    @abstractmethod
    def run_network(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """Return embeddings `[N, D]` of tokenized texts."""

    @abstractmethod
    def prepare(self, text: str) -> str:
        """Return a text as the model was trained on it."""

    padding: str = "longest"

    @torch.inference_mode()
    def encode(self, texts: Sequence[str], _modality: Modality) -> Tensor:
        """Return embeddings of texts as unit vectors, float32 `[N, D]`."""
        length = self.network.config.max_position_embeddings
        options = {"padding": self.padding, "truncation": True, "max_length": length, "return_tensors": "pt"}
        prepared = [self.prepare(text) for text in texts]
        parts = [
            self.run_network(self._tokenizer(prepared[start : start + _TEXTS_AT_ONCE], **options))
            for start in range(0, len(prepared), _TEXTS_AT_ONCE)
        ]
        return normalize(torch.cat(parts).float(), dim=1)


class ClipText(HubTextEncoder):
    """CLIP's text encoder (Radford et al. 2021)."""

    def load_network(self, checkpoint: HubCheckpoint) -> Any:
        """Return the network with its projection."""
        from transformers import CLIPTextModelWithProjection

        return checkpoint.load(CLIPTextModelWithProjection, partial(_set_projection, checkpoint))

    def run_network(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """Return embeddings `[N, D]` of tokenized texts."""
        embeddings_ND: Tensor = self.network(
            input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
        ).text_embeds
        return embeddings_ND

    def prepare(self, text: str) -> str:
        """Return the text itself."""
        return text


class SiglipText(HubTextEncoder):
    """The text encoder of SigLIP (Zhai et al. 2023) and of SigLIP 2 (Tschannen et al. 2025).

    As in their training, texts are in lower case and padded to the full length, and the padding is not masked.
    """

    padding = "max_length"

    def load_network(self, checkpoint: HubCheckpoint) -> Any:
        """Return the network."""
        from transformers import Siglip2TextModel, SiglipTextModel

        return checkpoint.load(Siglip2TextModel if checkpoint.model_type == "siglip2" else SiglipTextModel)

    def run_network(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """Return embeddings `[N, D]` of tokenized texts."""
        embeddings_ND: Tensor = self.network(input_ids=tokens["input_ids"]).pooler_output
        return embeddings_ND

    def prepare(self, text: str) -> str:
        """Return the text in lower case."""
        return text.lower()


def _make_siglip_tower(checkpoint: HubCheckpoint, encoder: SiglipFrames) -> PublicTower:
    if not encoder.network.use_head:
        return make_tower(encoder, checkpoint)
    return _make_text_tower(checkpoint, encoder, nn.Identity(), encoder.out_dim)


def _make_text_tower(
    checkpoint: HubCheckpoint, encoder: FrameEncoder, projection: nn.Module, width: int
) -> PublicTower:
    """Return the tower of an encoder whose projection shares its space with texts, if the checkpoint has them."""
    return PublicTower(
        encoder,
        projection,
        width,
        space=checkpoint.address,
        text_address=checkpoint.address if checkpoint.has_weights("text_model.") else None,
        license=checkpoint.license,
        files=checkpoint.read_files(),
    )


def _drop_unused_pool(checkpoint: HubCheckpoint, config: Any) -> None:
    """Leave out the pool of a model whose classifier takes the mean of the patches instead."""
    if checkpoint.has_weights("classifier."):
        config.vision_use_head = False


def _set_projection(checkpoint: HubCheckpoint, config: Any) -> None:
    """Set the width of the joint space, which the whole model's config has and its parts' may not."""
    config.projection_dim = checkpoint.config.get("projection_dim", config.projection_dim)
