"""Which tracks of a file are selected: the largest moving picture, and the audio a player or a user would choose."""

from types import SimpleNamespace
from typing import Any

import pytest
from av.stream import Disposition
from pydantic import ValidationError

from talkies.media import AudioChoice
from talkies.media.probing.tracks import (
    Extents,
    TrackExtent,
    select_audio_track,
    select_moving_pictures,
    select_video_track,
)

NOTHING = Disposition(0)


def make_stream(index: int, disposition: Disposition, context: Any, language: str | None = None) -> Any:
    return SimpleNamespace(index=index, disposition=disposition, codec_context=context, language=language)


def make_video(index: int, width: int, height: int, disposition: Disposition = NOTHING) -> Any:
    return make_stream(index, disposition, SimpleNamespace(width=width, height=height))


def make_audio(
    index: int, language: str | None = None, disposition: Disposition = NOTHING, decodable: bool = True
) -> Any:
    return make_stream(index, disposition, SimpleNamespace() if decodable else None, language)


WHOLE, EMPTY = TrackExtent(100, 4.0), TrackExtent(0, 0.0)


def measure(streams: list[Any]) -> dict[int, TrackExtent]:
    return {one.index: WHOLE for one in streams}


def choose_audio(streams: list[Any], extents: Extents | None = None, **choice: Any) -> int | None:
    """Return the index of the sound that is taken."""
    best = select_audio_track(streams, measure(streams) if extents is None else extents, AudioChoice(**choice))
    return None if best is None else best.index


def test_the_largest_picture_is_the_film() -> None:
    streams = [make_video(0, 320, 180), make_video(2, 1920, 1080), make_video(3, 640, 360)]
    assert select_video_track(streams, measure(streams)) is streams[1]


def test_of_pictures_of_one_size_the_first_is_the_film() -> None:
    streams = [make_video(4, 640, 360), make_video(1, 360, 640), make_video(2, 640, 360)]
    assert select_video_track(streams, measure(streams)) is streams[1]


@pytest.mark.parametrize("aside", [Disposition.attached_pic, Disposition.timed_thumbnails])
def test_cover_art_and_thumbnails_are_never_the_film_however_large(aside: Disposition) -> None:
    cover, film = make_video(0, 4000, 4000, aside | Disposition.default), make_video(1, 320, 180)
    assert select_moving_pictures([cover, film]) == [film]
    assert select_video_track([cover, film], {0: TrackExtent(1, 4.0), 1: WHOLE}) is film
    assert select_video_track([cover], {0: 1}) is None


def test_an_empty_track_of_pictures_yields_to_a_smaller_one_with_packets() -> None:
    empty, film = make_video(0, 1920, 1080), make_video(1, 320, 180)
    assert select_video_track([empty, film], {0: EMPTY, 1: WHOLE}) is film
    assert select_video_track([empty, film], {1: WHOLE}) is film
    assert select_video_track([empty], {}) is empty  # better named and judged than not seen


def test_a_track_of_pictures_that_no_decoder_knows_yields_to_one_that_can_be_decoded() -> None:
    unknown, film = make_stream(0, NOTHING, None), make_video(1, 320, 180)
    assert select_video_track([unknown, film], measure([unknown, film])) is film
    assert select_video_track([unknown], measure([unknown])) is unknown


def test_without_a_choice_the_default_sound_is_taken_or_else_the_first() -> None:
    assert choose_audio([make_audio(1), make_audio(2), make_audio(3)]) == 1
    assert choose_audio([make_audio(1), make_audio(2, disposition=Disposition.default), make_audio(3)]) == 2


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
    commentary = make_audio(1, disposition=aside | Disposition.default)
    assert choose_audio([commentary, make_audio(2)]) == 2
    assert choose_audio([commentary]) == 1


def test_a_sound_that_is_empty_or_cannot_be_decoded_yields_to_one_that_can() -> None:
    assert choose_audio([make_audio(1, disposition=Disposition.default), make_audio(2)], {2: WHOLE}) == 2
    assert choose_audio([make_audio(1, disposition=Disposition.default, decodable=False), make_audio(2)]) == 2
    assert choose_audio([make_audio(1, decodable=False)]) == 1


def test_without_any_sound_there_is_none() -> None:
    assert choose_audio([]) is None
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
    assert choose_audio([make_audio(1, "jpn"), make_audio(2, said)], language=asked) == 2


@pytest.mark.parametrize("asked", ["en", "swe", "und"])
def test_a_language_that_no_track_says_finds_nothing(asked: str) -> None:
    assert choose_audio([make_audio(1, "jpn"), make_audio(2, None), make_audio(3, "")], language=asked) is None


def test_of_several_tracks_in_a_language_the_default_is_taken_and_commentary_last() -> None:
    streams = [
        make_audio(1, "eng", Disposition.comment | Disposition.default),
        make_audio(2, "eng"),
        make_audio(3, "eng", Disposition.default),
        make_audio(4, "fra", Disposition.default),
    ]
    assert choose_audio(streams, language="en") == 3
    assert choose_audio(streams[:2], language="en") == 2
    assert choose_audio(streams[:1], language="en") == 1


def test_a_track_number_counts_the_sounds_of_a_file_from_one_whatever_they_are() -> None:
    streams = [
        make_audio(1, "eng", Disposition.default),
        make_audio(5, "fra"),
        make_audio(7, disposition=Disposition.comment),
    ]
    assert [choose_audio(streams, track=number) for number in (1, 2, 3)] == [1, 5, 7]
    assert choose_audio(streams, track=4) is None
    assert choose_audio(streams, {}, track=2) == 5  # empty, but asked for


@pytest.mark.parametrize("wrong", [{"track": 0}, {"track": -1}, {"language": "e"}, {"language": ""}, {"lang": "en"}])
def test_a_choice_that_means_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"greater than or equal to 1|at least 2 characters|Extra inputs"):
        AudioChoice(**wrong)
