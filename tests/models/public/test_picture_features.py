"""Video and image families against transformers' own forward, whichever class saved the checkpoint."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from small_checkpoints import HEADS, SAVERS
from torch import Tensor, nn

from talkies.core import ConfigError, VideoInput
from talkies.models import EncoderAddress
from talkies.models.public import PublicTower, open_tower
from talkies.models.public.checkpoint import silence

FRAMES = 4
SAVED_BY = [(name, architecture) for name in SAVERS for architecture in HEADS[name]]
CHECKPOINTS = pytest.mark.parametrize(("name", "architecture"), SAVED_BY, ids=[each for _, each in SAVED_BY])
FAMILIES = pytest.mark.parametrize("name", SAVERS)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small checkpoint of each class of each family."""
    return {
        architecture: SAVERS[name](tmp_path_factory.mktemp(architecture), architecture)
        for name, architecture in SAVED_BY
    }


def tower_at(folder: Path) -> PublicTower:
    return open_tower(EncoderAddress.parse(f"hf:{folder}"), "video")


def clips_for(tower: PublicTower, clips: int = 2) -> Tensor:
    """Clips as the transform returns them: `[B, 3, T, H, W]`, channels last in memory."""
    assert isinstance(tower.encoder.input, VideoInput)
    side = tower.encoder.input.size
    clips_BCTHW = torch.randn(clips, 3, FRAMES, side, side, generator=torch.Generator().manual_seed(1))
    return clips_BCTHW.contiguous(memory_format=torch.channels_last_3d)


def load_original(folder: Path, architecture: str) -> Any:
    """The network that transformers itself loads, with the class that saved it."""
    with silence():
        return getattr(transformers, architecture).from_pretrained(folder).eval()


def input_of_classifier(network: Any, *inputs: Tensor, **options: Any) -> Tensor:
    """What the linear classifier at the end of a network takes."""
    seen: list[Tensor] = []
    handle = network.classifier.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    network(*inputs, **options)
    handle.remove()
    return seen[0]


