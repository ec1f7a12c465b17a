"""Which tracks of a file are taken: the largest moving picture, and the sound that a player or a user would choose."""

from types import SimpleNamespace
from typing import Any

import pytest
from av.stream import Disposition
from pydantic import ValidationError

from talkies.media import AudioChoice
from talkies.media.tracks import select_audio_track, select_video_track, select_moving_pictures

NOTHING = Disposition(0)


def stream(index: int, disposition: Disposition, context: Any, language: str | None = None) -> Any:
    return SimpleNamespace(index=index, disposition=disposition, codec_context=context, language=language)


def picture(index: int, width: int, height: int, disposition: Disposition = NOTHING) -> Any:
    return stream(index, disposition, SimpleNamespace(width=width, height=height))


def sound(index: int, language: str | None = None, disposition: Disposition = NOTHING, decodable: bool = True) -> Any:
    return stream(index, disposition, SimpleNamespace() if decodable else None, language)


def full(streams: list[Any]) -> dict[int, int]:
    return {one.index: 100 for one in streams}


def chosen(streams: list[Any], packets: dict[int, int] | None = None, **choice: Any) -> int | None:
    """Return the index of the sound that is taken."""
    best = select_audio_track(streams, full(streams) if packets is None else packets, AudioChoice(**choice))
    return None if best is None else best.index


def test_the_largest_picture_is_the_film() -> None:
    streams = [picture(0, 320, 180), picture(2, 1920, 1080), picture(3, 640, 360)]
    assert select_video_track(streams, full(streams)) is streams[1]


def test_of_pictures_of_one_size_the_first_is_the_film() -> None:
    streams = [picture(4, 640, 360), picture(1, 360, 640), picture(2, 640, 360)]
    assert select_video_track(streams, full(streams)) is streams[1]


@pytest.mark.parametrize("aside", [Disposition.attached_pic, Disposition.timed_thumbnails])
def test_cover_art_and_thumbnails_are_never_the_film_however_large(aside: Disposition) -> None:
    cover, film = picture(0, 4000, 4000, aside | Disposition.default), picture(1, 320, 180)
    assert select_moving_pictures([cover, film]) == [film]
    assert select_video_track([cover, film], {0: 1, 1: 100}) is film
    assert select_video_track([cover], {0: 1}) is None


def test_an_empty_track_of_pictures_yields_to_a_smaller_one_with_packets() -> None:
    empty, film = picture(0, 1920, 1080), picture(1, 320, 180)
    assert select_video_track([empty, film], {0: 0, 1: 100}) is film
    assert select_video_track([empty, film], {1: 100}) is film
    assert select_video_track([empty], {}) is empty  # better named and judged than not seen


def test_a_track_of_pictures_that_no_decoder_knows_yields_to_one_that_can_be_decoded() -> None:
    unknown, film = stream(0, NOTHING, None), picture(1, 320, 180)
    assert select_video_track([unknown, film], full([unknown, film])) is film
    assert select_video_track([unknown], full([unknown])) is unknown


def test_without_a_choice_the_default_sound_is_taken_or_else_the_first() -> None:
    assert chosen([sound(1), sound(2), sound(3)]) == 1
    assert chosen([sound(1), sound(2, disposition=Disposition.default), sound(3)]) == 2


@pytest.mark.parametrize(
    "aside",
    [
        Disposition.comment,
        Disposition.hearing_impaired,
        Disposition.visual_impaired,
        Disposition.dub,
        Disposition.karaoke,
        Disposition.lyrics,
    ],
)
def test_commentary_and_the_like_are_taken_only_where_there_is_nothing_else(aside: Disposition) -> None:
    commentary = sound(1, disposition=aside | Disposition.default)
    assert chosen([commentary, sound(2)]) == 2
    assert chosen([commentary]) == 1


def test_a_sound_that_is_empty_or_cannot_be_decoded_yields_to_one_that_can() -> None:
    assert chosen([sound(1, disposition=Disposition.default), sound(2)], {2: 100}) == 2
    assert chosen([sound(1, disposition=Disposition.default, decodable=False), sound(2)]) == 2
    assert chosen([sound(1, decodable=False)]) == 1


def test_without_any_sound_there_is_none() -> None:
    assert chosen([]) is None
    assert select_audio_track([], {}) is None


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("en", "eng"),
        ("eng", "eng"),
        ("eng", "en"),
        ("EN", "eng"),
        ("en-GB", "eng"),
        ("eng", "en-US"),
        ("de", "ger"),
        ("ger", "de"),
        ("deu", "ger"),
        ("fr", "fre"),
        ("fra", "fre"),
        ("zh", "chi"),
        ("is", "ice"),
        ("sk", "slo"),
        ("qaa", "qaa"),
    ],
)
def test_a_language_is_known_by_any_of_its_codes(asked: str, said: str) -> None:
    assert chosen([sound(1, "jpn"), sound(2, said)], language=asked) == 2


@pytest.mark.parametrize("asked", ["en", "swe", "und"])
def test_a_language_that_no_track_says_finds_nothing(asked: str) -> None:
    assert chosen([sound(1, "jpn"), sound(2, None), sound(3, "")], language=asked) is None


def test_of_several_tracks_in_a_language_the_default_is_taken_and_commentary_last() -> None:
    streams = [
        sound(1, "eng", Disposition.comment | Disposition.default),
        sound(2, "eng"),
        sound(3, "eng", Disposition.default),
        sound(4, "fra", Disposition.default),
    ]
    assert chosen(streams, language="en") == 3
    assert chosen(streams[:2], language="en") == 2
    assert chosen(streams[:1], language="en") == 1


def test_a_track_number_counts_the_sounds_of_a_file_from_one_whatever_they_are() -> None:
    streams = [sound(1, "eng", Disposition.default), sound(5, "fra"), sound(7, disposition=Disposition.comment)]
    assert [chosen(streams, track=number) for number in (1, 2, 3)] == [1, 5, 7]
    assert chosen(streams, track=4) is None
    assert chosen(streams, {}, track=2) == 5  # empty, but asked for


@pytest.mark.parametrize("wrong", [{"track": 0}, {"track": -1}, {"language": "e"}, {"language": ""}, {"lang": "en"}])
def test_a_choice_that_means_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"greater than or equal to 1|at least 2 characters|Extra inputs"):
        AudioChoice(**wrong)
