"""Words: they find what they describe and not chance, and combined queries rank as a plain loop over all rows does."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import word_library
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from word_library import CONCEPTS, DIMS, PLANTED_CLIPS, STAMP, WordLibrary, build_library, describe, draw, encode_text

from talkies import search
from talkies.core import MODALITIES, Modality, UsageError
from talkies.retrieval.index import VectorIndex
from talkies.retrieval.index.ann import update_ann_index
from talkies.retrieval.search import Combined, Example, Moment, Part, Searcher, SearchQuery, Words

WEIGHTS = st.sampled_from([0.25, 1.0, 1.5, 3.0])


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> WordLibrary:
    """A library of a model whose words meet pictures and sounds, in two spaces of two widths."""
    return build_library(tmp_path_factory.mktemp("words") / "lib", describe())


@pytest.fixture(scope="module")
def joint(tmp_path_factory: pytest.TempPathFactory) -> WordLibrary:
    """A library of a model with one space for pictures, sounds and words."""
    dims = dict.fromkeys(MODALITIES, DIMS["audio"])
    return build_library(tmp_path_factory.mktemp("words") / "joint", describe(joint=True, dims=dims))


@pytest.fixture(autouse=True)
def _words() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        word_library.give_words(patch)
        yield


def is_planted(shelf: WordLibrary, hit: Any, concept: str, modalities: tuple[Modality, ...]) -> bool:
    places = [shelf.planted[concept, modality] for modality in modalities]
    return any(hit.film_id == film and start <= hit.start_seconds < start + PLANTED_CLIPS for film, start in places)


@pytest.mark.parametrize("to", ["video", "audio", "both"])
def test_words_find_what_was_planted_and_leave_out_chance(shelf: WordLibrary, to: Any) -> None:
    modalities = MODALITIES if to == "both" else (to,)
    searcher, found, others = shelf.searcher, [], []
    for concept in CONCEPTS:
        hits = searcher.search(SearchQuery(Words(concept), to=to, count=100)).hits
        right = [hit for hit in hits if is_planted(shelf, hit, concept, modalities)]
        found.append(len(right) / (PLANTED_CLIPS * len(modalities)))
        others.append(len(hits) - len(right))
    assert np.mean(found) > 0.95
    assert np.mean(others) < 1


def test_words_for_what_is_not_there_find_little_and_say_so(shelf: WordLibrary) -> None:
    searcher = shelf.searcher
    results = [searcher.search(SearchQuery(Words(f"nothing {number}"), to="video")) for number in range(40)]
    assert np.mean([len(result.hits) for result in results]) < 1
    nothing = next(result for result in results if not result.hits)
    assert nothing.no_hits_reason
    assert f"no picture is more similar to {nothing.source} than chance" in nothing.no_hits_reason


def test_the_score_of_words_is_no_cosine_of_clips(shelf: WordLibrary) -> None:
    result = shelf.searcher.search(SearchQuery(Words("rain"), to="video"))
    assert 0 < result.score_threshold < 0.45 < shelf.searcher.compute_score_threshold("video", "video")
    assert (result.source, result.compared, result.film_id) == ('"rain"', (("words", "video"),), None)


def test_a_text_alone_is_a_search(shelf: WordLibrary) -> None:
    root = shelf.library.location
    assert search(root, "rain") == search(root, SearchQuery(Words("rain")))
    assert search(root, Words("rain")).hits


def test_what_is_excluded_sinks(shelf: WordLibrary) -> None:
    both = SearchQuery(Combined((Part(Words(CONCEPTS[0])), Part(Words(CONCEPTS[2])))), to="video", count=20)
    without = SearchQuery(Combined((*both.parts, Part(Words(CONCEPTS[2]), -2.0))), to="video", count=20)
    films = [{hit.film_id for hit in shelf.searcher.search(query).hits} for query in (both, without)]
    assert films[0] == {shelf.planted[CONCEPTS[0], "video"][0], shelf.planted[CONCEPTS[2], "video"][0]}
    assert films[1] == {shelf.planted[CONCEPTS[0], "video"][0]}


def rank_by_loop(shelf: WordLibrary, query: SearchQuery, pairs: list[list[tuple[Any, Modality]]]) -> list[float]:
    """Return the score of each row in float64: the weighted mean of the parts' mean cosines, less the excluded."""
    scores = []
    total = sum(part.weight for part in query.parts if part.weight > 0)
    for row in range(len(shelf.rows)):
        score = 0.0
        for part, compared in zip(query.parts, pairs, strict=True):
            cosines = [
                float(np.dot(np.float64(vector), np.float64(shelf.rows.get_vectors(modality)[row])))
                for vector, modality in compared
            ]
            score += part.weight / total * sum(cosines) / len(cosines)
        scores.append(score)
    return scores


@st.composite
def parts_of_queries(draw_: Any) -> list[tuple[Any, float]]:
    """Parts with weights: at most one moment, files with one or both modalities, words, and words to exclude."""
    parts = [(Words(text), draw_(WEIGHTS)) for text in draw_(st.lists(st.sampled_from(CONCEPTS), max_size=2))]
    if draw_(st.booleans()):
        parts.append((Moment(f"film-{draw_(st.integers(0, 9))}.mp4", draw_(st.integers(0, 59)) + 0.5), draw_(WEIGHTS)))
    for number in range(draw_(st.integers(0, 2))):
        sides = draw_(st.sampled_from([("video",), ("audio",), ("video", "audio")]))
        vectors = [draw(f"file {number}", side) if side in sides else None for side in MODALITIES]
        parts.append((Example(f"file-{number}.mp4", 1.0, STAMP, *vectors), draw_(WEIGHTS)))
    parts = parts or [(Words("rain"), 1.0)]
    return parts + [(Words("fire"), -draw_(WEIGHTS)) for _ in range(draw_(st.integers(0, 1)))]


