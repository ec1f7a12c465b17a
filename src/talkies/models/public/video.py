"""Video transformers of transformers: they take whole clips.

Shapes: `B` clips, `C T H W` video, `N` tokens, `E` features.
"""

from torch import Tensor, nn

from talkies.models.public.base import PublicEncoder, PublicTower
from talkies.models.public.checkpoint import HubCheckpoint
from talkies.models.public.preprocessing import read_video_input


class VideoMae(PublicEncoder):
    """VideoMAE (Tong et al. 2022, arXiv:2203.12602): features are the mean of all tokens."""

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return the patch embedding and the layers."""
        return name_layers(self.network.embeddings, self.network.encoder.layer)

    def extract(self, x: Tensor) -> Tensor:
        """Return features `[B, E]` of video `[B, 3, T, H, W]`."""
        tokens_BNE: Tensor = self.network(pixel_values=x.transpose(1, 2)).last_hidden_state
        return tokens_BNE.mean(1)


def build_videomae(checkpoint: HubCheckpoint) -> PublicTower:
    """Return the encoder of a VideoMAE checkpoint, pre-trained or fine-tuned."""
    from transformers import VideoMAEModel

    network = checkpoint.load(VideoMAEModel)
    config = network.config
    input_ = read_video_input(checkpoint, config.image_size, frames=config.num_frames, usual_fps=config.num_frames / 2)
    return make_tower(VideoMae(network, "video", input_, config.hidden_size, checkpoint.address), checkpoint)


def name_layers(stem: nn.Module, layers: nn.ModuleList) -> tuple[tuple[str, nn.Module], ...]:
    """Return a stem and its layers as named blocks."""
    return ("stem", stem), *((f"layer{1 + index}", layer) for index, layer in enumerate(layers))


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
