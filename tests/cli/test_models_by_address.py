"""`embed` and `search` with the address of public encoders, end to end with small random checkpoints."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_checkpoints import save_clip
from small_sound_checkpoints import save_wav2vec2

from talkies.core import LibraryError
from talkies.library import Library
from talkies.retrieval.index import VectorIndex
from talkies.retrieval.search import Moment, Searcher, SearchQuery, Words

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_clip(folder / "clip")
    save_wav2vec2(folder / "w2v")
    return folder


@pytest.fixture(scope="module")
def shelf(library: Library, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(library.root, tmp_path_factory.mktemp("addresses") / "lib"))


def test_the_sets_of_several_models_lie_side_by_side(
    shelf: Path, models: Path, document_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(models)
    clip, both = "hf:clip", f"video=hf:clip,audio=hf:{models}/w2v"
    first = document_of("embed", "--library", shelf, "--model", clip)
    assert (first["dims"], first["text"], first["films"]) == ({"video": 12, "audio": 0}, ["video"], 3)
    assert first["run"] == f"video=hf:{models}/clip"  # absolute
    again = document_of("embed", "--library", shelf, "--model", f"hf:{models}/clip")
    assert (again["model"], again["films"], again["reused"]) == (first["model"], 0, 3)
    second = document_of("embed", "--library", shelf, "--model", both)
    assert (second["dims"], second["joint"]) == ({"video": 12, "audio": 16}, False)
    assert second["model"] != first["model"]

    words = ("--text", "a train passes", "--not", "rain", "--weight", "not=0.5", "--weak", "-k", "3")
    found = document_of("search", "--library", shelf, "--model", clip, *words)
    assert (found["query"]["model"], found["query"]["run"]) == (first["model"], "video=hf:clip")
    assert found["query"]["compared"] == [["words", "video"]]
    assert found["query"]["parts"] == [
        {"kind": "text", "name": "a train passes", "weight": 1.0},
        {"kind": "text", "name": "rain", "weight": -0.5},
    ]
    assert found["query"]["source"] == '"a train passes" − 0.5 × "rain"'
    assert len(found["hits"]) == 3
    moment = ("--film", "film-000.mp4", "--at", "3", "--weak", "-k", "2")
    mixed = document_of("search", "--library", shelf, "--model", both, *moment, "--text", "rain")
    assert mixed["query"]["compared"] == [["video", "video"], ["audio", "audio"], ["words", "video"]]
    monkeypatch.chdir("/")
    elsewhere = document_of("search", "--library", shelf, "--model", f"hf:{models}/clip", *words)
    assert elsewhere["hits"] == found["hits"]


def test_the_weights_that_encode_words_must_be_those_of_the_set(
    shelf: Path, models: Path, document_of: Callable[..., Any], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(models / "clip", tmp_path / "clip"))
    library = Library.open(Path(shutil.copytree(shelf, tmp_path / "lib")))
    stamp = document_of("embed", "--library", library.root, "--model", f"hf:{folder}")["model"]
    entry = VectorIndex(library).choose(stamp)
    assert entry.run == f"video=hf:{folder}"  # the model has moved, and its set knows where to

    shutil.rmtree(folder)
    with pytest.raises(
        LibraryError, match=r"^searching by file or words needs the model .* cannot be loaded \(.*\); sear"
    ):
        Searcher(library, stamp).search(SearchQuery(Words("rain")))
    assert Searcher(library, stamp).search(SearchQuery(Moment("film-000.mp4", 3.0))).stamp == stamp

    save_clip(folder)
    other = save_clip(tmp_path / "other", "CLIPModel")
    weights = (other / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:-4] + b"\x00\x00\x80\x3f")  # one weight differs
    with pytest.raises(LibraryError, match=rf"now holds another model \(stamp \w+\) than the one .* \(stamp {stamp}\)"):
        Searcher(library, stamp).search(SearchQuery(Words("rain")))
