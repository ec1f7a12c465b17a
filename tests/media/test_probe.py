"""What `probe` reports of whole films, and of files that are not films."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import pytest

from talkies.core import MediaError, SourceError
from talkies.media import probe
from talkies.media.source import read_packets


def test_a_rendered_film_is_what_it_was_rendered_as(films: Path) -> None:
    info = probe(films / "film-000.mp4")
    assert info.video is not None
    assert (info.video.codec, info.video.width, info.video.height) == ("h264", 192, 128)
    assert (info.video.fps, info.video.constant_rate) == (pytest.approx(24), True)
    assert info.audio is not None
    assert (info.audio.codec, info.audio.rate_hz, info.audio.channels) == ("aac", 44_100, 1)
    assert "mp4" in info.container.split(",")
    assert info.claimed_seconds == pytest.approx(12.0, abs=0.05)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "video", "audio", "seconds"),
    [
        ("big_buck_bunny_30s_5.1.mp4", ("h264", 854, 480), ("aac", 6), 30.0),
        ("sintel_trailer.mp4", ("h264", 480, 204), ("aac", 2), 52.0),
        ("tears_of_steel_excerpt.webm", ("vp8", 800, 332), ("vorbis", 2), 70.5),
    ],
)
def test_a_real_film_is_what_its_readme_says(
    real_data: Path, name: str, video: tuple[str, int, int], audio: tuple[str, int], seconds: float
) -> None:
    info = probe(real_data / "films" / name)
    assert info.video is not None
    assert info.audio is not None
    assert (info.video.codec, info.video.width, info.video.height) == video
    assert (info.audio.codec, info.audio.channels) == audio
    assert info.claimed_seconds == pytest.approx(seconds, abs=0.5)
    assert info.video.times.duration_seconds == pytest.approx(seconds, abs=0.5)
    assert info.audio.times.duration_seconds == pytest.approx(seconds, abs=0.5)
    assert (info.video.times.gaps, info.audio.times.gaps, info.jumps) == (0, 0, ())


def test_a_missing_file_is_named_in_full(tmp_path: Path) -> None:
    path = tmp_path / "nowhere.mp4"
    with pytest.raises(MediaError, match=f"^{path} is not a file; name a film, or a folder of films$") as caught:
        probe(path)
    assert caught.value.code == "missing"


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=f"^{tmp_path} is not a file; name a film, or a folder of films$"):
        probe(tmp_path)


def test_an_empty_file_is_called_empty(tmp_path: Path) -> None:
    path = tmp_path / "void.mp4"
    path.touch()
    with pytest.raises(MediaError, match=r"^void\.mp4 is empty \(0 bytes\)$") as caught:
        probe(path)
    assert caught.value.code == "empty"


def test_a_text_file_with_a_films_name_is_not_media(tmp_path: Path) -> None:
    path = tmp_path / "letter.mp4"
    path.write_text("Dear reader, this is no film.\n" * 40)
    with pytest.raises(
        MediaError, match=r"^letter\.mp4 is not media that FFmpeg can read \(.+\); name a film"
    ) as caught:
        probe(path)
    assert caught.value.code == "unreadable"


@pytest.mark.parametrize("name", ["Part 1: the sea.mp4", "concat:film.mp4", "100%d.mp4", "-film.mp4", "a film?.mp4"])
def test_no_name_is_taken_for_anything_but_a_file(
    tmp_path: Path, films: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).write_bytes((films / "film-000.mp4").read_bytes())
    monkeypatch.chdir(tmp_path)
    assert probe(Path(name)) == probe(films / "film-000.mp4")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.mp4", "ffconcat version 1.0\nfile film.mp4\n"),
        ("list.mp4", "ffconcat version 1.0\nfile nowhere.mp4\n"),
        ("list.mp4", "ffconcat version 1.0\nfile list.mp4\n"),
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:1,\nfilm.mp4\n#EXT-X-ENDLIST\n"),
    ],
)
def test_a_list_of_other_files_is_no_film(tmp_path: Path, films: Path, name: str, content: str) -> None:
    (tmp_path / "film.mp4").write_bytes((films / "film-000.mp4").read_bytes())
    (tmp_path / name).write_text(content)
    with pytest.raises(MediaError, match=rf"^{name} is not media that FFmpeg can read \(.+\); name a film") as caught:
        probe(tmp_path / name)
    assert caught.value.code == "unreadable"


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.EACCES, "permission denied"), (errno.EMFILE, "too many open files"), (errno.ESTALE, "stale file handle")],
)
def test_what_the_system_refuses_is_no_fault_of_the_film(
    films: Path, number: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(av, "open", refuse)
    with pytest.raises(SourceError, match=rf"^film-000\.mp4 cannot be read \({words}\)$"):
        probe(films / "film-000.mp4")


class TracksTurnUp:
    """A container that does at its end what PyAV does where tracks turned up while it read."""

    def demux(self, tracks: list[Any]) -> Iterator[Any]:
        yield from (SimpleNamespace(size=5), SimpleNamespace(size=0), SimpleNamespace(size=7))
        raise IndexError("list index out of range")


def test_tracks_that_turn_up_on_the_way_end_no_film_in_a_fault() -> None:
    container: Any = TracksTurnUp()
    assert [packet.size for packet in read_packets(container, [container])] == [5, 7]
    assert list(read_packets(container, [])) == []
