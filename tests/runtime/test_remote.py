"""Remote files, on fsspec's file system in memory: what exists, and local copies."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from talkies.core import UsageError
from talkies.runtime import download, is_remote, list_files, open_filesystem

FILES = {"a.mp4": b"one", "deep/er/b.mkv": b"three", "notes.txt": b"", ".hidden.mp4": b"x", "deep/.git/c.mp4": b"x"}


@pytest.fixture
def url() -> Iterator[str]:
    """The URL of a folder in memory that holds `FILES`."""
    memory = fsspec.filesystem("memory")
    for name, content in FILES.items():
        memory.pipe(f"/films of mine/{name}", content)
    memory.pipe("/films of mine too/d.mp4", b"another folder's")
    yield "memory://films of mine"
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]


@pytest.mark.parametrize(
    ("location", "remote"),
    [("memory://x", True), ("s3://bucket/x", True), (Path("/films/a.mp4"), False), ("a:b.mp4", False), ("C:/x", False)],
)
def test_a_location_is_remote_if_it_is_a_url(location: str | Path, remote: bool) -> None:
    assert is_remote(location) is remote


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_folder_is_listed_all_through_with_sizes_and_without_hidden_files(url: str, slash: str) -> None:
    assert list_files(url + slash) == {f"{url}/a.mp4": 3, f"{url}/deep/er/b.mkv": 5, f"{url}/notes.txt": 0}


def test_a_file_is_listed_alone_even_if_it_is_hidden(url: str) -> None:
    assert list_files(f"{url}/a.mp4") == {f"{url}/a.mp4": 3}
    assert list_files(f"{url}/.hidden.mp4") == {f"{url}/.hidden.mp4": 1}


def test_what_is_not_there_has_no_files(url: str) -> None:
    assert list_files(f"{url}/z") == {}


def test_the_urls_that_are_listed_can_be_fetched(url: str) -> None:
    for listed, size in list_files(url).items():
        with download(listed) as path:
            assert (path.name, path.stat().st_size) == (listed.rpartition("/")[2], size)
            assert path.read_bytes() == FILES[listed.removeprefix(url + "/")]


def test_so_can_those_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"film")
    (listed,) = list_files(f"file://{tmp_path}")
    assert listed == f"file://{tmp_path}/a.mp4"
    with download(listed) as path:
        assert (path.read_bytes(), path != tmp_path / "a.mp4") == (b"film", True)


@pytest.mark.parametrize("fault", [None, KeyError])
def test_the_copy_is_removed_at_the_end_whatever_happens(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: type[Exception] | None
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def look() -> None:
        with download(f"{url}/a.mp4") as path:
            assert path.is_relative_to(tmp_path)
            if fault:
                raise fault

    if fault:
        with pytest.raises(fault):
            look()
    else:
        look()
    assert list(tmp_path.iterdir()) == []


def test_what_is_gone_when_it_is_fetched_is_an_os_error_and_leaves_nothing(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(FileNotFoundError), download(f"{url}/gone.mp4"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_kind_of_url_that_nobody_knows_is_refused() -> None:
    sentence = r"^carrier-pigeon://coop/a\.mp4 cannot be reached \(.+\); name a path, or a URL that fsspec knows$"
    with pytest.raises(UsageError, match=sentence):
        open_filesystem("carrier-pigeon://coop/a.mp4")


def test_a_kind_of_url_whose_package_is_missing_is_refused_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(url: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(UsageError, match=r"^s3://bucket/films cannot be reached \(Install s3fs to access S3\); name a"):
        open_filesystem("s3://bucket/films")
