"""Search: hits are those of a brute-force reference; impossible queries are refused."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from talkies.core import LibraryError, UsageError
from talkies.ingestion import ingest
from talkies.library import Library
from talkies.retrieval.index import IndexRows, VectorIndex, embed
from talkies.retrieval.search import Moment, SearchQuery, SearchResult, search
from talkies.synth import SynthConfig, render_films

STRIDE_SECONDS = 0.5
SIDES = ("video", "audio")


@dataclass(frozen=True)
class Shelf:
    """A library with a rejected film and one that is not embedded, clips of a second laid each half second."""

    library: Library
    stamp: str
    run: Path
    late: str

    @property
    def root(self) -> Path:
        return self.library.root

    def rows(self) -> list[dict[str, Any]]:
        return convert_to_dicts(VectorIndex(self.library).read_rows(self.stamp))


def build_query(film: str, at_seconds: float, from_: Any = "video", to: Any = "video", count: int = 10) -> SearchQuery:
    """A query by a moment, for all that is there."""
    return SearchQuery(Moment(film, at_seconds), from_, to, count, use_threshold=False)


def convert_to_dicts(rows: IndexRows) -> list[dict[str, Any]]:
    """Rows one by one."""
    return [
        {"film_id": film, "start_seconds": start, "end_seconds": end, "video": video, "audio": audio}
        for film, start, end, video, audio in zip(
            rows.film_B, rows.start_B, rows.end_B, rows.video_BD, rows.audio_BD, strict=True
        )
    ]


@pytest.fixture(scope="module")
def shelf(new_shelf: Callable[[], Library], run: Path, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    library, folder = new_shelf(), tmp_path_factory.mktemp("more")
    stamp = embed(library.root, run, stride_seconds=STRIDE_SECONDS).entry.stamp
    (folder / "letter.mp4").write_text("Dear film, I am a text.")
    render_films(folder / "late", 1, SynthConfig(seconds=2.5), seed=70)
    (folder / "late" / "film-000.mp4").rename(folder / "latecomer.mp4")
    ingest([folder / "letter.mp4", folder / "latecomer.mp4"], library.root)
    return Shelf(library, stamp, run, "latecomer.mp4")


def overlap(left: dict[str, Any], right: dict[str, Any]) -> bool:
    same = left["film_id"] == right["film_id"]
    return same and left["start_seconds"] < right["end_seconds"] and right["start_seconds"] < left["end_seconds"]


def search_by_brute_force(
    rows: list[dict[str, Any]], here: dict[str, Any], from_: str, to: str, count: int
) -> list[Any]:
    """The answer by cosines over all rows and a greedy choice of those apart from the query and from each other."""
    query = np.asarray(here[from_], np.float64)
    scores = [float(query @ np.asarray(row[to], np.float64)) for row in rows]
    kept: list[dict[str, Any]] = [here]
    for place in np.argsort(scores)[::-1]:
        if not any(overlap(rows[place], other) for other in kept):
            kept.append({**rows[place], "score": scores[place]})
    return kept[1 : count + 1]


def find_query_row(shelf: Shelf, result: SearchResult) -> dict[str, Any]:
    return next(
        row for row in shelf.rows() if (row["film_id"], row["start_seconds"]) == (result.film_id, result.start_seconds)
    )


@pytest.mark.parametrize("from_", SIDES)
@pytest.mark.parametrize("to", SIDES)
@pytest.mark.parametrize("at_seconds", [0.0, 5.3, 12.0])
def test_hits_are_those_of_a_brute_force_search_in_its_order(
    shelf: Shelf, from_: Any, to: Any, at_seconds: float
) -> None:
    result = search(shelf.root, build_query("film-001.mp4", at_seconds, from_=from_, to=to, count=6))
    expected = search_by_brute_force(shelf.rows(), find_query_row(shelf, result), from_, to, 6)
    assert len(result.hits) == 6
    assert [hit.score for hit in result.hits] == pytest.approx([row["score"] for row in expected], abs=1e-5)
    for hit, row in zip(result.hits, expected, strict=True):
        ties = [r for r in expected if abs(r["score"] - hit.score) < 1e-6]
        assert (hit.film_id, hit.start_seconds) in [(r["film_id"], r["start_seconds"]) for r in (row, *ties)]


def test_no_hit_overlaps_the_query_or_another_hit_and_scores_descend(shelf: Shelf) -> None:
    result = search(shelf.root, build_query("film-000.mp4", 6.0, count=30))
    spans = [(result.film_id, result.start_seconds, result.end_seconds)]
    spans += [(hit.film_id, hit.start_seconds, hit.end_seconds) for hit in result.hits]
    moments = [dict(zip(("film_id", "start_seconds", "end_seconds"), span, strict=True)) for span in spans]
    assert not any(overlap(a, b) for place, a in enumerate(moments) for b in moments[:place])
    assert all(before.score >= after.score for before, after in pairwise(result.hits))
    assert all(-1.00001 <= hit.score <= 1.00001 for hit in result.hits)


@pytest.mark.parametrize("count", [1, 3, 10])
def test_as_many_hits_come_as_are_asked_for(shelf: Shelf, count: int) -> None:
    assert len(search(shelf.root, build_query("film-002.mp4", 3.0, count=count)).hits) == count


def test_fewer_hits_are_the_first_of_more(shelf: Shelf) -> None:
    few, many = (search(shelf.root, build_query("film-002.mp4", 3.0, count=count)).hits for count in (3, 8))
    assert few == many[:3]


def test_a_library_too_small_for_the_count_gives_all_that_is_apart(shelf: Shelf) -> None:
    result = search(shelf.root, build_query("film-000.mp4", 6.0, count=1000))
    assert result.hits
    assert len(result.hits) == len(
        search_by_brute_force(shelf.rows(), find_query_row(shelf, result), "video", "video", 1000)
    )


@pytest.mark.parametrize(
    ("at_seconds", "start_seconds"), [(0.0, 0.0), (5.3, 5.0), (5.6, 5.0), (5.9, 5.5), (12.0, 11.0)]
)
def test_the_clip_whose_middle_is_nearest_is_asked_with(shelf: Shelf, at_seconds: float, start_seconds: float) -> None:
    result = search(shelf.root, build_query("film-001.mp4", at_seconds))
    assert (result.start_seconds, result.end_seconds) == (start_seconds, start_seconds + 1)
    assert (result.source, result.stamp) == ("film-001.mp4", shelf.stamp)


def test_a_moment_on_the_border_of_two_clips_is_asked_with_the_one_that_holds_it(
    new_shelf: Callable[[], Library], run: Path
) -> None:
    library = new_shelf()
    embed(library.root, run)
    result = search(library.root, build_query("film-000.mp4", 6.0))
    assert (result.start_seconds, result.end_seconds) == (6.0, 7.0)


def test_a_film_is_named_by_its_id_its_unique_beginning_or_its_file(shelf: Shelf) -> None:
    film = shelf.library.find("film-001.mp4")
    names = (film.film_id, film.film_id[:8], "film-001.mp4", "film-001", film.source)
    results = [search(shelf.root, build_query(name, 3.0, count=2)) for name in names]
    assert {result.film_id for result in results} == {film.film_id}
    assert len({result.hits for result in results}) == 1


@pytest.mark.parametrize(
    ("film", "at_seconds", "kind", "sentence"),
    [
        (
            "film-009.mp4",
            1.0,
            LibraryError,
            r"no film 'film-009\.mp4' in .*did you mean 'film-00\d\.mp4'\?.*; see: talk",
        ),
        (
            "film-000.mp4",
            12.5,
            UsageError,
            r"film-000\.mp4 lasts 12\.00 s, and the query's moment is 12\.5; name a time inside it",
        ),
        (
            "film-000.mp4",
            -1.0,
            UsageError,
            r"film-000\.mp4 lasts 12\.00 s, and the query's moment is -1; name a time inside it",
        ),
        (
            "film-000.mp4",
            float("nan"),
            UsageError,
            r"film-000\.mp4 lasts 12\.00 s, and the query's moment is nan; name a time",
        ),
        ("letter.mp4", 0.0, LibraryError, r"letter\.mp4 was rejected at ingest \(.+\); name an accepted film"),
        ("latecomer.mp4", 1.0, LibraryError, r"latecomer\.mp4 is not embedded; run: talkies embed --library .* --run "),
    ],
)
def test_an_impossible_moment_is_refused(
    shelf: Shelf, film: str, at_seconds: float, kind: type[UsageError], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence):
        search(shelf.root, build_query(film, at_seconds))


@pytest.mark.parametrize("count", [0, -3])
def test_less_than_one_hit_is_refused(shelf: Shelf, count: int) -> None:
    with pytest.raises(
        UsageError, match=f"^a search returns 1 to 1000 hits, got {count}; page through more with a skip$"
    ):
        search(shelf.root, build_query("film-000.mp4", 1.0, count=count))


def test_a_library_without_embeddings_names_the_command_that_makes_them(library: Library) -> None:
    sentence = f"{library.root} has no embeddings yet; make them with: talkies embed --library {library.root} --run RUN"
    with pytest.raises(LibraryError, match=f"^{re.escape(sentence)}$"):
        search(library.root, build_query("film-000.mp4", 1.0))


def test_a_model_that_has_not_embedded_the_library_is_refused(shelf: Shelf, other_run: Path) -> None:
    sentence = (
        rf"was not embedded with the model asked for \(stamp [0-9a-f]+\) but with {shelf.stamp} \(run .*, step 2\)"
    )
    with pytest.raises(LibraryError, match=sentence):
        search(shelf.root, build_query("film-000.mp4", 1.0), other_run)


def test_naming_the_run_that_embedded_changes_nothing(shelf: Shelf) -> None:
    query = build_query("film-000.mp4", 1.0, count=3)
    assert search(shelf.root, query, shelf.run) == search(shelf.root, query)


def test_with_two_models_the_run_decides(new_shelf: Callable[[], Library], run: Path, other_run: Path) -> None:
    library, query = new_shelf(), build_query("film-000.mp4", 1.0, count=3)
    stamps = [embed(library.root, each).entry.stamp for each in (run, other_run)]
    assert [search(library.root, query, each).stamp for each in (run, other_run)] == stamps
    with pytest.raises(LibraryError, match=r"holds embeddings of 2 models: .*; name one with --run RUN"):
        search(library.root, query)
