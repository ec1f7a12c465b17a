"""The settings of an ingest: how they are read, and what happens to films judged by other settings."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from talkies.core import ConfigError
from talkies.ingestion import IngestConfig, IngestedFilm, IngestReport, build_config, ingest
from talkies.library import FilmRecord, Library, Reason, Verdict
from talkies.runtime import IsolatedProcess

pytestmark = pytest.mark.slow

Ingest = Callable[..., IngestedFilm]


def codes(film: IngestedFilm) -> list[str]:
    return [reason.code for reason in film.reasons]


@pytest.fixture
def without_decoding(monkeypatch: pytest.MonkeyPatch) -> Callable[..., IngestReport]:
    """Ingest as ever, but anything that would have to be decoded fails the test."""

    def call(*arguments: Any, **keywords: Any) -> IngestReport:
        def refuse(*_: object) -> None:
            raise AssertionError

        with monkeypatch.context() as patch:
            patch.setattr(IsolatedProcess, "call", refuse)
            return ingest(*arguments, **keywords)

    return call


@pytest.fixture(scope="module")
def late_film(tmp_path_factory: pytest.TempPathFactory, write_film) -> Path:
    """A film of three seconds whose sound begins after half a second."""
    return write_film(tmp_path_factory.mktemp("late") / "late.mkv", 3.0, sound=(0.5, 3.0))


@pytest.fixture(scope="module")
def late_library(late_film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that has accepted it; read only."""
    root = tmp_path_factory.mktemp("late-library") / "lib"
    assert ingest([late_film], root).films[0].verdict is Verdict.ACCEPTED
    return root


@pytest.fixture
def root(late_library: Path, tmp_path: Path) -> Path:
    """A copy of that library."""
    return shutil.copytree(late_library, tmp_path / "lib")


def times_of(root: Path, film: FilmRecord) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (root / "films" / film.film_id).iterdir()}


def test_what_is_not_told_is_the_default() -> None:
    assert build_config() == IngestConfig()


def test_overrides_set_single_values() -> None:
    config = build_config(["judge.shortest_seconds=0.2", "mark.still_seconds=5", "worker.memory_mb=512"])
    assert (config.judge.shortest_seconds, config.mark.still_seconds, config.worker.memory_mb) == (0.2, 5.0, 512)
    assert config.judge.most_damaged == IngestConfig().judge.most_damaged
    assert config.worker.limits.memory_bytes == 512_000_000


