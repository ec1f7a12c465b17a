"""When the work itself fails: one message, no partial film, and finished films stay."""

import errno
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from talkies.core import LibraryError, TalkiesError, UsageError, WorkError
from talkies.ingestion import FailedFilm, IngestedFilm, Progress, ingest
from talkies.library import Library, Profile

pytestmark = pytest.mark.slow

Mount = Callable[[str], Path]


def films_in(library: Path) -> list[str]:
    return sorted(entry.name for entry in (library / "films").iterdir() if entry.name != ".lock")


def disk_is_full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def two_films(tmp_path: Path, write_film) -> list[Path]:
    """Two small films that are taken in this order."""
    return [write_film(tmp_path / f"{name}.mkv", 1.5, seed=ord(name)) for name in "ab"]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """The function that mounts a file system in memory, with options; where that is not allowed the test skips."""
    place = tmp_path / "mounted"
    place.mkdir()

    def make(options: str) -> Path:
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True, check=False)
        if made.returncode:
            pytest.skip("this user may mount no file system")
        return place

    yield make
    subprocess.run(["umount", "--lazy", place], capture_output=True, check=False)


def test_a_source_that_vanishes_half_way_costs_no_other_film(tmp_path: Path, two_films: list[Path]) -> None:
    def take_the_second_away(_: Progress, outcome: IngestedFilm | FailedFilm | None) -> None:
        if outcome is not None:
            two_films[1].unlink(missing_ok=True)

    third = two_films[0].rename(tmp_path / "c.mkv")
    report = ingest([third, two_films[1]], tmp_path / "lib", on_progress=take_the_second_away)
    assert [(f.source.name, f.message) for f in report.failures] == [
        ("b.mkv", "b.mkv can no longer be read (no such file or directory)")
    ]
    library = Library.open(tmp_path / "lib")
    assert [film.name for film in library.films()] == ["c.mkv"]
    assert films_in(tmp_path / "lib") == [library.films()[0].film_id]
    with pytest.raises(WorkError, match=r"^b\.mkv can no longer be read \(no such file or directory\); run the comm"):
        report.check()


def test_of_several_sources_that_failed_the_first_is_named_and_the_rest_counted(tmp_path: Path, write_film) -> None:
    films = [write_film(tmp_path / f"{name}.mkv", 1.2, seed=ord(name)) for name in "abcd"]

    def take_all_others_away(_: Progress, outcome: IngestedFilm | FailedFilm | None) -> None:
        if outcome is not None:
            for film in films[1:]:
                film.unlink(missing_ok=True)

    report = ingest(films, tmp_path / "lib", on_progress=take_all_others_away)
    assert report.summary.splitlines()[0] == "4 films: 1 accepted, 3 failed"
    with pytest.raises(
        WorkError, match=r"^b\.mkv (cannot|can no longer) be read .* \(and 2 more films failed\); run the command again"
    ):
        report.check()


