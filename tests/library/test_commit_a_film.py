"""A film's folder is complete or absent."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from talkies.core import FilmId, LibraryError
from talkies.library import Library, read_record, write_json

pytestmark = pytest.mark.kills

FILM = FilmId("f" * 16)


def entries(library: Library) -> list[str]:
    return sorted(entry.name for entry in (library.root / "films").iterdir() if entry.name != ".lock")


def test_a_committed_film_is_there_with_all_its_files_and_nothing_else(empty_library: Library, commit) -> None:
    record = commit(empty_library, FILM)
    assert entries(empty_library) == [FILM]
    assert sorted(file.name for file in empty_library.film_folder(FILM).iterdir()) == ["film.json", "shots.parquet"]
    assert empty_library.record_of(FILM) == record


def test_until_the_end_nobody_sees_a_part_of_it(empty_library: Library) -> None:
    with empty_library.commit_film(FILM) as folder:
        (folder / "proxy.mp4").write_bytes(b"half a film")
        assert empty_library.films() == []
        assert empty_library.record_of(FILM) is None
        assert not empty_library.film_folder(FILM).exists()


def test_every_file_is_flushed_to_the_disk_before_the_folder_takes_its_name_and_the_name_after(
    empty_library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after, real = set[int](), set[int](), os.fsync

    def fsync(descriptor: int) -> None:
        flushed = after if empty_library.film_folder(FILM).exists() else before
        flushed.add(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with empty_library.commit_film(FILM) as folder:
        for name in ("proxy.mp4", "audio.wav", "film.json"):
            (folder / name).write_bytes(b"of a film")
    files = list(empty_library.film_folder(FILM).iterdir())
    assert len(files) == 3
    assert {file.stat().st_ino for file in files} <= before
    assert after == {(empty_library.root / "films").stat().st_ino}  # and then the list that names it


def test_an_exception_inside_leaves_nothing(empty_library: Library) -> None:
    def fail() -> None:
        with empty_library.commit_film(FILM) as folder:
            (folder / "proxy.mp4").write_bytes(b"half a film")
            raise KeyError("a fault half-way")

    with pytest.raises(KeyError, match="a fault half-way"):
        fail()
    assert entries(empty_library) == []


def test_a_film_that_is_there_already_is_replaced(empty_library: Library, commit) -> None:
    commit(empty_library, FILM, "/films/first.mp4")
    second = commit(empty_library, FILM, "/films/second.mp4")
    assert empty_library.record_of(FILM) == second
    assert entries(empty_library) == [FILM]


def test_of_two_commits_at_once_the_one_that_ends_last_stays_whole(empty_library: Library, commit) -> None:
    other = Library.open(empty_library.root)
    with empty_library.commit_film(FILM) as folder:
        (folder / "proxy.mp4").write_bytes(b"of the last one alone")
        commit(other, FILM, "/films/first.mp4")
        assert other.record_of(FILM) is not None
    assert [file.name for file in empty_library.film_folder(FILM).iterdir()] == ["proxy.mp4"]
    assert entries(empty_library) == [FILM]


def test_a_fault_of_the_disk_at_the_last_step_is_not_hidden(
    empty_library: Library, commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OSError, match="No space left on device"):
        commit(empty_library, FILM)
    assert entries(empty_library) == []


HOLDS_A_COMMIT = """
import os, sys, time
from talkies.library import Library
with Library.open(sys.argv[1]).commit_film("0" * 16) as folder:
    (folder / "proxy.mp4").write_bytes(b"half a film")
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def commit_of_another(empty_library: Library) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process in the midst of committing a film, and the folder that it fills."""
    command = [sys.executable, "-c", HOLDS_A_COMMIT, str(empty_library.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def test_a_film_whose_replacement_fails_at_the_last_step_stays_as_it_was(
    empty_library: Library, commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, real = commit(empty_library, FILM, "/films/first.mp4"), Path.rename

    def full(self: Path, target: Path) -> Path:
        if self.name == "film":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(self, target)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OSError, match="No space left on device"):
        commit(empty_library, FILM, "/films/second.mp4")
    assert (empty_library.record_of(FILM), entries(empty_library)) == (first, [FILM])


def test_sweeping_leaves_what_living_processes_are_about(
    empty_library: Library, commit, commit_of_another: tuple[subprocess.Popen[str], Path]
) -> None:
    commit(empty_library, FILM)
    empty_library.sweep()
    assert (commit_of_another[1] / "proxy.mp4").read_bytes() == b"half a film"
    assert FILM in entries(empty_library)


def test_sweeping_removes_what_a_killed_process_left(
    empty_library: Library, commit, commit_of_another: tuple[subprocess.Popen[str], Path]
) -> None:
    commit(empty_library, FILM)
    process, folder = commit_of_another
    process.kill()
    process.wait()
    assert (folder / "proxy.mp4").is_file()
    empty_library.sweep()
    assert entries(empty_library) == [FILM]


def test_a_film_whose_replacement_was_killed_half_way_comes_back(empty_library: Library, commit) -> None:
    first = commit(empty_library, FILM, "/films/first.mp4")
    # The old folder is moved away, the new one not yet there: as `replace_folder` leaves it when it is killed.
    staging = empty_library.root / "films" / f".partial-{FILM}-0123abcd"
    (staging / "film").mkdir(parents=True)
    empty_library.film_folder(FILM).rename(staging / f"before-{FILM}")
    staging.with_name(staging.name + ".lock").touch()
    assert empty_library.films() == []
    empty_library.sweep()
    assert (empty_library.record_of(FILM), entries(empty_library)) == (first, [FILM])


def test_a_film_whose_replacement_was_killed_at_the_end_is_the_new_one(empty_library: Library, commit) -> None:
    commit(empty_library, FILM, "/films/first.mp4")
    staging = empty_library.root / "films" / f".partial-{FILM}-0123abcd"
    staging.mkdir()
    empty_library.film_folder(FILM).rename(staging / f"before-{FILM}")
    second = commit(empty_library, FILM, "/films/second.mp4")
    empty_library.sweep()
    assert (empty_library.record_of(FILM), entries(empty_library)) == (second, [FILM])


def test_a_film_that_is_taken_out_leaves_nothing(empty_library: Library, commit) -> None:
    commit(empty_library, FILM)
    empty_library.remove(FILM)
    assert (entries(empty_library), empty_library.record_of(FILM)) == ([], None)
    empty_library.remove(FILM)  # once more does no harm
    assert entries(empty_library) == []


@pytest.mark.parametrize("name", ["film.json", "shots.parquet"])
def test_a_film_that_lost_a_file_is_not_whole(empty_library: Library, commit, name: str) -> None:
    commit(empty_library, FILM)
    assert empty_library.is_complete(FILM)
    (empty_library.film_folder(FILM) / name).unlink()
    assert not empty_library.is_complete(FILM)


def test_a_record_comes_back_as_it_was_written(library: Library, tmp_path: Path) -> None:
    record = library.record_of(library.films()[0].id)
    assert record is not None
    write_json(tmp_path / "film.json", record)
    again = read_record(tmp_path / "film.json")
    assert again == record
    assert (again.probe, again.measures, again.settings) == (record.probe, record.measures, record.settings)
    assert again.probe is not None
    assert again.measures is not None
    assert (again.shots, again.frames, again.tools) == (len(library.shots_of(record.id)), 192, record.tools)
    assert again.tools.keys() >= {"talkies", "av", "ffmpeg", "scenedetect"}


def test_a_damaged_record_is_named_by_its_path(empty_library: Library, commit) -> None:
    commit(empty_library, FILM)
    path = empty_library.film_folder(FILM) / "film.json"
    path.write_text(path.read_text()[:40])
    with pytest.raises(LibraryError, match=f"^{path} is not the record of a film, or is damaged$"):
        empty_library.record_of(FILM)


def test_a_record_of_a_newer_version_is_refused(empty_library: Library, commit) -> None:
    commit(empty_library, FILM)
    path = empty_library.film_folder(FILM) / "film.json"
    path.write_text(path.read_text().replace('"schema_version": 3', '"schema_version": 4, "news": true'))
    sentence = f"^{path} is of schema version 4, this talkies reads up to 3; install a newer talkies$"
    with pytest.raises(LibraryError, match=sentence):
        empty_library.record_of(FILM)
