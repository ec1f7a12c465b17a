"""Video transformers of transformers: they take whole clips.

Shapes: `B` clips, `C T H W` video, `N` tokens, `E` features.
"""

from collections.abc import Iterable

from torch import Tensor, nn

from talkies.core import AudioInput, ConfigError, Modality, VideoInput
from talkies.models.public.base import PublicEncoder, PublicTower
from talkies.models.public.checkpoint import HubCheckpoint
from talkies.models.public.preprocessing import read_video_input

_VJEPA2_FPS = 4.0  # of its training (Assran et al. 2025, section 2)
_TIMESFORMER_STRIDES = {8: 32, 16: 16, 96: 4}  # frames of a clip: of how many frames one is taken, at 30 a second


class VideoMae(PublicEncoder):
    """VideoMAE (Tong et al. 2022, arXiv:2203.12602): features are the mean of all tokens, as its classifier takes it.

    Checkpoints that were fine-tuned normalise that mean (`fc_norm`); so do their features here.
    """

    def __init__(
        self, network: nn.Module, modality: Modality, input_: VideoInput | AudioInput, out_dim: int, address: str
    ) -> None:
        super().__init__(network, modality, input_, out_dim, address)
        # transformers keeps the table of positions on the CPU, and copies it to the device for every batch.
        embeddings = self.network.base_model.embeddings
        positions = embeddings.position_embeddings
        if "position_embeddings" in vars(embeddings):
            del embeddings.position_embeddings
            embeddings.register_buffer("position_embeddings", positions, persistent=False)

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return the patch embedding and the layers."""
        body = self.network.base_model
        return name_layers([body.embeddings], body.encoder.layer)

    def extract(self, x: Tensor) -> Tensor:
        """Return features `[B, E]` of video `[B, 3, T, H, W]`."""
        output = self.network(pixel_values=x.transpose(1, 2))
        features_BE: Tensor = output.last_hidden_state.mean(1) if "last_hidden_state" in output else output.logits
        return features_BE


class TimeSformer(PublicEncoder):
    """TimeSformer (Bertasius et al. 2021, arXiv:2102.05095): features are the class token, as its classifier's."""

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return the patch embedding and the layers."""
        return name_layers([self.network.embeddings], self.network.encoder.layer)

    def extract(self, x: Tensor) -> Tensor:
        """Return features `[B, E]` of video `[B, 3, T, H, W]`."""
        tokens_BNE: Tensor = self.network(pixel_values=x.transpose(1, 2)).last_hidden_state
        return tokens_BNE[:, 0]


class Vivit(PublicEncoder):
    """ViViT (Arnab et al. 2021, arXiv:2103.15691), model 1: features are the class token, as its classifier's."""

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return the tubelet embedding and the layers."""
        return name_layers([self.network.embeddings], self.network.layers)

    def extract(self, x: Tensor) -> Tensor:
        """Return features `[B, E]` of video `[B, 3, T, H, W]`."""
        tokens_BNE: Tensor = self.network(pixel_values=x.transpose(1, 2)).last_hidden_state
        return tokens_BNE[:, 0]


class VJepa2(PublicEncoder):
    """V-JEPA 2 (Assran et al. 2025, arXiv:2506.09985): features are the mean of all tokens of its encoder.

    Checkpoints that were fine-tuned have an attentive pooler, and their features are what it returns.
    """

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return the patch embedding and the layers."""
        encoder = self.network.base_model.encoder
        return name_layers([encoder.embeddings], encoder.layer)

    def extract(self, x: Tensor) -> Tensor:
        """Return features `[B, E]` of video `[B, 3, T, H, W]`."""
        body = self.network.base_model
        tokens_BNE: Tensor = body.encoder(pixel_values_videos=x.transpose(1, 2)).last_hidden_state
        features_BE: Tensor = tokens_BNE.mean(1) if body is self.network else self.network.pooler(tokens_BNE)
        return features_BE


