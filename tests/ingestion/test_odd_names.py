"""Names that trip tools: each film is ingested, shown safely, and found by its names, also by those it had before."""

import io
import json
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from talkies.cli.main import main
from talkies.core import LibraryError
from talkies.ingestion import IngestReport, ingest
from talkies.library import Library, Verdict, read_record

NFD = unicodedata.normalize("NFD", "Amélie über.mp4")
NAMES = [
    *(b"[red]Film [1080p].mp4", b"[bold] broken [link=x].mp4", b"<img src=x onerror=alert(1)>.mp4"),
    *(b"caf\xe9 latin1.mp4", b"caf\xe8 latin1.mp4", NFD.encode(), "Amélie nfc.mp4".encode(), b"new\nline.mp4"),
    *(b"tab\there.mp4", b"-dash.mp4", b"esc\x1b[31m.mp4", "c1\x9b31m.mp4".encode(), b"a:b 10% #1?.mp4"),
    *(b"quote\"'.mp4", b"x" * 251 + b".mp4", "𝕱𝖎𝖑𝖒 🎬 \u202egpj.mp4".encode(), "mark\u200f\u061c.mp4".encode()),
    *(b"=cmd|calc.mp4", b"{curly} {0}.mp4", b"\\back\\slash.mp4", b"trailing .mp4", b"UPPER.MP4", b"file:colon.mp4"),
    *("Alien³ Åre.mp4".encode(), b"a$b$ \\frac{.mp4", b"two  blanks.mp4", "line\u2028paragraph\u2029.mp4".encode()),
]
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ud800-\udfff]")


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, IngestReport]:
    """A folder of files of these names, each of other bytes, and the report on their ingest."""
    folder = tmp_path_factory.mktemp("odd")
    (folder / "names").mkdir()
    for number, name in enumerate(NAMES):
        Path(os.fsdecode(bytes(folder) + b"/names/" + name)).write_bytes(b"no film %d" % number)
    return folder / "names", ingest([folder / "names"], folder / "lib")


def test_each_gets_a_verdict_and_is_found_by_the_name_that_a_shell_completes(odd: tuple[Path, IngestReport]) -> None:
    folder, report = odd
    assert sorted(os.fsencode(Path(film.source.location).name) for film in report.films) == sorted(NAMES)
    library = Library.open(report.library.root)
    for film in report.films:
        name = Path(film.source.location).name
        for typed in (name, str(folder / name), unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)):
            assert library.find(typed).film_id == film.record.film_id


