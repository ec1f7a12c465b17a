"""Ingesting twice, under other names, or with more workers: the library depends only on the bytes of the films."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from talkies.ingestion import IngestReport, ingest
from talkies.library import FilmEntry, read_record

pytestmark = pytest.mark.slow

Contents = Callable[[Path], dict[str, bytes]]


def films_in(library: Path) -> list[str]:
    return sorted(entry.name for entry in (library / "films").glob("[!.]*"))


def test_a_second_ingest_reuses_every_film_and_changes_no_byte(
    tmp_path: Path, mixed_folder: Path, mixed_report: IngestReport, contents: Contents
) -> None:
    shutil.copytree(mixed_report.library.root, tmp_path / "lib")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "lib" / "films").rglob("*/*")}
    before = contents(tmp_path / "lib")
    again = ingest([mixed_folder], tmp_path / "lib")
    assert [film.reused for film in again.films] == [True] * 6
    assert [film.record for film in again.films] == [film.record for film in mixed_report.films]
    assert contents(tmp_path / "lib") == before
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "lib" / "films").rglob("*/*")} == times
    assert len(times) == 2 * 5 + 4 + 2


def test_a_new_film_beside_known_ones_is_all_that_is_taken(tmp_path: Path, write_film, contents: Contents) -> None:
    folder, root = tmp_path / "films", tmp_path / "lib"
    folder.mkdir()
    write_film(folder / "b.mkv", 1.5, seed=1)
    ingest([folder], root)
    before = contents(root / "films")
    write_film(folder / "a.mkv", 1.5, seed=2)
    report = ingest([folder], root)
    assert [(film.source.name, film.reused) for film in report.films] == [("a.mkv", False), ("b.mkv", True)]
    assert before.items() <= contents(root / "films").items()
    assert len(report.library.films()) == 2


def test_two_workers_make_the_same_library_as_one(
    tmp_path: Path, mixed_folder: Path, mixed_report: IngestReport, contents: Contents
) -> None:
    report = ingest([mixed_folder], tmp_path / "lib", workers=2)
    assert [(f.source, f.record, f.reused) for f in report.films] == [
        (f.source, f.record, f.reused) for f in mixed_report.films
    ]
    one, two = contents(mixed_report.library.root / "films"), contents(tmp_path / "lib" / "films")
    assert one.keys() == two.keys()
    assert sum(name.endswith("audio.wav") for name in one) == 2
    assert {name for name in one if one[name] != two[name]} == set()
    assert report.library.films() == mixed_report.library.films()


def test_what_a_killed_ingest_left_is_swept_away(tmp_path: Path, write_film) -> None:
    root = tmp_path / "lib"
    ingest([write_film(tmp_path / "a.mkv", 1.5, seed=1)], root)
    left = root / "films" / f".partial-{'0' * 16}-0123abcd"
    (left / "film").mkdir(parents=True)
    (left / "film" / "proxy.mp4").write_bytes(b"half a film")
    left.with_name(left.name + ".lock").touch()
    report = ingest([write_film(tmp_path / "b.mkv", 1.5, seed=2)], root)
    assert sorted(path.name for path in (root / "films").glob(".*")) == [".lock"]
    assert films_in(root) == [film.film_id for film in report.library.films()]
    assert len(report.library.films()) == 2


def test_the_catalogue_is_whole_after_an_ingest(tmp_path: Path, write_film) -> None:
    films = [write_film(tmp_path / f"{name}.mkv", 1.2, seed=ord(name)) for name in "ab"]
    library = ingest(films, tmp_path / "lib").library
    expected = [FilmEntry.of(read_record(path)) for path in sorted((library.root / "films").glob("*/film.json"))]
    for path in (library.root / "films").glob("*/film.json"):
        path.write_text("not to be opened: the catalogue knows it all")
    assert library.films() == expected
    assert len(expected) == 2


@pytest.mark.parametrize("name", ["proxy.mp4", "audio.wav", "shots.parquet", "strip.jpg"])
@pytest.mark.parametrize("harm", ["remove", "cut"])
def test_a_film_that_lost_bytes_behind_the_librarys_back_is_repaired(
    tmp_path: Path, mixed_folder: Path, mixed_report: IngestReport, contents: Contents, name: str, harm: str
) -> None:
    shutil.copytree(mixed_report.library.root, tmp_path / "lib")
    before = contents(tmp_path / "lib")
    usable = mixed_report.films[0].record.id
    victim = tmp_path / "lib" / "films" / usable / name
    if harm == "remove":
        victim.unlink()
    else:
        victim.write_bytes(victim.read_bytes()[:-1])
    report = ingest([mixed_folder], tmp_path / "lib")
    assert [film.record.film_id for film in report.films if not film.reused] == [usable]
    assert contents(tmp_path / "lib") == before
