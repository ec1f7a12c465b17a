"""The bytes of the catalogue's tables depend only on the film folders, whatever happened before."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from talkies.core import Span, parse_film_id
from talkies.library import (
    SHOT,
    FilmEntry,
    FilmRecord,
    Library,
    Reason,
    Verdict,
    read_record,
    write_annotations,
    write_json,
)

IDS = [parse_film_id(f"{number:016x}") for number in (0, 1, 7, 2**32, 2**63, 2**64 - 1)]
NAMES = ["a.mp4", "Ä \N{SNOWMAN}.mkv", 'quo"te, comma.avi', "line\nbreak.mov"]

spans = st.lists(st.integers(0, 200), unique=True, max_size=6).map(
    lambda bounds: [Span(a, b) for a, b in zip(sorted(bounds)[::2], sorted(bounds)[1::2], strict=False)]
)
films = st.builds(
    dict,
    name=st.sampled_from(NAMES),
    verdict=st.sampled_from(list(Verdict)),
    reasons=st.lists(st.sampled_from(["late_audio", "truncated"]), max_size=2),
    seconds=st.floats(0, 1e5),
    marks=st.dictionaries(st.sampled_from([SHOT, "black", "silent", "still", "damaged"]), spans),
)
steps = st.one_of(
    st.tuples(st.just("commit"), st.sampled_from(IDS), films),
    st.tuples(st.just("judge anew"), st.sampled_from(IDS), films),
    st.tuples(st.just("remove"), st.sampled_from(IDS), st.none()),
    st.tuples(st.just("update"), st.none(), st.none()),
    st.tuples(st.just("lose a table"), st.none(), st.sampled_from(["films", "shots", "spans"])),
)


@pytest.fixture(autouse=True)
def _without_flushing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody cuts the power here, and flushing is most of the time."""
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)


def record_of(film_id: str, film: Mapping[str, object]) -> FilmRecord:
    reasons = tuple(Reason(code=code, text=f"because of {code}") for code in film["reasons"])  # type: ignore[attr-defined]
    return FilmRecord(
        film_id=film_id,
        source=f"/films/{film['name']}",
        source_bytes=10,
        verdict=film["verdict"],  # type: ignore[arg-type]
        reasons=reasons,
        duration_seconds=film["seconds"],  # type: ignore[arg-type]
    )


def commit(library: Library, film_id: str, film: Mapping[str, object]) -> None:
    with library.commit_film(parse_film_id(film_id)) as folder:
        write_annotations(folder / "shots.parquet", film["marks"])  # type: ignore[arg-type]
        write_json(folder / "film.json", record_of(film_id, film))


def take(library: Library, step: tuple[str, str, object]) -> None:
    match step:
        case "commit", film_id, film:
            commit(library, film_id, film)  # type: ignore[arg-type]
        case "judge anew", film_id, film:
            # Marks stay as they are; a rejected film's are in no table, so the verdict may not cross that line.
            old = library.record_of(parse_film_id(film_id))
            new = record_of(film_id, film)  # type: ignore[arg-type]
            if old is not None and old.usable == new.usable:
                library.replace_record(new)
        case "remove", film_id, _:
            library.remove(parse_film_id(film_id))
        case "update", _, _:
            library.update_catalogue()
        case "lose a table", _, name:
            (library.root / "catalogue" / f"{name}.parquet").unlink(missing_ok=True)


def tables(library: Library) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (library.root / "catalogue").glob("*.parquet")}


@given(st.lists(steps, max_size=14))
@settings(max_examples=60, deadline=None)
def test_the_tables_are_those_of_a_library_in_which_nothing_else_ever_happened(
    history: list[tuple[str, str, object]],
) -> None:
    with TemporaryDirectory() as folder:
        lived = Library.create(Path(folder) / "lived")
        for step in history:
            take(lived, step)
            rows = [FilmEntry.of(read_record(path)) for path in sorted(lived.root.glob("films/*/film.json"))]
            assert lived.films() == rows  # at every moment the list is true, whatever the tables hold
        lived.update_catalogue()
        fresh = Library.create(Path(folder) / "fresh")
        for film in reversed(lived.films()):
            shutil.copytree(lived.film_folder(film.id), fresh.film_folder(film.id))
        fresh.update_catalogue()
        assert tables(lived) == tables(fresh)
        assert lived.films() == fresh.films()


@given(st.permutations(IDS), st.integers(0, 6))
@settings(max_examples=40, deadline=None)
def test_it_does_not_matter_in_which_order_films_come(order: list[str], first: int) -> None:
    with TemporaryDirectory() as folder:
        made = []
        for name, ids, cut in (("a", sorted(IDS), 0), ("b", order, first)):
            library = Library.create(Path(folder) / name)
            for number, film_id in enumerate(ids):
                if number == cut:
                    library.update_catalogue()
                seconds = float(int(film_id, 16) % 977)
                marks = {SHOT: [Span(0, 9), Span(9, 12)], "black": [Span(1, 2)], "still": [Span(0, 5)]}
                values = {"name": f"{film_id}.mp4", "verdict": Verdict.ACCEPTED, "reasons": [], "seconds": seconds}
                commit(library, film_id, {**values, "marks": marks})
            library.update_catalogue()
            made.append(tables(library))
        assert made[0] == made[1]
        assert len(made[0]) == 3
