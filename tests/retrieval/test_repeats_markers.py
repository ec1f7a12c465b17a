"""Markers for editors: an independent reader reads the edit decision lists; tables and documents agree."""

import csv
import io
import json
import re
import unicodedata
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from talkies.core import UsageError, WorkError
from talkies.library import FilmRecord, Library
from talkies.retrieval.index import EmbeddingSet
from talkies.retrieval.recurrence import markers
from talkies.retrieval.recurrence.duplicates import Duplicate
from talkies.retrieval.recurrence.edl import Marker, SourceTimeline, find_standard_rate, write_lists
from talkies.retrieval.recurrence.families import FilmSpan, RepeatedPassage, group_passages
from talkies.retrieval.recurrence.markers import build_edit_lists, write_markers
from talkies.retrieval.recurrence.match_cuts import MatchCut
from talkies.retrieval.recurrence.repeats import LibraryRepeats, ModalityRepeats, Repeats
from talkies.retrieval.recurrence.repeats_document import COLUMNS, build_csv, build_document, build_tables
from talkies.retrieval.recurrence.timeline import FilmAnnotations

EVENT = re.compile(r"^(\d{3})  001      V     C        (\S+) (\S+) (\S+) (\S+)  $")
RESOLVE = re.compile(r"^(.*) \|C:ResolveColor(\w+) \|M:(.*) \|D:(\d+)$")


@pytest.fixture
def result(library: Library) -> LibraryRepeats:
    """What might have been found in the rendered films."""
    films = {film.film_id: FilmAnnotations(film.film_id, film.name, {}) for film in library.films()}
    one, two, three = films
    theme = RepeatedPassage(FilmSpan(one, 1.0, 5.5), FilmSpan(two, 6.25, 10.75), 0.9)
    scenes = ModalityRepeats(
        12, 0, 0.31, tuple(group_passages([RepeatedPassage(FilmSpan(one, 0.0, 4.0), FilmSpan(one, 7.0, 11.0), 0.8)]))
    )
    sounds = ModalityRepeats(12, 2, 0.4, tuple(group_passages([theme])))
    same = Duplicate(("video",), FilmSpan(one, 0.0, 12.0), FilmSpan(three, 0.5, 12.0), 0.5, 0.95, 1.0, 0.7)
    cut = MatchCut(FilmSpan(two, 2.0, 3.0), FilmSpan(one, 7.0, 8.0), 0.66, False)
    entry = EmbeddingSet(stamp="abc", run="run", step=2, dim=8, clip_seconds=1.0, stride_seconds=1.0)
    return LibraryRepeats(
        library, entry, Repeats(films, {"video": scenes, "audio": sounds}, (same,), (cut,)), ("late.mp4",)
    )


def read(text: str, rate: float) -> list[Any]:
    """The clips that OpenTimelineIO reads of a list."""
    otio = pytest.importorskip("opentimelineio", reason="an extra of the tests")
    timeline = otio.adapters.read_from_string(text, "cmx_3600", rate=rate)
    return [clip for clip in timeline.tracks[0] if isinstance(clip, otio.schema.Clip)]


def test_an_independent_reader_finds_every_marker_at_its_frame(result: LibraryRepeats) -> None:
    lists = build_edit_lists(result)
    films = {film.film_id: film for film in result.library.films()}
    assert set(lists) == {f"{Path(film.name).stem}.edl" for film in films.values()}
    one, two, _ = films.values()
    marks = [marker for clip in read(lists[f"{Path(one.name).stem}.edl"], 24) for marker in clip.markers]
    frames = [round(marker.marked_range.start_time.value) for marker in marks]
    assert frames == [0, 24, 7 * 24]  # the films have 24 frames a second, the library's proxies 16
    assert [marker.color for marker in marks] == ["RED", "GREEN", "YELLOW"]
    assert "Sound 1 (1 of 2): also at 00:00:06:06 of " in marks[1].name
    assert all(text in marks[0].name for text in ("Same as", "Scene 1 (1 of 2)", "and so is 95 % of this film"))
    assert all(
        text in marks[2].name for text in ("Match cut 1 in", f"from 00:00:02:00 of {two.name}", "Scene 1 (2 of 2)")
    )