@given(parts=parts_of_queries(), to=st.sampled_from(["video", "audio", "both"]))
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_combined_queries_rank_as_a_loop_over_all_rows(shelf: WordLibrary, parts: Any, to: Any) -> None:
    query = SearchQuery(Combined(tuple(Part(*part) for part in parts)), "both", to, 40, use_threshold=False)
    pairs: list[list[tuple[Any, Modality]]] = []
    query_row = -1
    for part in query.parts:
        own: dict[Modality, Any] = {}
        if isinstance(part.by, Words):
            own = {modality: encode_text(part.by.text, modality) for modality in MODALITIES}
        elif isinstance(part.by, Moment):
            query_row = int(part.by.film[5]) * word_library.CLIPS + int(part.by.at_seconds)
            own = {modality: shelf.rows.get_vectors(modality)[query_row] for modality in MODALITIES}
        elif isinstance(part.by, Example):
            own = dict(part.by.vectors)
        pairs.append([(vector, modality) for modality, vector in own.items() if to in (modality, "both")])
    if not all(pairs):  # a sound to match against pictures in two spaces
        with pytest.raises(UsageError, match="lie in separate spaces"):
            shelf.searcher.search(query)
        return

    scores = rank_by_loop(shelf, query, pairs)
    order = [row for row in np.argsort(-np.array(scores), kind="stable") if row != query_row]
    hits = shelf.searcher.search(query).hits
    assert [hit.score for hit in hits] == pytest.approx([scores[row] for row in order[:40]], abs=1e-6)
    for hit, row in zip(hits, order, strict=False):
        same = [r for r in order if abs(scores[r] - scores[row]) < 1e-6]
        assert (hit.film_id, hit.start_seconds) in [(shelf.rows.film_B[r], shelf.rows.start_B[r]) for r in same]


def test_one_space_compares_a_picture_with_sounds_too(joint: WordLibrary) -> None:
    seven = joint.rows.video_BD[7]
    picture = Example("picture.png", 1.0, STAMP, seven, None)
    query = SearchQuery(Combined((Part(picture), Part(Words("rain"), 2.0))), count=5, use_threshold=False)
    joint_encoder = {side: encode_text("rain", side)[: DIMS["audio"]] for side in MODALITIES}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joint.searcher.__class__, "encode_text", lambda _, text, side: joint_encoder[side])
        result = joint.searcher.search(query)
    sides = [
        [(joint.rows.video_BD[7], side) for side in MODALITIES],
        [(joint_encoder[side], side) for side in MODALITIES],
    ]
    scores = sorted(rank_by_loop(joint, query, sides), reverse=True)
    assert [hit.score for hit in result.hits] == pytest.approx(scores[:5], abs=1e-6)
    assert result.compared == (("video", "video"), ("video", "audio"), ("words", "video"), ("words", "audio"))


def test_the_curve_of_a_film_follows_the_words(shelf: WordLibrary) -> None:
    film, first = shelf.planted["rain", "audio"]
    curve = shelf.searcher.compute_similarity_curve(SearchQuery(Words("rain"), to="audio"), film)
    best = np.argsort([-each.score for each in curve])[:PLANTED_CLIPS]
    assert sorted(best) == list(range(first, first + PLANTED_CLIPS))


def test_a_large_set_finds_the_same_words(tmp_path: Any) -> None:
    shelf = build_library(tmp_path / "lib", describe())
    state = update_ann_index(VectorIndex(shelf.library), STAMP, exact_below=500)
    assert state is not None
    query = SearchQuery(Combined((Part(Words("rain")), Part(Words("fire"), -0.5))), count=5)
    exact, large = (Searcher(shelf.library, exact_below=rows).search(query) for rows in (10_000, 500))
    assert (exact.exact, large.exact) == (True, False)
    assert [hit.start_seconds for hit in large.hits] == [hit.start_seconds for hit in exact.hits]
    assert [hit.score for hit in large.hits] == pytest.approx([hit.score for hit in exact.hits], abs=1e-5)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Words("  "), "^the words to search with are empty; describe what is to be found$"),
        (lambda: Words("x" * 301), "^the words to search with may have 300 characters, got 301; shorten them, or"),
        (lambda: Part(Words("x"), 0.0), "^the weight of a part of a query is a number other than 0, got 0$"),
        (lambda: Part(Words("x"), float("nan")), "^the weight of a part of a query is a number .* got nan$"),
        (lambda: Combined((Part(Words("x"), -1.0),)), "^a query that only excludes finds nothing; add a moment"),
        (lambda: Combined(()), "^a query that only excludes finds nothing"),
        (lambda: Combined((Part(Moment("a", 1)), Part(Moment("b", 1)))), "^a query holds one moment of a film at most"),
        (lambda: Combined((Part(Words("x")),) * 17), "^a query has at most 16 parts, got 17; leave some out$"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(make: Any, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        make()


def test_parts_that_cancel_each_other_are_refused(shelf: WordLibrary) -> None:
    with pytest.raises(UsageError, match=r"^the parts of the query cancel each other; exclude something else"):
        shelf.searcher.search(SearchQuery(Combined((Part(Words("rain")), Part(Words("rain"), -1.0)))))
