"""The ingest report: what it counts, shows, leaves out and escapes."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest
from report_page import AUDIO, MEASURES, MUTE, SHORT, SILENT, TIMES, VIDEO, Page, Shelf, probed

import talkies.ingestion.report as report
from talkies.core import FilmId, WorkError
from talkies.ingestion import IngestedFilm, IngestReport, ingest
from talkies.ingestion.report import REPORT_NAME, write_report
from talkies.ingestion.source import Source
from talkies.library import Library, Reason


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """An empty library to put records in."""
    return Shelf(tmp_path / "lib")


@pytest.fixture(scope="session")
def mixed_page(mixed_report: IngestReport) -> Page:
    """The page that ingesting the mixed folder left."""
    return Page(mixed_report.library.root / REPORT_NAME)


def test_an_ingest_leaves_a_page_with_every_film_its_verdict_and_its_reasons(
    mixed_page: Page, mixed_report: IngestReport
) -> None:
    films = {film["id"]: film for film in mixed_page.films}
    assert sorted(films) == [film.film_id for film in mixed_report.library.films()]
    for record in (film.record for film in mixed_report.films):
        words = films[record.film_id]["words"]
        assert record.name in words
        assert str(record.verdict) in words
        for reason in record.reasons:
            assert words[words.index(reason.code) + 1] == reason.text
    assert {"letter.mp4", "void.mp4", "mute.mkv", "blink.mkv"} <= set(mixed_page.words)


def test_every_link_is_relative_and_leads_to_a_file(mixed_page: Page, mixed_report: IngestReport) -> None:
    root = mixed_report.library.root
    links = mixed_page.links()
    assert all(re.fullmatch(r"films/[0-9a-f]{16}/(strip\.jpg|proxy\.mp4|film\.json)", link) for link in links)
    assert [link for link in links if not (root / link).is_file()] == []
    there = {str(path.relative_to(root)) for name in report._FILES.values() for path in root.glob(f"films/*/{name}")}
    assert set(links) == there


def test_thumbnails_wait_until_they_are_looked_at_and_lead_to_the_proxy(mixed_page: Page) -> None:
    usable = [film for film in mixed_page.films if "accepted" in film["classes"]]
    assert usable
    for film in usable:
        at = next(n for n, (tag, _) in enumerate(film["elements"]) if tag == "img")
        assert film["elements"][at][1]["loading"] == "lazy"
        assert film["elements"][at - 1] == ("a", {"class": "strip", "href": f"films/{film['id']}/proxy.mp4"})


def test_a_film_without_pictures_shows_none(shelf: Shelf) -> None:
    shelf.add("/films/noise.mp4", MUTE)
    (film,) = shelf.page().films
    assert [tag for tag, _ in film["elements"] if tag == "img"] == []


def test_the_head_counts_all_films(shelf: Shelf) -> None:
    for _ in range(3):
        shelf.add("/films/r.mp4", MUTE, SILENT, stored_bytes=200_000)
    shelf.add("/films/w.mp4", SILENT, SILENT, duration_seconds=5400.0, stored_bytes=1_000_000)
    shelf.add("/films/w.mp4", SHORT, duration_seconds=900.0, stored_bytes=1_000_000)
    shelf.add(duration_seconds=900.0, stored_bytes=100_000)
    page = shelf.page()
    head = page.words[: page.words.index("Reasons")]
    assert head[-12:] == [
        "6", "films", "3", "rejected", "2", "accepted with warnings", "1", "accepted", "2.0 h", "of usable film",
        "2.7 MB", "on disk",
    ]  # fmt: skip


def test_the_histogram_counts_a_film_once_for_each_code_the_most_frequent_first(shelf: Shelf) -> None:
    shelf.add("/films/r.mp4", MUTE, SILENT)
    shelf.add("/films/w.mp4", SILENT, SILENT)
    shelf.add("/films/w.mp4", SILENT, SHORT)
    page = shelf.page()
    begin = page.words.index("silent_audio")
    assert page.words[begin : begin + 6] == ["silent_audio", "3", "no_audio", "1", "short_audio", "1"]
    bars = [known["class"] for tag, known in page.elements if tag == "label" and "bar" in known["class"]]
    assert bars == ["bar choice warned", "bar choice rejected", "bar choice warned"]


def test_a_reason_that_is_chosen_leaves_its_films(shelf: Shelf) -> None:
    mute, quiet, both = shelf.add("/1.mp4", MUTE), shelf.add("/2.mp4", SILENT), shelf.add("/3.mp4", MUTE, SILENT)
    shelf.add("/4.mp4")
    page = shelf.page()
    assert page.chosen_by("no_audio") == [mute.film_id, both.film_id]
    assert page.chosen_by("silent_audio") == [both.film_id, quiet.film_id]


def test_rejected_films_come_first_then_warned_then_accepted_each_by_source(shelf: Shelf) -> None:
    added = {
        name: shelf.add(f"/films/{name}.mp4", *reasons).film_id
        for name, reasons in {
            "b": (), "f": (MUTE,), "d": (SILENT,), "a": (), "c": (SILENT,), "e": (MUTE, SHORT),
        }.items()
    }  # fmt: skip
    page = shelf.page()
    assert [film["id"] for film in page.films] == [added[name] for name in "efcdab"]
    verdicts = [next(c for c in film["classes"] if c in report._CLASSES.values()) for film in page.films]
    assert verdicts == ["rejected"] * 2 + ["warned"] * 2 + ["accepted"] * 2


def test_names_and_reasons_are_text_whatever_they_hold(shelf: Shelf) -> None:
    name = """<b>&amp;"it's" {{ 7 * 7 }}.mp4"""
    reason = Reason(code="<i>odd</i>", text="</li><script>alert('x')</script>")
    audio = AUDIO | {"title": "<u>the director's</u>"}
    shelf.add(f"/films/<s>/{name}", reason, probe=probed(audio=audio))
    page = shelf.page()
    words = page.films[0]["words"]
    assert name in words
    assert words[words.index("<i>odd</i>") + 1] == reason.text
    assert page.detail("Source") == f"/films/<s>/{name}"
    assert "“<u>the director's</u>”" in (page.detail("Sound") or "")
    titles = [known["title"] for tag, known in page.films[0]["elements"] if tag == "h3"]
    assert titles == [f"/films/<s>/{name}"]
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "s", "u"})
    assert [tag for tag, _ in page.elements].count("li") == 1
    assert {known.get("style", "") for tag, known in page.elements if tag == "i"} == {"flex: 1", "width: 100.0%"}


def test_characters_that_hide_or_turn_a_name_around_are_seen(shelf: Shelf) -> None:
    shelf.add("/films/\u202egpj.exe\n\x1b[31m.mp4")
    page = shelf.page()
    assert r"\u202egpj.exe\x0a\x1b[31m.mp4" in page.films[0]["words"]
    assert not re.search("[\u202e\x1b]", page.html)


def test_the_page_needs_nothing_but_the_library(mixed_page: Page) -> None:
    assert {tag for tag, _ in mixed_page.elements}.isdisjoint({"script", "link", "iframe", "object", "base"})
    assert "://" not in mixed_page.html
    assert not re.search(r"@import|url\(", mixed_page.html)


def test_duplicates_of_an_ingest_are_told_beside_the_film_they_repeat(shelf: Shelf) -> None:
    record = shelf.add("/films/first.mp4", SILENT)
    first, again = Source("/films/first.mp4", 1234), Source("/films/caf\udce9 <b>.mp4", 1234)
    films = IngestedFilm(first, record, reused=False), IngestedFilm(again, record, reused=True, duplicate_of=first)
    page = shelf.page(films)
    begin = page.words.index("same bytes as")
    assert page.words[begin + 1 :] == [r"/films/caf\xe9 <b>.mp4", "/films/first.mp4"]
    assert ("a", {"href": f"#film-{record.film_id}"}) in page.elements
    assert page.films[0]["id"] == record.film_id
    assert "1 of the last ingest’s files" in page.text
    assert len(page.films) == 1


def test_of_a_library_elsewhere_the_page_lies_there_and_fetches_no_film(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    elsewhere = fsspec.filesystem("memory")
    shelf = Shelf("memory://an audited library")
    try:
        film = shelf.add("/films/a.mp4")
        shelf.add("/films/b.mp4", MUTE)
        for name in ("strip.jpg", "proxy.mp4"):
            elsewhere.pipe_file(f"/an audited library/films/{film.film_id}/{name}", b"1234")
        page = shelf.page()
        assert elsewhere.cat_file("/an audited library/ingest.html").decode() == page.html
        kinds = [[known[k] for _, known in f["elements"] for k in ("src", "href") if k in known] for f in page.films]
        folder = f"films/{film.film_id}"
        assert sorted(set(kinds[1])) == [f"{folder}/{name}" for name in ("film.json", "proxy.mp4", "strip.jpg")]
        assert kinds[0] == [f"films/{page.films[0]['id']}/film.json"]
        assert [path for path in tmp_path.rglob("*") if path.suffix in {".jpg", ".mp4"}] == []
    finally:
        elsewhere.rm("/an audited library", recursive=True)


def test_without_duplicates_there_is_no_table_of_them(shelf: Shelf) -> None:
    record = shelf.add()
    page = shelf.page((IngestedFilm(Source("/films/a.mp4", 1234), record, reused=True),))
    assert "same bytes as" not in page.words
    assert "last ingest" not in page.text


def test_an_ingest_of_a_copy_tells_it(write_film: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    film = write_film(tmp_path / "films" / "a.mkv", 1.5)
    shutil.copy(film, tmp_path / "films" / "b.mkv")
    library = ingest([tmp_path / "films"], tmp_path / "lib").library
    page = Page(library.root / REPORT_NAME)
    assert page.words[page.words.index("same bytes as") + 1 :] == [str(tmp_path / "films" / "b.mkv"), str(film)]
    assert len(page.films) == 1


def test_of_too_many_films_the_page_says_how_many_it_leaves_out(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "MAX_FILMS", 3)
    for name in "abcd":
        shelf.add(f"/films/{name}.mp4", SILENT)
    rejected = [shelf.add(f"/films/{name}.mp4", MUTE).film_id for name in "xy"]
    read: list[FilmId] = []
    record_of = Library.record_of
    shelf.library.update_catalogue()
    monkeypatch.setattr(Library, "record_of", lambda self, film: (read.append(film), record_of(self, film))[1])
    page = shelf.page()
    assert [film["id"] for film in page.films] == [*rejected, f"{1:016x}"] == read
    assert "The first 3 films are shown, rejected ones first; 3 of 6 are not shown" in page.text
    assert page.words[page.words.index("Rejected") + 1] == "2"
    assert page.words[page.words.index("Accepted with warnings") + 1] == "1 of 4"
    assert page.words[page.words.index("films") - 1] == "6"
    assert page.words[page.words.index("silent_audio") + 1] == "4"


def test_as_many_films_as_fit_are_all_shown_without_a_word(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "MAX_FILMS", 2)
    shelf.add("/films/a.mp4")
    shelf.add("/films/b.mp4")
    page = shelf.page()
    assert len(page.films) == 2
    assert "not shown" not in page.text


def test_of_too_many_duplicates_the_first_are_told_and_all_are_counted(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "MAX_FILMS", 1)
    shelf.add("/films/a.mp4", MUTE)
    record = shelf.add("/films/b.mp4")
    first = Source("/films/b.mp4", 1234)
    page = shelf.page(tuple(IngestedFilm(Source(f"/{n}.mp4", 9), record, True, duplicate_of=first) for n in "123"))
    assert page.text.endswith("Duplicates 1 of 3 files of the last ingest file same bytes as /1.mp4 /films/b.mp4")
    assert not [known for _, known in page.elements if known.get("href") == f"#film-{record.film_id}"]


def test_the_same_library_gives_the_same_bytes_wherever_it_lies(shelf: Shelf, tmp_path: Path) -> None:
    shelf.add("/films/b.mp4", MUTE, SILENT, SHORT)
    shelf.add("/films/a.mp4", measures=MEASURES, tools={"talkies": "1", "av": "2"})
    damaged = shelf.add("/films/c.mp4")
    shelf.library.update_catalogue()
    (shelf.library.film_folder(damaged.id) / "film.json").write_text("{")
    before = write_report(shelf.library, ()).read_bytes()
    assert write_report(shelf.library, ()).read_bytes() == before
    shutil.copytree(shelf.library.root, tmp_path / "elsewhere")
    shutil.rmtree(tmp_path / "elsewhere" / "catalogue")
    (tmp_path / "elsewhere" / "films" / damaged.film_id / "film.json").write_text(damaged.model_dump_json())
    moved = Library.open(tmp_path / "elsewhere")
    moved.update_catalogue()
    (moved.film_folder(damaged.id) / "film.json").write_text("{")
    assert write_report(moved, ()).read_bytes() == before
    assert str(tmp_path) not in before.decode()


@pytest.mark.parametrize("fault", ["damaged", "missing"])
def test_a_film_whose_record_cannot_be_read_is_shown_with_that(shelf: Shelf, fault: str) -> None:
    record = shelf.add("/films/a.mp4", SILENT)
    shelf.library.update_catalogue()
    path = shelf.library.film_folder(record.id) / "film.json"
    path.write_text("{") if fault == "damaged" else path.unlink()
    page = shelf.page()
    assert page.detail("Record") == "cannot be read; ingest the film again"
    assert {"a.mp4", "accepted with warnings", SILENT.text} <= set(page.films[0]["words"])


@pytest.mark.parametrize("probe", [None, {"container": "of another version"}])
def test_a_film_that_was_never_probed_shows_what_is_known(shelf: Shelf, probe: dict[str, Any] | None) -> None:
    reason = Reason(code="unreadable", text="no container that FFmpeg knows", rejects=True)
    shelf.add("/films/letter.mp4", reason, probe=probe)
    page = shelf.page()
    assert page.detail("Source") == "/films/letter.mp4"
    assert page.detail("Size") == "1.2 kB of source, 0 bytes in the library"
    assert page.detail("Container") is None
    assert reason.text in page.films[0]["words"]


def test_an_empty_library_says_so(shelf: Shelf) -> None:
    page = shelf.page()
    assert page.films == []
    assert "The library holds no film." in page.words


def test_details_tell_what_an_archivist_asks(shelf: Shelf) -> None:
    shelf.add("/films/a.mp4", frames=1000, measures=MEASURES, tools={"talkies": "1.2", "av": "3.4"})
    page = shelf.page()
    assert page.detail("Container") == "matroska,webm, claims 10.00 s"
    assert page.detail("Picture") == "h264, 720 × 576, yuv420p, 25 fps, constant"
    assert page.detail("Key frames") == "5, at most 2.00 s apart"
    assert page.detail("Sound") == "aac, 48000 Hz, stereo, language fra"
    assert page.detail("By its packets") == "picture 0.000 to 10.000 s, sound 0.000 to 10.000 s"
    assert page.detail("First picture") == "at 744.012 s of the source"
    assert page.detail("Sound in the film") == "0.250 to 9.500 s, 2 gaps"
    assert page.detail("Damaged packets") == "3 of 250 of picture, 0 of 430 of sound"
    assert page.detail("Of its length") == "black 0 %, still 1 %, silent 99 %, damaged 100 %"
    assert page.detail("Peak level") == "−12.3 dBFS"
    assert page.detail("Proxy") == "160 × 128, 1000 frames, 10.0000 s"
    assert page.detail("Judged by") == "av 3.4, talkies 1.2"
    absent = ("Other sounds", "Subtitles", "Marked to skip", "Gaps", "Packets marked corrupt", "Timestamp jumps")
    assert [label for label in absent if page.detail(label)] == []


def test_what_is_out_of_the_ordinary_is_seen_at_a_glance_and_in_the_details(shelf: Shelf) -> None:
    video = VIDEO | {
        "fps": 23.976, "constant_rate": False, "rotation_degrees": 90, "interlaced": True, "hdr": "pq",
        "pixel_aspect": "64/45", "full_range": True, "times": TIMES | {"gaps": 2, "longest_gap_seconds": 3.5},
    }  # fmt: skip
    audio = AUDIO | {"language": "und", "layout": None, "channels": 7, "times": TIMES | {"skipped_samples": 1024}}
    spoken = AUDIO | {"number": 2, "index": 2, "codec": None, "rate_hz": 0, "channels": 0, "title": "comments"}
    told = {"subtitle_languages": ["eng", "und"], "cover_art": True, "unreadable_end": True, "video_tracks": 2}
    jumps = [[float(n), float(100 * n)] for n in range(1, 11)]
    shelf.add("/films/a.mp4", probe=probed(video, audio, audio_tracks=[audio, spoken], jumps=jumps, **told))
    page = shelf.page()
    flags = {"variable rate", "rotated 90°", "interlaced", "HDR (PQ)", "anamorphic", "2 sound tracks"}
    assert flags <= set(page.films[0]["words"])
    assert page.detail("Picture") == (
        "h264, 720 × 576, yuv420p, pixels 64/45, 23.976 fps, variable, rotated 90°, interlaced, HDR (PQ), full range"
    )
    assert page.detail("Sound") == "aac, 48000 Hz, 7 channels, unknown language, track 1 of 2"
    assert page.detail("Other sounds") == "unknown codec, language fra, track 2 of 2, “comments”"
    assert page.detail("Subtitles") == "eng, und"
    assert page.detail("Gaps") == "2 of picture, up to 3.50 s"
    assert page.detail("Marked to skip") == "1024 samples"
    assert page.detail("Container") == (
        "matroska,webm, claims 10.00 s, 2 picture tracks, with cover art, cannot be read to its end"
    )
    assert (page.detail("Timestamp jumps") or "").startswith("at 1.00 s to 100.00 s; at 2.00 s")
    assert (page.detail("Timestamp jumps") or "").endswith("at 8.00 s to 800.00 s; 2 more")


def test_an_ordinary_film_bears_no_flag(shelf: Shelf) -> None:
    shelf.add("/films/a.mp4")
    page = shelf.page()
    assert [known for _, known in page.films[0]["elements"] if known.get("class") == "flag"] == []
    words = page.films[0]["words"]
    at = words.index("accepted") + 1
    facts = ["10.0 s ·", "2 shots ·", "720 × 576 ·", "25 fps ·", "h264 + aac ·", "source 1.2 kB ·", "stored 0 bytes"]
    assert words[at : at + 7] == facts


def test_a_rejected_film_is_as_long_as_its_packets_say(shelf: Shelf) -> None:
    shelf.add("/films/a.mp4", MUTE, probe=probed(audio=None))
    page = shelf.page()
    words = page.films[0]["words"]
    at = words.index("rejected") + 1
    assert words[at : at + 5] == ["10.0 s ·", "720 × 576 ·", "25 fps ·", "h264 ·", "source 1.2 kB"]
    assert page.detail("Sound") == "none"
    assert page.detail("Proxy") is None


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(59.94, "59.9 s"), (59.96, "1:00"), (754.6, "12:35"), (3725.0, "1:02:05"), (36_000, "10:00:00")],
)
def test_durations_read_as_clocks(shelf: Shelf, seconds: float, told: str) -> None:
    shelf.add("/films/a.mp4", duration_seconds=seconds)
    assert f"{told} ·" in shelf.page().films[0]["words"]


@pytest.mark.parametrize(
    ("size", "told"),
    [(999, "999 bytes"), (1000, "1.0 kB"), (99_960, "100 kB"), (999_600, "1.0 MB"), (12_345_678_901, "12.3 GB")],
)
def test_sizes_are_in_the_unit_that_fits(shelf: Shelf, size: int, told: str) -> None:
    shelf.add("/films/a.mp4", source_bytes=size)
    assert f"source {told} ·" in shelf.page().films[0]["words"]


def test_a_page_that_cannot_be_written_is_one_sentence(shelf: Shelf) -> None:
    shelf.add()
    (shelf.library.root / REPORT_NAME).mkdir()
    with pytest.raises(WorkError, match=r"ingest\.html cannot be written \(is a directory\); the films are in the lib"):
        write_report(shelf.library, ())
    assert list(shelf.library.root.glob(".*tmp")) == []
