"""Libraries whose films are records and shots only: the library itself never decodes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from talkies.core import FilmId, Span
from talkies.library import SHOT, FilmRecord, Library, Reason, Verdict, write_annotations, write_json

Commit = Callable[..., FilmRecord]
MARKS = {
    SHOT: [Span(0, 64), Span(64, 160)],
    "black": [Span(0, 16)],
    "damaged": [Span(9, 10)],
    "silent": [Span(8, 24), Span(100, 160)],
    "still": [Span(0, 50)],
}


def commit_film(
    library: Library, film_id: str, source: str = "/films/a film.mp4", verdict: Verdict = Verdict.ACCEPTED
) -> FilmRecord:
    """Commit a film of ten seconds with two shots and five marked spans (no spans if it is rejected)."""
    usable = verdict is not Verdict.REJECTED
    record = FilmRecord(
        film_id=film_id,
        source=source,
        source_bytes=1234,
        verdict=verdict,
        reasons=() if verdict is Verdict.ACCEPTED else (Reason(code="a_code", text="because", rejects=not usable),),
        duration_seconds=10.0 if usable else 0.0,
        frames=160 if usable else 0,
        shots=2 if usable else 0,
    )
    with library.commit_film(FilmId(film_id)) as folder:
        if usable:
            write_annotations(folder / "shots.parquet", MARKS)
        stored_bytes = sum(path.stat().st_size for path in folder.iterdir())
        record = record.model_copy(update={"stored_bytes": stored_bytes})
        write_json(folder / "film.json", record)
    return record


@pytest.fixture
def commit() -> Commit:
    """The function that commits a film to a library."""
    return commit_film


@pytest.fixture
def empty_library(tmp_path: Path) -> Library:
    """A new library without films."""
    return Library.create(tmp_path / "lib")


@pytest.fixture
def three_films(empty_library: Library) -> Library:
    """A library of two usable films and a rejected one, with its catalogue."""
    commit_film(empty_library, "a" * 16, "/films/alpha.mp4")
    commit_film(empty_library, "ab" * 8, "/films/beta.mp4", Verdict.WARNED)
    commit_film(empty_library, "c" * 16, "/elsewhere/gamma.mkv", Verdict.REJECTED)
    empty_library.update_catalogue()
    return empty_library
