"""Addresses of encoders: what each form means, and the sentence for every wrong one."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talkies.core import ConfigError
from talkies.models import EncoderAddress, is_address
from talkies.runs import is_model_address, parse_model_address


@pytest.mark.parametrize(
    ("text", "scheme", "name", "revision"),
    [
        ("tiny", None, "tiny", None),
        ("hf:openai/clip-vit-base-patch32", "hf", "openai/clip-vit-base-patch32", None),
        ("hf:openai/clip@refs/pr/3", "hf", "openai/clip", "refs/pr/3"),
        ("hf:/models/clip", "hf", "/models/clip", None),
        ("timm:vit_base_patch16_224.mae", "timm", "vit_base_patch16_224.mae", None),
        ("timm:local-dir:/models/x", "timm", "local-dir:/models/x", None),
        ("onnx:a folder/model.onnx", "onnx", "a folder/model.onnx", None),
        ("python:my.module:build", "python", "my.module:build", None),
    ],
)
def test_an_address_is_read_and_written_again(text: str, scheme: str, name: str, revision: str | None) -> None:
    address = EncoderAddress.parse(text)
    assert (address.scheme, address.name, address.revision) == (scheme, name, revision)
    assert str(address) == text


def test_a_folder_with_an_at_sign_has_no_revision(tmp_path) -> None:
    folder = tmp_path / "clip@home"
    folder.mkdir()
    assert EncoderAddress.parse(f"hf:{folder}") == EncoderAddress("hf", str(folder), None)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "an encoder was named with an empty text; an encoder is a name of talkies, hf:FOLDER_OR_ID"),
        ("hg:some/model", "no such kind of address: 'hg:'; an encoder is a name of talkies"),
        ("hf:", "'hf:' names nothing after hf:; an encoder is"),
        ("hf:model@", "'hf:model@' names no encoder, or no revision after @; an encoder is"),
        ("hf:@main", "'hf:@main' names no encoder, or no revision after @; an encoder is"),
    ],
)
def test_a_wrong_address_is_answered_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}"):
        EncoderAddress.parse(text)


_NAMES = st.text(st.characters(codec="utf-8", exclude_characters="@,=", exclude_categories=("C",)), min_size=1)


@given(scheme=st.sampled_from(["hf", "timm", "onnx", "python"]), name=_NAMES)
def test_any_name_survives_being_written_and_read(scheme: str, name: str) -> None:
    address = EncoderAddress.parse(f"{scheme}:{name}")
    assert EncoderAddress.parse(str(address)) == address
    assert is_address(str(address))


def test_a_path_is_no_address() -> None:
    assert not any(map(is_address, ["runs/first", "/runs/hf", "tiny", "video=hf", "C:/runs"]))


def test_a_model_is_one_address_or_one_for_each_modality() -> None:
    parsed = parse_model_address("video=onnx:a.onnx,audio=python:b:c")
    assert (str(parsed.video), str(parsed.audio)) == ("onnx:a.onnx", "python:b:c")
    assert str(parsed) == "video=onnx:a.onnx,audio=python:b:c"
    assert parse_model_address("audio=python:b:c").video is None
    assert is_model_address("video=onnx:a.onnx")
    assert not is_model_address("video=runs/first")


@pytest.mark.parametrize("text", ["video=hf:a,video=hf:b", "x,video=hf:a"])
def test_a_model_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^a model is ADDRESS or video=ADDRESS,audio=ADDRESS, got "):
        parse_model_address(text)
