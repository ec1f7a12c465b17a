"""Which weights of public encoders decay: found by the modules that own them, not by the rule that is tested."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from small_checkpoints import SAVERS
from sound_families import PICTURES, SOUNDS
from torch import nn

from talkies.core import Modality
from talkies.models import EncoderAddress
from talkies.models.public import open_tower
from talkies.training import OptimiserConfig
from talkies.training.optimiser import build_optimiser

pytestmark = pytest.mark.filterwarnings("ignore:At least one mel filter")  # of a small AST

MATRICES = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
OTHER_MATRICES = {"in_proj_weight", "original1"}  # of nn.MultiheadAttention, and the direction of a weight norm

# What each family has besides norms and biases that does not decay, at least: its positions, learnt tokens and gains.
LEFT_ALONE = {
    "clip": {"position_embedding.weight", "class_embedding"},
    "siglip": {"position_embedding.weight", "head.probe"},
    "siglip2": {"position_embedding.weight", "head.probe"},
    "dinov2": {"cls_token", "position_embeddings"},
    "dinov2_with_registers": {"cls_token", "position_embeddings", "register_tokens"},
    "dinov3_vit": {"cls_token", "register_tokens"},
    "vit": {"cls_token", "position_embeddings"},
    "vivit": {"cls_token", "position_embeddings"},
    "timesformer": {"cls_token", "position_embeddings", "time_embeddings"},
    "ast": {"cls_token", "distillation_token", "position_embeddings"},
    "clap": {"relative_position_bias_table"},
    "hubert": {"weight.original0"},
    "wav2vec2": {"weight.original0"},
    "wavlm": {"weight.original0", "gru_rel_pos_const", "rel_attn_embed.weight"},
    "pe_audio": {"class_embedding"},
    "pe_video": {"class_embedding"},
    "pe_audio_video": {"class_embedding"},
}


class Parts(nn.Module):
    """Weights of every kind, under names that say nothing of it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.table, self.one = nn.Linear(3, 4), nn.Embedding(5, 6), nn.LayerNorm(4)
        self.places_bias = nn.Parameter(torch.zeros(3, 4))
        self.gain, self.matrix = nn.Parameter(torch.zeros(1, 4, 1)), nn.Parameter(torch.zeros(3, 4))


def test_what_a_weight_is_decides_and_not_its_shape_alone() -> None:
    decaying, others = sort_parameters(Parts())
    assert decaying == {"layer.weight", "matrix"}
    assert others == {"layer.bias", "table.weight", "one.weight", "one.bias", "places_bias", "gain"}


def sort_parameters(module: nn.Module) -> tuple[set[str], set[str]]:
    """The names of the trained parameters that decay, and of those that do not."""
    optimiser = build_optimiser(module, OptimiserConfig(weight_decay=0.1))
    rate = {id(p): group["weight_decay"] for group in optimiser.param_groups for p in group["params"]}
    names = {name: rate[id(p)] for name, p in module.named_parameters() if p.requires_grad}
    return {name for name, decay in names.items() if decay}, {name for name, decay in names.items() if not decay}


def list_matrices(module: nn.Module) -> set[str]:
    """The names of the trained weights of linear layers and convolutions, and of the few other matrices."""
    found = set()
    for path, owner in module.named_modules():
        for name, parameter in owner.named_parameters(recurse=False):
            if (isinstance(owner, MATRICES) and name == "weight") or name in OTHER_MATRICES:
                found |= {f"{path}.{name}"} if parameter.requires_grad else set()
    return found


def check(name: str, folder: Path, modality: Modality) -> None:
    encoder = open_tower(EncoderAddress.parse(f"hf:{folder}"), modality).encoder
    decays, does_not = sort_parameters(encoder)
    assert decays == list_matrices(encoder)
    assert all(any(each.endswith(end) for each in does_not) for end in LEFT_ALONE.get(name, ()))


@pytest.mark.parametrize("name", SAVERS)
def test_of_a_picture_encoder_only_matrices_decay(name: str, tmp_path: Path) -> None:
    check(name, SAVERS[name](tmp_path), "video")


@pytest.mark.parametrize("name", [name for name in SOUNDS if " " not in name])
def test_of_a_sound_encoder_only_matrices_decay(name: str, saved: Callable[[str], tuple[Path, Any]]) -> None:
    check(name, saved(name)[0], "audio")


@pytest.mark.parametrize("name", PICTURES)
def test_of_an_encoder_of_pictures_and_sound_only_matrices_decay(
    name: str, saved: Callable[[str], tuple[Path, Any]]
) -> None:
    check(name, saved(name)[0], "video")
