"""Encoders that take spectrograms: AST, and Whisper's encoder.

Shapes: `B` clips, `F` mel bins, `L` frames, `P` positions of the encoder, `E` features.
"""

from typing import Any

import torch
from torch import Tensor, nn

from talkies.models.public.base import PublicEncoder, PublicTower, silence_dropout
from talkies.models.public.checkpoint import HubCheckpoint
from talkies.models.public.sound_inputs import read_filterbank_input, read_whisper_input
from talkies.models.public.video import make_tower, name_layers
from talkies.models.public.weights import load_weights

_FRAMES_A_POSITION = 2  # of Whisper: the stride of its second convolution
_TAIL_FRAMES = 2  # after the end of the sound that its windows still touch


class Ast(PublicEncoder):
    """AST (Gong et al. 2021, arXiv:2104.01778): features are the mean of its class and distillation tokens."""

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return the patch embedding and the layers."""
        return name_layers((self.network.embeddings,), self.network.layers)

    def extract(self, x: Tensor) -> Tensor:
        """Return features `[B, E]` of filterbanks `[B, L, F]`."""
        features_BE: Tensor = self.network(input_values=x).pooler_output
        return features_BE


class Whisper(PublicEncoder):
    """Whisper's encoder (Radford et al. 2022, arXiv:2212.04356): features are the mean over the positions with sound.

    The rest of its 30 s is padding. The mean over time is what Whisper-AT (Gong et al. 2023, arXiv:2307.03183) takes to
    recognise sounds.
    """

    def named_blocks(self) -> tuple[tuple[str, nn.Module], ...]:
        """Return the convolutions, the positions and the layers."""
        network = self.network
        return name_layers((network.conv1, network.conv2, network.embed_positions), network.layers)

    def extract(self, x: Tensor) -> Tensor:
        """Return features `[B, E]` of log-mels `[B, F, L]`."""
        states_BPE: Tensor = self.network(input_features=x).last_hidden_state
        weights_BP = find_sound(x).to(states_BPE.dtype)
        return (states_BPE * weights_BP[..., None]).sum(1) / weights_BP.sum(1, keepdim=True)


def find_sound(x: Tensor) -> Tensor:
    """Return which positions of Whisper's encoder lie before the padding of a log-mel `[B, F, L]`, bool `[B, P]`.

    Padding is what is as silent as possible in all bins up to the end; a clip that is silent throughout has none.
    """
    is_sound_BL = (x > x.amin((1, 2), keepdim=True)).any(1)
    frame_L = torch.arange(1, x.shape[2] + 1, device=x.device)
    end_B = (is_sound_BL * frame_L).amax(1)  # of the last frame that has sound
    whole_B = (end_B == 0) | (end_B > x.shape[2] - _TAIL_FRAMES)
    end_B = torch.where(whole_B, x.shape[2], (end_B - _TAIL_FRAMES).clamp(min=1))
    position_P = torch.arange(x.shape[2] // _FRAMES_A_POSITION, device=x.device)
    return position_P * _FRAMES_A_POSITION < end_B[:, None]


def build_ast(checkpoint: HubCheckpoint) -> PublicTower:
    """Return the encoder of an AST checkpoint."""
    from transformers import ASTModel

    network = checkpoint.load(ASTModel)
    config = network.config
    input_ = read_filterbank_input(checkpoint, config.num_mel_bins, config.max_length)
    return make_tower(Ast(network, "audio", input_, config.hidden_size, checkpoint.address), checkpoint)


def build_whisper(checkpoint: HubCheckpoint) -> PublicTower:
    """Return the encoder of a Whisper checkpoint."""
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    config: Any = WhisperConfig.from_pretrained(checkpoint.folder, local_files_only=True)
    silence_dropout(config)
    with torch.random.fork_rng(devices=[]):  # the weights that are drawn are replaced
        network = WhisperEncoder(config)
    load_weights(checkpoint, network, ("model.encoder.", "encoder.", ""))
    checkpoint.loaded.append((network, dict(network.state_dict())))
    input_ = read_whisper_input(checkpoint, config.num_mel_bins, config.max_source_positions * _FRAMES_A_POSITION)
    return make_tower(Whisper(network, "audio", input_, config.d_model, checkpoint.address), checkpoint)
