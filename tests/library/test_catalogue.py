"""The catalogue: tables that equal the film folders, and can be lost at any time."""

import shutil
import threading
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from talkies.core import FilmId, LibraryError, Span
from talkies.library import (
    SCHEMA_VERSION,
    SHOT,
    FilmEntry,
    FilmRecord,
    Library,
    Verdict,
    read_record,
    write_annotations,
)
from talkies.library.catalogue import read_annotations

ALPHA, BETA, GAMMA = FilmId("a" * 16), FilmId("ab" * 8), FilmId("c" * 16)
TABLES = ("films", "shots", "spans")
SPANS = [("black", 0, 16), ("damaged", 9, 10), ("silent", 8, 24), ("silent", 100, 160), ("still", 0, 50)]


def table(library: Library, name: str) -> list[dict[str, object]]:
    return pq.read_table(library.root / "catalogue" / f"{name}.parquet").to_pylist()


def tables(library: Library) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((library.root / "catalogue").glob("*.parquet"))}


def stale_marks(library: Library) -> list[str]:
    return sorted(path.name for path in (library.root / "catalogue").glob(".stale-*"))


def records_in_folders(library: Library) -> list[FilmRecord]:
    return [read_record(path) for path in sorted((library.root / "films").glob("*/film.json"))]


def rows_of_folders(library: Library) -> list[FilmEntry]:
    return [FilmEntry.of(record) for record in records_in_folders(library)]


def test_the_tables_equal_the_film_folders(three_films: Library) -> None:
    films = table(three_films, "films")
    assert films == [asdict(row) for row in rows_of_folders(three_films)]
    assert [row["verdict"] for row in films] == ["accepted", "accepted with warnings", "rejected"]
    assert table(three_films, "shots") == [
        {"film_id": film_id, "start_frame": start, "end_frame": end}
        for film_id in (ALPHA, BETA)
        for start, end in ((0, 64), (64, 160))
    ]
    assert table(three_films, "spans") == [
        {"film_id": film_id, "kind": kind, "start_frame": start, "end_frame": end}
        for film_id in (ALPHA, BETA)
        for kind, start, end in SPANS
    ]


def test_after_an_ingest_the_tables_equal_the_film_folders(library: Library) -> None:
    assert table(library, "films") == [asdict(row) for row in rows_of_folders(library)]
    shots = [
        (film.film_id, shot.start_frame, shot.end_frame)
        for film in records_in_folders(library)
        for shot in read_annotations(library.film_folder(film.id) / "shots.parquet")[SHOT]
    ]
    assert len(shots) >= 3
    assert [tuple(row.values()) for row in table(library, "shots")] == shots


def test_a_row_says_what_its_record_says(three_films: Library) -> None:
    for row, record in zip(three_films.films(), records_in_folders(three_films), strict=True):
        assert (row.id, row.name, row.source, row.usable) == (record.id, record.name, record.source, record.usable)
        assert (row.reasons, row.verdict) == (record.reasons, record.verdict)
        assert (row.duration_seconds, row.frames, row.shots) == (record.duration_seconds, record.frames, record.shots)
    assert [len(row.reasons) for row in three_films.films()] == [0, 1, 1]


@pytest.mark.parametrize("name", TABLES)
def test_each_table_carries_the_version_of_its_schema(three_films: Library, name: str) -> None:
    metadata = pq.read_schema(three_films.root / "catalogue" / f"{name}.parquet").metadata
    assert metadata[b"schema_version"] == str(SCHEMA_VERSION).encode() == b"3"


def test_films_are_listed_from_the_catalogue_while_it_is_true(three_films: Library) -> None:
    expected = rows_of_folders(three_films)
    for path in (three_films.root / "films").glob("*/film.json"):
        path.write_text("not to be opened")
    assert three_films.films() == expected


def test_an_update_where_nothing_changed_opens_no_record_and_writes_no_table(three_films: Library) -> None:
    for path in (three_films.root / "films").glob("*/*"):
        path.write_text("not to be opened")
    times = {path: path.stat().st_mtime_ns for path in (three_films.root / "catalogue").iterdir()}
    three_films.update_catalogue()
    assert {path: path.stat().st_mtime_ns for path in (three_films.root / "catalogue").iterdir()} == times


