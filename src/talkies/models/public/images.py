"""Image encoders without a text encoder, frame by frame: DINOv2, DINOv3, and networks trained on ImageNet.

Shapes: `B` pictures, `C H W` pixels, `N` tokens, `E` features.
"""

from torch import Tensor, nn

from talkies.models.public.base import PublicTower
from talkies.models.public.checkpoint import HubCheckpoint
from talkies.models.public.frames import FrameEncoder
from talkies.models.public.preprocessing import read_video_input
from talkies.models.public.video import make_tower, name_layers


class Dino2Frames(FrameEncoder):
    """DINOv2 (Oquab et al. 2023, arXiv:2304.07193), with registers (Darcet et al. 2023, arXiv:2309.16588) or without.

    Features are the normalised class token: what the network itself returns, used for retrieval and nearest neighbours.
    """

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return the patch embedding and the layers."""
        return name_layers([self.network.embeddings], self.network.encoder.layer)

    def extract_pictures(self, pictures: Tensor) -> Tensor:
        """Return features `[B, E]` of pictures `[B, 3, H, W]`."""
        features_BE: Tensor = self.network(pixel_values=pictures).pooler_output
        return features_BE


class Dino3Frames(FrameEncoder):
    """DINOv3's vision transformer (Siméoni et al. 2025, arXiv:2508.10104): features are the normalised class token."""

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return the patch embedding and the layers."""
        return name_layers([self.network.embeddings], self.network.model.layer)

    def extract_pictures(self, pictures: Tensor) -> Tensor:
        """Return features `[B, E]` of pictures `[B, 3, H, W]`."""
        features_BE: Tensor = self.network(pixel_values=pictures).pooler_output
        return features_BE


class Dino3ConvNextFrames(FrameEncoder):
    """DINOv3's ConvNeXt (Siméoni et al. 2025, arXiv:2508.10104): features are the normalised mean of all positions."""

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return the patch embedding, the first stage without it, and the other stages."""
        first, *others = self.network.model.stages
        return name_layers(first.downsample_layers, [first.layers, *others])

    def extract_pictures(self, pictures: Tensor) -> Tensor:
        """Return features `[B, E]` of pictures `[B, 3, H, W]`."""
        x = pictures
        for stage in self.network.model.stages:
            x = self.run_block(stage, x)
        features_BE: Tensor = self.network.layer_norm(x.mean((2, 3)))
        return features_BE


class VitFrames(FrameEncoder):
    """A vision transformer (Dosovitskiy et al. 2021, arXiv:2010.11929): features are the normalised class token.

    So are its classifier's. DINO's first networks (Caron et al. 2021, arXiv:2104.14294) come as such too.
    """

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return the patch embedding and the layers."""
        return name_layers([self.network.embeddings], self.network.layers)

    def extract_pictures(self, pictures: Tensor) -> Tensor:
        """Return features `[B, E]` of pictures `[B, 3, H, W]`."""
        tokens_BNE: Tensor = self.network(pixel_values=pictures).last_hidden_state
        return tokens_BNE[:, 0]


class ConvNextFrames(FrameEncoder):
    """ConvNeXt (Liu et al. 2022, arXiv:2201.03545): features are the normalised mean of all positions."""

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return the patch embedding and the stages."""
        return name_layers([self.network.embeddings], self.network.encoder.stages)

    def extract_pictures(self, pictures: Tensor) -> Tensor:
        """Return features `[B, E]` of pictures `[B, 3, H, W]`."""
        x = self.network.embeddings(pictures)
        for stage in self.network.encoder.stages:
            x = self.run_block(stage, x)
        features_BE: Tensor = self.network.layernorm(x.mean((2, 3)))
        return features_BE


def build_dinov2(checkpoint: HubCheckpoint) -> PublicTower:
    """Return the encoder of a DINOv2 checkpoint, with registers or without.

    It interpolates its positions to the size of the pictures, as it does in its official use.
    """
    from transformers import Dinov2Model, Dinov2WithRegistersModel

    model_class = Dinov2Model if checkpoint.model_type == "dinov2" else Dinov2WithRegistersModel
    network = checkpoint.load(model_class)
    network.embeddings.mask_token = None
    config = network.config
    input_ = read_video_input(checkpoint, config.image_size, any_size=True)
    return make_tower(Dino2Frames(network, "video", input_, config.hidden_size, checkpoint.address), checkpoint)


def build_dinov3_vit(checkpoint: HubCheckpoint) -> PublicTower:
    """Return the encoder of a checkpoint of DINOv3's vision transformer, without random changes of its positions."""
    from transformers import DINOv3ViTModel

    def adjust(config: object) -> None:
        for name in ("pos_embed_shift", "pos_embed_jitter", "pos_embed_rescale"):
            setattr(config, name, None)

    network = checkpoint.load(DINOv3ViTModel, adjust)
    network.embeddings.mask_token = None
    config = network.config
    input_ = read_video_input(checkpoint, config.image_size, any_size=True)
    return make_tower(Dino3Frames(network, "video", input_, config.hidden_size, checkpoint.address), checkpoint)


def build_dinov3_convnext(checkpoint: HubCheckpoint) -> PublicTower:
    """Return the encoder of a checkpoint of DINOv3's ConvNeXt."""
    from transformers import DINOv3ConvNextModel

    network = checkpoint.load(DINOv3ConvNextModel)
    config = network.config
    input_ = read_video_input(checkpoint, config.image_size, any_size=True)
    encoder = Dino3ConvNextFrames(network, "video", input_, config.hidden_sizes[-1], checkpoint.address)
    return make_tower(encoder, checkpoint)


def build_vit(checkpoint: HubCheckpoint) -> PublicTower:
    """Return the encoder of a checkpoint of a vision transformer, without its pooler."""
    from transformers import ViTModel

    network = checkpoint.load(ViTModel, add_pooling_layer=False)
    config = network.config
    input_ = read_video_input(checkpoint, config.image_size)
    return make_tower(VitFrames(network, "video", input_, config.hidden_size, checkpoint.address), checkpoint)


def build_convnext(checkpoint: HubCheckpoint) -> PublicTower:
    """Return the encoder of a ConvNeXt checkpoint."""
    from transformers import ConvNextModel

    network = checkpoint.load(ConvNextModel)
    config = network.config
    input_ = read_video_input(checkpoint, config.image_size, any_size=True)
    encoder = ConvNextFrames(network, "video", input_, config.hidden_sizes[-1], checkpoint.address)
    return make_tower(encoder, checkpoint)
