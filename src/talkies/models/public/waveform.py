"""Encoders that take samples: wav2vec 2.0 and those built like it.

Shapes: `B` clips, `S` samples, `L` frames of the encoder, `E` features.
"""

from torch import Tensor, nn

from talkies.core import WaveformInput
from talkies.models.public.base import PublicEncoder, PublicTower
from talkies.models.public.checkpoint import HubCheckpoint
from talkies.models.public.video import make_tower


class Wav2Vec2(PublicEncoder):
    """wav2vec 2.0 (Baevski et al. 2020, arXiv:2006.11477): features are the mean over time."""

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return the convolutions, the projection and the layers."""
        layers = ((f"layer{1 + index}", layer) for index, layer in enumerate(self.network.encoder.layers))
        return ("stem", self.network.feature_extractor), ("stem", self.network.feature_projection), *layers

    def extract(self, x: Tensor) -> Tensor:
        """Return features `[B, E]` of samples `[B, S]`."""
        states_BLE: Tensor = self.network(input_values=x).last_hidden_state
        return states_BLE.mean(1)


def build_wav2vec2(checkpoint: HubCheckpoint) -> PublicTower:
    """Return the encoder of a wav2vec 2.0 checkpoint."""
    from transformers import Wav2Vec2Model

    def adjust(config: object) -> None:
        config.apply_spec_augment = False  # type: ignore[attr-defined]

    network = checkpoint.load(Wav2Vec2Model, adjust)
    values = checkpoint.preprocessor
    input_ = WaveformInput(int(values.get("sampling_rate", 16_000)), normalise=bool(values.get("do_normalize", True)))
    return make_tower(Wav2Vec2(network, "audio", input_, network.config.hidden_size, checkpoint.address), checkpoint)
