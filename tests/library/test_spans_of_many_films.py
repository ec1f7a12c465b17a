"""The spans of many films at once: from the catalogue's tables, and from film folders it does not list."""

import shutil
from collections.abc import Callable

import pyarrow.parquet as pq
import pytest

from talkies.core import FilmId, LibraryError, Span
from talkies.library import SHOT, FilmEntry, FilmRecord, Library, write_annotations

ALPHA, BETA = FilmId("a" * 16), FilmId("ab" * 8)
SHOTS = [Span(0, 64), Span(64, 160)]
Commit = Callable[..., FilmRecord]


def usable(library: Library) -> list[FilmEntry]:
    return [film for film in library.films() if film.usable]


def told(library: Library, films: list[FilmEntry], *kinds: str) -> list[list[Span]]:
    table = library.spans(films, set(kinds))
    return [table.list_spans(number) for number in range(len(table))]


def commit_with(library: Library, commit: Commit, film_id: str, **marks: list[Span]) -> None:
    """Commit a film and give it other marks than it comes with."""
    commit(library, film_id)
    write_annotations(library.film_folder(FilmId(film_id)) / "shots.parquet", marks)


def forbid_folders(library: Library) -> None:
    for path in (library.root / "films").glob("*/shots.parquet"):
        path.write_text("not to be opened")


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ((SHOT,), SHOTS),
        (("black",), [Span(0, 16)]),
        (("silent",), [Span(8, 24), Span(100, 160)]),
        (("black", "silent"), [Span(0, 24), Span(100, 160)]),
        (("black", "silent", "still", "damaged"), [Span(0, 50), Span(100, 160)]),
        (("credits",), []),
        ((), []),
    ],
)
@pytest.mark.parametrize("listed", [True, False])
def test_spans_of_the_kinds_asked_for_come_joined_where_they_overlap(
    three_films: Library, kinds: tuple[str, ...], expected: list[Span], listed: bool
) -> None:
    films = usable(three_films)
    if listed:
        forbid_folders(three_films)
    else:
        shutil.rmtree(three_films.root / "catalogue")
    assert told(three_films, films, *kinds) == [expected, expected]


def test_shots_that_touch_stay_shots_beside_other_kinds(three_films: Library) -> None:
    assert told(three_films, usable(three_films), SHOT) == [SHOTS, SHOTS]


@pytest.mark.parametrize("listed", [True, False])
def test_films_come_in_the_order_in_which_they_are_asked_for_and_no_others(
    empty_library: Library, commit: Commit, listed: bool
) -> None:
    for number in range(6):
        commit_with(empty_library, commit, f"{number:016x}", still=[Span(number, number + 1)])
    if listed:
        empty_library.update_catalogue()
    films = empty_library.films()
    asked = [films[number] for number in (4, 0, 5, 2)]
    assert told(empty_library, asked, "still") == [[Span(n, n + 1)] for n in (4, 0, 5, 2)]
    assert told(empty_library, [], "still") == []


def test_films_that_the_catalogue_does_not_hold_yet_are_read_from_their_folders(
    three_films: Library, commit: Commit
) -> None:
    forbid_folders(three_films)
    commit_with(three_films, commit, "a" * 15 + "b", black=[Span(3, 7)], silent=[Span(6, 9), Span(20, 30)])
    assert told(three_films, usable(three_films), "black", "silent") == [
        [Span(0, 24), Span(100, 160)],
        [Span(3, 9), Span(20, 30)],
        [Span(0, 24), Span(100, 160)],
    ]


def test_a_film_that_was_replaced_is_read_from_its_folder_and_not_from_its_old_row(
    three_films: Library, commit: Commit
) -> None:
    forbid_folders(three_films)
    commit_with(three_films, commit, BETA, black=[Span(90, 99)])
    assert told(three_films, usable(three_films), "black") == [[Span(0, 16)], [Span(90, 99)]]
    three_films.update_catalogue()
    assert told(three_films, usable(three_films), "black") == [[Span(0, 16)], [Span(90, 99)]]


@pytest.mark.parametrize("name", ["films", "shots", "spans"])
@pytest.mark.parametrize("harm", ["missing", "garbage", "of another version"])
def test_where_a_table_is_lost_no_span_is(three_films: Library, name: str, harm: str) -> None:
    films, path = usable(three_films), three_films.root / "catalogue" / f"{name}.parquet"
    match harm:
        case "missing":
            path.unlink()
        case "garbage":
            path.write_bytes(b"not a table")
        case "of another version":
            pq.write_table(pq.read_table(path).replace_schema_metadata({"schema_version": "1"}), path)
    assert told(three_films, films, SHOT) == [SHOTS, SHOTS]
    assert told(three_films, films, "damaged") == [[Span(9, 10)], [Span(9, 10)]]


def test_damaged_marks_of_a_film_that_the_catalogue_does_not_hold_are_told(three_films: Library) -> None:
    films = usable(three_films)
    shutil.rmtree(three_films.root / "catalogue")
    path = three_films.film_folder(ALPHA) / "shots.parquet"
    path.write_bytes(b"not a table")
    with pytest.raises(LibraryError, match=f"^{path} is missing or damaged; ingest its film again to repair it$"):
        three_films.spans(films, {"black"})
