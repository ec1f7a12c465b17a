"""Killed at any write to the disk, a library is in its old or its new state, and the next ingest cleans up."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from killed_on_the_way import CHANGES, NEW, OLD, put

from talkies.core import FilmId
from talkies.library import FilmEntry, Library
from talkies.library.staging import create_staging_folder, hold_lock, sweep
from talkies.runtime import remove_abandoned, replace_atomically

pytestmark = pytest.mark.slow

OTHER = FilmId("c" * 16)


def kill_at_every_touch(change: str, library: Path, folder: Path) -> list[Path]:
    """Return the libraries that kills left, by the touch of the disk that each came before; the last was not killed."""
    script = Path(__file__).with_name("killed_on_the_way.py")
    subprocess.run([sys.executable, script, change, library, folder], check=True, timeout=120)
    left = sorted(folder.iterdir())
    assert len(left) > 3
    return left


def contents(root: Path) -> dict[str, bytes]:
    """Return every file under a folder but the locks, which stay, and every empty folder."""
    paths = [path for path in root.rglob("*") if path.name != ".lock"]
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else b""
        for path in paths
        if path.is_file() or not any(path.iterdir())
    }


def mend(root: Path) -> Library:
    """Do what every ingest begins and ends with."""
    library = Library.create(root)
    library.sweep()
    library.update_catalogue()
    return library


@pytest.fixture(autouse=True)
def _no_flushing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the disk: what a process wrote outlives its kill, flushed or not."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(scope="module")
def two_films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of two films; read only."""
    library = Library.create(tmp_path_factory.mktemp("two") / "films")
    put(library, OLD, "/films/old.mp4")
    put(library, OTHER, "/films/other.mp4")
    return library.root


@pytest.fixture(scope="module", params=["add", "replace", "judge anew", "take out"])
def change(request: pytest.FixtureRequest) -> str:
    """Each change that an ingest makes to a library."""
    return str(request.param)


@pytest.fixture(scope="module")
def kills(change: str, two_films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what kills at every touch of a change left; read only."""
    folder = tmp_path_factory.mktemp("kills")
    kill_at_every_touch(change, two_films, folder)
    return folder


@pytest.fixture
def left(kills: Path, tmp_path: Path) -> list[Path]:
    """What kills left, in order, the last not killed; to be worked on."""
    return sorted(shutil.copytree(kills, tmp_path / "left").iterdir())


def test_killed_at_any_touch_a_change_is_never_seen_by_half(kills: Path) -> None:
    for root in sorted(kills.iterdir()):
        library = Library.open(root)
        rows = library.films()
        assert rows == [FilmEntry.of(record) for row in rows if (record := library.record_of(row.id))], root.name
        assert OTHER in [row.film_id for row in rows]


def test_killed_at_any_touch_a_change_is_done_or_undone_and_nothing_of_it_is_left_over(
    left: list[Path], two_films: Path
) -> None:
    *killed, done = left
    before, after = contents(two_films), contents(done)
    assert before != after
    outcomes = []
    for root in killed:
        library = mend(root)
        assert contents(root) in (before, after), root.name
        assert all(library.is_complete(film.id) for film in library.films())
        outcomes.append(contents(root) == after)
    assert outcomes == sorted(outcomes)  # undone up to some touch, done from there on
    assert set(outcomes) == {False, True}


def test_after_a_kill_the_same_change_comes_to_the_same_library(change: str, left: list[Path]) -> None:
    *killed, done = left
    after = contents(done)
    for root in killed:
        mend(root)
        CHANGES[change](root)
        assert contents(root) == after, root.name


def test_a_library_whose_making_was_killed_is_made_by_the_next_ingest(tmp_path: Path) -> None:
    *killed, done = kill_at_every_touch("create", tmp_path / "none", tmp_path / "killed")
    put(mend(done), NEW, "/films/new.mp4")
    for root in killed:
        put(mend(root), NEW, "/films/new.mp4")
        assert contents(root) == contents(done), root.name


def test_killed_at_any_touch_a_sweep_loses_no_film_that_was_about_to_be_replaced(
    tmp_path: Path, two_films: Path
) -> None:
    half_way = shutil.copytree(two_films, tmp_path / "half way")
    staged = half_way / "films" / f".partial-{OLD}-01234567"
    staged.mkdir()
    staged.with_name(f"{staged.name}.lock").touch()
    (half_way / "films" / OLD).rename(staged / f"before-{OLD}")
    for root in kill_at_every_touch("sweep", half_way, tmp_path / "swept"):
        mend(root)
        assert contents(root) == contents(two_films), root.name


def stage_and_sweep(folder: Path) -> int:
    """Stage folders and sweep, again and again; return how often a folder in the making was lost."""
    lost = 0
    for number in range(150):
        with create_staging_folder(folder, "film") as staged, hold_lock(folder / ".lock"):
            (staged / "part").write_text(str(number))
            sweep(folder)
            lost += not (staged / "part").is_file()
    return lost


def test_processes_that_stage_and_sweep_at_once_never_lose_a_folder_in_the_making(tmp_path: Path) -> None:
    with ProcessPoolExecutor(3) as pool:
        assert list(pool.map(stage_and_sweep, [tmp_path] * 3)) == [0, 0, 0]
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_folder_in_the_making_without_a_lock_belongs_to_nobody(tmp_path: Path) -> None:
    (tmp_path / ".partial-film-0123").mkdir()
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_a_living_process_is_about_to_replace_is_not_abandoned(tmp_path: Path) -> None:
    (tmp_path / ".table.parquet.1.tmp").write_text("half of a tab")
    with replace_atomically(tmp_path / "film.json") as temporary:
        temporary.write_text("a record")
        remove_abandoned(tmp_path)
        assert list(tmp_path.iterdir()) == [temporary]
    assert [path.name for path in tmp_path.iterdir()] == ["film.json"]
