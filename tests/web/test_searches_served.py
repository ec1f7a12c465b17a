"""Search over HTTP: parameters reach the searcher, and its results reach the page; the cache."""

from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Thread

import pytest
from api_client import Client, read_error

from talkies.library import FilmEntry, Library
from talkies.retrieval.search import Moment, Searcher, SearchQuery
from talkies.web.cache import LRUCache

pytestmark = pytest.mark.xdist_group("web")


@pytest.fixture
def film(served_library: Library) -> FilmEntry:
    return served_library.usable_films()[0]


def test_the_hits_are_those_of_the_search(client: Client, served_library: Library, film: FilmEntry) -> None:
    other = served_library.usable_films()[1]
    document = client.get(
        f"/api/search?film={film.name}&at=4.5&from=audio&to=video&count=3&skip=1&per=moment&films={film.film_id}"
        f"&films={other.film_id}&begin=1&end=11&apart=2&floor=false"
    ).json()
    only, span = (film.film_id, other.film_id), (1.0, 11.0)
    query = SearchQuery(Moment(film.name, 4.5), "audio", "video", 3, 1, "moment", only, span, 2.0, False)
    truth = Searcher(served_library).search(query)
    assert [(hit["film_id"], hit["start_seconds"], hit["shot"]) for hit in document["hits"]] == [
        (hit.film_id, hit.start_seconds, hit.shot) for hit in truth.hits
    ]
    assert (document["more"], document["exact"], document["recall"]) == (truth.more, True, None)
    asked = document["query"]
    assert (asked["from"], asked["to"], asked["films"], asked["begin"]) == ("audio", "video", list(only), 1.0)
    assert (asked["source"], asked["start_seconds"]) == (film.name, truth.start_seconds)


def test_pages_follow_each_other(client: Client, film: FilmEntry) -> None:
    asked = f"/api/search?film={film.film_id}&at=2&floor=false"
    whole = client.get(f"{asked}&count=6").json()["hits"]
    pages = [client.get(f"{asked}&count=2&skip={skip}").json()["hits"] for skip in (0, 2, 4)]
    assert [hit for page in pages for hit in page] == whole


def test_a_start_or_an_end_alone_limits_the_span(client: Client, film: FilmEntry) -> None:
    asked = f"/api/search?film={film.film_id}&at=2&floor=false&count=100"
    late, early = (client.get(f"{asked}&{part}").json()["hits"] for part in ("begin=6", "end=6"))
    assert late
    assert all(hit["start_seconds"] >= 6 for hit in late)
    assert early
    assert all(hit["end_seconds"] <= 6 for hit in early)


def test_an_empty_result_has_a_reason(client: Client, film: FilmEntry) -> None:
    document = client.get(f"/api/search?film={film.film_id}&at=2&floor=false&begin=11.9").json()
    assert document["hits"] == []
    assert document["nothing"] == "no match: the filters exclude every clip; use fewer filters"
    past = client.get(f"/api/search?film={film.film_id}&at=2&floor=false&skip=5000").json()
    assert past["nothing"] == "there are no hits after the first 5000"


def test_heat_has_a_score_for_every_clip_of_a_film(client: Client, served_library: Library, film: FilmEntry) -> None:
    other = served_library.usable_films()[1]
    document = client.get(f"/api/heat?in={other.film_id}&film={film.film_id}&at=2&from=video&to=video").json()
    truth = Searcher(served_library).compute_similarity_curve(
        SearchQuery(Moment(film.film_id, 2.0), "video", "video"), other.film_id
    )
    assert [tuple(span) for span in document["spans"]] == pytest.approx(truth)
    assert isinstance(document["floor"], float)