def as_patches(pictures: Tensor) -> dict[str, Tensor]:
    """The input of SigLIP 2 for any aspect, as its processor cuts it, padded by four patches."""
    from transformers.models.siglip2.image_processing_pil_siglip2 import convert_image_to_patches, pad_along_first_dim

    cut = [pad_along_first_dim(convert_image_to_patches(picture.numpy(), 8), 20) for picture in pictures]
    values, masks = (torch.stack([torch.from_numpy(each[part]) for each in cut]) for part in (0, 1))
    shapes = torch.tensor([[pictures.shape[2] // 8, pictures.shape[3] // 8]]).expand(len(pictures), 2)
    return {"pixel_values": values, "pixel_attention_mask": masks, "spatial_shapes": shapes}


def original_features(name: str, network: Any, clips_BCTHW: Tensor) -> Tensor:
    """Features as transformers computes them: what its classifier takes, or what the papers name."""
    video = clips_BCTHW.transpose(1, 2).contiguous()
    kind = type(network).__name__
    if name in ("videomae", "timesformer", "vivit", "vjepa2"):
        if kind.endswith("ForVideoClassification"):
            return input_of_classifier(network, video)
        if name == "vjepa2":
            return network.get_vision_features(video).mean(1)
        tokens = network.base_model(video).last_hidden_state
        return tokens.mean(1) if name == "videomae" else tokens[:, 0]

    pictures = video.flatten(0, 1)
    inputs = as_patches(pictures) if name == "siglip2" else {"pixel_values": pictures}
    if kind.endswith("ForImageClassification"):
        features = input_of_classifier(network, **inputs)
        features = features[:, : features.shape[1] // 2] if name.startswith("dinov2") else features  # class token
    elif kind == "ViTForMaskedImageModeling":
        features = network.vit(**inputs).last_hidden_state[:, 0]
    elif name == "vit":
        features = network(**inputs).last_hidden_state[:, 0]
    elif kind in ("CLIPModel", "SiglipModel", "Siglip2Model", "CLIPVisionModelWithProjection"):
        features = network.vision_model(**inputs).pooler_output
    else:
        features = network(**inputs).pooler_output
    return features.unflatten(0, video.shape[:2]).mean(1)


@CHECKPOINTS
def test_features_are_those_of_transformers_whichever_class_saved_them(
    name: str, architecture: str, folders: dict[str, Path]
) -> None:
    tower = tower_at(folders[architecture])
    clips = clips_for(tower)
    with torch.no_grad():
        expected = original_features(name, load_original(folders[architecture], architecture), clips)
        got = tower.encoder.eval()(clips)
    assert got.shape == (2, tower.encoder.out_dim)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-4)
    assert (got[0] - got[1]).abs().max() > 0.05  # the clips differ by far more than the two implementations may


@pytest.mark.parametrize("architecture", ["CLIPModel", "SiglipModel", "Siglip2Model"])
def test_the_native_head_leads_into_the_space_of_the_texts(architecture: str, folders: dict[str, Path]) -> None:
    tower = tower_at(folders[architecture])
    clips = clips_for(tower)
    pictures = clips[:, :, 0].contiguous()
    original = load_original(folders[architecture], architecture)
    with torch.no_grad():
        inputs = as_patches(pictures) if architecture == "Siglip2Model" else {"pixel_values": pictures}
        expected = original.get_image_features(**inputs).pooler_output
        got = tower.native_head(tower.encoder.eval()(clips[:, :, :1].contiguous()))
    assert got.shape == (2, tower.native_dim)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-4)
    assert tower.text_address == f"hf:{folders[architecture]}" == tower.space


@pytest.mark.parametrize(
    "architecture",
    ["CLIPVisionModel", "CLIPVisionModelWithProjection", "CLIPForImageClassification", "SiglipForImageClassification"],
)
def test_checkpoints_without_texts_name_none(architecture: str, folders: dict[str, Path]) -> None:
    assert tower_at(folders[architecture]).text_address is None


@CHECKPOINTS
def test_training_reaches_every_weight_and_features_are_as_in_evaluation(
    name: str, architecture: str, folders: dict[str, Path]
) -> None:
    encoder = tower_at(folders[architecture]).encoder
    clips = clips_for(tower_at(folders[architecture]))
    features = encoder.train()(clips)
    features.square().sum().backward()
    assert [each for each, weight in encoder.named_parameters() if weight.requires_grad and weight.grad is None] == []
    with torch.no_grad():
        torch.testing.assert_close(encoder.eval()(clips), features.detach(), rtol=0, atol=1e-6)


@FAMILIES
def test_recomputing_saves_activations_and_changes_no_gradient(name: str, folders: dict[str, Path]) -> None:
    tower = tower_at(folders[HEADS[name][0]])
    encoder, clips = tower.encoder.train(), clips_for(tower)

    def run() -> tuple[int, list[Tensor]]:
        kept = 0

        def count(tensor: Tensor) -> Tensor:
            nonlocal kept
            kept += tensor.numel() if not isinstance(tensor, nn.Parameter) else 0
            return tensor

        encoder.zero_grad()
        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            features = encoder(clips)
        features.square().sum().backward()
        return kept, [weight.grad.clone() for weight in encoder.parameters() if weight.grad is not None]

    kept, gradients = run()
    encoder.recompute = True
    kept_less, same = run()
    assert kept_less < 0.7 * kept
    assert all(torch.equal(first, second) for first, second in zip(gradients, same, strict=True))
    encoder.recompute = False
    assert run()[0] == kept


@FAMILIES
def test_blocks_begin_with_all_that_comes_before_the_first_layer(name: str, folders: dict[str, Path]) -> None:
    encoder = tower_at(folders[HEADS[name][0]]).encoder
    stages = [stage for stage, _ in encoder.named_blocks()]
    layers = stages[stages.count("stem") :]
    assert layers == [f"layer{1 + index}" for index in range(len(layers))]
    assert len(layers) == (4 if "convnext" in name else 2)

    # What is in no block comes after the layers: a last norm, a pool.
    in_blocks = [id(weight) for _, block in encoder.named_blocks() for weight in block.parameters()]
    assert len(in_blocks) == len(set(in_blocks))
    others = [each for each, weight in encoder.named_parameters() if id(weight) not in set(in_blocks)]
    after = ("norm", "fc_norm", "pooler", "post_layernorm", "head", "layer_norm")
    assert [each for each in others if each.split(".")[1] not in (*after, "layernorm", "vjepa2", "encoder")] == []


@FAMILIES
def test_a_tower_has_no_decoder_pooler_or_token_that_its_features_do_not_need(
    name: str, folders: dict[str, Path]
) -> None:
    for architecture in HEADS[name]:
        names = dict(tower_at(folders[architecture]).encoder.named_parameters())
        unwanted = ("decoder", "predictor", "mask_token", "classifier", "text_model", "logit_scale")
        assert [each for each in names if any(part in each for part in unwanted)] == []


def test_clips_of_a_length_that_an_encoder_does_not_take_are_refused(folders: dict[str, Path]) -> None:
    for architecture in ("VideoMAEModel", "TimesformerModel", "VivitModel"):
        with pytest.raises(ConfigError, match=r"takes clips of 4 frames, got 6; set clip\.frames=4"):
            tower_at(folders[architecture]).encoder.check_input((6, 32, 32))
    with pytest.raises(ConfigError, match="takes clips of a multiple of 2 frames, got 5"):
        tower_at(folders["VJEPA2Model"]).encoder.check_input((5, 32, 32))
    tower_at(folders["CLIPModel"]).encoder.check_input((5, 32, 32))


def test_v_jepa_2_encodes_longer_clips_as_transformers_does(folders: dict[str, Path]) -> None:
    tower = tower_at(folders["VJEPA2Model"])
    clips = torch.randn(2, 3, 6, 32, 32)
    with torch.no_grad():
        expected = load_original(folders["VJEPA2Model"], "VJEPA2Model").get_vision_features(clips.transpose(1, 2))
        torch.testing.assert_close(tower.encoder.eval()(clips), expected.mean(1), rtol=0, atol=1e-4)