def test_every_output_is_safe_and_documents_hold_the_names_as_they_are(
    odd: tuple[Path, IngestReport], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, report = odd
    root = report.library.root
    for call in (["films", "--library", root], ["ingest", folder, "--library", root]):
        for options in ([], ["--json"]):
            monkeypatch.setattr(sys, "argv", ["talkies", *map(str, call), *options])
            with pytest.raises(SystemExit):
                main()
            captured = capfd.readouterr()
            assert not UNSAFE.search(captured.out)
            assert not UNSAFE.search(captured.err)
            if options:
                names = {Path(film["source"]).name for film in json.loads(captured.out)["films"]}
                assert names == {name.decode("utf-8", "backslashreplace") for name in NAMES}
            else:
                assert all(
                    shown in captured.out for shown in (r"esc\x1b[31m.mp4", r"new\x0aline.mp4", "two  blanks.mp4")
                )
    assert not UNSAFE.search((root / "ingest.html").read_text(encoding="utf-8"))


def test_an_error_that_names_such_a_film_is_one_safe_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a\x1b[31m\n\u202e  b.mp4").write_bytes(b"no film")
    monkeypatch.setattr(sys, "argv", ["talkies", "ingest", str(tmp_path), "--library", str(tmp_path / "lib")])
    with pytest.raises(SystemExit):
        main()
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("talkies: ")]
    assert line.startswith(r"talkies: no film could be ingested: a\x1b[31m\x0a\u202e  b.mp4 is not media")


@pytest.mark.parametrize(("stored", "typed"), [(NFD, "Amélie über.mp4"), ("Amélie über.mp4", NFD)])
def test_a_source_is_found_however_its_letters_are_encoded(tmp_path: Path, stored: str, typed: str) -> None:
    (tmp_path / stored).write_bytes(b"no film")
    (film,) = ingest([tmp_path / typed], tmp_path / "lib").films
    assert Path(film.source.location).name == stored


def test_a_renamed_film_is_known_by_both_names(tmp_path: Path, write_film: Callable[..., Path]) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    write_film(folder / "old.mkv", 1.5)
    (first,) = ingest([folder], tmp_path / "lib").films
    before = (tmp_path / "lib" / "films" / first.record.film_id / "proxy.mp4").stat().st_ino
    (folder / "old.mkv").rename(folder / "new.mkv")
    (second,) = ingest([folder], tmp_path / "lib").films

    library = Library.open(tmp_path / "lib")
    assert (second.reused, second.record.film_id) == (True, first.record.film_id)
    assert [film.source for film in library.films()] == [str(folder / "new.mkv")]  # the old one is gone
    assert library.films()[0].other_sources == (str(folder / "old.mkv"),)
    for name in ("old.mkv", "new.mkv", "old", "new", str(folder / "old.mkv"), str(folder / "new.mkv")):
        assert library.find(name).film_id == first.record.film_id
    assert (library.film_folder(library.films()[0].id) / "proxy.mp4").stat().st_ino == before
    assert "Also found at" in (tmp_path / "lib" / "ingest.html").read_text(encoding="utf-8")

    # A third ingest changes nothing, and a new conversion keeps the names.
    record = library.film_folder(library.films()[0].id) / "film.json"
    written = record.read_bytes()
    ingest([folder], tmp_path / "lib")
    assert record.read_bytes() == written
    (library.film_folder(library.films()[0].id) / "audio.wav").unlink()
    ingest([folder], tmp_path / "lib")
    assert read_record(record).sources == (str(folder / "new.mkv"), str(folder / "old.mkv"))


def test_copies_and_links_are_names_of_their_film_too(tmp_path: Path) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(b"no film")
    shutil.copy(folder / "a.mp4", folder / "b.mp4")
    (folder / "c.mp4").symlink_to("a.mp4")
    ingest([folder], tmp_path / "lib")
    library = Library.open(tmp_path / "lib")
    (film,) = library.films()
    assert film.sources == (str(folder / "a.mp4"), str(folder / "c.mp4"), str(folder / "b.mp4"))
    assert film.other_names == ("c.mp4", "b.mp4")
    assert {library.find(name).film_id for name in ("a", "b.mp4", "c")} == {film.film_id}


def test_a_name_that_another_film_has_taken_is_that_films(tmp_path: Path) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(b"one film")
    (first,) = ingest([folder], tmp_path / "lib").films
    (folder / "a.mp4").rename(folder / "b.mp4")
    (folder / "a.mp4").write_bytes(b"another film")
    ingest([folder], tmp_path / "lib")
    library = Library.open(tmp_path / "lib")
    assert library.find("b.mp4").film_id == first.record.film_id
    assert library.find("a.mp4").film_id != first.record.film_id


def test_films_equal_in_nfc_are_told_apart_by_their_ids(tmp_path: Path) -> None:
    for name in (NFD, unicodedata.normalize("NFC", NFD)):
        (tmp_path / name).write_bytes(name.encode())
    report = ingest([tmp_path], tmp_path / "lib")
    ids = ", ".join(sorted(film.record.film_id for film in report.films))
    with pytest.raises(LibraryError, match=f"^'{NFD}' names 2 films of .*; name one by its id: {ids}$"):
        report.library.find(NFD)


def test_a_record_of_an_earlier_version_has_no_other_names(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no film")
    (film,) = ingest([tmp_path / "a.mp4"], tmp_path / "lib").films
    path = tmp_path / "lib" / "films" / film.record.film_id / "film.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    del document["other_sources"]
    path.write_text(json.dumps(document), encoding="utf-8")
    assert read_record(path) == film.record
    assert film.verdict is Verdict.REJECTED


def test_the_note_of_the_progress_is_safe(tmp_path: Path) -> None:
    from rich.console import Console

    from talkies.cli import output

    stream = io.StringIO()
    original, output.messages = output.messages, Console(file=stream, force_terminal=False)
    try:
        with output.progress_bars() as bars:
            bars.update("films", 1, 2, "a\x9b31m\n\u202eb.mp4")
    finally:
        output.messages = original
    assert r"a\x9b31m\x0a\u202eb.mp4" in " ".join(stream.getvalue().split())