@pytest.mark.parametrize("side", ["video", "audio"])
def test_the_map_has_a_point_for_every_clip(client: Client, served_library: Library, side: str) -> None:
    document = client.get(f"/api/map?side={side}").json()
    assert document["side"] == side
    assert len(document["points"]) == client.get("/api/library").json()["models"][0]["rows"]
    assert all(0 <= point[axis] <= 1 for point in document["points"] for axis in "xy")


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ("film={film}", 422, "a search needs a moment (film and at) or a file (upload); name one of the two"),
        ("at=3", 422, "name one of the two"),
        ("", 422, "a search needs a moment (film and at), a file (upload) or words (text); name one of them"),
        ("not=rain", 422, "or words (text); name one of them"),
        ("text=", 422, "text: string should have at least 1 character, got ''"),
        ("text=%20", 400, "the words to search with are empty; describe what is to be found"),
        (f"text={'x' * 301}", 422, "text: string should have at most 300 characters, got 'xxx"),
        ("&".join(["text=x"] * 6), 422, "text: list should have at most 5 items after validation, not 6, got"),
        ("text=rain", 400, "cannot be searched by words, because it has no text encoder in their space; embed"),
        ("film={film}&at=1&text=rain", 400, "cannot be searched by words"),
        ("film={film}&at=1&upload=0123456789abcdef", 422, "name one of the two"),
        ("film={film}&at=1&from=smell", 422, "from: input should be 'video', 'audio' or 'both', got 'smell'"),
        ("film={film}&at=1&per=hour", 422, "per: input should be 'moment', 'shot' or 'film', got 'hour'"),
        ("film={film}&at=1&count=0", 422, "greater than or equal to 1, got '0'"),
        ("film={film}&at=1&fil=3", 422, "fil is not a parameter of this address"),
        ("film={film}&at=1&begin=5&end=2", 400, "before its end, got 5 to 2"),
        ("film={film}&at=99", 400, "lasts 12.00 s, and the query's moment is 99; name a time inside it"),
        ("film=nix&at=1", 404, "no film 'nix'"),
        ("film=letter.mp4&at=0", 404, "letter.mp4 was rejected at ingest"),
        ("film={film}&at=1&films=nix", 404, "no film 'nix'"),
        ("film={film}&at=1&model=nix", 404, "was not embedded with the model asked for (stamp nix)"),
        ("film={film}&at=1&model=../../x", 404, "was not embedded with the model asked for"),
        ("upload=0123456789abcdef", 404, "no file was uploaded as 0123456789abcdef"),
        ("film=' OR 1=1 --&at=1", 404, "no film"),
        ("film=%00&at=1", 404, "no film"),
    ],
)
def test_invalid_searches_are_refused_with_a_message(
    client: Client, film: FilmEntry, asked: str, status: int, words: str
) -> None:
    assert words in read_error(client.get(f"/api/search?{asked.format(film=film.film_id)}"), status)


def test_a_library_elsewhere_is_shown_and_played(
    served_library: Library,
    film: FilmEntry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    client_of: Callable[..., Client],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    client = client_of(Library.open(f"file://{served_library.root}"))
    assert len(client.get("/api/library").json()["films"]) == 4
    content = served_library.proxy_path(film.id).read_bytes()
    assert client.get(f"/media/{film.film_id}.mp4", headers={"range": "bytes=5-9"}).content == content[5:10]
    assert client.get(f"/api/films/{film.film_id}/frame.jpg?at=1").status_code == 200
    assert client.get(f"/api/films/{film.film_id}").json()["waveform"]


def test_the_cache_drops_values_above_its_limit() -> None:
    kept: LRUCache[int, bytes] = LRUCache(10, len)
    for number in range(5):
        assert kept.get(number, lambda: b"1234") == b"1234"
    assert len(kept) == 2
    assert kept.get(4, lambda: b"made anew") == b"1234"
    assert kept.get(0, lambda: b"made anew") == b"made anew"
    kept.put(9, b"more than all that may be kept")
    assert len(kept) == 1


def test_threads_that_want_the_same_value_compute_it_once() -> None:
    kept: LRUCache[str, object] = LRUCache(3)
    made, seen, together = [], [], Barrier(8)

    def make() -> object:
        made.append(1)
        if len(made) == 1:
            raise ValueError("the first time it fails")
        return object()

    def want() -> None:
        together.wait()
        try:
            seen.append(kept.get("x", make))
        except ValueError:
            seen.append(None)

    threads = [Thread(target=want) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) <= 2
    assert len(set(seen) - {None}) <= 1
    assert kept.get("x", make) is kept.get("x", make)
