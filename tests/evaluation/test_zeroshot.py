"""Zero-shot classification: words of class names, the score against a plain loop, and whole data sets."""

import math
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import miniatures as mini
import numpy as np
import pytest
import small_checkpoints
import small_sound_checkpoints
import torch
from hypothesis import given
from hypothesis import strategies as st

from talkies.core import UsageError
from talkies.evaluation import evaluate, resolve_protocol
from talkies.evaluation.datasets import READERS
from talkies.evaluation.datasets.dataset import DataSet, Example, Split
from talkies.evaluation.transfer.extract import ExtractedFeatures
from talkies.evaluation.transfer.zeroshot import TEMPLATES, EmbeddingFeatures, ZeroShot, make_readable
from talkies.runs import load_encoder

ANY_CLIP = {"allow_missing": True}
WORDS = st.lists(st.text("abcdefgh", min_size=2, max_size=6), min_size=2, max_size=4)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a small random CLIP."""
    return f"hf:{small_checkpoints.save_clip(tmp_path_factory.mktemp('checkpoints') / 'clip')}"


@pytest.fixture(scope="module")
def ucf101(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mini.build_ucf101(tmp_path_factory.mktemp("ucf101"), mini.playable)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("crying_baby", "crying baby"),  # ESC-50
        ("ApplyEyeMakeup", "apply eye makeup"),  # UCF101
        ("YoYo", "yo yo"),
        ("Archery", "archery"),
        ("brush_hair", "brush hair"),  # HMDB51
        ("playing bass guitar", "playing bass guitar"),  # Kinetics, VGGSound
        ("Male speech, man speaking", "Male speech, man speaking"),  # AudioSet
        ("Pushing [something] from left to right", "Pushing something from left to right"),  # Something-Something
        ("TV", "TV"),
    ],
)
def test_class_names_become_words(name: str, words: str) -> None:
    assert make_readable(name) == words


@given(WORDS)
def test_words_that_were_joined_in_any_way_come_apart(words: list[str]) -> None:
    told = " ".join(words)
    assert make_readable("_".join(words)) == told
    assert make_readable("".join(word.capitalize() for word in words)) == told
    assert make_readable(told) == told


class Words:
    """Embeds a text by what it is made of, not into unit vectors of one direction."""

    run, stamp = "model", "stamp"
    text_modalities = ("audio",)

    def encode_text(self, texts: Sequence[str], _modality: str) -> np.ndarray:
        rows = np.array([[len(text), text.count("a"), text.count("e"), ord(text[0]) % 7] for text in texts], np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_scores_equal_a_plain_loop_in_double_precision() -> None:
    names, templates = ("crying_baby", "Rain", "sea"), ("a sound of {}.", "{} here", "one {}")
    numbers = (0, 1)
    window_NVD = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(3))
    examples = tuple(Example(f"{number}.wav", (number,), str(number)) for number in numbers)
    data = DataSet("mine", Path(), "audio", names, examples, (Split("all", (), numbers),))
    features: Any = SimpleNamespace(_encoder=Words())
    features.embed_classes = lambda *arguments: EmbeddingFeatures.embed_classes(features, *arguments)
    extracted = ExtractedFeatures({number: {"audio": window_NVD[number]} for number in numbers})
    protocol = resolve_protocol("zeroshot", [f"zeroshot.templates={list(templates)}"])
    scores_NVK = ZeroShot(data, extracted, features, protocol).fit_and_score("audio", data.splits[0], 0).scores_NVK

    def unit(row: Sequence[float]) -> list[float]:
        length = math.sqrt(sum(value * value for value in row))
        return [value / length for value in row]

    for number in numbers:
        for window in range(3):
            clip_D = unit([float(value) for value in window_NVD[number, window]])
            for label, name in enumerate(("crying baby", "rain", "sea")):
                vectors = [
                    [float(value) for value in Words().encode_text([text.format(name)], "audio")[0]]
                    for text in templates
                ]
                mean_D = unit([sum(column) / len(templates) for column in zip(*vectors, strict=True)])
                expected = sum(one * other for one, other in zip(clip_D, mean_D, strict=True))
                assert scores_NVK[number, window, label] == pytest.approx(expected, abs=1e-12)


def test_a_data_set_of_pictures_is_classified_by_words(
    clip: str, ucf101: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    protocol = resolve_protocol("zeroshot", ["clips=2"])
    result = evaluate("ucf101", clip, ucf101, protocol=protocol, **ANY_CLIP)
    assert result.metrics.keys() == {"accuracy", "window_accuracy"}
    assert result.baselines == {}
    assert result.protocol["chance"] == {"accuracy": 1 / 3, "window_accuracy": 1 / 3}
    assert result.protocol["templates"] == {"video": list(TEMPLATES["video"])}
    assert "apply eye makeup, archery, handstand pushups" in result.protocol["class_names"]
    assert (result.protocol["learnt_from"], result.protocol["license"]) == ("nothing", "")
    assert "checkpoint_step" not in result.protocol
    assert (tmp_path / "results" / "features").is_dir()

    # by the encoder itself: the class with the nearest words
    encoder = load_encoder(clip)
    templates = TEMPLATES["video"]
    data = READERS["ucf101"](ucf101)
    names = [make_readable(name) for name in data.classes]
    text_KMD = np.stack([encoder.encode_text([each.format(name) for each in templates], "video") for name in names])
    class_KD = text_KMD.mean(1)
    class_KD /= np.linalg.norm(class_KD, axis=1, keepdims=True)
    again = evaluate("ucf101", clip, ucf101, protocol=protocol, **ANY_CLIP)
    assert again.metrics == result.metrics  # from the cache
    features = EmbeddingFeatures("mine", encoder, _spec(encoder))
    np.testing.assert_allclose(features.embed_classes(names, "video", templates), class_KD, atol=1e-6)


def _spec(encoder: Any) -> Any:
    from talkies.evaluation.transfer.features import find_clip_spec

    return find_clip_spec(encoder, resolve_protocol("zeroshot"))


def test_own_templates_are_measured_and_stored(clip: str, ucf101: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    protocol = resolve_protocol("zeroshot", ["clips=1", 'zeroshot.templates=["we see {}"]'])
    result = evaluate("ucf101", clip, ucf101, protocol=protocol, **ANY_CLIP)
    assert result.protocol["templates"] == {"video": ["we see {}"]}
    for wrong in ('["no place"]', '["{} and {}"]', '["{name}"]'):
        with pytest.raises(UsageError, match=r"a template has \{\} once, where the class goes, got"):
            resolve_protocol("zeroshot", [f"zeroshot.templates={wrong}"])
    with pytest.raises(UsageError, match="there must be one template or more"):
        resolve_protocol("zeroshot", ["zeroshot.templates=[]"])


def test_a_model_without_words_says_so(run: Path, ucf101: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    address = f"hf:{small_checkpoints.save_videomae(tmp_path / 'videomae')}"
    sentence = r"the pictures of \S+ have no text encoder in their space, so they cannot be classified by the names of "
    for model in (address, run):
        with pytest.raises(UsageError, match=sentence):
            evaluate("ucf101", model, ucf101, protocol=resolve_protocol("zeroshot"), **ANY_CLIP)
    assert not (tmp_path / "results").exists()


def test_sounds_are_classified_by_words(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    small_sound_checkpoints.save_clap(tmp_path / "clap")
    esc50 = mini.build_esc50(tmp_path / "esc50", mini.playable)
    protocol = resolve_protocol("zeroshot", ["clips=1"])
    result = evaluate("esc50", f"hf:{tmp_path / 'clap'}", esc50, protocol=protocol, **ANY_CLIP)
    assert result.protocol["templates"] == {"audio": list(TEMPLATES["audio"])}
    assert result.protocol["chance"]["accuracy"] == 1 / result.protocol["classes"]
    assert 0 <= result.metrics["accuracy"].mean <= 1
