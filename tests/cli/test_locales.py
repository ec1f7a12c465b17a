"""No locale and no closed pipe ends a verb: what cannot be written is replaced, and documents stay whole."""

import json
import os
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Mapping
from pathlib import Path

import pytest

NAMES = [b"caf\xe9.mp4", "Am\u00e9lie \U0001f3ac.mp4".encode(), "Ame\u0301lie.mp4".encode(), b"esc\x1b[1m.mp4"]
ASCII_SYSTEM = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
SETTINGS: dict[str, Mapping[str, str]] = {
    "utf-8": {"LC_ALL": "C.UTF-8"},
    "ascii files and streams": ASCII_SYSTEM,
    "ascii streams that are strict": {"PYTHONIOENCODING": "ascii:strict"},
    "latin-1 streams": {"PYTHONIOENCODING": "latin-1:strict"},
    "latin-1 files and streams": {"LC_ALL": "en_US.ISO-8859-1", "LOCPATH": "made by the fixture"},
}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files with such names; none is a film, so that a verdict takes no time."""
    folder = tmp_path_factory.mktemp("locales") / "films"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        Path(os.fsdecode(bytes(folder) + b"/" + name)).write_bytes(b"no film %d" % number)
    return folder


@pytest.fixture(scope="module")
def latin_1(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with the locale en_US.ISO-8859-1, which most systems lack."""
    folder = tmp_path_factory.mktemp("locale")
    program = shutil.which("localedef")
    if program is None:
        pytest.skip("needs localedef")
    command = [program, "-i", "en_US", "-f", "ISO-8859-1", str(folder / "en_US.ISO-8859-1")]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs the sources of the locales")
    return str(folder)


def run(settings: Mapping[str, str], *arguments: object) -> subprocess.CompletedProcess[bytes]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHONIO"))}
    command = [sys.executable, "-m", "talkies", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, env={**plain, **settings})


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_a_verb_ends_as_it_does_in_utf8(name: str, films: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    settings = dict(SETTINGS[name])
    if "LOCPATH" in settings:
        settings["LOCPATH"] = request.getfixturevalue("latin_1")
    table = run(settings, "ingest", films, "--library", tmp_path / "lib")
    assert table.returncode == 2  # there is no film among them
    assert table.stderr.splitlines()[-1].startswith(b"talkies: no film could be ingested: ")
    assert b"4 films: 4 rejected" in table.stdout
    assert b"\x1b[1m" not in table.stdout + table.stderr
    assert b"Traceback" not in table.stderr

    assert rb"caf\xe9.mp4" in table.stdout
    assert rb"esc\x1b[1m.mp4" in table.stdout

    answer = run(settings, "films", "--library", tmp_path / "lib", "--json")
    assert (answer.returncode, answer.stderr) == (0, b"")
    document = json.loads(answer.stdout.decode("utf-8" if name == "utf-8" else "latin-1"))
    names = {Path(film["source"]).name for film in document["films"]}
    assert names == {each.decode("utf-8", "backslashreplace") for each in NAMES}


@pytest.mark.slow
def test_names_typed_in_another_locale_are_found(films: Path, tmp_path: Path) -> None:
    run({}, "ingest", films, "--library", tmp_path / "lib")
    for typed in (b"caf\xe9.mp4", unicodedata.normalize("NFC", "Ame\u0301lie.mp4").encode()):
        found = run(ASCII_SYSTEM, "ingest", os.fsdecode(bytes(films) + b"/" + typed), "--library", tmp_path / "lib")
        assert b"1 of them already in the library" in found.stdout, found.stderr


@pytest.mark.slow
@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_reader_that_has_gone_ends_no_work(closed: str, films: Path, tmp_path: Path) -> None:
    read, written = os.pipe()
    os.close(read)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, closed: written}
    good = tmp_path / "lib"
    run({}, "ingest", films, "--library", good)
    for arguments in (["films", "--library", good], ["films", "--library", good, "--json"]):
        command = [sys.executable, "-m", "talkies", *map(str, arguments)]
        done = subprocess.run(command, **streams)  # type: ignore[call-overload]
        assert done.returncode == 0
        assert not done.stderr
        assert closed == "stdout" or done.stdout
    command = [sys.executable, "-m", "talkies", "ingest", str(films), "--library", str(tmp_path / "other")]
    assert subprocess.run(command, **streams).returncode == 2  # type: ignore[call-overload]
    os.close(written)
    assert (tmp_path / "other" / "ingest.html").is_file()


@pytest.mark.slow
def test_streams_that_the_caller_closed_end_no_work(films: Path, tmp_path: Path) -> None:
    script = f'"{sys.executable}" -m talkies ingest "{films}" --library "{tmp_path / "lib"}" "$@" >&- 2>&-'
    assert subprocess.run(["bash", "-c", script, "bash", "--json"]).returncode == 2
    assert (tmp_path / "lib" / "ingest.html").is_file()