def test_an_update_opens_only_the_records_of_new_films(three_films: Library, commit) -> None:
    before = three_films.films()
    for path in (three_films.root / "films").glob("*/film.json"):
        path.write_text("not to be opened")
    new = commit(three_films, "b" * 16, "/films/new.mp4")
    three_films.update_catalogue()
    assert three_films.films() == [*before[:2], FilmEntry.of(new), before[2]]
    assert {row["film_id"] for row in table(three_films, "shots")} == {ALPHA, BETA, "b" * 16}


def test_without_a_catalogue_the_list_is_the_same(three_films: Library) -> None:
    shutil.rmtree(three_films.root / "catalogue")
    assert three_films.films() == rows_of_folders(three_films)
    assert len(three_films.films()) == 3


def test_a_film_that_came_after_the_catalogue_is_listed(three_films: Library, commit) -> None:
    new = commit(three_films, "b" * 16, "/films/new.mp4")
    assert [film.film_id for film in three_films.films()] == [ALPHA, BETA, "b" * 16, GAMMA]
    assert three_films.films()[2] == FilmEntry.of(new)


def test_a_film_that_went_after_the_catalogue_is_not_listed_and_the_next_update_drops_it(three_films: Library) -> None:
    shutil.rmtree(three_films.film_folder(ALPHA))
    assert [film.film_id for film in three_films.films()] == [BETA, GAMMA]
    three_films.update_catalogue()
    for name in TABLES:
        assert ALPHA not in {row["film_id"] for row in table(three_films, name)}


def test_a_film_that_was_removed_is_in_no_table_after_the_next_update(three_films: Library) -> None:
    three_films.remove(BETA)
    assert not three_films.film_folder(BETA).exists()
    assert [film.film_id for film in three_films.films()] == [ALPHA, GAMMA]
    three_films.update_catalogue()
    assert [row["film_id"] for row in table(three_films, "films")] == [ALPHA, GAMMA]
    assert {row["film_id"] for row in table(three_films, "spans")} == {ALPHA}


def test_the_row_of_a_film_that_was_replaced_is_not_believed_any_more(three_films: Library, commit) -> None:
    commit(three_films, ALPHA, "/films/mended.mp4", Verdict.REJECTED)
    assert stale_marks(three_films) == [f".stale-{ALPHA}"]
    assert (three_films.films()[0].name, three_films.films()[0].verdict) == ("mended.mp4", "rejected")
    three_films.update_catalogue()
    assert stale_marks(three_films) == []
    assert table(three_films, "films") == [asdict(row) for row in rows_of_folders(three_films)]
    assert {row["film_id"] for row in table(three_films, "shots")} == {BETA}


def test_a_record_that_was_judged_anew_is_believed_at_once(three_films: Library) -> None:
    record = three_films.record_of(BETA)
    assert record is not None
    three_films.replace_record(record.model_copy(update={"verdict": Verdict.ACCEPTED, "reasons": ()}))
    assert three_films.films()[1].verdict == "accepted"
    three_films.update_catalogue()
    assert (table(three_films, "films")[1]["verdict"], stale_marks(three_films)) == ("accepted", [])