def test_for_an_unknown_key_the_nearest_is_offered() -> None:
    message = r"^unknown key 'judge\.shortest_second' in --set \(did you mean 'judge\.shortest_seconds'\?\)$"
    with pytest.raises(ConfigError, match=message):
        build_config(["judge.shortest_second=0.2"])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "judge.shortest_seconds=-1",
            r"^ingest: 'judge\.shortest_seconds' got -1: input should be greater than or equal",
        ),
        ("judge.most_damaged=1.1", r"^ingest: 'judge\.most_damaged' got 1\.1: input should be less than or equal to 1"),
        (
            "judge.most_aspect=0.5",
            r"^ingest: 'judge\.most_aspect' got 0\.5: input should be greater than or equal to 1",
        ),
        ("judge.silent_dbfs=1", r"^ingest: 'judge\.silent_dbfs' got 1: input should be less than or equal to 0"),
        ("judge.missing_seconds=.inf", r"^ingest: 'judge\.missing_seconds' got inf: input should be a finite number"),
        ("worker.memory_mb=1", r"^ingest: 'worker\.memory_mb' got 1: input should be greater than or equal to 256"),
        ("worker.stall_seconds=0", r"^ingest: 'worker\.stall_seconds' got 0: input should be greater than 0"),
        ("audio.track=0", r"^ingest: 'audio\.track' got 0: input should be greater than or equal to 1"),
    ],
)
def test_a_value_that_does_not_fit_is_told_with_its_key(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_config([override])


@pytest.mark.parametrize("language", ["no", "on", "eng", "12", "null", "pt-BR"])
def test_a_language_is_taken_by_its_letters_whatever_they_mean_elsewhere(language: str) -> None:
    assert build_config(["audio.track=2"], language).audio.model_dump() == {"language": language, "track": 2}


@pytest.mark.parametrize(("language", "track"), [("", None), (None, 0)])
def test_a_choice_that_can_be_none_is_refused(language: str | None, track: int | None) -> None:
    with pytest.raises(ConfigError, match=r"^ingest: 'audio\.(language|track)' got "):
        build_config((), language, track)


def test_with_the_same_settings_a_film_costs_a_hash_and_none_of_its_files_is_touched(
    late_film: Path, root: Path, without_decoding: Callable[..., IngestReport]
) -> None:
    record = Library.open(root).record_of(Library.open(root).films()[0].id)
    assert record is not None
    before = times_of(root, record)
    film = without_decoding([late_film], root).films[0]
    assert (film.reused, film.record) == (True, record)
    assert times_of(root, record) == before


def test_what_a_worker_may_cost_is_none_of_these_settings(
    late_film: Path, root: Path, without_decoding: Callable[..., IngestReport]
) -> None:
    config = build_config(["worker.memory_mb=1000", "worker.threads=1"])
    assert without_decoding([late_film], root, config=config).films[0].reused


def test_by_other_thresholds_a_film_is_judged_anew_without_being_decoded(
    late_film: Path, root: Path, without_decoding: Callable[..., IngestReport]
) -> None:
    library = Library.open(root)
    before = times_of(root, library.record_of(library.films()[0].id))  # type: ignore[arg-type]
    film = without_decoding([late_film], root, config=build_config(["judge.late_sound_seconds=0.25"])).films[0]
    assert (film.reused, film.verdict, codes(film)) == (True, Verdict.WARNED, ["late_audio"])
    after = times_of(root, film.record)
    assert [name for name in before if before[name] != after[name]] == ["film.json"]
    assert [(row.verdict, row.reasons[0].code) for row in library.films()] == [("accepted with warnings", "late_audio")]
    assert list((root / "catalogue").glob(".stale-*")) == []  # the catalogue has heard of it
    back = without_decoding([late_film], root).films[0]
    assert (back.verdict, back.record) == (
        Verdict.ACCEPTED,
        film.record.model_copy(update={"verdict": Verdict.ACCEPTED, "reasons": (), "settings": back.record.settings}),
    )


def test_a_film_that_other_thresholds_reject_gives_its_files_back(late_film: Path, root: Path) -> None:
    film = ingest([late_film], root, config=build_config(["judge.shortest_seconds=5"])).films[0]
    assert (film.reused, film.verdict, codes(film)) == (False, Verdict.REJECTED, ["too_short"])
    assert sorted(times_of(root, film.record)) == ["film.json", "strip.jpg"]
    library = Library.open(root)
    assert ([row.verdict for row in library.films()], library.is_complete(film.record.id)) == (["rejected"], True)


def test_a_film_that_other_thresholds_accept_is_taken(
    late_film: Path, tmp_path: Path, without_decoding: Callable[..., IngestReport]
) -> None:
    strict = build_config(["judge.shortest_seconds=5"])
    assert ingest([late_film], tmp_path / "lib", config=strict).films[0].verdict is Verdict.REJECTED
    assert without_decoding([late_film], tmp_path / "lib", config=strict).films[0].reused
    film = ingest([late_film], tmp_path / "lib").films[0]
    assert (film.reused, film.verdict, film.record.frames) == (False, Verdict.ACCEPTED, 48)


@pytest.mark.parametrize(
    ("override", "kind"), [("mark.silent_seconds=0.25", "silent"), ("judge.silent_dbfs=-1", "silent")]
)
def test_where_other_settings_change_the_marks_the_film_is_decoded_again(
    late_film: Path, root: Path, override: str, kind: str
) -> None:
    library = Library.open(root)
    film_id = library.films()[0].id
    assert kind not in library.annotations_of(film_id)
    film = ingest([late_film], root, config=build_config([override])).films[0]
    assert not film.reused
    fresh = ingest([late_film], root.with_name("fresh"), config=build_config([override])).library
    assert library.annotations_of(film_id) == fresh.annotations_of(film_id)
    assert kind in library.annotations_of(film_id)
    assert film.record == fresh.record_of(film_id)


def test_a_mended_source_takes_the_place_of_its_rejected_record(tmp_path: Path, write_film) -> None:
    whole = write_film(tmp_path / "whole.mkv", 1.5)
    film = tmp_path / "films" / "film.mkv"
    film.parent.mkdir()
    film.write_bytes(b"half a copy of it")
    broken = ingest([film.parent], tmp_path / "lib").films[0]
    assert codes(broken) == ["unreadable"]
    shutil.copy(whole, film)
    mended = ingest([film.parent], tmp_path / "lib")
    assert (mended.films[0].reused, mended.films[0].verdict) == (False, Verdict.ACCEPTED)
    assert [row.film_id for row in mended.library.films()] == [mended.films[0].record.film_id]
    assert not mended.library.film_folder(broken.record.id).exists()


@pytest.mark.parametrize("known", ["from before", "from the same ingest"])
def test_so_does_one_that_was_mended_by_a_film_that_is_known(tmp_path: Path, write_film, known: str) -> None:
    films = tmp_path / "films"
    films.mkdir()
    (films / "b.mkv").write_bytes(b"half a copy of it")
    good = write_film(tmp_path / "good.mkv", 1.5)
    ingest([films / "b.mkv"], tmp_path / "lib")
    if known == "from before":
        ingest([good], tmp_path / "lib")
    else:
        shutil.copy(good, films / "a.mkv")
    shutil.copy(good, films / "b.mkv")
    library = ingest([films], tmp_path / "lib").library
    assert [row.verdict for row in library.films()] == ["accepted"]


def test_a_rejected_film_whose_bytes_are_still_there_under_another_name_stays(tmp_path: Path, write_film) -> None:
    films = tmp_path / "films"
    films.mkdir()
    (films / "a.mkv").write_bytes(b"no film")
    ingest([films], tmp_path / "lib")
    (films / "a.mkv").rename(films / "moved.mkv")
    write_film(films / "a.mkv", 1.5)
    report = ingest([films], tmp_path / "lib")
    assert [str(film.verdict) for film in report.films] == ["accepted", "rejected"]
    assert sorted(row.verdict for row in report.library.films()) == ["accepted", "rejected"]


def test_rejected_films_of_other_sources_stay(tmp_path: Path, write_film) -> None:
    (tmp_path / "broken.mkv").write_bytes(b"no film")
    ingest([tmp_path / "broken.mkv"], tmp_path / "lib")
    library = ingest([write_film(tmp_path / "film.mkv", 1.5)], tmp_path / "lib").library
    assert sorted(row.name for row in library.films()) == ["broken.mkv", "film.mkv"]


@pytest.mark.parametrize("code", ["crashed", "timed_out", "out_of_memory"])
def test_a_verdict_that_another_day_may_not_come_to_is_not_the_last_word(
    late_film: Path, root: Path, code: str
) -> None:
    library = Library.open(root)
    record = library.record_of(library.films()[0].id)
    assert record is not None
    reasons = (Reason(code=code, text="it was a bad day", rejects=True),)
    library.replace_record(record.model_copy(update={"verdict": Verdict.REJECTED, "reasons": reasons}))
    film = ingest([late_film], root).films[0]
    assert (film.reused, film.verdict) == (False, Verdict.ACCEPTED)


def test_what_another_version_of_the_tools_rejected_is_tried_again_and_what_it_accepted_is_not(
    late_film: Path, root: Path, without_decoding: Callable[..., IngestReport]
) -> None:
    library = Library.open(root)
    record = library.record_of(library.films()[0].id)
    assert record is not None
    older = record.model_copy(update={"tools": {**record.tools, "ffmpeg": "1.2.3"}})
    library.replace_record(older)
    assert without_decoding([late_film], root).films[0].record == older
    reasons = (Reason(code="unknown_video_codec", text="it was unknown then", rejects=True),)
    library.replace_record(older.model_copy(update={"verdict": Verdict.REJECTED, "reasons": reasons}))
    film = ingest([late_film], root).films[0]
    assert (film.reused, film.verdict, film.record) == (False, Verdict.ACCEPTED, record)


@pytest.mark.parametrize("garbage", ["", "{", '{"schema_version": 1, "film_id": "x"}'])
def test_a_damaged_record_is_made_good(late_film: Path, root: Path, garbage: str) -> None:
    library = Library.open(root)
    record = library.record_of(library.films()[0].id)
    assert record is not None
    (library.film_folder(record.id) / "film.json").write_text(garbage)
    film = ingest([late_film], root).films[0]
    assert (film.reused, film.record, library.record_of(record.id)) == (False, record, record)
