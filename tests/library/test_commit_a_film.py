"""A film's folder is there whole or not at all."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from talkies.core import FilmId, LibraryError
from talkies.library import Library, read_record, write_json

FILM = FilmId("f" * 16)


def entries(library: Library) -> list[str]:
    return sorted(entry.name for entry in (library.root / "films").iterdir())


def test_a_committed_film_is_there_with_all_its_files_and_nothing_else(empty_library: Library, commit) -> None:
    record = commit(empty_library, FILM)
    assert entries(empty_library) == [FILM]
    assert sorted(file.name for file in empty_library.film_folder(FILM).iterdir()) == ["film.json", "shots.parquet"]
    assert empty_library.record_of(FILM) == record


def test_until_the_end_nobody_sees_a_part_of_it(empty_library: Library) -> None:
    with empty_library.committing(FILM) as folder:
        (folder / "proxy.mp4").write_bytes(b"half a film")
        assert empty_library.films() == []
        assert empty_library.record_of(FILM) is None
        assert not empty_library.film_folder(FILM).exists()


def test_every_file_is_flushed_to_the_disk_before_the_folder_takes_its_name(
    empty_library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed, real = set(), os.fsync

    def fsync(descriptor: int) -> None:
        assert not empty_library.film_folder(FILM).exists()
        flushed.add(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with empty_library.committing(FILM) as folder:
        for name in ("proxy.mp4", "audio.wav", "film.json"):
            (folder / name).write_bytes(b"of a film")
    files = list(empty_library.film_folder(FILM).iterdir())
    assert len(files) == 3
    assert {file.stat().st_ino for file in files} <= flushed


def test_an_exception_inside_leaves_nothing(empty_library: Library) -> None:
    def fail() -> None:
        with empty_library.committing(FILM) as folder:
            (folder / "proxy.mp4").write_bytes(b"half a film")
            raise KeyError("a fault half-way")

    with pytest.raises(KeyError, match="a fault half-way"):
        fail()
    assert entries(empty_library) == []


def test_of_two_commits_of_one_film_the_first_stays(empty_library: Library, commit) -> None:
    first = commit(empty_library, FILM, "/films/first.mp4")
    commit(empty_library, FILM, "/films/second.mp4")
    assert empty_library.record_of(FILM) == first
    assert entries(empty_library) == [FILM]


def test_of_two_commits_at_once_the_one_that_ends_first_stays(empty_library: Library, commit) -> None:
    other = Library.open(empty_library.root)
    with empty_library.committing(FILM) as folder:
        (folder / "film.json").write_text("never to be seen")
        # Another machine, whose process happens to have another number, is done before us.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "getpid", lambda: 123_456_789)
            first = commit(other, FILM, "/films/first.mp4")
    assert empty_library.record_of(FILM) == first
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


def test_sweeping_removes_only_what_dead_processes_left(empty_library: Library, commit) -> None:
    commit(empty_library, FILM)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    films = empty_library.root / "films"
    names = {who: f".partial-{'0' * 16}-{who}" for who in (dead.pid, os.getpid(), 1)}
    for name in names.values():
        (films / name).mkdir()
        (films / name / "proxy.mp4").write_bytes(b"half a film")
    empty_library.sweep()
    assert entries(empty_library) == sorted([FILM, names[os.getpid()], names[1]])
    assert (films / names[1] / "proxy.mp4").is_file()


def test_a_record_comes_back_as_it_was_written(library: Library, tmp_path: Path) -> None:
    record = library.films()[0]
    write_json(tmp_path / "film.json", record)
    again = read_record(tmp_path / "film.json")
    assert again == record
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
    path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 2, "news": true'))
    sentence = f"^{path} is of schema version 2, this talkies reads up to 1; install a newer talkies$"
    with pytest.raises(LibraryError, match=sentence):
        empty_library.record_of(FILM)
