"""The catalogue: tables that equal the film folders, and can be lost at any time."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from talkies.core import FilmId, LibraryError, Span
from talkies.library import FilmRecord, Library, Verdict, read_record
from talkies.library.catalogue import read_shots, write_shots


def table(library: Library, name: str) -> list[dict[str, object]]:
    return pq.read_table(library.root / "catalogue" / f"{name}.parquet").to_pylist()


def records_in_folders(library: Library) -> list[FilmRecord]:
    return [read_record(path) for path in sorted((library.root / "films").glob("*/film.json"))]


def test_the_tables_equal_the_film_folders(three_films: Library) -> None:
    films = table(three_films, "films")
    assert [FilmRecord.model_validate_json(row["record"]) for row in films] == records_in_folders(three_films)
    assert [row["verdict"] for row in films] == ["accepted", "accepted with warnings", "rejected"]
    assert table(three_films, "shots") == [
        {"film_id": film_id, "start_frame": start, "end_frame": end}
        for film_id in ("a" * 16, "ab" * 8)
        for start, end in ((0, 64), (64, 160))
    ]
    assert table(three_films, "spans") == [
        {"film_id": film_id, "start_frame": 0, "end_frame": 160} for film_id in ("a" * 16, "ab" * 8)
    ]


def test_after_an_ingest_the_tables_equal_the_film_folders(library: Library) -> None:
    rows = table(library, "films")
    assert [FilmRecord.model_validate_json(row["record"]) for row in rows] == records_in_folders(library)
    shots = [
        (film.film_id, shot.start_frame, shot.end_frame)
        for film in records_in_folders(library)
        for shot in read_shots(library.film_folder(film.id) / "shots.parquet")
    ]
    assert [tuple(row.values()) for row in table(library, "shots")] == shots


@pytest.mark.parametrize("name", ["films", "shots", "spans"])
def test_each_table_carries_the_version_of_its_schema(three_films: Library, name: str) -> None:
    metadata = pq.read_schema(three_films.root / "catalogue" / f"{name}.parquet").metadata
    assert metadata[b"schema_version"] == b"1"


def test_films_are_listed_from_the_catalogue_while_it_is_true(three_films: Library) -> None:
    expected = records_in_folders(three_films)
    for path in (three_films.root / "films").glob("*/film.json"):
        path.write_text("not to be opened")
    assert three_films.films() == expected


def test_without_a_catalogue_the_list_is_the_same(three_films: Library) -> None:
    shutil.rmtree(three_films.root / "catalogue")
    assert three_films.films() == records_in_folders(three_films)
    assert len(three_films.films()) == 3


def test_a_film_that_came_after_the_catalogue_is_listed(three_films: Library, commit) -> None:
    new = commit(three_films, "b" * 16, "/films/new.mp4")
    assert [film.film_id for film in three_films.films()] == ["a" * 16, "ab" * 8, "b" * 16, "c" * 16]
    assert three_films.films()[2] == new


def test_a_film_that_went_after_the_catalogue_is_not_listed(three_films: Library) -> None:
    shutil.rmtree(three_films.film_folder(three_films.films()[0].id))
    assert [film.film_id for film in three_films.films()] == ["ab" * 8, "c" * 16]


def test_a_catalogue_whose_records_cannot_be_read_is_passed_over(three_films: Library) -> None:
    path = three_films.root / "catalogue" / "films.parquet"
    rows = [row | {"record": '{"of": "another version"}'} for row in pq.read_table(path).to_pylist()]
    pq.write_table(pa.Table.from_pylist(rows, pq.read_schema(path)), path)
    assert three_films.films() == records_in_folders(three_films)


def test_rebuilt_from_nothing_the_tables_are_byte_for_byte_the_same(three_films: Library) -> None:
    folder = three_films.root / "catalogue"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    shutil.rmtree(folder)
    three_films.rebuild_catalogue()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert before.keys() == {"films.parquet", "shots.parquet", "spans.parquet"}


def test_a_library_without_usable_films_has_empty_tables(empty_library: Library, commit) -> None:
    commit(empty_library, "e" * 16, verdict=Verdict.REJECTED)
    empty_library.rebuild_catalogue()
    assert len(table(empty_library, "films")) == 1
    assert (table(empty_library, "shots"), table(empty_library, "spans")) == ([], [])


def test_shots_come_back_as_they_were_written(tmp_path: Path) -> None:
    shots = [Span(0, 7), Span(7, 40), Span(40, 41)]
    write_shots(tmp_path / "shots.parquet", shots)
    assert read_shots(tmp_path / "shots.parquet") == shots


@pytest.mark.parametrize("garbage", [b"", b"not a table"])
def test_a_damaged_catalogue_is_passed_over(three_films: Library, garbage: bytes) -> None:
    (three_films.root / "catalogue" / "films.parquet").write_bytes(garbage)
    assert three_films.films() == records_in_folders(three_films)


@pytest.mark.parametrize("garbage", [None, b"", b"not a table"])
def test_damaged_shots_are_told_with_their_repair(three_films: Library, garbage: bytes | None) -> None:
    path = three_films.film_folder(FilmId("a" * 16)) / "shots.parquet"
    path.unlink()
    if garbage is not None:
        path.write_bytes(garbage)
    with pytest.raises(LibraryError, match=f"^{path} is missing or damaged; ingest its film again to repair it$"):
        three_films.shots_of(FilmId("a" * 16))
    three_films.rebuild_catalogue()  # the other films' tables do not suffer
    assert {row["film_id"] for row in table(three_films, "shots")} == {"ab" * 8}
