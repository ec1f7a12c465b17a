"""Which files are films to be ingested, and in which order."""

from pathlib import Path

import pytest

from talkies.core import UsageError
from talkies.ingest import discover


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with films, papers and hidden files; their content does not matter here."""
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


def test_a_folder_is_searched_all_through_and_hidden_files_are_passed_over(folder: Path) -> None:
    assert discover([folder]) == [folder / "a.MKV", folder / "b.mp4", folder / "deep" / "er" / "c.webm"]


def test_a_file_that_is_named_is_taken_whatever_it_is_called(folder: Path) -> None:
    assert discover([folder / "notes.txt", folder / ".hidden.mp4"]) == [folder / "notes.txt", folder / ".hidden.mp4"]


def test_a_hidden_folder_that_is_named_is_searched(folder: Path) -> None:
    assert discover([folder / ".git"]) == [folder / ".git" / "d.mp4"]


def test_sources_keep_their_order_and_each_film_comes_once(folder: Path) -> None:
    (folder / "link to b.mp4").symlink_to(folder / "b.mp4")
    found = discover([folder / "deep", folder / "b.mp4", folder])
    assert found == [folder / "deep" / "er" / "c.webm", folder / "b.mp4", folder / "a.MKV"]


def test_paths_come_back_absolute(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert discover([Path("b.mp4"), Path("deep")]) == [folder / "b.mp4", folder / "deep" / "er" / "c.webm"]


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
    assert discover([tmp_path]) == [tmp_path / "a.mp4"]
