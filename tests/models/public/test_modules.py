"""Anybody's module as an encoder: by address, by plug-in, and every way in which one is not an encoder."""

import re
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch
from small_modules import Loudness, MeanColours

from talkies.core import ConfigError, RunError
from talkies.models import EncoderAddress, ModelConfig, build_model
from talkies.models.public import list_modalities, modules, open_tower
from talkies.runs import load_encoder
from talkies.runs.trust import check_trust


def open_python(function: str, modality: str = "audio"):
    return open_tower(EncoderAddress.parse(f"python:small_modules:{function}"), modality)


def test_a_module_is_used_as_it_is() -> None:
    encoder = open_python("MeanColours", "video").encoder
    clips = torch.rand(2, 3, 2, 16, 16)
    torch.testing.assert_close(encoder(clips), MeanColours()(clips), rtol=0, atol=0)
    assert [stage for stage, _ in encoder.named_blocks()] == ["stem", "layer1"]
    assert list_modalities(EncoderAddress.parse("python:small_modules:Loudness")) == ("audio",)


def test_a_module_of_the_current_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_encoder_here.py").write_text("from small_modules import Loudness as build\n")
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    tower = open_tower(EncoderAddress.parse("python:own_encoder_here:build"), "audio")
    assert isinstance(tower.encoder.network, Loudness)
    assert sys.path == before


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("python:small_modules", "'python:small_modules' is not python:MODULE:FUNCTION"),
        (
            "python:no_such_module_here:build",
            "python:no_such_module_here:build: there is no module no_such_module_here; name one that is installed or "
            "in the current folder",
        ),
        (
            "python:small_modules:Loudnes",
            "python:small_modules:Loudnes: small_modules has no function Loudnes (did you mean 'Loudness'?)",
        ),
        ("python:small_modules:not_callable", "python:small_modules:not_callable: small_modules has no function"),
        ("python:small_modules:no_module", "python:small_modules:no_module returned int; it must return an nn.Module"),
        ("python:small_modules:no_modality", "python:small_modules:no_modality has the modality None, and it is video"),
        ("python:small_modules:wrong_input", "python:small_modules:wrong_input encodes audio and has the input Video"),
        ("python:small_modules:no_width", "python:small_modules:no_width has the out_dim None, and it is a positive"),
        (
            "python:small_modules:broken",
            "python:small_modules:broken could not be built (TypeError: it does not start)",
        ),
    ],
)
def test_what_is_no_encoder_is_answered_in_one_sentence(address: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}"):
        open_tower(EncoderAddress.parse(address), "audio")


def test_a_module_of_the_other_modality_is_refused() -> None:
    sentence = (
        "python:small_modules:MeanColours encodes video, not audio; name it as video=python:small_modules:MeanColours, "
        "or another for audio"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}$"):
        open_python("MeanColours")


def test_features_of_another_width_are_refused() -> None:
    encoder = open_python("WrongWidth").encoder
    with pytest.raises(ConfigError, match=r"must return features \[B, out_dim\], here \[4, 3\], and returned \[4, 2\]"):
        encoder(torch.zeros(4, 100))


def test_an_encoder_without_weights_cannot_be_trained() -> None:
    config = ModelConfig(video="tiny", audio="python:small_modules:Loudness")
    with pytest.raises(ConfigError, match=r"has no weights that can be trained; set adaptation.audio.train=head"):
        build_model(config)


def test_a_plug_in_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint("loudness", "small_modules:Loudness", modules.PLUGIN_GROUP)]

    def find(*, group: str, name: str | None = None) -> list[EntryPoint]:
        assert group == "talkies.encoders"
        return [point for point in points if name in (None, point.name)]

    monkeypatch.setattr(modules, "entry_points", find)
    assert ModelConfig(video="tiny", audio="loudness").audio == "loudness"
    assert isinstance(open_tower(EncoderAddress.parse("loudness"), "audio").encoder.network, Loudness)
    with pytest.raises(ValueError, match=r"no audio encoder 'loudnes' \(did you mean 'loudness'\?\)"):
        ModelConfig(video="tiny", audio="loudnes")

    points[0] = EntryPoint("loudness", "small_modules:Gone", modules.PLUGIN_GROUP)
    with pytest.raises(ConfigError, match="the plug-in 'loudness' cannot be imported"):
        open_tower(EncoderAddress.parse("loudness"), "audio")


def test_two_modules_make_an_encoder_of_clips_without_a_run() -> None:
    encoder = load_encoder("video=python:small_modules:MeanColours,audio=python:small_modules:Loudness")
    assert encoder.dims == {"video": 8, "audio": 2}
    assert not encoder.joint
    assert encoder.text_modalities == ()


def test_code_that_a_run_names_is_not_run_without_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = ("tiny", "python:small_modules:Loudness")
    sentence = (
        "RUN names python:small_modules:Loudness, and loading it runs that code; if you trust it, add --trust-code "
        "(in Python trust_code=True)"
    )
    with pytest.raises(RunError, match=f"^{re.escape(sentence)}$"):
        check_trust(addresses, "RUN")
    check_trust(addresses[:1], "RUN")
    check_trust(addresses, "RUN", trust_code=True)
    monkeypatch.setenv("TALKIES_TRUST_CODE", "1")
    check_trust(addresses, "RUN")
