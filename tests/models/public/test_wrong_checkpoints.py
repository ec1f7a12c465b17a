"""Checkpoints of transformers: every way in which a folder or an id is not one, in one sentence."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from small_checkpoints import save_clip, save_videomae
from small_sound_checkpoints import save_wav2vec2

from talkies.core import ConfigError
from talkies.models import EncoderAddress
from talkies.models.public import list_modalities, open_text, open_tower


def open_folder(folder: Path, modality: str = "video"):
    return open_tower(EncoderAddress.parse(f"hf:{folder}"), modality)


def refuse(folder: Path, sentence: str, modality: str = "video") -> None:
    with pytest.raises(ConfigError) as caught:
        open_folder(folder, modality)
    assert str(caught.value).startswith(f"hf:{folder}{sentence}"), caught.value
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    refuse(tmp_path, " is no model of transformers: it has no config.json that names its model_type")
    (tmp_path / "config.json").write_text("{}")
    refuse(tmp_path, " is no model of transformers")
    (tmp_path / "config.json").write_text("{")
    refuse(tmp_path, ": config.json cannot be read, or is damaged")


def test_an_unknown_architecture_names_the_nearest_known(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "videomea"}')
    refuse(
        tmp_path, " is of the architecture 'videomea', which talkies does not know (did you mean 'videomae'?); it kno"
    )


def test_a_text_model_is_no_tower(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert", "vocab_size": 100}')
    refuse(tmp_path, " encodes text ('bert'), and a tower encodes pictures or sound; words need a model such as CLIP")


def test_a_model_of_the_other_modality_is_refused(tmp_path: Path) -> None:
    save_videomae(tmp_path)
    sentence = f" encodes video, not audio; name it as video=hf:{tmp_path}, or another for audio"
    refuse(tmp_path, sentence, "audio")


def test_a_model_without_words_says_which_have_them(tmp_path: Path) -> None:
    save_videomae(tmp_path)
    sentence = f"hf:{tmp_path} has no text encoder; words need a model such as CLIP or SigLIP (pictures), CLAP (sounds)"
    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}"):
        open_text(EncoderAddress.parse(f"hf:{tmp_path}"))


def test_pickled_weights_are_refused_and_never_read(tmp_path: Path) -> None:
    save_videomae(tmp_path)
    marker = tmp_path / "ran"

    class Harmful:
        def __reduce__(self):
            return (open, (str(marker), "w"))

    (tmp_path / "model.safetensors").unlink()
    torch.save({"weights": Harmful()}, tmp_path / "pytorch_model.bin")
    refuse(tmp_path, " has its weights in pytorch_model.bin, and reading it could run code of its author; if you trust")
    assert not marker.exists()


def test_weights_that_are_missing_are_named(tmp_path: Path) -> None:
    save_videomae(tmp_path)
    file = tmp_path / "model.safetensors"
    weights = load_file(file)
    gone = next(name for name in weights if "layer.1" in name and name.endswith("weight"))
    save_file({name: tensor for name, tensor in weights.items() if name != gone}, file, {"format": "pt"})
    refuse(tmp_path, " lacks weights of VideoMAEForVideoClassification: videomae.encoder.layer.1.")
    file.unlink()
    refuse(tmp_path, " has no weights (a .safetensors file)")


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"\xff" * 32 + data[32:]])
def test_damaged_weights_are_refused(tmp_path: Path, damage) -> None:
    save_videomae(tmp_path)
    file = tmp_path / "model.safetensors"
    file.write_bytes(damage(file.read_bytes()))
    refuse(tmp_path, " cannot be loaded (")


def test_weights_of_other_shapes_are_refused(tmp_path: Path) -> None:
    save_videomae(tmp_path)
    file = tmp_path / "config.json"
    file.write_text(file.read_text().replace('"intermediate_size": 32', '"intermediate_size": 48'))
    refuse(tmp_path, " cannot be loaded (")


def test_a_missing_description_of_the_preprocessing_is_told(tmp_path: Path) -> None:
    save_videomae(tmp_path)
    (tmp_path / "preprocessor_config.json").unlink()
    refuse(tmp_path, " does not describe its preprocessing (a preprocessor_config.json with image_mean)")


def test_code_in_a_checkpoint_is_never_run(tmp_path: Path) -> None:
    save_clip(tmp_path)
    marker = tmp_path / "ran"
    (tmp_path / "modeling_own.py").write_text(f"open({str(marker)!r}, 'w')\nclass Own: pass\n")
    for name in ("config.json", "tokenizer_config.json"):
        text = (tmp_path / name).read_text()
        own = "modeling_own.Own"
        auto = json.dumps({"AutoConfig": own, "AutoModel": own, "AutoTokenizer": [own, None]})
        (tmp_path / name).write_text(text.replace("{", '{"auto_map": ' + auto + ",", 1))
    open_folder(tmp_path)
    open_text(EncoderAddress.parse(f"hf:{tmp_path}"))
    assert not marker.exists()


def test_without_the_network_an_id_is_answered_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    sentence = (
        "hf:nobody/nothing is no folder here, and the hub cannot be reached to download it; download it elsewhere, "
        "copy its folder here, and name that: hf:FOLDER"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}$"):
        list_modalities(EncoderAddress.parse("hf:nobody/nothing"))
    with pytest.raises(ConfigError, match=r"^hf:not an id is no folder here, and no model of that id on the hub"):
        list_modalities(EncoderAddress.parse("hf:not an id"))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("RevisionNotFoundError", "owner/model on the hub has no revision 'v9'; name one that it has, or none"),
        ("RepositoryNotFoundError", "hf:owner/model@v9 is no folder here, and no model of that id on the hub; check"),
        ("GatedRepoError", "owner/model on the hub is open only to those who accepted its conditions; accept them"),
    ],
)
def test_what_the_hub_refuses_is_told(monkeypatch: pytest.MonkeyPatch, name: str, sentence: str) -> None:
    import httpx
    import huggingface_hub

    def refuse_download(*_: object, **__: object) -> None:
        response = httpx.Response(404, request=httpx.Request("GET", "https://hub.invalid/owner/model"))
        raise getattr(huggingface_hub.errors, name)("gone", response=response)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse_download)
    with pytest.raises(ConfigError, match=f"^{re.escape(sentence)}"):
        list_modalities(EncoderAddress.parse("hf:owner/model@v9"))


def test_a_snapshot_of_the_hub_is_used_and_never_asked_for_pickles(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import huggingface_hub

    save_wav2vec2(tmp_path / "model")
    asked = {}

    def download(name: str, **options: object) -> str:
        asked.update(options, name=name)
        return str(shutil.copytree(tmp_path / "model", tmp_path / "snapshot"))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    tower = open_tower(EncoderAddress.parse("hf:owner/model@main"), "audio")
    assert tower.encoder.address == "hf:owner/model@main"
    assert (asked["name"], asked["revision"]) == ("owner/model", "main")
    assert not any(pattern.endswith((".bin", ".pt", ".py")) for pattern in asked["allow_patterns"])


def test_loading_says_nothing_and_leaves_the_settings_of_transformers(tmp_path: Path, capfd) -> None:
    save_videomae(tmp_path)
    capfd.readouterr()
    before = transformers.logging.get_verbosity()
    open_folder(tmp_path)
    assert transformers.logging.get_verbosity() == before
    assert capfd.readouterr() == ("", "")
