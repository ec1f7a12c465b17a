"""Words of CLAP and PE-AV, PE-AV's pictures, and checkpoints whose files do not fit together."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from make_pe_video_reference import REFERENCE, process
from make_processor_reference import convert, make_clip
from safetensors.torch import load_file, save_file
from sound_families import PICTURES, any_input, clips, original_features, sound_input, tower_at
from torch.nn.functional import normalize

from talkies.core import ConfigError, VideoInput
from talkies.models import EncoderAddress
from talkies.models.public import open_text
from talkies.models.public.checkpoint import silence
from talkies.transforms import VideoTransform, VideoTransformConfig

pytestmark = pytest.mark.filterwarnings("ignore:At least one mel filter has all zero values")


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
