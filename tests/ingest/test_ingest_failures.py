"""When the work itself fails: one sentence, no partial film, and what was finished stays."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from talkies.core import LibraryError, UsageError, WorkError
from talkies.ingest import Ingested, ingest
from talkies.library import Library, Profile


def films_in(library: Path) -> list[str]:
    return sorted(entry.name for entry in (library / "films").iterdir())


def disk_is_full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def two_films(tmp_path: Path, write_film) -> list[Path]:
    """Two small films that are taken in this order."""
    return [write_film(tmp_path / f"{name}.mkv", 1.5, seed=ord(name)) for name in "ab"]


def test_a_source_that_vanishes_half_way_ends_the_work_and_keeps_what_was_finished(
    tmp_path: Path, two_films: list[Path]
) -> None:
    def take_the_second_away(_: Ingested, __: int) -> None:
        two_films[1].unlink()

    with pytest.raises(WorkError, match=r"^b\.mkv could not be ingested: no such file or directory$"):
        ingest(two_films, tmp_path / "lib", on_film=take_the_second_away)
    library = Library.open(tmp_path / "lib")
    assert [film.name for film in library.films()] == ["a.mkv"]
    assert films_in(tmp_path / "lib") == [library.films()[0].film_id]


@pytest.mark.parametrize("step", ["write_shots", "write_json", "write_wav"])
def test_a_full_disk_leaves_no_partial_film(
    tmp_path: Path, two_films: list[Path], step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"talkies.ingest.film.{step}", disk_is_full)
    with pytest.raises(WorkError, match=r"^a\.mkv could not be ingested: no space left on device$"):
        ingest(two_films, tmp_path / "lib")
    assert films_in(tmp_path / "lib") == []
    assert Library.open(tmp_path / "lib").films() == []


def test_a_library_that_cannot_be_written_ends_the_work(
    tmp_path: Path, two_films: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.mkdir

    def mkdir(self: Path, *args: Any, **kwargs: Any) -> None:
        if ".partial-" in self.name:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        real(self, *args, **kwargs)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with pytest.raises(WorkError, match=r"^a\.mkv could not be ingested: permission denied$"):
        ingest(two_films, tmp_path / "lib")
    assert films_in(tmp_path / "lib") == []


def test_after_a_failure_the_same_command_goes_on(tmp_path: Path, two_films: list[Path]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("talkies.ingest.film.write_shots", disk_is_full)
        with pytest.raises(WorkError, match="could not be ingested: no space left on device"):
            ingest(two_films, tmp_path / "lib")
    report = ingest(two_films, tmp_path / "lib")
    assert [(film.record.usable, film.reused) for film in report.films] == [(True, False)] * 2


def test_without_workers_nothing_is_begun(tmp_path: Path, two_films: list[Path]) -> None:
    with pytest.raises(UsageError, match=r"^there must be at least one worker, got 0$"):
        ingest(two_films, tmp_path / "lib", workers=0)
    assert not (tmp_path / "lib").exists()


def test_for_a_source_that_does_not_exist_no_library_is_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^/nowhere/at/all does not exist; name a film file"):
        ingest([Path("/nowhere/at/all")], tmp_path / "lib")
    assert not (tmp_path / "lib").exists()


def test_another_profile_than_the_librarys_is_refused(tmp_path: Path, two_films: list[Path]) -> None:
    Library.create(tmp_path / "lib", Profile(short_side=32))
    with pytest.raises(LibraryError, match=f"^{tmp_path / 'lib'} has another profile"):
        ingest(two_films, tmp_path / "lib", profile=Profile(short_side=64))
    assert films_in(tmp_path / "lib") == []
