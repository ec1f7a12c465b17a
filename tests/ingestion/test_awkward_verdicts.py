"""All of the awkward files in one ingest: each gets the verdict, and the reasons, that `awkward.csv` holds for it.

The table was made by looking at the files, not by asking talkies. Its reasons are in the order of their importance. A
file that its packets reject is not decoded to the end, so it has no reason that only decoding could tell.
"""

import csv
from pathlib import Path

import pytest

from talkies.ingestion import IMPORTANCE, IngestedFilm, IngestReport, ingest
from talkies.library import Profile, Verdict
from talkies.runtime import IsolatedProcess

pytestmark = [pytest.mark.real_data, pytest.mark.slow]

TABLE = Path(__file__).with_name("awkward.csv")
ROWS = {row["file"]: row for row in csv.DictReader(TABLE.read_text(encoding="utf-8").splitlines())}
USABLE = [name for name, row in ROWS.items() if row["verdict"] != "rejected"]


@pytest.fixture(scope="module")
def report(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> IngestReport:
    """What one ingest of them all came to."""
    root = tmp_path_factory.mktemp("awkward") / "lib"
    return ingest([real_data / "awkward"], root, workers=2, profile=Profile(short_side=64))


@pytest.fixture(scope="module")
def taken(report: IngestReport) -> dict[str, IngestedFilm]:
    """What became of each file, by its name."""
    return {film.source.name: film for film in report.films}


def test_the_table_holds_every_file_and_only_verdicts_and_codes_that_there_are(real_data: Path) -> None:
    files = {path.name for path in (real_data / "awkward").iterdir()} - {"probe.csv"}
    assert files == ROWS.keys()
    assert len(ROWS) == 143
    for row in ROWS.values():
        codes = row["reasons"].split()
        assert row["verdict"] in list(Verdict)
        assert codes == sorted(codes, key=IMPORTANCE.index)
        assert (row["main_reason"], row["note"] != "") == (codes[0] if codes else "", True)


def test_every_file_gets_its_verdict_and_none_is_left_without_one(report: IngestReport) -> None:
    assert [film.source.name for film in report.films] == sorted(ROWS)
    assert (report.failures, report.skipped_files) == ((), 1)
    assert {film.source.name: str(film.verdict) for film in report.films} == {
        name: row["verdict"] for name, row in ROWS.items()
    }


@pytest.mark.parametrize("name", ROWS)
def test_an_awkward_file_has_the_reasons_that_the_table_holds(taken: dict[str, IngestedFilm], name: str) -> None:
    row = ROWS[name]
    codes = [reason.code for reason in taken[name].reasons]
    assert (codes[0] if codes else "") == row["main_reason"], row["note"]
    assert " ".join(codes) == row["reasons"], row["note"]
    assert all(reason.text and "\n" not in reason.text for reason in taken[name].reasons)


@pytest.mark.parametrize("name", USABLE)
def test_an_awkward_film_that_can_be_used_is_as_long_and_as_wide_as_it_is_shown(
    taken: dict[str, IngestedFilm], name: str
) -> None:
    row, record = ROWS[name], taken[name].record
    assert record.duration_seconds == pytest.approx(float(row["seconds"]), abs=0.1)
    width = 64 * int(row["display_width"]) / int(row["display_height"])
    assert record.height == 64, "none of the films that can be used is higher than wide"
    assert record.width == pytest.approx(width, abs=1.01)


def test_of_the_same_bytes_under_several_names_the_first_by_name_is_the_film(taken: dict[str, IngestedFilm]) -> None:
    duplicates = {name: film.duplicate_of.name for name, film in taken.items() if film.duplicate_of}
    assert duplicates.keys() == {name for name, row in ROWS.items() if "duplicate" in row["reasons"].split()}
    assert all(first < name and taken[first].record == taken[name].record for name, first in duplicates.items())


def test_the_library_holds_each_content_once_and_only_what_can_be_used_as_a_film(
    report: IngestReport, taken: dict[str, IngestedFilm]
) -> None:
    library = report.library
    assert [film.film_id for film in library.films()] == sorted({film.record.film_id for film in taken.values()})
    for film in library.films():
        files = {file.name for file in library.film_folder(film.id).iterdir()} - {"strip.jpg"}
        whole = {"film.json", "proxy.mp4", "audio.wav", "shots.parquet"}
        assert files == (whole if film.usable else {"film.json"})


def test_nothing_of_them_is_decoded_twice(
    report: IngestReport, real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(IsolatedProcess, "call", refuse)
    again = ingest([real_data / "awkward"], report.library.root)
    assert [(film.source, film.record, film.reused) for film in again.films] == [
        (film.source, film.record, True) for film in report.films
    ]