def test_a_film_that_is_replaced_while_the_tables_are_written_is_not_believed_as_it_was(
    three_films: Library, commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(three_films, BETA, "/films/newer.mp4")
    other = threading.Thread(target=commit, args=(Library.open(three_films.root), BETA, "/films/newest.mp4"))
    real = pq.write_table

    def replace_meanwhile(*arguments: object, **keywords: object) -> None:
        if other.ident is None and "catalogue" in str(arguments[1]):  # the records are read, nothing is written yet
            other.start()
            other.join(timeout=0.5)
        real(*arguments, **keywords)

    monkeypatch.setattr(pq, "write_table", replace_meanwhile)
    three_films.update_catalogue()
    other.join()
    assert three_films.films()[1].name == "newest.mp4"
    three_films.update_catalogue()
    assert [row["source"] for row in table(three_films, "films")][1] == "/films/newest.mp4"


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("harm", ["missing", "empty", "garbage", "cut", "of another version", "of other columns"])
def test_a_table_that_cannot_be_believed_is_made_anew(three_films: Library, name: str, harm: str) -> None:
    before, path = tables(three_films), three_films.root / "catalogue" / f"{name}.parquet"
    match harm:
        case "missing":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "garbage":
            path.write_bytes(b"not a table")
        case "cut":
            path.write_bytes(path.read_bytes()[:-40])
        case "of another version":
            pq.write_table(pq.read_table(path).replace_schema_metadata({"schema_version": "1"}), path)
        case "of other columns":
            metadata = {"schema_version": str(SCHEMA_VERSION)}
            pq.write_table(pa.table({"film_id": [ALPHA]}).replace_schema_metadata(metadata), path)
    assert three_films.films() == rows_of_folders(three_films)
    three_films.update_catalogue()
    assert tables(three_films) == before


@pytest.mark.parametrize("written", [0, 1, 2])
def test_an_update_that_was_killed_between_two_tables_is_made_good_by_the_next(
    three_films: Library, commit, written: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(three_films, "b" * 16, "/films/new.mp4")
    commit(three_films, ALPHA, "/films/mended.mp4")
    three_films.remove(BETA)
    real, left = pq.write_table, [written]

    def write_until_killed(*arguments: object, **keywords: object) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        real(*arguments, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(pq, "write_table", write_until_killed)
        with pytest.raises(KeyboardInterrupt):
            three_films.update_catalogue()
    assert three_films.films() == rows_of_folders(three_films)
    three_films.update_catalogue()
    after = tables(three_films)
    shutil.rmtree(three_films.root / "catalogue")
    three_films.update_catalogue()
    assert tables(three_films) == after


def test_made_anew_from_nothing_the_tables_are_byte_for_byte_the_same(three_films: Library) -> None:
    before = tables(three_films)
    shutil.rmtree(three_films.root / "catalogue")
    three_films.update_catalogue()
    assert tables(three_films) == before
    assert before.keys() == {"films.parquet", "shots.parquet", "spans.parquet"}


def test_a_library_without_usable_films_has_empty_tables(empty_library: Library, commit) -> None:
    commit(empty_library, "e" * 16, verdict=Verdict.REJECTED)
    empty_library.update_catalogue()
    assert len(table(empty_library, "films")) == 1
    assert (table(empty_library, "shots"), table(empty_library, "spans")) == ([], [])


def test_marks_come_back_as_they_were_written(tmp_path: Path) -> None:
    marks = {SHOT: [Span(0, 7), Span(7, 40), Span(40, 41)], "silent": [Span(3, 9)], "black": [Span(0, 2), Span(5, 7)]}
    write_annotations(tmp_path / "shots.parquet", {**marks, "still": []})
    assert read_annotations(tmp_path / "shots.parquet") == marks


def test_the_marks_of_a_film_are_asked_of_its_library(three_films: Library) -> None:
    assert three_films.shots_of(ALPHA) == [Span(0, 64), Span(64, 160)]
    assert three_films.annotations_of(ALPHA)["silent"] == [Span(8, 24), Span(100, 160)]
    assert three_films.annotations_of(ALPHA).keys() == {SHOT, *(kind for kind, _, _ in SPANS)}


@pytest.mark.parametrize("garbage", [None, b"", b"not a table"])
def test_damaged_shots_are_told_with_their_repair(three_films: Library, garbage: bytes | None) -> None:
    path = three_films.film_folder(ALPHA) / "shots.parquet"
    path.unlink()
    if garbage is not None:
        path.write_bytes(garbage)
    with pytest.raises(LibraryError, match=f"^{path} is missing or damaged; ingest its film again to repair it$"):
        three_films.shots_of(ALPHA)
    shutil.rmtree(three_films.root / "catalogue")
    three_films.update_catalogue()  # the other films' tables do not suffer
    assert {row["film_id"] for row in table(three_films, "shots")} == {BETA}
