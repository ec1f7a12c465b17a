"""Which files are ingested as films, and in which order."""

import errno
import os
from pathlib import Path

import pytest

from talkies.core import UsageError
from talkies.ingestion import discover
from talkies.ingestion.source import DiscoveredFilms, Source
from talkies.ingestion.walk import Unreadable


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with films, papers and hidden files; their content, the same in all, does not matter here."""
    for name in (
        "b.mp4",
        "a.MKV",
        "deep/er/c.webm",
        "notes.txt",
        ".hidden.mp4",
        ".git/d.mp4",
        "deep/.e.mov",
        "g.mp4/x",
    ):
        path = tmp_path / "films" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path / "films"


def paths(found: DiscoveredFilms) -> list[Path]:
    return [Path(film.location) for film in found.films]


def test_a_folder_is_searched_all_through_and_hidden_files_are_passed_over(folder: Path) -> None:
    found = discover([folder])
    assert paths(found) == [folder / "a.MKV", folder / "b.mp4", folder / "deep" / "er" / "c.webm"]
    assert found.skipped_files == 2  # the notes, and a file without a suffix; hidden ones are not even counted


def test_a_film_is_told_by_its_place_its_name_and_its_size(folder: Path) -> None:
    (folder / "b.mp4").write_bytes(b"twelve bytes")
    (film,) = discover([folder / "b.mp4"]).films
    assert film == Source(str(folder / "b.mp4"), 12)
    assert film.name == "b.mp4"


@pytest.mark.parametrize("name", ["x.mp3", "x.flac", "x.heic", "X.WAV", "x.ogg", "x.mxf", "x.h264"])
def test_media_that_is_seldom_a_film_gets_its_verdict_too(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert paths(discover([tmp_path])) == [tmp_path / name]


@pytest.mark.parametrize("name", ["x.txt", "x.srt", "x.jpg", "x", "mp4", "x.mp4.part", "x.json"])
def test_papers_pictures_and_unfinished_downloads_are_passed_over(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    (tmp_path / "film.mp4").write_bytes(b"x")
    found = discover([tmp_path])
    assert (paths(found), found.skipped_files) == ([tmp_path / "film.mp4"], 1)


def test_a_file_that_is_named_is_taken_whatever_it_is_called(folder: Path) -> None:
    found = discover([folder / "notes.txt", folder / ".hidden.mp4"])
    assert paths(found) == [folder / "notes.txt", folder / ".hidden.mp4"]


def test_a_hidden_folder_that_is_named_is_searched(folder: Path) -> None:
    assert paths(discover([folder / ".git"])) == [folder / ".git" / "d.mp4"]


def test_sources_keep_their_order_and_each_film_comes_once(folder: Path) -> None:
    (folder / "link to b.mp4").symlink_to(folder / "b.mp4")
    found = discover([folder / "deep", folder / "b.mp4", folder])
    assert paths(found) == [folder / "deep" / "er" / "c.webm", folder / "b.mp4", folder / "a.MKV"]


def test_a_link_that_leads_nowhere_is_no_film(folder: Path) -> None:
    (folder / "c.mp4").symlink_to(folder / "long gone.mp4")
    assert folder / "c.mp4" not in paths(discover([folder]))


def test_paths_come_back_absolute(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert paths(discover([Path("b.mp4"), "deep"])) == [folder / "b.mp4", folder / "deep" / "er" / "c.webm"]


def test_films_of_the_same_bytes_are_duplicates_of_the_first(tmp_path: Path) -> None:
    contents = {"c.mp4": b"one", "a.mp4": b"two", "b.mp4": b"one", "d.mp4": b"six", "e.mp4": b"one", "f.mp4": b"two "}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    found = discover([tmp_path / "c.mp4", tmp_path])
    names = {Path(location).name: first.name for location, first in found.duplicates.items()}
    assert names == {"b.mp4": "c.mp4", "e.mp4": "c.mp4"}


def test_which_is_the_first_follows_from_the_order_of_names_alone(tmp_path: Path) -> None:
    for number, names in enumerate((("z.mp4", "a.mp4", "m.mp4"), ("m.mp4", "z.mp4", "a.mp4"))):
        for name in names:  # written in another order each time
            path = tmp_path / str(number) / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"the same")
        found = discover([tmp_path / str(number)])
        assert {first.name for first in found.duplicates.values()} == {"a.mp4"}


def test_only_files_of_one_size_are_read_for_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in {"a.mp4": b"1", "b.mp4": b"22", "c.mp4": b"333", "d.mp4": b"444"}.items():
        (tmp_path / name).write_bytes(content)
    read: list[str] = []

    def note(path: Path) -> str:
        read.append(path.name)
        return path.name

    monkeypatch.setattr("talkies.ingestion.source.hash_file", note)
    assert discover([tmp_path]).duplicates == {}
    assert read == ["c.mp4", "d.mp4"]


def test_a_source_that_does_not_exist_is_named(folder: Path) -> None:
    missing = folder / "z.mp4"
    with pytest.raises(UsageError, match=f"^{missing} does not exist; name a film file, or a folder with films in it$"):
        discover([folder, missing])


def test_a_folder_without_films_is_named(folder: Path) -> None:
    empty = folder / "g.mp4"
    with pytest.raises(UsageError, match=f"^{empty} holds no film; name a film file, or a folder with films in it$"):
        discover([folder, empty])


def test_a_library_among_the_sources_is_no_source(tmp_path: Path) -> None:
    (tmp_path / "lib" / "films" / "0123").mkdir(parents=True)
    (tmp_path / "lib" / "library.json").write_text("{}")
    for path in (tmp_path / "a.mp4", tmp_path / "lib" / "films" / "0123" / "proxy.mp4"):
        path.write_bytes(b"film")
    found = discover([tmp_path])
    assert (paths(found), found.skipped_files) == ([tmp_path / "a.mp4"], 0)
    assert paths(discover([tmp_path / "lib" / "films"])) == [tmp_path / "lib" / "films" / "0123" / "proxy.mp4"]


def test_a_folder_that_may_not_be_searched_is_told_and_not_left_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.scandir

    def scandir(path: str | Path) -> object:
        if str(path) == str(folder / "deep"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = discover([folder])
    assert paths(found) == [folder / "a.MKV", folder / "b.mp4"]
    message = f"{folder / 'deep'} cannot be searched (permission denied)"
    assert found.unreadable == (Unreadable(str(folder / "deep"), message),)

    message = rf"^{folder / 'deep'} cannot be searched \(permission denied\); name a folder that you may read$"
    with pytest.raises(UsageError, match=message):  # named itself, it cannot be left out
        discover([folder / "deep"])
