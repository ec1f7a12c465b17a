"""Large sets with an approximate index: it finds nearly what an exact search finds, and states its recall."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from talkies.library import Library
from talkies.retrieval.index import IndexRows, VectorIndex, ann, embed
from talkies.retrieval.index.ann import find_nearest, read_index_state, sample_rows, update_ann_index
from talkies.retrieval.index.library_map import MAX_POINTS, build_map, project_to_plane
from talkies.retrieval.search import Example, Moment, Searcher, SearchQuery

pytestmark = pytest.mark.slow

SMALL = 2_000


@pytest.fixture(scope="module")
def shelf(new_shelf: Callable[[], Library], run: Path) -> tuple[Library, str]:
    """A library whose three films have a thousand clips each, of forty scenes, and its set's stamp."""
    library = new_shelf()
    stamp = embed(library.root, run).entry.stamp
    index, random = VectorIndex(library), np.random.default_rng(4)
    index.remove_films(stamp, [film.film_id for film in library.films()])
    scenes = random.normal(size=(40, 128))
    for film in library.films():
        which = np.repeat(random.integers(0, 40, 50), 20)
        sides = [normalise(scenes[which] + 0.4 * random.normal(size=(1000, 128))) for _ in range(2)]
        start = np.arange(1000, dtype=np.float64)
        names = np.array([film.film_id] * 1000, np.object_)
        index.add(stamp, IndexRows(names, start, start + 1, np.full(1000, -1, np.int32), np.zeros(1000, bool), *sides))
    assert read_index_state(index, stamp) is None
    update_ann_index(index, stamp, exact_below=SMALL)
    return library, stamp


