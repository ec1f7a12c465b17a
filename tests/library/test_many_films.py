"""Libraries of many films, made of records only: the same code, and the same answers."""

from dataclasses import replace
from pathlib import Path

import pytest

from talkies.core import FilmId, Span, parse_film_id
from talkies.library import SHOT, FilmEntry, FilmRecord, Library, Verdict, write_annotations, write_json
from talkies.library.catalogue import Catalogue, Change

pytestmark = pytest.mark.slow

MARKS = {SHOT: [Span(0, 64), Span(64, 160)], "silent": [Span(3, 40)]}


def film_id_of(number: int) -> FilmId:
    return parse_film_id(f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}")  # spread over all ids


def record_of(number: int) -> FilmRecord:
    return FilmRecord(
        film_id=film_id_of(number),
        source=f"/films/{number // 1000}/film {number}.mp4",
        source_bytes=number,
        verdict=Verdict.REJECTED if number % 10 == 0 else Verdict.ACCEPTED,
        duration_seconds=10.0,
        frames=160,
        shots=2,
    )


def test_a_thousand_films_are_listed_found_and_kept_up_to_date(tmp_path: Path) -> None:
    library = Library.create(tmp_path / "lib")
    for number in range(1000):
        folder = library.film_folder(film_id_of(number))
        folder.mkdir()
        write_annotations(folder / "shots.parquet", MARKS)
        write_json(folder / "film.json", record_of(number))
    library.update_catalogue()
    films = library.films()
    assert films == [FilmEntry.of(record_of(n)) for n in sorted(range(1000), key=film_id_of)]
    assert len(library.usable_films()) == 900
    assert library.find("film 777.mp4").film_id == film_id_of(777)
    library.remove(film_id_of(5))
    library.update_catalogue()
    assert library.films() == [film for film in films if film.film_id != film_id_of(5)]


@pytest.mark.slow
def test_a_hundred_thousand_films_go_into_the_tables_and_come_back(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path)
    template = FilmEntry.of(record_of(1))
    ids = [film_id_of(number) for number in range(100_000)]
    rows = {film_id: replace(template, film_id=film_id, source=f"/films/{film_id}.mp4") for film_id in ids}
    catalogue.update([Change(rows[film_id], MARKS) for film_id in ids[:-1]], ())
    catalogue.update([Change(rows[ids[-1]], MARKS)], ids[:-1])  # one more
    assert catalogue.read_films() == [rows[film_id] for film_id in sorted(ids)]
    catalogue.mark_stale(ids[0])
    assert len(catalogue.read_films()) == 99_999
    catalogue.update([], ids[1:])
    assert len(catalogue.read_films()) == 99_999
    assert catalogue.list_stale() == set()
