"""What of an encoder is trained and at which rate: against independent computations and tables made by hand."""

import re

import pytest
import torch
from small_checkpoints import SAVERS
from torch import nn

from talkies.core import ConfigError
from talkies.models import (
    AdaptationConfig,
    Encoder,
    EncoderAddress,
    FrameEncoder,
    ModelConfig,
    TwoTower,
    build_model,
    measure_heights,
    merge_adapters,
    without_adapters,
)
from talkies.models.public import open_tower
from talkies.training import OptimiserConfig
from talkies.training.optimiser import build_optimiser, measure_scales, set_learning_rate


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a small CLIP with two layers."""
    return f"hf:{SAVERS['clip'](tmp_path_factory.mktemp('clip'))}"


def model_of(address: str, audio: str = "tiny", **video: object) -> TwoTower:
    config = ModelConfig(video=address, audio=audio, embedding_dim=12, hidden_dim=16)
    return build_model(config, AdaptationConfig.model_validate({"video": video}))


def pictures(count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, 4, 32, 32, generator=torch.Generator().manual_seed(5))


def draw_adapters(encoder: Encoder) -> None:
    """Give every B of the adapters values, which are zeros at first."""
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if ".lora_B." in name:
                parameter.normal_(0, 0.1, generator=torch.Generator().manual_seed(7))


def test_an_encoder_with_new_adapters_computes_exactly_what_it_did(clip: str) -> None:
    plain = open_tower(EncoderAddress.parse(clip), "video").encoder
    assert torch.equal(model_of(clip, train="lora").video(pictures()), plain(pictures()))


def test_an_adapted_layer_is_w_plus_alpha_over_r_times_b_a(clip: str) -> None:
    rank, alpha = 3, 12.0
    adapted = model_of(clip, train="lora", lora_rank=rank, lora_alpha=alpha).video
    draw_adapters(adapted)
    plain = open_tower(EncoderAddress.parse(clip), "video").encoder
    state = adapted.state_dict()
    products = 0
    for name, parameter in plain.named_parameters():
        stem = name.removesuffix(".weight")
        if f"{stem}.lora_A.default.weight" in state:
            down, up = (state[f"{stem}.lora_{letter}.default.weight"].double() for letter in "AB")
            parameter.data = (parameter.double() + alpha / rank * (up @ down)).float()
            products += 1
    assert products == 2 * 6  # of two layers: queries, keys, values, output, and the two of the perceptron
    expected = plain(pictures())
    torch.testing.assert_close(adapted(pictures()), expected, rtol=0, atol=1e-5)

    # Without them it is as before, and with them merged it is a plain network of the same function.
    with without_adapters(adapted):
        assert not torch.allclose(adapted(pictures()), expected, atol=1e-3)
    merge_adapters(adapted)
    assert adapted.state_dict().keys() == plain.state_dict().keys()
    torch.testing.assert_close(adapted(pictures()), expected, rtol=0, atol=1e-5)


def test_a_learned_pool_weighs_the_frames_and_learns(clip: str) -> None:
    """Without it the features are the mean over frames; so they are with it until its scores are not all alike."""
    adaptation = AdaptationConfig.model_validate({"video": {"train": "head"}})
    config = ModelConfig(video=clip, audio="tiny", embedding_dim=12, hidden_dim=16, frame_pool="attention")
    encoder = build_model(config, adaptation).video
    assert isinstance(encoder, FrameEncoder)
    features_BTE = encoder.extract(pictures())
    assert features_BTE.ndim == 3
    torch.testing.assert_close(encoder(pictures()), features_BTE.mean(1))

    torch.nn.init.normal_(encoder.pool.score.weight, generator=torch.Generator().manual_seed(3))
    scores_BT = torch.einsum("bte,e->bt", features_BTE.detach(), encoder.pool.score.weight[0])
    share_BT = scores_BT.exp() / scores_BT.exp().sum(1, keepdim=True)
    expected = torch.stack([sum(share_BT[b, t] * features_BTE[b, t] for t in range(4)) for b in range(2)])
    pooled = encoder(pictures())
    torch.testing.assert_close(pooled, expected, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(pooled, features_BTE.mean(1), atol=1e-3)
    pooled.square().sum().backward()
    assert encoder.pool.score.weight.grad.abs().max() > 0


def test_rates_fall_from_the_last_block_to_the_stem_as_in_a_table_made_by_hand(clip: str) -> None:
    adaptation = AdaptationConfig.model_validate({"video": {"learning_rate_multiplier": 0.1, "layer_decay": 0.5}})
    config = ModelConfig(video=clip, audio="tiny", embedding_dim=12, hidden_dim=16, frame_pool="attention")
    model = build_model(config, adaptation)
    scales = measure_scales(model, adaptation)
    table = {
        "video.network.post_layernorm.weight": 0.1,
        "video.network.encoder.layers.1.mlp.fc1.weight": 0.05,
        "video.network.encoder.layers.0.layer_norm1.bias": 0.025,
        "video.network.embeddings.patch_embedding.weight": 0.0125,
        "video.network.embeddings.class_embedding": 0.0125,
        "video.network.pre_layrnorm.weight": 0.0125,
        "audio.blocks.0.0.weight": 1.0,
    }
    assert {name: scales.get(name) for name in table} == pytest.approx(table)
    assert not [name for name in scales if "head" in name or "pool" in name]

    # The groups: norms, biases, positions and the class token do not decay; a schedule keeps the ratios.
    optimiser = build_optimiser(model, OptimiserConfig(learning_rate=0.2, weight_decay=0.3), scales)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    set_learning_rate(optimiser, 0.02)
    rates = {
        names[id(p)]: (group["lr"], group["weight_decay"]) for group in optimiser.param_groups for p in group["params"]
    }
    assert rates["video.network.encoder.layers.1.mlp.fc1.weight"] == pytest.approx((0.001, 0.3))
    assert rates["video.network.encoder.layers.1.mlp.fc1.bias"] == pytest.approx((0.001, 0))
    assert rates["video.network.embeddings.position_embedding.weight"] == pytest.approx((0.00025, 0))
    assert rates["video.network.embeddings.class_embedding"] == pytest.approx((0.00025, 0))
    assert rates["video_head.0.weight"] == pytest.approx((0.02, 0.3))
    assert rates["video.pool.score.weight"] == pytest.approx((0.02, 0.3))
    assert rates.keys() == set(names.values())


def test_the_norm_after_the_blocks_of_an_encoder_of_ours_is_the_last(clip: str) -> None:
    heights = measure_heights(model_of("vit_tiny").video)
    assert heights["norm.weight"] == 0
    assert heights["blocks.3.mlp.fc2.weight"] == 1
    assert heights["blocks.0.norm1.weight"] == 4
    assert heights["patch_embed.proj.weight"] == 5


@pytest.mark.parametrize("name", ["tiny", "vit_tiny"])
def test_the_last_block_of_an_encoder_of_ours_is_trained_alone(name: str) -> None:
    encoder = model_of(name, train="last:1").video
    trained = {each for each, parameter in encoder.named_parameters() if parameter.requires_grad}
    last = {"tiny": "block3.", "vit_tiny": "blocks.3."}[name]
    assert trained == {each for each in encoder.state_dict() if each.startswith((last, "norm."))} & trained
    assert [m.training for m in encoder.modules() if isinstance(m, nn.BatchNorm3d)] == (
        [False, False, False, True] if name == "tiny" else []
    )


@pytest.mark.parametrize(
    ("video", "sentence"),
    [
        (
            {"train": "last:3"},
            r"video\.train is last:3, and hf:\S+ has 2 blocks; set it to last:2 or fewer, or to all$",
        ),
        ({"train": "none"}, r"model's embeddings have its own 12 dimensions, and model\.embedding_dim is 8; set "),
    ],
)
def test_a_tower_that_cannot_be_trained_so_is_refused(clip: str, video: dict[str, object], sentence: str) -> None:
    config = ModelConfig(video=clip, audio="tiny", embedding_dim=8, hidden_dim=16)
    with pytest.raises(ConfigError, match=sentence):
        build_model(config, AdaptationConfig.model_validate({"video": video}))


@pytest.mark.parametrize(
    ("video", "sentence"),
    [
        ({"train": "lora"}, "the blocks of tiny have no linear layers that adapters could be added to; set it to head"),
        ({"train": "last:9"}, "is last:9, and tiny has 3 blocks; set it to last:3 or fewer, or to all"),
        (
            {"train": "none"},
            "needs a public encoder, whose own embedding is then used, and tiny is an encoder of talkies",
        ),
        ({"distillation_weight": 1.0}, "tiny is an encoder of talkies, which starts from random weights; set it to 0"),
    ],
)
def test_an_encoder_of_ours_is_refused_what_it_has_not(video: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        model_of("tiny", **video)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"video": {"train": "none"}, "audio": {"train": "none"}}, "for both video and audio nothing is trained"),
        ({"video": {"train": "head", "distillation_weight": 0.5}}, "with train = head the features are those of the"),
        ({"video": {"train": "last:0"}}, "it is none, head, last:N, lora or all, got 'last:0'"),
    ],
)
def test_what_makes_no_sense_is_refused(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        AdaptationConfig.model_validate(values)


def test_a_missing_peft_is_told_with_the_extra(clip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(ConfigError, match=r"needs peft, and it is not installed; .* 'talkies\[encoders\]'$"):
        model_of(clip, train="lora")
