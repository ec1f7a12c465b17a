"""Encoders that take samples: wav2vec 2.0, and HuBERT and WavLM, which are built like it.

Shapes: `B` clips, `S` samples, `L` frames of the encoder, `E` features.
"""

from typing import Any

from torch import Tensor, nn

from talkies.models.public.base import PublicEncoder, PublicTower
from talkies.models.public.checkpoint import HubCheckpoint
from talkies.models.public.sound_inputs import read_waveform_input
from talkies.models.public.video import make_tower


class WaveformEncoder(PublicEncoder):
    """wav2vec 2.0 and its kin: convolutions over samples, then a transformer; features are the mean over time.

    That is how utterances are represented in SUPERB (Yang et al. 2021, arXiv:2105.01051), there of a weighted sum of
    the layers, here of the last.
    """

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return the convolutions, the projection, the positions and the layers."""
        encoder = self.network.encoder
        stem = [self.network.feature_extractor, self.network.feature_projection, encoder.pos_conv_embed]
        if not self.network.config.do_stable_layer_norm:
            stem.append(encoder.layer_norm)
        layers = ((f"layer{1 + index}", layer) for index, layer in enumerate(encoder.layers))
        return *(("stem", module) for module in stem), *layers

    def list_final_modules(self) -> tuple[nn.Module, ...]:
        """Return the norm after the layers, which the large models have there."""
        return (self.network.encoder.layer_norm,) if self.network.config.do_stable_layer_norm else ()

    def extract(self, x: Tensor) -> Tensor:
        """Return features `[B, E]` of samples `[B, S]`."""
        states_BLE: Tensor = self.network(input_values=x).last_hidden_state
        return states_BLE.mean(1)


def build_wav2vec2(checkpoint: HubCheckpoint) -> PublicTower:
    """Return the encoder of a wav2vec 2.0 checkpoint (Baevski et al. 2020, arXiv:2006.11477)."""
    from transformers import Wav2Vec2Model

    return _build(checkpoint, Wav2Vec2Model)


def build_hubert(checkpoint: HubCheckpoint) -> PublicTower:
    """Return the encoder of a HuBERT checkpoint (Hsu et al. 2021, arXiv:2106.07447)."""
    from transformers import HubertModel

    return _build(checkpoint, HubertModel)


def build_wavlm(checkpoint: HubCheckpoint) -> PublicTower:
    """Return the encoder of a WavLM checkpoint (Chen et al. 2022, arXiv:2110.13900)."""
    from transformers import WavLMModel

    return _build(checkpoint, WavLMModel)


def _build(checkpoint: HubCheckpoint, model_class: Any) -> PublicTower:
    network = checkpoint.load(model_class, _remove_masks)
    config = network.config
    input_ = read_waveform_input(checkpoint, _find_least_samples(config))
    width = config.output_hidden_size if getattr(config, "add_adapter", False) else config.hidden_size
    return make_tower(WaveformEncoder(network, "audio", input_, width, checkpoint.address), checkpoint)


def _remove_masks(config: Any) -> None:
    """Turn off the masks of training, and with them the vector that fills them, which would have no gradient."""
    config.apply_spec_augment = False
    config.mask_time_prob = config.mask_feature_prob = 0.0


def _find_least_samples(config: Any) -> int:
    """Return the samples that one frame of the encoder sees."""
    samples = 1
    for kernel, stride in zip(reversed(config.conv_kernel), reversed(config.conv_stride), strict=True):
        samples = (samples - 1) * stride + kernel
    return int(samples)