def build_videomae(checkpoint: HubCheckpoint) -> PublicTower:
    """Return the encoder of a VideoMAE checkpoint, pre-trained or fine-tuned."""
    from transformers import VideoMAEForVideoClassification, VideoMAEModel

    if checkpoint.has_weights("fc_norm."):
        network = checkpoint.load(VideoMAEForVideoClassification)
        network.classifier = nn.Identity()
    else:
        network = checkpoint.load(VideoMAEModel)
    config = network.config
    # Kinetics: 16 frames, each the fourth of 30 a second.
    input_ = read_video_input(checkpoint, config.image_size, frames=config.num_frames, usual_fps=7.5)
    return make_tower(VideoMae(network, "video", input_, config.hidden_size, checkpoint.address), checkpoint)


def build_timesformer(checkpoint: HubCheckpoint) -> PublicTower:
    """Return the encoder of a TimeSformer checkpoint.

    Raises:
        ConfigError: if it attends to single frames only, which transformers does not pool.
    """
    from transformers import TimesformerModel

    network = checkpoint.load(TimesformerModel)
    config = network.config
    if config.attention_type == "space_only":
        raise ConfigError(
            f"{checkpoint.address} attends to each frame alone (attention_type: space_only), which talkies does not "
            "run; name a TimeSformer of divided or joint attention"
        )
    frames = config.num_frames
    fps = 30 / _TIMESFORMER_STRIDES.get(frames, 256 / frames)
    input_ = read_video_input(checkpoint, config.image_size, frames=frames, usual_fps=fps)
    return make_tower(TimeSformer(network, "video", input_, config.hidden_size, checkpoint.address), checkpoint)


def build_vivit(checkpoint: HubCheckpoint) -> PublicTower:
    """Return the encoder of a ViViT checkpoint."""
    from transformers import VivitModel

    network = checkpoint.load(VivitModel, add_pooling_layer=False)
    config = network.config
    # Kinetics: 32 frames, each the second of 25 a second.
    input_ = read_video_input(checkpoint, config.image_size, frames=config.num_frames, usual_fps=12.5)
    return make_tower(Vivit(network, "video", input_, config.hidden_size, checkpoint.address), checkpoint)


def build_vjepa2(checkpoint: HubCheckpoint) -> PublicTower:
    """Return the encoder of a V-JEPA 2 checkpoint, pre-trained or fine-tuned, without its predictor.

    Its positions are relative (rotary), so it takes clips of other lengths too; the usual one is that of its training.
    """
    from transformers import VJEPA2ForVideoClassification, VJEPA2Model

    if checkpoint.has_weights("pooler."):
        network = checkpoint.load(VJEPA2ForVideoClassification)
        network.classifier = nn.Identity()
    else:
        network = checkpoint.load(VJEPA2Model)
    network.base_model.predictor = None
    config = network.config
    input_ = read_video_input(
        checkpoint,
        config.crop_size,
        multiple=config.tubelet_size,
        usual_frames=config.frames_per_clip,
        usual_fps=_VJEPA2_FPS,
    )
    return make_tower(VJepa2(network, "video", input_, config.hidden_size, checkpoint.address), checkpoint)


def name_layers(stems: Iterable[nn.Module], layers: Iterable[nn.Module]) -> tuple[tuple[str, nn.Module], ...]:
    """Return what comes before the first layer, and the layers, as named blocks."""
    named = ((f"layer{1 + index}", layer) for index, layer in enumerate(layers))
    return *(("stem", stem) for stem in stems), *named


def make_tower(encoder: PublicEncoder, checkpoint: HubCheckpoint) -> PublicTower:
    """Return the tower of an encoder without a projection or texts of its own."""
    return PublicTower(
        encoder,
        nn.Identity(),
        encoder.out_dim,
        space=f"{checkpoint.address} {encoder.modality}",
        license=checkpoint.license,
        files=checkpoint.read_files(),
    )