def test_a_list_has_the_lines_that_resolve_reads(result: LibraryRepeats) -> None:
    one, *_ = result.library.films()
    lines = build_edit_lists(result)[f"{Path(one.name).stem}.edl"].splitlines()
    assert lines[:3] == [f"TITLE: {one.name}, 24 frames a second, by talkies", "FCM: NON-DROP FRAME", ""]
    for at in range(3, len(lines), 4):
        event, marker = EVENT.match(lines[at]), RESOLVE.match(lines[at + 1])
        assert event, lines[at]
        assert marker, lines[at + 1]
        number, *codes = event.groups()
        assert int(number) == at // 4 + 1
        assert codes[:2] == codes[2:]
        assert lines[at + 2].startswith(f"* LOC: {codes[0]} {marker[2].upper()}")
    assert "|M:Sound 1 (1 of 2) |D:108" in "\n".join(lines)


def test_a_note_that_begins_with_a_digit_is_not_read_as_an_event() -> None:
    (text,) = write_lists("a.mp4", SourceTimeline(Fraction(25), 0.0), [Marker(0, 1, "Scene 1", "001 of two", "Blue")])
    assert [line for line in text.splitlines() if line[:1].isdigit() and not EVENT.match(line)] == []
    assert len(read(text, 25)) == 1


@pytest.mark.parametrize(
    ("rate", "seconds", "code"),
    [
        (Fraction(24), 3661.5, "01:01:01:12"),
        (Fraction(24000, 1001), 1001.0, "00:16:40:00"),  # 24000 frames, counted as 24 each second
        (Fraction(30000, 1001), 1001.0, "00:16:40:00"),
        (Fraction(25), 0.0, "00:00:00:00"),
        (Fraction(60), 59.999, "00:01:00:00"),
    ],
)
def test_timecodes_count_frames_and_drop_none(rate: Fraction, seconds: float, code: str) -> None:
    assert SourceTimeline(rate, 0.0).format_time(seconds) == code
    otio = pytest.importorskip("opentimelineio", reason="an extra of the tests")
    frame = SourceTimeline(rate, 0.0).convert_to_frame(seconds)
    assert otio.opentime.from_timecode(code, round(rate)).value == frame


@pytest.mark.parametrize(
    ("measured", "rate"),
    [
        (23.97602, Fraction(24000, 1001)),
        (23.999886, Fraction(24)),
        (29.97, Fraction(30000, 1001)),
        (119.88, Fraction(60000, 1001)),
        (18.0, Fraction(18)),
    ],
)
def test_a_measured_rate_is_the_one_that_editors_have(measured: float, rate: Fraction) -> None:
    assert find_standard_rate(measured) == rate


def test_times_are_on_the_source_s_own_timeline_from_its_beginning_on(library: Library) -> None:
    record = library.record_of(library.films()[0].id)
    assert record is not None
    assert record.measures is not None
    plain = SourceTimeline.of(record, 16)
    assert (plain.rate, plain.origin_seconds) == (Fraction(24), 0.0)
    values = json.loads(record.model_dump_json())
    for track in ("video", "audio"):
        values["probe"][track]["times"]["start_seconds"] = 1.4  # a transport stream
    values["measures"]["origin_seconds"] = 1.9
    late = SourceTimeline.of(FilmRecord.model_validate_json(json.dumps(values)), 16)
    assert late.convert_to_frame(2.0) == 60
    assert SourceTimeline.of(record.model_copy(update={"probe": None}), 16).rate == 16


def test_markers_on_one_frame_become_one_and_long_lists_are_parted() -> None:
    timeline = SourceTimeline(Fraction(25), 0.0)
    some = [Marker(10, 50, "Scene 1", "also at A", "Blue"), Marker(10, 75, "Sound 2", "also at B", "Green")]
    (text,) = write_lists("a.mp4", timeline, some)
    assert "also at A; Sound 2: also at B |C:ResolveColorBlue |M:Scene 1 + Sound 2 |D:75" in text
    many = [Marker(3 * number, 1, f"Scene {number}", "also", "Blue") for number in range(1200)]
    parts = write_lists("a.mp4", timeline, many)
    assert [len(read(part, 25)) for part in parts] == [999, 201]


def test_a_name_cannot_break_a_list() -> None:
    marker = Marker(0, 1, "Same as a|b\n002  001 V C.mp4", "to\r\n* LOC: x", "Red")
    (text,) = write_lists("a\nTITLE: b.mp4", SourceTimeline(Fraction(25), 0.0), [marker])
    assert len(text.splitlines()) == 6
    assert text.count("TITLE:") == 2
    assert len(read(text, 25)) == 1


