"""Every family of public sound encoders, and PE-AV, against transformers: input, features, texts, and training."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from make_pe_video_reference import REFERENCE, process
from make_processor_reference import convert, make_clip
from safetensors.torch import load_file, save_file
from small_sound_checkpoints import (
    save_ast,
    save_clap,
    save_hubert,
    save_pe_audio,
    save_pe_av,
    save_pe_video,
    save_wav2vec2,
    save_wavlm,
    save_whisper,
)
from torch import Tensor, nn
from torch.nn.functional import normalize

from talkies.core import ConfigError, Modality, VideoInput, WhisperInput
from talkies.models import EncoderAddress
from talkies.models.public import PublicTower, open_text, open_tower
from talkies.models.public.checkpoint import silence
from talkies.models.public.spectrogram import find_sound
from talkies.transforms import AudioTransformConfig, VideoTransform, VideoTransformConfig
from talkies.transforms.audio_inputs import build_audio_transform

pytestmark = pytest.mark.filterwarnings("ignore:At least one mel filter has all zero values")

LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
Save = Callable[[Path], Any]
SOUNDS: Mapping[str, Save] = {
    "wav2vec2": save_wav2vec2,
    "wav2vec2 large": partial(save_wav2vec2, **LARGE),
    "hubert": save_hubert,
    "hubert large": partial(save_hubert, **LARGE),
    "wavlm": save_wavlm,
    "wavlm large": partial(save_wavlm, **LARGE),
    "ast": save_ast,
    "whisper": save_whisper,
    "clap": save_clap,
    "clap fused": partial(save_clap, fused=True),
    "pe_audio_video": save_pe_av,
    "pe_audio": save_pe_audio,
}
PICTURES: Mapping[str, Save] = {"pe_audio_video": save_pe_av, "pe_video": save_pe_video}
WITH_TIMM: Mapping[str, Save] = {"pe_audio_video timm": partial(save_pe_av, vision="timm")}
HEADS: Mapping[str, Save] = {
    "Wav2Vec2ForCTC": save_wav2vec2,
    "Wav2Vec2ForSequenceClassification": save_wav2vec2,
    "Wav2Vec2ForPreTraining": save_wav2vec2,
    "HubertForCTC": save_hubert,
    "HubertForSequenceClassification": save_hubert,
    "WavLMForCTC": save_wavlm,
    "WavLMForXVector": save_wavlm,
    "ASTForAudioClassification": save_ast,
    "WhisperForConditionalGeneration": save_whisper,
    "WhisperForAudioClassification": save_whisper,
}
SOUND = pytest.mark.parametrize("name", SOUNDS)
EVERY: list[tuple[str, Modality]] = [*((name, "audio") for name in SOUNDS), *((name, "video") for name in PICTURES)]
EVERYTHING = pytest.mark.parametrize(("name", "modality"), EVERY)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Any]]:
    """Saves the small checkpoint of a family once, and returns its folder and the network of transformers."""
    made: dict[str, tuple[Path, Any]] = {}

    def save(name: str) -> tuple[Path, Any]:
        if name not in made:
            savers = {**SOUNDS, **PICTURES, **WITH_TIMM}
            savers |= {head: partial(save, head=head) for head, save in HEADS.items()}
            folder = tmp_path_factory.mktemp(name.replace(" ", "-"))
            with silence():
                made[name] = folder, savers[name](folder)
        return made[name]

    return save


def tower_at(folder: Path, modality: Modality = "audio") -> PublicTower:
    return open_tower(EncoderAddress.parse(f"hf:{folder}"), modality)


def clips(rate: int, seconds: float = 2.0) -> Tensor:
    """Three clips of int16 samples: a chord, noise that swells, clicks."""
    t, rng = np.arange(round(rate * seconds)) / rate, np.random.default_rng(1)
    chord = sum(np.sin(2 * np.pi * pitch * t) for pitch in (220, 277, 3300)) / 4
    swell = rng.normal(0, 0.2, len(t)) * t / t[-1]
    ticks = np.where(np.arange(len(t)) % (rate // 7) < 40, 0.8, 0.0)
    return torch.from_numpy(np.round(np.stack([chord, swell, ticks]).clip(-1, 1) * 32767).astype(np.int16))


def sound_input(tower: PublicTower, clips_BS: Tensor) -> Tensor:
    input_ = tower.encoder.input
    assert not hasattr(input_, "frames") or not hasattr(input_, "filter")
    return build_audio_transform(AudioTransformConfig(), input_.rate_hz, input_)(clips_BS)  # type: ignore[union-attr, arg-type]


def any_input(tower: PublicTower) -> Tensor:
    if tower.encoder.modality == "audio":
        return sound_input(tower, clips(tower.encoder.input.rate_hz))  # type: ignore[union-attr]
    return torch.randn(2, 3, 5, 32, 32, generator=torch.Generator().manual_seed(0))


def extractor_of(folder: Path) -> Any:
    with silence():
        return transformers.AutoFeatureExtractor.from_pretrained(folder)


def original_features(name: str, network: Any, x: Tensor, modality: Modality = "audio", samples: int = 0) -> Tensor:
    """The features that the authors use, by transformers' own forward."""
    family = name.split()[0]
    if family == "ast":
        tokens = network(input_values=x).last_hidden_state
        return (tokens[:, 0] + tokens[:, 1]) / 2
    if family == "whisper":
        return network.encoder(x).last_hidden_state[:, : samples // 320].mean(1)
    if family == "clap":
        return network.audio_model(input_features=x, is_longer=torch.zeros(len(x), 1, dtype=torch.bool)).pooler_output
    if family.startswith("pe_"):
        side = "video" if modality == "video" else "audio"
        whole = getattr(network, f"{side}_model", network)
        values = x.transpose(1, 2).contiguous() if side == "video" else x
        return getattr(whole, f"{side}_encoder")(values).pooler_output
    return network(input_values=x).last_hidden_state.mean(1)


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


@pytest.mark.parametrize("name", ["clap", "clap fused", "pe_audio_video", "pe_audio"])
def test_words_meet_sounds_as_in_transformers(name: str, saved: Any) -> None:
    folder, network = saved(name)
    tower = tower_at(folder)
    x = sound_input(tower, clips(48_000))
    texts = ["a train passes", "dog barks", "rain"]
    assert tower.text_address == tower.space == f"hf:{folder}"
    encoder = open_text(EncoderAddress.parse(tower.text_address))
    got, sounds = encoder.encode(texts, "audio"), normalize(tower.native_head(tower.encoder.eval()(x)), dim=1)
    assert sounds.shape[1] == tower.native_dim == got.shape[1]

    with silence():
        tokens = transformers.AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        if name.startswith("clap"):
            expected = network.get_text_features(**tokens).pooler_output
            heard = network.get_audio_features(x, is_longer=torch.zeros(3, 1, dtype=torch.bool)).pooler_output
        else:
            whole = getattr(network, "audio_model", network)
            output = whole(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"], input_values=x)
            expected, heard = output.text_audio_embeds, output.audio_embeds
    torch.testing.assert_close(got, normalize(expected, dim=1), rtol=0, atol=1e-5)
    torch.testing.assert_close(sounds, normalize(heard, dim=1), rtol=0, atol=1e-4)
    assert (got[0] - got[1]).abs().max() > 1e-2


@pytest.mark.parametrize("name", PICTURES)
def test_words_meet_pictures_by_a_head_of_their_own(name: str, saved: Any) -> None:
    folder, network = saved(name)
    tower = tower_at(folder, "video")
    x = any_input(tower)
    encoder = open_text(EncoderAddress.parse(f"hf:{folder}"))
    with silence():
        tokens = transformers.AutoTokenizer.from_pretrained(folder)(["a train passes", "rain"], padding=True)
    values = {key: torch.tensor(tokens[key]) for key in ("input_ids", "attention_mask")}
    with torch.no_grad():
        whole = getattr(network, "video_model", network)
        output = whole(**values, pixel_values_videos=x.transpose(1, 2).contiguous())
        seen = normalize(tower.native_head(tower.encoder.eval()(x)), dim=1)
    got = encoder.encode(["a train passes", "rain"], "video")
    torch.testing.assert_close(got, normalize(output.text_video_embeds, dim=1), rtol=0, atol=1e-5)
    torch.testing.assert_close(seen, normalize(output.video_embeds, dim=1), rtol=0, atol=1e-4)
    if "audio" in encoder.modalities:
        assert (got - encoder.encode(["a train passes", "rain"], "audio")).abs().max() > 1e-2


def test_pe_av_puts_pictures_and_sounds_into_one_space(saved: Any) -> None:
    folder, network = saved("pe_audio_video")
    video, audio = tower_at(folder, "video"), tower_at(folder, "audio")
    assert video.space == audio.space
    pictures, sounds = any_input(video)[:1], any_input(audio)[:1]
    with torch.no_grad():
        output = network(input_values=sounds, pixel_values_videos=pictures.transpose(1, 2).contiguous())
        seen, heard = video.native_head(video.encoder(pictures)), audio.native_head(audio.encoder(sounds))
    torch.testing.assert_close(seen, output.video_embeds, rtol=0, atol=1e-4)
    torch.testing.assert_close(heard, output.audio_embeds, rtol=0, atol=1e-4)


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


def test_an_image_encoder_of_timm_is_asked_for_where_it_is_missing(
    saved: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder, _ = saved("pe_audio_video")
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = (folder / "config.json").read_text(encoding="utf-8")
    (tmp_path / "config.json").write_text(config.replace('"convnext"', '"timm_wrapper"'), encoding="utf-8")
    monkeypatch.setattr("talkies.models.public.pe_av.find_spec", lambda _: None)
    with pytest.raises(
        ConfigError, match=r"^the pictures of hf:.* need timm, which is not installed; install it with: "
    ):
        tower_at(tmp_path, "video")
    assert tower_at(tmp_path, "audio").native_dim == 24  # sounds do not need it


def test_pe_av_with_its_own_image_encoder(saved: Any) -> None:
    pytest.importorskip("timm")
    folder, network = saved("pe_audio_video timm")
    tower = tower_at(folder, "video")
    x = any_input(tower)
    with torch.no_grad():
        expected = original_features("pe_audio_video", network, x, "video")
        torch.testing.assert_close(tower.encoder.eval()(x), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "sentence"),
    [
        (
            "ast",
            "preprocessor_config.json",
            '"max_length": 240',
            '"max_length": 1024',
            "of 128 × 1024 and takes 128 × 240",
        ),
        (
            "whisper",
            "preprocessor_config.json",
            '"chunk_length": 4',
            '"chunk_length": 30',
            "80 × 3000 and takes 80 × 400",
        ),
        ("clap", "preprocessor_config.json", '"rand_trunc"', '"fusion"', "of 64 × 4 and takes 64 × 1"),
        (
            "clap",
            "preprocessor_config.json",
            '"repeatpad"',
            '"mirror"',
            "extends short sounds by 'mirror', which talkies",
        ),
        ("hubert", "preprocessor_config.json", '"sampling_rate"', '"rate"', "does not describe its preprocessing"),
        ("pe_audio", "model.safetensors", None, None, "cannot be loaded"),
    ],
)
def test_checkpoints_whose_files_do_not_fit_are_refused(
    name: str, file: str, old: str | None, new: str, sentence: str, saved: Any, tmp_path: Path
) -> None:
    for path in saved(name)[0].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    target = tmp_path / file
    if old is None:
        target.write_bytes(target.read_bytes()[:2000])
    else:
        text = target.read_text(encoding="utf-8")
        assert old in text
        target.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError, match=sentence):
        tower_at(tmp_path)


def test_a_part_that_is_missing_is_named(saved: Any, tmp_path: Path) -> None:
    for path in saved("pe_audio")[0].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = load_file(tmp_path / "model.safetensors")
    save_file({key: value for key, value in weights.items() if "layers.0" not in key}, tmp_path / "model.safetensors")
    with pytest.raises(
        ConfigError, match=r"lacks weights of PeAudioEncoder: layers.0.input_layernorm.weight, .* and 7 more"
    ):
        tower_at(tmp_path)


@EVERYTHING
def test_what_is_written_again_loads_again(name: str, modality: Modality, saved: Any, tmp_path: Path) -> None:
    tower = tower_at(saved(name)[0], modality)
    tower.whole.save_pretrained(tmp_path)
    for file, text in tower.files.items():
        if file != "config.json":
            (tmp_path / file).write_text(text, encoding="utf-8")
    again, x = tower_at(tmp_path, modality), any_input(tower)
    assert again.text_address is None
    with torch.no_grad():
        features = tower.encoder.eval()(x)
        assert torch.equal(again.encoder.eval()(x), features)
        assert torch.equal(again.native_head(features), tower.native_head(features))


def test_pe_avs_pictures_are_those_of_its_video_processor() -> None:
    side = 32
    input_ = VideoInput(side, side, mean=(0.5,) * 3, sd=(0.5,) * 3)
    exact, resized = (
        VideoTransform(VideoTransformConfig(size=side), input_)(make_clip(size))[0].transpose(0, 1)
        for size in (side, 2 * side)
    )
    expected = load_file(REFERENCE)
    torch.testing.assert_close(exact, expected["exact"], rtol=0, atol=1e-3)
    off = (resized - expected["resized"]).abs() * 255 / 2  # bytes are rounded by the processor, as by all others
    assert off.max() < 3.5
    assert off.mean() < 0.55


def test_pe_avs_video_processor_makes_today_what_was_recorded() -> None:
    pytest.importorskip("torchvision", exc_type=ImportError)
    torch.testing.assert_close(process(convert(make_clip(32))), load_file(REFERENCE)["exact"], rtol=0, atol=1e-5)


def test_pe_avs_pictures_are_read_from_its_processor(saved: Any) -> None:
    folder, _ = saved("pe_audio_video")
    expected = VideoInput(32, 32, mean=(0.5,) * 3, sd=(0.5,) * 3, usual_frames=16, usual_fps=2.0)
    assert tower_at(folder, "video").encoder.input == expected
