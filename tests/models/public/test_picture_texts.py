"""The text encoders of CLIP, SigLIP and SigLIP 2 against transformers' own, and what of a text they take."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from small_checkpoints import TEXT_LENGTH, save_clip, save_siglip, save_siglip2
from torch import Tensor
from torch.nn.functional import normalize

from talkies.core import ConfigError
from talkies.models import EncoderAddress
from talkies.models.public import TextEncoder, open_text
from talkies.models.public.checkpoint import silence

SAVERS = {"CLIPModel": save_clip, "SiglipModel": save_siglip, "Siglip2Model": save_siglip2}
MODELS = pytest.mark.parametrize("architecture", SAVERS)
TEXTS = ["a train passes", "A dog barks at night, far away from here", "été", ""]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: save(tmp_path_factory.mktemp(name)) for name, save in SAVERS.items()}


def texts_of(folder: Path) -> TextEncoder:
    return open_text(EncoderAddress.parse(f"hf:{folder}"))


def expected_embeddings(folder: Path, architecture: str, texts: list[str]) -> Tensor:
    """What transformers gives with the options that the documentation of the model names."""
    with silence():
        network: Any = getattr(transformers, architecture).from_pretrained(folder).eval()
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    padding = True if architecture == "CLIPModel" else "max_length"
    tokens = tokenizer(texts, padding=padding, truncation=True, max_length=TEXT_LENGTH, return_tensors="pt")
    with torch.no_grad():
        return normalize(network.get_text_features(**tokens).pooler_output, dim=1)


@MODELS
def test_embeddings_are_those_of_transformers(architecture: str, folders: dict[str, Path]) -> None:
    texts = [text.lower() for text in TEXTS]
    got = texts_of(folders[architecture]).encode(texts, "video")
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, expected_embeddings(folders[architecture], architecture, texts), rtol=0, atol=1e-4)
    torch.testing.assert_close(got.norm(dim=1), torch.ones(len(texts)))
    assert (got[0] - got[1]).abs().max() > 0.01


@MODELS
def test_a_text_has_one_embedding_whatever_its_case_and_company(architecture: str, folders: dict[str, Path]) -> None:
    encoder = texts_of(folders[architecture])
    alone = encoder.encode(["A Train passes"], "video")
    many = encoder.encode(["a train passes", *(f"text number {index}" for index in range(100))], "video")
    assert many.shape[0] == 101
    torch.testing.assert_close(many[:1], alone, rtol=0, atol=1e-5)


@MODELS
def test_a_long_text_is_cut_to_what_the_model_takes_even_if_its_tokenizer_names_no_length(
    architecture: str, folders: dict[str, Path]
) -> None:
    encoder = texts_of(folders[architecture])
    encoder._tokenizer.model_max_length = int(1e30)  # type: ignore[attr-defined]
    long, longer = encoder.encode(["b" * 40, "b" * 400], "video")
    torch.testing.assert_close(long, longer, rtol=0, atol=1e-5)


@pytest.mark.parametrize("architecture", ["SiglipModel", "Siglip2Model"])
def test_padding_is_not_masked_as_in_training(architecture: str, folders: dict[str, Path]) -> None:
    encoder = texts_of(folders[architecture])
    expected = encoder.encode(["a dog"], "video")
    encoder._tokenizer.model_input_names = ["input_ids", "attention_mask"]  # type: ignore[attr-defined]
    torch.testing.assert_close(encoder.encode(["a dog"], "video"), expected, rtol=0, atol=0)


def test_a_tokenizer_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = save_clip(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_text("{")
    with pytest.raises(ConfigError, match="has no tokenizer that can be read; name a complete checkpoint"):
        texts_of(folder)


def test_a_tokenizer_that_needs_sentencepiece_says_how_to_install_it(tmp_path: Path) -> None:
    try:
        import sentencepiece  # noqa: F401
    except ImportError:
        folder = save_siglip(tmp_path)
        (folder / "tokenizer.json").unlink()
        (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "SiglipTokenizer"}')
        (folder / "spiece.model").write_bytes(b"")
        with pytest.raises(ConfigError, match="needs SentencePiece, which is not installed; install it with: pip"):
            texts_of(folder)
    else:
        pytest.skip("sentencepiece is installed")
