"""The two-tower model: its embeddings, its weights from the seed, its stamp."""

import copy
import re

import pytest
import torch
from torch import Tensor, nn

from talkies.config import check
from talkies.core import ConfigError
from talkies.models import ModelConfig, TwoTower, build_model, compute_model_stamp

CONFIG = ModelConfig(video="tiny", audio="tiny", embedding_dim=24, hidden_dim=32)


def built(seed: int = 0) -> TwoTower:
    torch.manual_seed(seed)
    return build_model(CONFIG)


@pytest.fixture
def inputs() -> tuple[Tensor, Tensor]:
    return torch.randn(5, 3, 4, 32, 32), torch.randn(5, 1, 40, 30)


def test_both_towers_give_unit_rows_of_the_embedding_dimension(inputs: tuple[Tensor, Tensor]) -> None:
    for embeddings_BD in built()(*inputs):
        assert embeddings_BD.shape == (5, 24)
        torch.testing.assert_close(embeddings_BD.norm(dim=1), torch.ones(5))


def test_the_model_is_its_encoders_and_then_its_heads(inputs: tuple[Tensor, Tensor]) -> None:
    model = built().eval()
    video_BD, audio_BD = model(*inputs)
    raw_video_BD, raw_audio_BD = model.video_head(model.video(inputs[0])), model.audio_head(model.audio(inputs[1]))
    torch.testing.assert_close(video_BD, raw_video_BD / raw_video_BD.norm(dim=1, keepdim=True))
    torch.testing.assert_close(audio_BD, raw_audio_BD / raw_audio_BD.norm(dim=1, keepdim=True))


def test_the_towers_share_no_weights() -> None:
    model = built()
    towers = ((model.video, model.video_head), (model.audio, model.audio_head))
    video, audio = ({id(weight) for part in parts for weight in part.parameters()} for parts in towers)
    assert not video & audio
    assert video | audio == {id(weight) for weight in model.parameters()}


def test_fresh_weights_follow_from_pytorchs_generator() -> None:
    assert compute_model_stamp(built(seed=1)) == compute_model_stamp(built(seed=1))
    assert compute_model_stamp(built(seed=1)) != compute_model_stamp(built(seed=2))


def test_pictures_give_the_same_features_in_either_layout_of_memory(inputs: tuple[Tensor, Tensor]) -> None:
    video, pictures = built().video.eval(), inputs[0]
    with torch.no_grad():
        expected, fast = video(pictures), pictures.contiguous(memory_format=torch.channels_last_3d)
        torch.testing.assert_close(video(fast), expected)
        torch.testing.assert_close(video.to(memory_format=torch.channels_last_3d)(fast), expected)


@pytest.mark.parametrize(
    ("tower", "name", "sentence"),
    [
        ("video", "tny", "no video encoder 'tny' (did you mean 'tiny'?); there are: tiny, r2plus1d18, vit_tiny, vit_s"),
        ("audio", "r2plus1d18", "no audio encoder 'r2plus1d18'"),
        ("audio", "xyz", "no audio encoder 'xyz'; there are: tiny, resnet18, vit_tiny, vit_s"),
    ],
)
def test_an_unknown_encoder_is_refused_with_those_there_are(tower: str, name: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"recipe x: {tower}: {sentence}")):
        check(ModelConfig, {"video": "tiny", "audio": "tiny", tower: name}, "recipe x")


def test_a_stamp_is_twelve_hexadecimal_digits() -> None:
    assert re.fullmatch("[0-9a-f]{12}", compute_model_stamp(built()))


def test_a_stamp_changes_with_one_bit_of_one_weight() -> None:
    model = built()
    before, weight = compute_model_stamp(model), model.video_head[0].weight
    with torch.no_grad():
        weight[3, 5] = torch.nextafter(weight[3, 5], torch.tensor(9.0))
    assert compute_model_stamp(model) != before


def test_a_stamp_changes_with_the_running_statistics() -> None:
    model, inputs = built(), (torch.randn(3, 3, 4, 32, 32), torch.randn(3, 1, 40, 30))
    before = compute_model_stamp(model)
    model(*inputs)
    assert compute_model_stamp(model) != before


def test_a_stamp_tells_equal_bytes_of_another_shape_apart() -> None:
    tall, wide = nn.Linear(2, 3, bias=False), nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        tall.weight.fill_(1)
        wide.weight.fill_(1)
    assert compute_model_stamp(tall) != compute_model_stamp(wide)


def test_a_stamp_does_not_change_with_use_copying_or_layout(inputs: tuple[Tensor, Tensor]) -> None:
    model = built()
    before = compute_model_stamp(model)
    with torch.no_grad():
        model.eval()(*inputs)
    assert compute_model_stamp(model) == before
    assert compute_model_stamp(copy.deepcopy(model)) == before
    assert compute_model_stamp(model.to(memory_format=torch.contiguous_format)) == before


def test_a_stamp_is_that_of_the_weights_wherever_they_are_loaded() -> None:
    model, other = built(seed=1), built(seed=2)
    other.load_state_dict(model.state_dict())
    assert compute_model_stamp(other) == compute_model_stamp(model)
