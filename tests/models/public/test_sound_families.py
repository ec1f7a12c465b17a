"""Every family of public sound encoders, and PE-AV, against transformers: input, features, and training."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from sound_families import EVERYTHING, HEADS, SOUND, any_input, clips, original_features, sound_input, tower_at
from torch import Tensor, nn

from talkies.core import Modality, WhisperInput
from talkies.export.public_towers import write_tower
from talkies.models.public.checkpoint import silence
from talkies.models.public.spectrogram import find_sound

pytestmark = pytest.mark.filterwarnings("ignore:At least one mel filter has all zero values")


def extractor_of(folder: Path) -> Any:
    with silence():
        return transformers.AutoFeatureExtractor.from_pretrained(folder)


@SOUND
def test_the_input_is_what_the_checkpoints_own_extractor_makes(name: str, saved: Any) -> None:
    folder, _ = saved(name)
    tower, extractor = tower_at(folder), extractor_of(folder)
    clips_BS = clips(extractor.sampling_rate)
    got = sound_input(tower, clips_BS)
    values = [clip.numpy() / 32768 for clip in clips_BS]
    made = extractor(values, sampling_rate=extractor.sampling_rate, return_tensors="pt")
    expected = next(made[key] for key in ("input_features", "input_values") if key in made)
    torch.testing.assert_close(got, expected.float(), rtol=0, atol=1e-3)


@EVERYTHING
def test_features_are_those_of_transformers(name: str, modality: Modality, saved: Any) -> None:
    folder, network = saved(name)
    tower = tower_at(folder, modality)
    x = any_input(tower)
    with torch.no_grad():
        expected = original_features(name, network, x, modality, samples=32_000)
        got = tower.encoder.eval()(x)
    assert got.shape == (len(x), tower.encoder.out_dim)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-4)
    assert (got[0] - got[1]).abs().max() > 1e-3  # clips differ by far more than the two implementations may


@pytest.mark.parametrize("head", HEADS)
def test_whichever_class_saved_the_weights_they_are_loaded(head: str, saved: Any) -> None:
    folder, network = saved(head)
    tower = tower_at(folder)
    whole = {f".{name}": weight for name, weight in network.state_dict().items()}
    mine = tower.encoder.network.state_dict()
    assert mine
    for name, weight in mine.items():
        found = [theirs for key, theirs in whole.items() if key.endswith(f".{name}")]
        assert any(weight.shape == theirs.shape and torch.equal(weight, theirs) for theirs in found), name


@pytest.mark.parametrize("seconds", [0.5, 1.0, 2.0, 3.2, 4.0])
def test_whispers_features_leave_its_padding_out(seconds: float, saved: Any) -> None:
    folder, network = saved("whisper")
    tower = tower_at(folder)
    assert isinstance(tower.encoder.input, WhisperInput)
    x = sound_input(tower, clips(16_000, seconds))
    assert x.shape[2] == 400  # 4 s, as its network takes
    sounding = find_sound(x)
    assert sounding[:2].sum(1).tolist() == [round(seconds * 50)] * 2
    with torch.no_grad():
        expected = network.encoder(x[:2]).last_hidden_state[:, : round(seconds * 50)].mean(1)
        torch.testing.assert_close(tower.encoder.eval()(x[:2]), expected, rtol=0, atol=1e-4)


def test_a_silent_clip_has_features_of_whisper_too(saved: Any) -> None:
    tower = tower_at(saved("whisper")[0])
    x = sound_input(tower, torch.zeros(1, 32_000, dtype=torch.int16))
    assert find_sound(x).all()
    assert tower.encoder.eval()(x).isfinite().all()


@EVERYTHING
def test_training_reaches_every_weight_and_features_are_as_in_evaluation(
    name: str, modality: Modality, saved: Any
) -> None:
    tower = tower_at(saved(name)[0], modality)
    encoder, x = tower.encoder, any_input(tower)
    features = encoder.train()(x)
    features.square().sum().backward()
    trained = {each: weight for each, weight in encoder.named_parameters() if weight.requires_grad}
    assert [each for each, weight in trained.items() if weight.grad is None] == []
    assert len(trained) > 10
    assert torch.equal(encoder.train()(x), features)
    with torch.no_grad():
        assert torch.equal(encoder.eval()(x), features)
    for buffer in (each for each in encoder.modules() if isinstance(each, nn.modules.batchnorm._BatchNorm)):
        assert buffer.num_batches_tracked is None or int(buffer.num_batches_tracked) == 0


@EVERYTHING
def test_recomputing_saves_activations_and_changes_no_gradient(name: str, modality: Modality, saved: Any) -> None:
    tower = tower_at(saved(name)[0], modality)
    encoder, x = tower.encoder.train(), any_input(tower)

    def run() -> tuple[int, list[Tensor]]:
        kept: dict[int, int] = {}

        def count(tensor: Tensor) -> Tensor:
            kept[tensor.data_ptr()] = tensor.numel()
            return tensor

        encoder.zero_grad()
        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            features = encoder(x)
        features.square().sum().backward()
        return sum(kept.values()), [weight.grad.clone() for weight in encoder.parameters() if weight.grad is not None]

    kept, gradients = run()
    encoder.recompute = True
    kept_less, same = run()
    assert kept_less < kept
    assert all(torch.equal(first, second) for first, second in zip(gradients, same, strict=True))
    encoder.eval()
    with torch.no_grad():
        assert encoder(x).isfinite().all()
    encoder.train().recompute = False
    assert run()[0] == kept


@EVERYTHING
def test_blocks_are_all_that_runs_up_to_the_last_layer_in_its_order(name: str, modality: Modality, saved: Any) -> None:
    tower = tower_at(saved(name)[0], modality)
    encoder, x = tower.encoder.eval(), any_input(tower)
    blocks = encoder.named_blocks()
    stages = [stage for stage, _ in blocks]
    assert stages == sorted(stages, key=lambda stage: (stage != "stem", stage))
    assert {stage for stage in stages if stage != "stem"} == {"layer1", "layer2"}

    # Which modules with weights of their own run before the first layer, and which after the last?
    ran: list[nn.Module] = []
    for module in encoder.modules():
        module.register_forward_pre_hook(lambda each, *_: ran.append(each))
    with torch.no_grad():
        encoder(x)
    first = next(block for stage, block in blocks if stage != "stem")
    last = blocks[-1][1]
    inside = {id(each): stage for stage, block in blocks for each in block.modules()}
    for each in ran[: ran.index(first)]:
        if list(each.parameters(recurse=False)):
            assert inside.get(id(each)) == "stem", type(each)
    in_last = {id(each) for each in last.modules()}
    later = [each for each in ran[ran.index(last) :] if id(each) not in in_last]
    after = [each for each in later if list(each.parameters(recurse=False))]
    assert [type(each) for each in after if id(each) in inside] == []
    registered = [id(each) for each in encoder.modules()]
    final = {id(each) for each in encoder.list_final_modules()} if hasattr(encoder, "list_final_modules") else set()
    end = max(index for index, each in enumerate(registered) if inside.get(each, "stem") != "stem")
    for each in after:  # found by adaptation: said by the encoder, or registered after the layers
        assert id(each) in final or registered.index(id(each)) > end, type(each)


@pytest.mark.parametrize(
    ("name", "unused"), [("clap fused", ("fusion_model", "mel_conv2d")), ("pe_audio", ("dac_enc",))]
)
def test_weights_that_no_gradient_reaches_are_frozen(name: str, unused: tuple[str, ...], saved: Any) -> None:
    encoder = tower_at(saved(name)[0]).encoder
    frozen = [each for each, weight in encoder.named_parameters() if not weight.requires_grad]
    assert all(any(part in each for each in frozen) for part in unused)


@EVERYTHING
def test_what_is_written_again_loads_again(name: str, modality: Modality, saved: Any, tmp_path: Path) -> None:
    tower = tower_at(saved(name)[0], modality)
    write_tower(tower, tmp_path / "written")
    again, x = tower_at(tmp_path / "written", modality), any_input(tower)
    with torch.no_grad():
        features = tower.encoder.eval()(x)
        assert torch.equal(again.encoder.eval()(x), features)
        assert torch.equal(again.native_head(features), tower.native_head(features))
