"""Links among the sources are followed; loops, links that lead nowhere and unreadable folders stop nothing."""

import errno
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from talkies.cli.main import main
from talkies.core import UsageError, WorkError
from talkies.ingestion import discover, ingest
from talkies.ingestion.walk import walk_folder

FOLDERS = ["", "a", "a/b", "a/b/c", "d", "d/e"]


def write(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def locations(source: Path) -> list[str]:
    return [os.path.relpath(film.location, source) for film in discover([source]).films]


def test_a_folder_of_links_to_folders_and_files_holds_their_films(tmp_path: Path) -> None:
    write(tmp_path / "store" / "one" / "a.mp4", b"1")
    write(tmp_path / "store" / "b.mkv", b"2")
    links = tmp_path / "links"
    links.mkdir()
    (links / "season").symlink_to(tmp_path / "store" / "one")
    (links / "named anew.mkv").symlink_to(tmp_path / "store" / "b.mkv")
    assert locations(links) == ["named anew.mkv", "season/a.mp4"]


def test_a_source_that_is_a_link_itself_is_followed(tmp_path: Path) -> None:
    write(tmp_path / "store" / "a.mp4")
    (tmp_path / "link").symlink_to("store")
    assert locations(tmp_path / "link") == ["a.mp4"]


def test_a_folder_that_is_also_linked_keeps_its_own_path_and_comes_once(tmp_path: Path) -> None:
    write(tmp_path / "z" / "a.mp4")
    for number in range(3):
        (tmp_path / f"link {number}").symlink_to("z")
    assert locations(tmp_path) == ["z/a.mp4"]


def test_two_links_to_one_file_are_one_film_that_has_both_names(tmp_path: Path) -> None:
    write(tmp_path / "store" / "x")
    links = tmp_path / "links"
    links.mkdir()
    for name in ("a.mp4", "b.mp4"):
        (links / name).symlink_to(tmp_path / "store" / "x")
    found = discover([links])
    assert ([film.name for film in found.films], found.duplicates) == (["a.mp4"], {})
    assert found.other_paths == {str(links / "a.mp4"): (str(links / "b.mp4"),)}


@pytest.mark.parametrize("target", [".", "..", "../..", "/", "../../deep"])
def test_a_link_to_a_folder_around_it_is_a_loop_and_is_told(tmp_path: Path, target: str) -> None:
    source = tmp_path / "source" / "deep"
    write(source / "a.mp4")
    write(tmp_path / "source" / "outside.mp4")
    (source / "loop").symlink_to(target)
    found = discover([source])
    assert [film.name for film in found.films] == ["a.mp4"]
    if target != "../../deep":
        assert (found.loops, found.unreadable) == (1, ())


def test_links_that_lead_to_one_another_end(tmp_path: Path) -> None:
    for one, other in (("a", "b"), ("b", "a")):
        write(tmp_path / one / f"{one}.mp4", one.encode())
        (tmp_path / one / "link").symlink_to(tmp_path / other)
    assert locations(tmp_path) == ["a/a.mp4", "b/b.mp4"]
    assert sorted(locations(tmp_path / "a")) == ["a.mp4", "link/b.mp4"]


@given(
    links=st.lists(st.tuples(st.sampled_from(FOLDERS), st.sampled_from([*FOLDERS, "nowhere"])), max_size=8),
    files=st.lists(st.sampled_from(FOLDERS), min_size=1, max_size=4),
)
@settings(max_examples=60, deadline=None)
def test_whatever_links_there_are_each_file_comes_once_and_dangling_ones_are_counted(
    tmp_path_factory: pytest.TempPathFactory, links: list[tuple[str, str]], files: list[str]
) -> None:
    root = tmp_path_factory.mktemp("links")
    for folder in FOLDERS:
        (root / folder).mkdir(exist_ok=True)
    for folder in files:
        write(root / folder / "film.mp4")
    for number, (folder, target) in enumerate(links):
        (root / folder / f"link {number}").symlink_to(root / target)

    walked = walk_folder(root)
    assert walked.files == sorted({root / folder / "film.mp4" for folder in files})  # by their own paths
    assert len(walked.unreadable) == sum(target == "nowhere" for _, target in links)
    around = [(folder, target) for folder, target in links if root / target in (root / folder / "x").parents]
    assert walked.loops == len(around)


def test_a_link_that_leads_nowhere_is_told_and_a_hidden_one_is_not(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4")
    (tmp_path / "b.mp4").symlink_to("gone.mp4")
    (tmp_path / ".c.mp4").symlink_to("gone.mp4")
    (tmp_path / "self.mp4").symlink_to("self.mp4")
    found = discover([tmp_path])
    assert [film.name for film in found.films] == ["a.mp4"]
    assert [each.message for each in found.unreadable] == [
        f"{tmp_path}/b.mp4 is a link to gone.mp4, which does not exist",
        f"{tmp_path}/self.mp4 cannot be read (too many levels of symbolic links)",
    ]


def test_a_named_link_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    (tmp_path / "b.mp4").symlink_to("gone.mp4")
    with pytest.raises(UsageError, match=r"b\.mp4 is a link to gone\.mp4, which does not exist; name a film file"):
        discover([tmp_path / "b.mp4"])


def refuse(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Make folders of these names unreadable, also for a superuser."""
    real = os.scandir

    def scandir(path: Any = ".") -> Any:
        if Path(str(path)).name in names:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)


def test_a_folder_with_nothing_readable_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "more").mkdir()
    refuse(monkeypatch, "lost+found", "more")
    message = r"holds no film that can be read: .*/lost\+found cannot be searched \(permission denied\), and 1 more"
    with pytest.raises(UsageError, match=message):
        discover([tmp_path])


def test_an_unreadable_folder_and_a_dangling_link_are_told_and_the_rest_is_done(
    tmp_path: Path, write_film: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "films"
    (folder / "lost+found").mkdir(parents=True)
    write_film(folder / "a.mkv", 1.5)
    (folder / "b.mp4").symlink_to("gone.mp4")
    (folder / "around").symlink_to(".")
    refuse(monkeypatch, "lost+found")

    report = ingest([folder], tmp_path / "lib")
    assert [film.record.usable for film in report.films] == [True]
    assert "2 places could not be read, so films may be missing" in report.summary
    assert "1 link to a folder around the link not followed" in report.summary
    with pytest.raises(
        WorkError, match=r"^not everything could be read: .*/b\.mp4 is a link to gone\.mp4, .*\(and 1 more\)"
    ):
        report.check()

    monkeypatch.setattr(sys, "argv", ["talkies", "ingest", str(folder), "--library", str(tmp_path / "lib")])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 1
    captured = capsys.readouterr()
    assert "1 film: 1 accepted" in captured.out
    assert captured.err.splitlines()[-1].startswith("talkies: not everything could be read: ")


def test_a_file_that_cannot_be_examined_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.mp4")
    write(tmp_path / "b.mp4")
    real = Path.stat

    def stat(path: Path, **options: bool) -> os.stat_result:
        if path.name == "b.mp4":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path, **options)

    monkeypatch.setattr(Path, "stat", stat)
    found = discover([tmp_path])
    assert [film.name for film in found.films] == ["a.mp4"]
    assert [each.message for each in found.unreadable] == [f"{tmp_path}/b.mp4 cannot be read (permission denied)"]


@pytest.mark.skipif(os.geteuid() != 0, reason="drops a superuser's privileges")
def test_a_real_user_without_permission_gets_the_rest() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        write(folder / "a.mp4")
        write(folder / "lost+found" / "b.mp4").parent.chmod(0o700)
        write(folder / "no search" / "c.mp4").parent.chmod(0o744)
        assert _discover_as_nobody(folder) == "['a.mp4'] 2"


def _discover_as_nobody(folder: Path) -> str:
    """The films that a user without privileges finds in a folder, and how many places he cannot read."""
    read, written = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads; the child starts none
        child = os.fork()
    if not child:
        try:
            os.setuid(65534)
            found = discover([folder])
            os.write(written, f"{[film.name for film in found.films]} {len(found.unreadable)}".encode())
        finally:
            os._exit(0)
    os.close(written)
    os.waitpid(child, 0)
    with os.fdopen(read) as answer:
        return answer.read()
