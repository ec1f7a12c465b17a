"""Remote sources and libraries, on fsspec's file system in memory: the same films, the same verdicts."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from talkies.core import LibraryError, UsageError
from talkies.ingestion import ingest
from talkies.library import Library, Profile
from talkies.runtime import IsolatedProcess, hash_file

MEMORY = fsspec.filesystem("memory")


@pytest.fixture(autouse=True)
def _own_memory_and_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    yield
    MEMORY.store.clear()
    MEMORY.pseudo_dirs[:] = [""]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory, write_film) -> Path:
    """A small film."""
    return write_film(tmp_path_factory.mktemp("one") / "film.mkv", 1.5)


@pytest.fixture
def archive(film: Path) -> str:
    """The URL of a folder with a film, the same film once more, a broken one, a paper and a hidden file."""
    for name in ("b.mkv", "deep/a.mkv", "deep/.hidden.mkv"):
        MEMORY.pipe(f"/archive/{name}", film.read_bytes())
    MEMORY.pipe("/archive/broken.mp4", b"no film")
    MEMORY.pipe("/archive/notes.txt", b"about them")
    return "memory://archive"


def told(report: Any) -> list[tuple[str, str, list[str], bool]]:
    return [(f.source.location, str(f.verdict), [r.code for r in f.reasons], f.reused) for f in report.films]


@pytest.mark.parametrize("workers", [1, 2])
def test_films_elsewhere_get_their_verdicts_and_leave_no_copy(
    archive: str, film: Path, tmp_path: Path, workers: int
) -> None:
    report = ingest([archive], tmp_path / "lib", workers=workers)
    assert told(report) == [
        (f"{archive}/b.mkv", "accepted", [], False),
        (f"{archive}/broken.mp4", "rejected", ["unreadable"], False),
        (f"{archive}/deep/a.mkv", "accepted with warnings", ["duplicate"], True),
    ]
    assert report.skipped_files == 1
    assert report.films[0].record.film_id == hash_file(film)
    assert report.films[1].reasons[0].text.startswith("broken.mp4 is not media that FFmpeg can read (")
    assert list((tmp_path / "temporary").iterdir()) == []
    assert [found.reused for found in ingest([archive], tmp_path / "lib").films] == [True, True, True]


def test_a_film_elsewhere_that_is_named_is_taken_whatever_it_is_called(film: Path, tmp_path: Path) -> None:
    MEMORY.pipe("/archive/film", film.read_bytes())
    assert told(ingest(["memory://archive/film"], tmp_path / "lib")) == [
        ("memory://archive/film", "accepted", [], False)
    ]


def test_a_folder_elsewhere_that_is_not_there_or_holds_no_film_is_named(archive: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^memory://nowhere does not exist; name a film file, or a folder with films"):
        ingest(["memory://nowhere"], tmp_path / "lib")
    MEMORY.pipe("/papers/notes.txt", b"")
    with pytest.raises(UsageError, match=r"^memory://papers holds no film; name a film file, or a folder with films"):
        ingest(["memory://papers"], tmp_path / "lib")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (FileNotFoundError("gone"), "memory://archive/b.mkv no longer exists"),
        (TimeoutError("the line is dead"), "memory://archive/b.mkv cannot be downloaded (the line is dead)"),
    ],
)
def test_one_that_cannot_be_fetched_costs_no_other_film(
    archive: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: OSError, message: str
) -> None:
    kind = type(MEMORY)  # each thread has an instance of its own
    real = kind.get_file

    def get_file(self: Any, path: str, *arguments: Any, **keywords: Any) -> None:
        if path.endswith("/b.mkv"):
            raise fault
        real(self, path, *arguments, **keywords)

    monkeypatch.setattr(kind, "get_file", get_file)
    report = ingest([archive], tmp_path / "lib")
    assert [failed.message for failed in report.failures] == [message]
    assert [found.source.name for found in report.films] == ["broken.mp4", "a.mkv"]
    assert [str(found.verdict) for found in report.films] == ["rejected", "accepted"]


@pytest.fixture
def without_decoding(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From now on, what would have to be decoded fails the test."""

    def refuse(*_: object) -> None:
        raise AssertionError

    return lambda: monkeypatch.setattr(IsolatedProcess, "call", refuse)


def test_a_library_elsewhere_holds_what_one_of_this_machine_would(
    archive: str, film: Path, tmp_path: Path, without_decoding: Callable[[], None]
) -> None:
    here = ingest([archive], tmp_path / "lib").library
    there = ingest([archive], "memory://library").library
    assert there.location == "memory://library"
    assert Library.open("memory://library").films() == there.films() == here.films()
    usable = here.usable_films()[0].id
    names = {name.removeprefix("/library/"): name for name in MEMORY.find("/library")}
    assert {f"films/{usable}/{n}" for n in ("film.json", "proxy.mp4", "audio.wav", "shots.parquet")} <= names.keys()
    for name in ("films", "shots", "spans"):
        assert (
            MEMORY.cat(f"/library/catalogue/{name}.parquet") == (here.root / f"catalogue/{name}.parquet").read_bytes()
        )
    assert MEMORY.cat(names[f"films/{usable}/proxy.mp4"]) == here.proxy_path(usable).read_bytes()
    without_decoding()
    assert [found.reused for found in ingest([archive], "memory://library").films] == [True, True, True]


def test_what_is_asked_of_a_library_elsewhere_is_fetched_even_if_nothing_of_it_is_here(
    archive: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest([archive], "memory://library", profile=Profile(short_side=48))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another machine"))
    library = Library.open("memory://library")
    assert library.profile.short_side == 48
    (found,) = library.usable_films()
    assert (found.name, found.frames) == ("b.mkv", 24)
    assert library.shots_of(found.id)[0].start_frame == 0
    assert (
        library.proxy_path(found.id).stat().st_size + library.audio_path(found.id).stat().st_size < found.stored_bytes
    )
    assert library.is_complete(found.id)


def test_a_film_elsewhere_that_lost_a_file_is_repaired(archive: str) -> None:
    library = ingest([archive], "memory://library").library
    (found,) = library.usable_films()
    MEMORY.rm_file(f"/library/films/{found.id}/audio.wav")
    assert not library.is_complete(found.id)
    assert [film.reused for film in ingest([archive], "memory://library").films] == [False, True, True]
    assert library.is_complete(found.id)


def test_a_place_elsewhere_that_holds_something_else_is_no_library(archive: str) -> None:
    with pytest.raises(
        LibraryError, match=r"^memory://archive is not a talkies library \(it has no library\.json\); mak"
    ):
        Library.open("memory://archive")
    with pytest.raises(
        LibraryError, match=r"^memory://archive exists and is not a talkies library; name a new or empty"
    ):
        ingest([archive], "memory://archive")
    with pytest.raises(LibraryError, match=r"^memory://nowhere does not exist; make a library with: talkies ingest"):
        Library.open("memory://nowhere")
