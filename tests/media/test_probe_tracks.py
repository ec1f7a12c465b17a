"""What `probe` says of each track: codec, shape, colour, channels, language; and which of them it would take."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from av.stream import Disposition
from av.video.reformatter import ColorRange, ColorTrc

from talkies.media import AudioChoice, MediaInfo, VideoTrack, probe

TEN_BITS = "yuv420p10le"


def make_plain(count: int = 8, width: int = 64, height: int = 48) -> list[npt.NDArray[np.uint8]]:
    return [np.full((height, width, 3), 20 * number, np.uint8) for number in range(count)]


def make_silence(channels: int = 1, rate_hz: int = 16_000) -> npt.NDArray[np.int16]:
    return np.zeros((channels, rate_hz), np.int16)


def get_video(info: MediaInfo) -> VideoTrack:
    assert info.video is not None
    return info.video


@pytest.mark.parametrize(("written", "read"), [(0, 0), (90, 90), (180, 180), (270, 270), (-90, 270)])
def test_a_rotation_is_told_in_degrees_counter_clockwise(tmp_path: Path, reel: Any, written: int, read: int) -> None:
    info = probe(reel(tmp_path / "film.mp4").pictures(make_plain(), rotation=written).write())
    assert get_video(info).rotation_degrees == read
    assert (get_video(info).width, get_video(info).height) == (64, 48)  # as coded


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "degrees"),
    [
        ("decord__video_90.mov", 270),
        ("torchcodec__nasa_13013_rotated.mp4", 90),
        ("androidx-media__h265_with_metadata_track.mp4", 270),
        ("torchcodec__nasa_13013.mp4", 0),
    ],
)
def test_the_rotation_of_real_films_is_told(real_data: Path, name: str, degrees: int) -> None:
    assert get_video(probe(real_data / "awkward" / name)).rotation_degrees == degrees


def test_a_picture_says_its_shape_its_pixels_and_that_it_is_progressive(tmp_path: Path, reel: Any) -> None:
    film = reel(tmp_path / "film.mp4").pictures(make_plain(), sample_aspect_ratio=Fraction(64, 45))
    found = get_video(probe(film.write()))
    assert (found.codec, found.width, found.height, found.pixel_format) == ("h264", 64, 48, "yuv420p")
    assert found.pixel_aspect == "64/45"
    assert (found.interlaced, found.hdr, found.full_range, found.decodes) == (False, None, False, True)
    assert get_video(probe(reel(tmp_path / "square.mp4").pictures(make_plain()).write())).pixel_aspect == "1"


def test_interlaced_pictures_are_told(tmp_path: Path, reel: Any) -> None:
    options = {"flags": "+ildct+ilme", "qscale": "3"}
    film = reel(tmp_path / "film.ts").pictures(make_plain(12), codec="mpeg2video", options=options)
    assert get_video(probe(film.write())).interlaced


@pytest.mark.parametrize(
    ("transfer", "told"), [(ColorTrc.SMPTE2084, "pq"), (ColorTrc.ARIB_STD_B67, "hlg"), (ColorTrc.BT709, None)]
)
def test_a_high_dynamic_range_is_told_by_its_transfer(
    tmp_path: Path, reel: Any, transfer: ColorTrc, told: str | None
) -> None:
    film = reel(tmp_path / "film.mkv").pictures(
        make_plain(3), codec="libx265", pix_fmt=TEN_BITS, color_trc=transfer, options={"x265-params": "log-level=none"}
    )
    found = get_video(probe(film.write()))
    assert (found.hdr, found.pixel_format, found.codec) == (told, TEN_BITS, "hevc")


@pytest.mark.parametrize(("color_range", "full"), [(ColorRange.JPEG, True), (ColorRange.MPEG, False)])
def test_a_full_range_of_colours_is_told(tmp_path: Path, reel: Any, color_range: ColorRange, full: bool) -> None:
    film = reel(tmp_path / "film.mp4").pictures(make_plain(), color_range=color_range)
    assert get_video(probe(film.write())).full_range is full


@pytest.mark.parametrize(
    ("layout", "channels", "codec"),
    [("mono", 1, "aac"), ("stereo", 2, "aac"), ("5.1", 6, "aac"), ("7.1", 8, "flac"), ("quad", 4, "flac")],
)
def test_channels_and_their_layout_are_told(tmp_path: Path, reel: Any, layout: str, channels: int, codec: str) -> None:
    path = reel(tmp_path / "film.mkv").pictures(make_plain()).sound(
        make_silence(channels, 48_000), codec=codec, rate_hz=48_000, layout=layout
    ).write()  # fmt: skip
    audio = probe(path).audio
    assert audio is not None
    assert (audio.codec, audio.rate_hz, audio.channels, audio.layout) == (codec, 48_000, channels, layout)
    assert audio.decodes


@pytest.fixture
def spoken(tmp_path: Path, reel: Any) -> Path:
    """A film with a sound in each of three languages, a commentary, and subtitles."""
    film = reel(tmp_path / "film.mkv").pictures(make_plain())
    film.sound(make_silence(), language="ger", title="Synchronfassung")
    film.sound(make_silence(), language="eng", disposition=Disposition.comment)
    film.sound(make_silence(2), layout="stereo", language="eng", disposition=Disposition.default)
    film.sound(make_silence(), language="fre")
    return film.packet("ass", 0.5, b"0,0,Default,,0,0,0,,Hello").write()  # type: ignore[no-any-return]


def test_every_sound_is_told_with_its_number_language_and_title(spoken: Path) -> None:
    info = probe(spoken)
    told = [(track.number, track.index, track.language, track.title) for track in info.audio_tracks]
    assert told == [(1, 1, "ger", "Synchronfassung"), (2, 2, "eng", None), (3, 3, "eng", None), (4, 4, "fre", None)]
    assert info.subtitle_languages == ("und",)
    assert info.video_tracks == 1


@pytest.mark.parametrize(
    ("choice", "number"),
    [
        (None, 3),
        (AudioChoice(), 3),
        (AudioChoice(language="en"), 3),
        (AudioChoice(language="de"), 1),
        (AudioChoice(language="deu"), 1),
        (AudioChoice(language="fr-FR"), 4),
        (AudioChoice(track=2), 2),
        (AudioChoice(language="swe"), None),
        (AudioChoice(track=5), None),
    ],
)
def test_the_sound_that_was_chosen_is_taken(spoken: Path, choice: AudioChoice | None, number: int | None) -> None:
    info = probe(spoken, choice)
    assert (info.audio and info.audio.number) == number
    assert len(info.audio_tracks) == 4


def test_cover_art_larger_than_the_film_is_not_taken_for_it(tmp_path: Path, reel: Any) -> None:
    film = reel(tmp_path / "film.mp4")
    film.pictures(make_plain(1, 640, 480), codec="mjpeg", pix_fmt="yuvj420p", disposition=Disposition.attached_pic)
    info = probe(film.pictures(make_plain()).sound(make_silence(), codec="aac").write())
    assert (get_video(info).width, get_video(info).times.packets) == (64, 8)
    assert (info.cover_art, info.video_tracks) == (True, 1)


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["androidx-media__bear-id3.mp3", "androidx-media__bear_with_picture.flac"])
def test_cover_art_alone_is_no_video(real_data: Path, name: str) -> None:
    info = probe(real_data / "awkward" / name)
    assert info.video is None
    assert info.audio is not None
    assert (info.cover_art, info.video_tracks) == (True, 0)


@pytest.mark.real_data
def test_an_empty_track_of_pictures_is_counted_and_not_taken(real_data: Path) -> None:
    info = probe(real_data / "awkward" / "androidx-media__sample_empty_track.mp4")
    assert info.video_tracks == 2
    assert (get_video(info).width, get_video(info).times.packets, get_video(info).decodes) == (1080, 30, True)


@pytest.mark.real_data
def test_a_header_without_packets_has_empty_tracks(real_data: Path) -> None:
    info = probe(real_data / "awkward" / "androidx-media__init.mp4")
    assert (get_video(info).times.packets, get_video(info).times.start_seconds) == (0, None)
    assert (get_video(info).decodes, get_video(info).fps) == (False, None)
    assert info.audio is not None
    assert (info.audio.times.packets, info.audio.decodes) == (0, False)


@pytest.mark.real_data
def test_encrypted_packets_are_counted(real_data: Path) -> None:
    found = get_video(probe(real_data / "awkward" / "androidx-media__sample_fragmented_sgpd_v2.mp4")).times
    assert (found.packets, found.encrypted_packets) == (864, 864)
    assert found.duration_seconds == pytest.approx(34.56)


@pytest.mark.real_data
def test_a_codec_that_nobody_knows_has_no_name_and_does_not_decode(real_data: Path) -> None:
    info = probe(real_data / "awkward" / "androidx-media__sample_ac4_level4.mp4")
    assert info.audio is not None
    assert (info.audio.codec, info.audio.rate_hz, info.audio.decodes) == (None, 0, False)
    assert info.audio.times.packets == 20


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "hdr", "pixel_format"),
    [
        ("androidx-media__sample_with_color_info.mp4", "hlg", TEN_BITS),
        ("androidx-media__sample_av1.mkv", "hlg", TEN_BITS),
        ("torchcodec__h265_10bits.mp4", None, TEN_BITS),
    ],
)
def test_the_high_dynamic_range_of_real_films_is_told(
    real_data: Path, name: str, hdr: str | None, pixel_format: str
) -> None:
    found = get_video(probe(real_data / "awkward" / name))
    assert (found.hdr, found.pixel_format) == (hdr, pixel_format)


@pytest.mark.real_data
def test_subtitles_alone_are_neither_video_nor_audio(real_data: Path) -> None:
    info = probe(real_data / "awkward" / "androidx-media__sample.text.mp4")
    assert (info.video, info.audio, info.audio_tracks) == (None, None, ())
    assert info.subtitle_languages == ("und",)