def test_the_table_has_a_row_for_each_pair_and_agrees_with_the_document(result: LibraryRepeats) -> None:
    rows = list(csv.DictReader(io.StringIO(build_csv(result))))
    assert tuple(rows[0]) == COLUMNS
    assert [(row["kind"], row["sides"]) for row in rows] == [
        ("passage", "video"),
        ("passage", "audio"),
        ("duplicate", "video"),
        ("match_cut", "video"),
    ]
    document = build_document(result)
    theme = document["sides"][1]["families"][0]["passages"][0]
    assert float(rows[1]["second_start_seconds"]) == theme["second"]["start_seconds"] == 6.25
    assert rows[1]["first_source"] == theme["first"]["source"]
    assert (rows[2]["offset_seconds"], rows[2]["first_share"]) == ("0.5", "0.95")
    assert rows[3]["adjacent"] == "false"
    assert document["not_embedded"] == ["late.mp4"]


def test_people_get_tables_of_what_there_is(result: LibraryRepeats) -> None:
    titles = [title for title, _, _ in build_tables(result)]
    assert titles == ["Repeated passages", "Near-duplicate films", "Match cuts"]
    for _, columns, rows in build_tables(result):
        assert {len(row) for row in rows} == {len(columns)}


def test_a_folder_is_written_whole_and_replaces_an_earlier_one(result: LibraryRepeats, tmp_path: Path) -> None:
    place = tmp_path / "of"
    files = write_markers(result, place)
    assert sorted(path.name for path in place.iterdir()) == sorted(path.name for path in files)
    assert json.loads((place / "repeats.json").read_text(encoding="utf-8")) == build_document(result)
    assert [path.name for path in write_markers(result, place, ["csv"])] == ["repeats.csv"]
    assert [path.name for path in place.iterdir()] == ["repeats.csv"]


def test_a_full_disk_leaves_what_was_there(
    result: LibraryRepeats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    write_markers(result, tmp_path / "of", ["csv"])
    monkeypatch.setattr(markers, "flush", full)
    with pytest.raises(WorkError, match=r"of cannot be written \(no space left on device\); name another folder with"):
        write_markers(result, tmp_path / "of")
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["of", "of/repeats.csv"]


def test_a_folder_of_other_things_is_left_alone(result: LibraryRepeats, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear film")
    with pytest.raises(UsageError, match=r"exists and holds files other than markers; name a new or empty folder"):
        write_markers(result, tmp_path)
    with pytest.raises(UsageError, match=r"cannot be created: its parent folder does not exist; name one in an"):
        write_markers(result, tmp_path / "none" / "of")
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_an_editors_own_lists_are_left_alone(result: LibraryRepeats, tmp_path: Path) -> None:
    write_markers(result, tmp_path / "edits")
    (tmp_path / "edits" / "reel.edl").write_text("TITLE: reel 1\nFCM: NON-DROP FRAME\n")
    before = {path.name: path.read_bytes() for path in (tmp_path / "edits").iterdir()}
    with pytest.raises(UsageError, match=r"edits exists and holds files other than markers; name a new or empty f"):
        write_markers(result, tmp_path / "edits")
    assert {path.name: path.read_bytes() for path in (tmp_path / "edits").iterdir()} == before


def test_a_film_of_a_picture_each_few_seconds_has_the_librarys_rate(library: Library) -> None:
    record = library.record_of(library.films()[0].id)
    assert record is not None
    slow = record.model_copy(update={"probe": {"video": {"fps": 0.4}, "audio": None}})
    timeline = SourceTimeline.of(slow, 16)
    assert timeline.rate == 16
    assert timeline.format_time(2.5) == "00:00:02:08"


def test_odd_names_of_films_make_safe_lists_whose_names_fit(result: LibraryRepeats) -> None:
    names = ("x" * 251 + ".mp4", "a\x1b[31m\n\u202e|b.mp4", "Ame\u0301lie.mp4")
    films = {
        film_id: FilmAnnotations(film_id, name, {}) for film_id, name in zip(result.repeats.films, names, strict=True)
    }
    lists = build_edit_lists(replace(result, repeats=replace(result.repeats, films=films)))
    assert set(lists) == {"x" * 200 + ".edl", r"a\x1b[31m\x0a\u202e|b.edl", "Ame\u0301lie.edl"}
    for text in lists.values():
        assert all(line.isprintable() for line in text.splitlines())
    assert r"also at 00:00:06:06 of a\x1b[31m\x0a\u202e b.mp4" in lists["x" * 200 + ".edl"]


def test_names_that_are_equal_in_nfc_get_lists_of_their_own(result: LibraryRepeats) -> None:
    names = ("Ame\u0301lie.mp4", "Am\u00e9lie.mp4", "c.mp4")
    films = {
        film_id: FilmAnnotations(film_id, name, {}) for film_id, name in zip(result.repeats.films, names, strict=True)
    }
    lists = build_edit_lists(replace(result, repeats=replace(result.repeats, films=films)))
    assert len({unicodedata.normalize("NFC", name) for name in lists}) == len(films)