def test_a_source_that_cannot_be_read_costs_no_other_film(tmp_path: Path, two_films: list[Path]) -> None:
    (tmp_path / "aa.mkv").symlink_to("/proc/self/mem")  # as a broken disk: it opens, and reading it fails, for root too
    report = ingest([two_films[0], tmp_path / "aa.mkv", two_films[1]], tmp_path / "lib")
    assert [film.source.name for film in report.films] == ["a.mkv", "b.mkv"]
    assert [f.message for f in report.failures] == ["aa.mkv cannot be read (input/output error)"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_source_without_permission_costs_no_other_film(tmp_path: Path, two_films: list[Path]) -> None:
    two_films[0].chmod(0)
    report = ingest(two_films, tmp_path / "lib")
    assert [film.source.name for film in report.films] == ["b.mkv"]
    assert [f.message for f in report.failures] == ["a.mkv cannot be read (permission denied)"]


def test_a_source_that_grows_while_it_is_read_gets_no_verdict_until_it_is_complete(
    tmp_path: Path, two_films: list[Path]
) -> None:
    def append(_: Progress, outcome: IngestedFilm | FailedFilm | None) -> None:
        if outcome is None:  # a report from the midst of the work on the first film
            with two_films[0].open("ab") as file:
                file.write(b"more of it is on its way")

    report = ingest(two_films, tmp_path / "lib", workers=1, on_progress=append)
    message = "a.mkv changed while it was read; ingest it again when it is complete"
    assert [f.message for f in report.failures] == [message]
    assert [film.source.name for film in report.films] == ["b.mkv"]
    again = ingest(two_films, tmp_path / "lib")
    assert [(f.source.name, f.record.usable, f.reused) for f in again.films] == [
        ("a.mkv", True, False),
        ("b.mkv", True, True),
    ]
    again.check()


@pytest.mark.parametrize("kilobytes", [8, 64, 120])
def test_a_full_disk_leaves_no_partial_film(two_films: list[Path], mount: Mount, kilobytes: int) -> None:
    root = mount(f"size={kilobytes}k") / "lib"
    with pytest.raises(WorkError, match=r"^[ab]\.mkv could not be ingested: no space left on device$"):
        ingest(two_films, root)
    library = Library.open(root)
    assert films_in(root) == [film.film_id for film in library.films()]
    assert all(library.is_complete(film.id) for film in library.films())


def test_when_there_is_room_again_the_same_command_goes_on(two_films: list[Path], mount: Mount) -> None:
    root = mount("size=90k") / "lib"
    with pytest.raises(WorkError, match=r"^b\.mkv could not be ingested: no space left on device$"):
        ingest(two_films, root)
    assert [film.name for film in Library.open(root).films()] == ["a.mkv"]
    subprocess.run(["mount", "-o", "remount,size=4m", root.parent], check=True)
    report = ingest(two_films, root)
    assert [(film.record.usable, film.reused) for film in report.films] == [(True, True), (True, False)]


@pytest.mark.parametrize("step", ["ingestion.film.write_json", "library.library.flush"])
def test_a_disk_that_is_full_at_the_last_step_leaves_no_partial_film(
    tmp_path: Path, two_films: list[Path], step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"talkies.{step}", disk_is_full)
    with pytest.raises(WorkError, match=r"^a\.mkv could not be ingested: no space left on device$"):
        ingest(two_films, tmp_path / "lib")
    assert films_in(tmp_path / "lib") == []
    assert Library.open(tmp_path / "lib").films() == []


def test_a_catalogue_that_cannot_be_written_is_told_and_the_films_stay(
    tmp_path: Path, two_films: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, tables = tmp_path / "lib", re.escape(str(tmp_path / "lib" / "catalogue"))
    with monkeypatch.context() as patch:
        patch.setattr("talkies.library.catalogue.pq.write_table", disk_is_full)
        with pytest.raises(
            WorkError, match=rf"^{tables} cannot be written \(no space left on device\); the films are in"
        ):
            ingest(two_films, root)
    assert [film.name for film in Library.open(root).films()] in (["a.mkv", "b.mkv"], ["b.mkv", "a.mkv"])
    assert [film.reused for film in ingest(two_films, root).films] == [True, True]
    assert (root / "catalogue" / "films.parquet").is_file()


def test_a_library_that_may_not_be_written_ends_the_work_before_it_begins(two_films: list[Path], mount: Mount) -> None:
    root = mount("size=4m") / "lib"
    Library.create(root)
    subprocess.run(["mount", "-o", "remount,ro", root.parent], check=True)
    message = rf"^{root} cannot be written \(read-only file system\); ingest into a library that you may write$"
    with pytest.raises(LibraryError, match=message):
        ingest(two_films, root)
    other = root.with_name("other")
    message = rf"^cannot create a library in {other} \(read-only file system\); name a folder that you may write$"
    with pytest.raises(LibraryError, match=message):
        ingest(two_films, other)


def test_a_library_that_refuses_a_film_ends_the_work(
    tmp_path: Path, two_films: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.mkdir

    def mkdir(self: Path, *args: Any, **kwargs: Any) -> None:
        if self.name == "film":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        real(self, *args, **kwargs)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with pytest.raises(WorkError, match=r"^a\.mkv could not be ingested: permission denied$"):
        ingest(two_films, tmp_path / "lib")
    assert films_in(tmp_path / "lib") == []


def test_without_workers_nothing_is_begun(tmp_path: Path, two_films: list[Path]) -> None:
    with pytest.raises(UsageError, match=r"^there must be at least one worker, got 0$"):
        ingest(two_films, tmp_path / "lib", workers=0)
    assert not (tmp_path / "lib").exists()


def test_an_unknown_runner_is_named_with_those_that_there_are(tmp_path: Path, two_films: list[Path]) -> None:
    with pytest.raises(UsageError, match=r"^unknown runner 'slurm'; choose local or ray$"):
        ingest(two_films, tmp_path / "lib", runner="slurm")
    assert not (tmp_path / "lib").exists()


def test_for_a_source_that_does_not_exist_no_library_is_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^/nowhere/at/all does not exist; name a film file"):
        ingest([Path("/nowhere/at/all")], tmp_path / "lib")
    assert not (tmp_path / "lib").exists()


def test_another_profile_than_the_librarys_is_refused(tmp_path: Path, two_films: list[Path]) -> None:
    Library.create(tmp_path / "lib", Profile(short_side=32))
    with pytest.raises(LibraryError, match=f"^{tmp_path / 'lib'} keeps the profile that it was begun with, 32 px"):
        ingest(two_films, tmp_path / "lib", profile=Profile(short_side=64))
    assert films_in(tmp_path / "lib") == []


def test_each_of_these_failures_has_the_exit_status_of_its_kind() -> None:
    assert issubclass(LibraryError, UsageError)
    assert (UsageError.exit_status, WorkError.exit_status, TalkiesError.exit_status) == (2, 1, 1)