def normalise(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def test_the_index_states_its_recall_and_its_rows(shelf: tuple[Library, str]) -> None:
    state = read_index_state(VectorIndex(shelf[0]), shelf[1])
    assert state is not None
    assert state.rows == 3000
    assert set(state.recall) == {"video", "audio"}
    assert min(state.recall.values()) >= 0.95


def test_it_is_not_built_again_until_the_set_has_grown(shelf: tuple[Library, str]) -> None:
    index = VectorIndex(shelf[0])
    before = index.open_table(shelf[1]).list_indices()
    assert update_ann_index(index, shelf[1], exact_below=SMALL) == read_index_state(index, shelf[1])
    assert [found.name for found in index.open_table(shelf[1]).list_indices()] == [found.name for found in before]


@pytest.mark.parametrize("sides", [("video", "video"), ("audio", "video"), ("both", "both"), ("video", "both")])
@pytest.mark.parametrize(
    "more", [{}, {"per": "shot"}, {"skip": 5}, {"apart_seconds": 30.0}, {"span_seconds": (10, 400)}]
)
def test_the_hits_are_nearly_those_of_a_search_of_all_rows(
    shelf: tuple[Library, str], sides: tuple[str, str], more: dict[str, object]
) -> None:
    exact, index = Searcher(*shelf), Searcher(*shelf, exact_below=SMALL)
    shares = []
    for at in (5.2, 333.0, 801.0):
        rows = VectorIndex(shelf[0]).read_rows(shelf[1], shelf[0].films()[1].id)[int(at) : int(at) + 1]
        asked = Example("a file", 1.0, shelf[1], rows.video_BD[0], rows.audio_BD[0])
        query = SearchQuery(asked, *sides, **more, use_threshold=False)
        one, other = exact.search(query), index.search(query)
        assert (one.exact, one.recall, other.exact) == (True, None, False)
        assert other.recall is not None
        kept = {(hit.film_id, hit.start_seconds) for hit in one.hits}
        shares.append(len(kept & {(hit.film_id, hit.start_seconds) for hit in other.hits}) / len(kept))
        assert one.score_threshold == other.score_threshold
    assert np.mean(shares) >= 0.9


@pytest.mark.parametrize("at", [0.0, 0.4, 17.0, 333.3, 999.9, 1000.0])
def test_a_moment_is_asked_with_the_same_clip_as_without_the_index(shelf: tuple[Library, str], at: float) -> None:
    film = shelf[0].films()[1]
    shelf_film = Moment(film.film_id, min(at, film.duration_seconds))
    query = SearchQuery(shelf_film, "video", "video", 1, use_threshold=False)
    exact, index = (Searcher(*shelf, exact_below=below).search(query) for below in (50_000, SMALL))
    assert (exact.start_seconds, exact.hits[0].start_seconds) == (index.start_seconds, index.hits[0].start_seconds)


@pytest.mark.parametrize("sides", [("audio", "video"), ("both", "both")])
def test_a_search_of_one_film_finds_its_clips_however_far_they_lie_from_the_query(
    shelf: tuple[Library, str], sides: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ann, "_PROBES", 1)  # so that a part of the rows alone is looked into at first
    film, exact, index = shelf[0].films()[2], Searcher(*shelf), Searcher(*shelf, exact_below=SMALL)
    asked = Moment(shelf[0].films()[0].film_id, 3.0)
    for more in ({"films": (film.name,)}, {"span_seconds": (20.0, 31.0)}, {"skip": 1500}):
        query = SearchQuery(asked, *sides, 8, **more, use_threshold=False)
        one, other = exact.search(query), index.search(query)
        assert len(one.hits) == len(other.hits) == 8
        assert one.more == other.more


def test_a_span_without_an_end_is_searched(shelf: tuple[Library, str]) -> None:
    query = SearchQuery(
        Moment(shelf[0].films()[0].film_id, 3.0), span_seconds=(900.0, float("inf")), use_threshold=False
    )
    hits = Searcher(*shelf, exact_below=SMALL).search(query).hits
    assert hits
    assert min(hit.start_seconds for hit in hits) >= 900


def test_films_asked_for_are_searched_alone(shelf: tuple[Library, str]) -> None:
    searcher, only = Searcher(*shelf, exact_below=SMALL), shelf[0].films()[2]
    query = SearchQuery(Moment(shelf[0].films()[0].film_id, 3.0), films=(only.name,), use_threshold=False)
    hits = searcher.search(query).hits
    assert {hit.film_id for hit in hits} == {only.film_id}
    assert len(hits) == 10


def test_one_hit_a_film_is_given_even_where_many_clips_of_a_film_come_first(shelf: tuple[Library, str]) -> None:
    films = shelf[0].films()
    query = SearchQuery(Moment(films[0].film_id, 3.0), per="film", use_threshold=False)
    for searcher in (Searcher(*shelf), Searcher(*shelf, exact_below=SMALL)):
        assert {hit.film_id for hit in searcher.search(query).hits} == {films[1].film_id, films[2].film_id}


def test_nearest_rows_come_best_first_with_their_cosines(shelf: tuple[Library, str]) -> None:
    table = VectorIndex(shelf[0]).open_table(shelf[1])
    asked = sample_rows(table, 1).video_BD[0]
    rows, cosine_B = find_nearest(table, 3 * asked, "video", 20, exact=True)
    np.testing.assert_allclose(rows.video_BD @ asked, cosine_B, atol=1e-5)
    assert np.all(np.diff(cosine_B) <= 0)
    assert cosine_B[0] == pytest.approx(1, abs=1e-5)


def test_a_map_has_so_many_points_of_all_films_and_is_the_same_each_time(shelf: tuple[Library, str]) -> None:
    points = build_map(*shelf, "video")
    assert len(points) == MAX_POINTS
    assert {point.film_id for point in points} == {film.film_id for film in shelf[0].films()}
    assert build_map(*shelf, "video") == points  # kept
    for path in VectorIndex(shelf[0]).folder.glob("*.map-video.json"):
        path.unlink()
    assert build_map(*shelf, "video") == points  # built again


def test_what_is_alike_lies_near_on_the_map() -> None:
    random = np.random.default_rng(0)
    kind = np.repeat(np.arange(6), 30)
    place = project_to_plane(normalise(random.normal(size=(6, 32))[kind] + 0.2 * random.normal(size=(180, 32))))
    assert place.min() == 0
    assert place.max() == 1
    apart = np.linalg.norm(place[:, None] - place[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert np.mean(kind[apart.argmin(1)] == kind) > 0.95


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_a_map_of_a_few_clips_is_a_map(count: int) -> None:
    place = project_to_plane(normalise(np.random.default_rng(1).normal(size=(count, 8))))
    assert place.shape == (count, 2)
    assert np.all((place >= 0) & (place <= 1))


def test_a_set_that_was_taken_away_and_made_anew_gets_its_own_index_and_map(
    new_shelf: Callable[[], Library], run: Path
) -> None:
    library = new_shelf()
    entry = embed(library.root, run).entry
    index = VectorIndex(library)
    update_ann_index(index, entry.stamp, exact_below=10)
    build_map(library, entry.stamp, "video")
    assert read_index_state(index, entry.stamp) is not None
    (index.folder / f"{entry.stamp}.json").unlink()
    index.create_or_resume(entry)
    assert read_index_state(index, entry.stamp) is None
    assert [path.name for path in index.folder.glob("*.json")] == [f"{entry.stamp}.json"]


def test_a_map_is_built_again_when_a_film_takes_the_place_of_another(
    new_shelf: Callable[[], Library], run: Path
) -> None:
    library = new_shelf()
    stamp, index = embed(library.root, run).entry.stamp, VectorIndex(library)
    before = build_map(library, stamp, "audio")
    film = library.films()[0].id
    rows = index.read_rows(stamp, film)
    index.remove_films(stamp, [film])
    index.add(stamp, replace(rows, film_B=np.array(["0" * 16] * len(rows), np.object_)))
    after = build_map(library, stamp, "audio")
    assert len(after) == len(before)
    assert {point.film_id for point in after} == {point.film_id for point in before} - {film} | {"0" * 16}
