"""What `probe` reads from containers, and what it says of files that are none."""

from fractions import Fraction
from pathlib import Path

import pytest

from talkies.core import MediaError
from talkies.media import AudioTrack, VideoTrack, looks_like_media, probe


def test_a_rendered_film_is_what_it_was_rendered_as(films: Path) -> None:
    info = probe(films / "film-000.mp4")
    assert info.video == VideoTrack("h264", 192, 128, Fraction(24))
    assert info.audio == AudioTrack("aac", 44_100, 1)
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


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["androidx-media__bear-id3.mp3", "androidx-media__bear_with_picture.flac"])
def test_cover_art_is_no_video(real_data: Path, name: str) -> None:
    info = probe(real_data / "awkward" / name)
    assert info.video is None
    assert info.audio is not None


@pytest.mark.real_data
def test_subtitles_alone_are_neither_video_nor_audio(real_data: Path) -> None:
    info = probe(real_data / "awkward" / "androidx-media__sample.text.mp4")
    assert (info.video, info.audio) == (None, None)


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


@pytest.mark.parametrize("name", ["a.mp4", "A.MKV", "b.webm", "c.mov", "d.m2ts", "e.ogv"])
def test_a_films_suffix_makes_a_film_whatever_its_case(name: str) -> None:
    assert looks_like_media(Path("folder") / name)


@pytest.mark.parametrize("name", ["truth.json", "a.srt", "cover.jpg", "mp4", "song.mp3", "a.mp4.part"])
def test_other_suffixes_make_none(name: str) -> None:
    assert not looks_like_media(Path("folder") / name)
