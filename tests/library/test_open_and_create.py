"""Opening and creating a library, and every message that refuses."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from talkies.core import FilmId, LibraryError
from talkies.library import SCHEMA_VERSION, Library, Profile

REMEDY = "make a library with: talkies ingest FILMS --library"


def test_what_is_created_opens_with_the_same_profile(tmp_path: Path) -> None:
    profile = Profile(fps=20, short_side=64, gop=10, audio_rate_hz=8_000)
    created = Library.create(tmp_path / "deep" / "lib", profile)
    opened = Library.open(tmp_path / "deep" / "lib")
    assert created.profile == opened.profile == profile
    assert opened.films() == []
    assert json.loads((opened.root / "library.json").read_text())["schema_version"] == SCHEMA_VERSION


def test_created_again_it_is_the_same_and_nothing_in_it_changes(tmp_path: Path) -> None:
    root = tmp_path / "lib"
    Library.create(root, Profile(short_side=64))
    before = (root / "library.json").read_bytes()
    assert Library.create(root).profile == Profile(short_side=64)
    assert Library.create(root, Profile(short_side=64)).profile == Profile(short_side=64)
    assert (root / "library.json").read_bytes() == before


def test_an_empty_folder_becomes_a_library(tmp_path: Path) -> None:
    assert Library.create(tmp_path).profile == Profile()
    assert (tmp_path / "library.json").is_file()


def test_what_a_killed_attempt_left_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / ".library.json.4711.tmp").write_text("{")
    assert Library.create(tmp_path).films() == []
    (tmp_path / "films").rmdir()  # killed just before it was made
    library = Library.create(tmp_path)
    library.sweep()
    with library.commit_film(FilmId("0" * 16)) as folder:
        (folder / "film.json").write_text("a film")
    assert (library.film_folder(FilmId("0" * 16)) / "film.json").is_file()


CREATES_MANY = """
import sys, time
from pathlib import Path
from talkies.library import Library
root = Path(sys.argv[1])
(root / sys.argv[2]).touch()
while len(list(root.glob("ready-*"))) < 2:
    time.sleep(0.001)
for number in range(200):
    Library.create(root / f"lib-{number}").sweep()
"""


def test_one_that_another_process_makes_at_the_same_time_is_shared(tmp_path: Path) -> None:
    commands = [[sys.executable, "-c", CREATES_MANY, str(tmp_path), f"ready-{number}"] for number in range(2)]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]
    assert [process.communicate(timeout=120)[1] for process in both] == ["", ""]
    for number in range(200):
        root = tmp_path / f"lib-{number}"
        assert [entry.name for entry in sorted(root.iterdir())] == ["films", "library.json"]
        assert Library.open(root).profile == Profile()


def test_a_folder_of_films_is_left_alone_whatever_it_is_called(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    with pytest.raises(LibraryError, match=f"^{tmp_path} exists and is not a talkies library; name a new or empty"):
        Library.create(tmp_path)


def test_a_folder_that_does_not_exist_is_no_library(tmp_path: Path) -> None:
    root = tmp_path / "nowhere"
    with pytest.raises(LibraryError, match=f"^{root} does not exist; {REMEDY} {root}$"):
        Library.open(root)
    assert not root.exists()


def test_a_folder_without_a_description_is_no_library(tmp_path: Path) -> None:
    what = rf"is not a talkies library \(it has no library\.json\); {REMEDY} {tmp_path}"
    with pytest.raises(LibraryError, match=f"^{tmp_path} {what}$"):
        Library.open(tmp_path)


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(
        LibraryError, match=f"^{tmp_path} exists and is not a talkies library; name a new or empty folder"
    ):
        Library.create(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["letter.txt"]


def test_a_file_is_no_place_for_a_library(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("mine")
    with pytest.raises(LibraryError, match=f"^{path} exists and is not a talkies library; name a new or empty folder"):
        Library.create(path)
    assert path.read_text() == "mine"


def test_a_folder_inside_a_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    root = tmp_path / "letter.txt" / "lib"
    sentence = rf"^cannot create a library in {root} \(not a directory\); name a folder that you may write$"
    with pytest.raises(LibraryError, match=sentence):
        Library.create(root)


@pytest.mark.parametrize("extra", [{}, {"a_key_of_the_future": 1}])
def test_a_newer_version_is_refused_even_if_it_has_keys_of_its_own(tmp_path: Path, extra: dict[str, int]) -> None:
    root = Library.create(tmp_path / "lib").root
    document = json.loads((root / "library.json").read_text())
    (root / "library.json").write_text(json.dumps(document | {"schema_version": SCHEMA_VERSION + 1} | extra))
    sentence = (
        rf"^{root / 'library.json'} is of schema version {SCHEMA_VERSION + 1}, "
        rf"this talkies reads up to {SCHEMA_VERSION}; install a newer talkies$"
    )
    with pytest.raises(LibraryError, match=sentence):
        Library.open(root)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"schema_version": "one"}', '{"unknown": 1}', '{"profile": {"fps": 0}}']
)
def test_a_damaged_description_is_called_damaged(tmp_path: Path, text: str) -> None:
    path = Library.create(tmp_path / "lib").root / "library.json"
    path.write_text(text)
    with pytest.raises(LibraryError, match=f"^{path} is not a library's description, or is damaged$"):
        Library.open(tmp_path / "lib")


def test_a_description_that_is_no_text_is_called_damaged(tmp_path: Path) -> None:
    path = Library.create(tmp_path / "lib").root / "library.json"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(LibraryError, match=f"^{path} is not a library's description, or is damaged$"):
        Library.open(tmp_path / "lib")


def test_a_profile_whose_frames_begin_between_samples_is_refused() -> None:
    sentence = "the audio rate must be a multiple of the frame rate so that each frame starts on a sample, got 16000 Hz"
    with pytest.raises(ValueError, match=re.escape(sentence)):
        Profile(fps=24, audio_rate_hz=16_000)


def test_a_profile_says_its_grid() -> None:
    grid = Profile(fps=20, audio_rate_hz=8_000).grid
    assert (grid.fps, grid.audio_rate_hz, grid.samples_per_frame) == (20, 8_000, 400)
