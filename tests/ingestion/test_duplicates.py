"""The same bytes under several names are one film, and two ingests at once make one library."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from talkies.ingestion import IngestedFilm, ingest
from talkies.library import Library, Verdict

pytestmark = pytest.mark.slow

Contents = Callable[[Path], dict[str, bytes]]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory, write_film) -> Path:
    """A small film."""
    return write_film(tmp_path_factory.mktemp("one") / "film.mkv", 1.5)


def told(film: IngestedFilm) -> tuple[str, str, list[str], bool, str | None]:
    first = film.duplicate_of.name if film.duplicate_of else None
    return film.source.name, str(film.verdict), [reason.code for reason in film.reasons], film.reused, first


@pytest.mark.parametrize("workers", [1, 2])
def test_the_first_by_name_is_the_film_and_the_others_are_its_duplicates(
    tmp_path: Path, film: Path, workers: int
) -> None:
    films = tmp_path / "films"
    films.mkdir()
    for name in ("z.mkv", "m.mkv", "a.mkv"):
        shutil.copy(film, films / name)
    report = ingest([films], tmp_path / "lib", workers=workers)
    assert [told(film) for film in report.films] == [
        ("a.mkv", "accepted", [], False, None),
        ("m.mkv", "accepted with warnings", ["duplicate"], True, "a.mkv"),
        ("z.mkv", "accepted with warnings", ["duplicate"], True, "a.mkv"),
    ]
    assert report.films[1].reasons[0].text == "it has the same bytes as a.mkv"
    assert report.films[0].record == report.films[1].record == report.films[2].record
    assert [(row.name, row.verdict) for row in report.library.films()] == [("a.mkv", "accepted")]
    assert report.new_film_seconds == 1.5
    assert report.summary.splitlines()[0] == "3 films: 1 accepted, 2 accepted with warnings"


def test_the_first_is_the_one_that_is_named_first(tmp_path: Path, film: Path) -> None:
    for name in ("a.mkv", "z.mkv"):
        shutil.copy(film, tmp_path / name)
    report = ingest([tmp_path / "z.mkv", tmp_path / "a.mkv"], tmp_path / "lib")
    assert [told(film)[0::4] for film in report.films] == [("z.mkv", None), ("a.mkv", "z.mkv")]
    assert [row.name for row in report.library.films()] == ["z.mkv"]


def test_a_film_that_the_library_has_under_another_name_is_no_duplicate_but_reused(tmp_path: Path, film: Path) -> None:
    ingest([film], tmp_path / "lib")
    shutil.copy(film, tmp_path / "renamed.mkv")
    report = ingest([tmp_path / "renamed.mkv"], tmp_path / "lib")
    assert [told(film) for film in report.films] == [("renamed.mkv", "accepted", [], True, None)]
    assert [row.source for row in report.library.films()] == [str(film)]
    assert "1 of them already in the library" in report.summary.splitlines()


def test_a_duplicate_of_a_rejected_film_is_rejected_for_the_same_reasons_too(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_text("no film")
    report = ingest([tmp_path], tmp_path / "lib")
    assert [told(film)[1:3] for film in report.films] == [
        ("rejected", ["unreadable"]),
        ("rejected", ["unreadable", "duplicate"]),
    ]


def test_that_a_film_is_a_duplicate_matters_more_than_what_it_is_warned_of(tmp_path: Path, write_film) -> None:
    write_film(tmp_path / "a.mkv", 4.0, sound=(1.5, 4.0))
    shutil.copy(tmp_path / "a.mkv", tmp_path / "b.mkv")
    report = ingest([tmp_path], tmp_path / "lib")
    assert [told(film)[2] for film in report.films] == [["late_audio"], ["duplicate", "late_audio"]]


def test_of_a_source_that_cannot_be_read_its_duplicates_fail_too(
    tmp_path: Path, film: Path, write_film, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("b.mkv", "c.mkv"):
        shutil.copy(film, tmp_path / name)
    write_film(tmp_path / "a.mkv", 1.2, seed=1)

    def vanish(_progress: object, _outcome: object) -> None:
        (tmp_path / "b.mkv").unlink(missing_ok=True)

    report = ingest([tmp_path], tmp_path / "lib", on_progress=vanish)
    assert [film.source.name for film in report.films] == ["a.mkv"]
    assert [failed.source.name for failed in report.failures] == ["b.mkv", "c.mkv"]
    assert ingest([tmp_path], tmp_path / "lib").films[1].verdict is Verdict.ACCEPTED


INGESTS = """
import sys, time
from pathlib import Path
from talkies.ingestion import ingest
root, me, *films = map(Path, sys.argv[1:])
me.touch()
while len(list(me.parent.glob("ready-*"))) < 2:
    time.sleep(0.001)
ingest(films, root).check()
"""


def test_two_ingests_at_once_make_the_library_that_one_would_make(
    tmp_path: Path, write_film, contents: Contents
) -> None:
    films = [write_film(tmp_path / f"{name}.mkv", 1.5, seed=ord(name)) for name in "abcd"]
    alone = ingest(films, tmp_path / "alone").library
    root = tmp_path / "together"
    calls = [(tmp_path / "ready-1", *films[:3]), (tmp_path / "ready-2", *reversed(films[1:]))]
    both = [
        subprocess.Popen([sys.executable, "-c", INGESTS, root, *call], stderr=subprocess.PIPE, text=True)
        for call in calls
    ]
    assert [process.communicate(timeout=300)[1] for process in both] == ["", ""]
    assert [process.returncode for process in both] == [0, 0]
    together = Library.open(root)
    assert together.films() == alone.films()
    assert [film.name for film in sorted(together.films(), key=lambda film: film.name)] == [f.name for f in films]
    for part in ("films", "catalogue"):
        assert contents(root / part) == contents(alone.root / part)
