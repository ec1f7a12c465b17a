"""Embedding sets of models with one modality, with two widths, or without words: all work, and say what they lack."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import word_library
from word_library import CLIPS, DIMS, FILMS, STAMP, WordLibrary, build_library, describe

from talkies.core import LibraryError, Modality, UsageError
from talkies.export import export_vectors
from talkies.retrieval.index import EmbeddingSet, VectorIndex, build_map, choose_set
from talkies.retrieval.index.ann import read_index_state, update_ann_index
from talkies.retrieval.recurrence.repeats import RepeatQuery, find_repeats, find_repeats_among
from talkies.retrieval.recurrence.timeline import FilmAnnotations
from talkies.retrieval.search import Combined, Example, Moment, Part, Searcher, SearchQuery, Words

ONE_SIDED: dict[str, tuple[Modality, Modality]] = {"video": ("video", "audio"), "audio": ("audio", "video")}
SIDES = ("video", "audio")


def keep(modality: str) -> dict[str, object]:
    """The description of a set of one modality."""
    return {
        "dims": {each: DIMS[each] if each == modality else 0 for each in SIDES},
        "text": (modality,),
        "joint": True,
        "run": f"{modality}=hf:/models/{modality}-model",
    }


@pytest.fixture(scope="module")
def shelves(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], WordLibrary]:
    """A function that returns the library of a model with pictures only, with sounds only, or with both."""
    made: dict[str, WordLibrary] = {}

    def get(kind: str) -> WordLibrary:
        if kind not in made:
            changes = keep(kind) if kind in SIDES else {"text": ()}
            made[kind] = build_library(tmp_path_factory.mktemp(kind) / "lib", describe(**changes))
        return made[kind]

    return get


@pytest.mark.parametrize("modality", SIDES)
def test_a_set_of_one_modality_is_searched_mapped_compared_and_exported(
    modality: Any, shelves: Callable[[str], WordLibrary], tmp_path: Path
) -> None:
    shelf, (own, _) = shelves(modality), ONE_SIDED[modality]
    root, searcher = shelf.library.location, shelf.searcher
    assert VectorIndex(shelf.library).open_table(STAMP).schema.names[-1] == own
    result = searcher.search(SearchQuery(Moment("film-3.mp4", 20.5), use_threshold=False))
    row = 3 * CLIPS + 20
    scores = np.sort(np.delete(shelf.rows.get_vectors(own) @ shelf.rows.get_vectors(own)[row], row))[::-1]
    assert result.compared == ((own, own),)
    assert [hit.score for hit in result.hits] == pytest.approx(scores[:10], abs=1e-6)
    assert len(searcher.compute_recurrence_curve("film-3.mp4", own)) == CLIPS
    assert len(build_map(shelf.library, STAMP, own)) == FILMS * CLIPS

    films = [FilmAnnotations(f"{number:016x}", f"film-{number}.mp4", {}) for number in range(FILMS)]
    assert list(find_repeats_among(shelf.rows, films, 1.0, RepeatQuery()).by_modality) == [own]
    npy = export_vectors(root, tmp_path / "npy", "npy")
    assert {path.name for path in npy.files} == {f"{own}.npy", "rows.csv", "set.json"}
    assert np.load(tmp_path / "npy" / f"{own}.npy").shape == (FILMS * CLIPS, DIMS[own])
    assert json.loads((tmp_path / "npy" / "set.json").read_text())["run"] == f"{own}=hf:{own}-model"
    parquet = export_vectors(root, tmp_path / "one.parquet", "parquet")
    assert parquet.clips == FILMS * CLIPS


@pytest.mark.parametrize("modality", SIDES)
def test_a_set_of_one_modality_says_what_it_lacks_and_what_would_have_it(
    modality: Any, shelves: Callable[[str], WordLibrary]
) -> None:
    shelf, (own, lacking) = shelves(modality), ONE_SIDED[modality]
    searcher, moment = shelf.searcher, Moment("film-3.mp4", 20.5)
    words = {"video": "pictures", "audio": "sounds"}
    example = {"video": "CLIP, DINOv2 or PE-AV", "audio": "CLAP, wav2vec 2.0 or PE-AV"}
    sentence = (
        rf"^{own}=hf:{own}-model has embeddings of {words[own]} only; for {words[lacking]}, embed the library with a "
        rf"model that has them: a run of talkies, or a public encoder such as {example[lacking]}$"
    )
    for query in (
        SearchQuery(moment, lacking),
        SearchQuery(moment, "both", lacking),
        SearchQuery(moment, own, lacking),
    ):
        with pytest.raises(UsageError, match=sentence):
            searcher.search(query)
    with pytest.raises(UsageError, match=sentence):
        searcher.compute_recurrence_curve("film-3.mp4", lacking)
    with pytest.raises(UsageError, match=sentence):
        build_map(shelf.library, STAMP, lacking)
    with pytest.raises(UsageError, match=sentence):
        find_repeats(shelf.library.location, RepeatQuery((lacking,)))
    with pytest.raises(
        UsageError, match=rf"^the {words[lacking]} of .* cannot be searched by words; its {words[own]} can"
    ):
        searcher.search(SearchQuery(Words("rain"), to=lacking))
    alone = Example("a.wav", 1.0, STAMP, None, None)  # a file of what the model does not encode
    what = {"video": "picture", "audio": "sound"}[own]
    with pytest.raises(
        UsageError, match=rf"^a\.wav has no {what}, and {own}=hf:{own}-model encodes nothing else; search"
    ):
        searcher.search(SearchQuery(alone))


def test_pictures_and_sounds_of_two_spaces_are_compared_like_with_like(shelves: Callable[[str], WordLibrary]) -> None:
    shelf, moment = shelves("both"), Moment("film-3.mp4", 20.5)
    with pytest.raises(
        UsageError,
        match=r"^the pictures and sounds of video=hf:clip,audio=hf:clap lie in separate spaces, so sounds cannot be "
        r"matched against pictures; match them against sounds \(--to audio\), or embed the library with a model that "
        r"has one space for both: a run of talkies, or PE-AV$",
    ):
        shelf.searcher.search(SearchQuery(moment, "audio", "video"))
    sound = Example("a.wav", 1.0, STAMP, None, shelf.rows.audio_BD[7])
    with pytest.raises(UsageError, match="so sounds cannot be matched against pictures"):
        shelf.searcher.search(SearchQuery(sound, to="video"))
    compared = {
        ("both", "both"): (("video", "video"), ("audio", "audio")),
        ("both", "video"): (("video", "video"),),
        ("audio", "both"): (("audio", "audio"),),
        ("audio", "audio"): (("audio", "audio"),),
    }
    for (from_, to), pairs in compared.items():
        assert shelf.searcher.search(SearchQuery(moment, from_, to)).compared == pairs
    assert shelf.searcher.search(SearchQuery(sound)).compared == (("audio", "audio"),)


def test_a_model_without_words_says_so_and_is_not_loaded(
    shelves: Callable[[str], WordLibrary], monkeypatch: pytest.MonkeyPatch
) -> None:
    word_library.refuse_words(monkeypatch)
    sentence = (
        r"^the pictures of video=hf:clip,audio=hf:clap cannot be searched by words, because it has no text encoder in "
        r"their space; embed the library with a model that has one, such as CLIP or SigLIP \(pictures\), CLAP"
    )
    query = Combined((Part(Moment("film-3.mp4", 20.5)), Part(Words("rain"))))
    for by in (Words("rain"), query):
        with pytest.raises(UsageError, match=sentence):
            shelves("both").searcher.search(SearchQuery(by))


@pytest.mark.slow
def test_a_large_set_of_one_modality_and_of_two_widths_has_an_index(tmp_path: Path) -> None:
    for kind in (*SIDES, "both"):
        entry = describe(**(keep(kind) if kind in SIDES else {}))
        shelf = build_library(tmp_path / kind, entry)
        index = VectorIndex(shelf.library)
        state = update_ann_index(index, STAMP, exact_below=500)
        assert state is not None
        assert set(state.recall) == set(entry.modalities)
        assert read_index_state(index, STAMP) == state
        result = Searcher(shelf.library, exact_below=500).search(SearchQuery(Moment("film-3.mp4", 20.5)))
        assert (result.exact, result.recall) == (False, min(state.recall.values()))


def test_a_set_of_version_3_has_one_space_one_width_and_no_words(shelves: Callable[[str], WordLibrary]) -> None:
    written = {
        "schema_version": 3, "stamp": "abc", "run": "/runs/first", "step": 5, "dim": 128,
        "clip_seconds": 2.0, "stride_seconds": 1.0, "framing": "whole",
    }  # fmt: skip
    entry = EmbeddingSet.model_validate_json(json.dumps(written))
    assert (entry.dims, entry.dim, entry.joint, entry.text) == ({"video": 128, "audio": 128}, 128, True, ())
    assert (entry.name, entry.is_public, entry.modalities) == ("first", False, SIDES)
    assert EmbeddingSet.model_validate_json(entry.model_dump_json()) == entry
    with pytest.raises(ValueError, match="one of them above 0"):
        EmbeddingSet.model_validate(written | {"dim": 0})


@pytest.mark.parametrize(
    ("run", "name"),
    [
        ("/home/me/runs/first", "first"),
        ("hf:/models/clip", "hf:clip"),
        ("hf:openai/clip-vit-base-patch32@main", "hf:openai/clip-vit-base-patch32@main"),
        ("video=hf:/a/b/clip,audio=hf:/c/w2v", "video=hf:clip,audio=hf:w2v"),
        ("video=onnx:/a/b/net.onnx", "video=onnx:net.onnx"),
        (
            "video=python:mine:build,audio=hf:facebook/wav2vec2-base",
            "video=python:mine:build,audio=hf:facebook/wav2vec2-base",
        ),
    ],
)
def test_the_name_of_a_model_has_no_folders(run: str, name: str) -> None:
    assert describe(run=run).name == name


@pytest.fixture
def several(tmp_path: Path) -> WordLibrary:
    """A library of four sets: of a run, of CLIP, of CLIP beside wav2vec 2.0, and of a joint model."""
    for folder in ("clip", "w2v", "pe"):
        (tmp_path / folder).mkdir()
    runs = {
        "aaaaaaaaaaaa": "/runs/first",
        "bbbbbbbbbbbb": f"video=hf:{tmp_path}/clip",
        "cccccccccccc": f"video=hf:{tmp_path}/clip,audio=hf:{tmp_path}/w2v",
        "dddddddddddd": f"hf:{tmp_path}/pe",
    }
    shelf = build_library(tmp_path / "lib", describe(stamp="aaaaaaaaaaaa", run=runs["aaaaaaaaaaaa"]))
    for stamp, run in list(runs.items())[1:]:
        VectorIndex(shelf.library).create_or_resume(describe(stamp=stamp, run=run))
    return shelf


@pytest.mark.parametrize(
    ("address", "letter"),
    [
        ("hf:{here}/clip", "b"),
        ("video=hf:{here}/clip", "b"),
        ("hf:clip", "b"),
        ("video=hf:clip,audio=hf:{here}/w2v", "c"),
        ("audio=hf:w2v,video=hf:clip", "c"),
        ("hf:pe", "d"),
        ("video=hf:pe,audio=hf:pe", "d"),
    ],
)
def test_a_set_is_found_by_its_models_address_however_it_is_written(
    several: WordLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, letter: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert choose_set(several.library, address.format(here=tmp_path)).stamp == letter * 12


@pytest.mark.parametrize("address", ["hf:w2v", "audio=hf:w2v", "video=hf:pe", "hf:facebook/none"])
def test_a_model_that_did_not_embed_the_library_is_refused(
    several: WordLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        LibraryError,
        match=rf"lib was not embedded with {address} but with a{{12}} \(run /runs/first, step 0\), b{{12}} \(model "
        rf"video=.*; embed it with: talkies embed --library .* --model {address}$",
    ):
        choose_set(several.library, address)


def test_several_sets_are_named_with_the_options_that_choose(several: WordLibrary) -> None:
    with pytest.raises(LibraryError, match=r"of 4 models: .*; name one with --run RUN or --model ADDRESS$"):
        choose_set(several.library)


def test_code_that_a_library_names_runs_only_if_the_user_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TALKIES_TRUST_CODE", raising=False)
    (tmp_path / "stranger.py").write_text("from pathlib import Path\nPath(__file__).with_name('ran').touch()\n")
    monkeypatch.syspath_prepend(tmp_path)
    shelf = build_library(tmp_path / "lib", describe(run="video=python:stranger:build"))
    with pytest.raises(LibraryError, match=r"^searching by file or words would run code that the library names"):
        shelf.searcher.search(SearchQuery(Words("rain")))
    assert not (tmp_path / "ran").exists()
