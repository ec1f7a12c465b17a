"""The judge, on made-up facts about films: each reason at its threshold, from both sides."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judged_films import FPS, audio, codes, info, judged_after, measures, times, video

from talkies.ingestion import IMPORTANCE, IngestConfig
from talkies.ingestion.config import Thresholds
from talkies.ingestion.judge import decide_verdict, judge_film, sort_reasons
from talkies.library import Reason, Verdict
from talkies.media import FrameCrop

WRITTEN = (Path(__file__).parents[2] / "docs" / "verdicts.md").read_text(encoding="utf-8")
ELSEWHERE = {"empty", "unreadable", "crashed", "timed_out", "out_of_memory", "duplicate"}
"""Codes that the judge does not give: they are known before it is asked, or after."""


def test_a_good_film_has_no_reason_against_it_before_it_is_decoded_or_after() -> None:
    assert judge_film(info(), Thresholds()) == judged_after() == ()
    assert decide_verdict(()) is Verdict.ACCEPTED


PACKETS: Mapping[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    # code: (just beyond the threshold, just within it, the message)
    "encrypted": (
        {"video": video(times(encrypted_packets=1))},
        {"video": video(times(encrypted_packets=0))},
        "its video track is encrypted; ingest a decrypted copy",
    ),
    "unknown_video_codec": (
        {"video": video(codec=None, decodes=False)},
        {},
        "FFmpeg has no decoder for its video track",
    ),
    "unknown_audio_codec": (
        {"audio": audio(codec=None, decodes=False)},
        {},
        "FFmpeg has no decoder for its audio track",
    ),
    "no_video": ({"video": None}, {}, "it has no video track; talkies needs picture and sound"),
    "cover_art": (
        {"video": None, "cover_art": True},
        {"cover_art": True},
        "its only picture is cover art; talkies needs picture and sound",
    ),
    "no_audio": (
        {"audio": None, "audio_tracks": ()},
        {},
        "it has no audio track; talkies needs picture and sound",
    ),
    "empty_video": (
        {"video": video(times(packets=0, start_seconds=None, end_seconds=None), decodes=False)},
        {"video": video(times(packets=1))},
        "its video track is declared but empty",
    ),
    "empty_audio": (
        {"audio": audio(times(packets=0, start_seconds=None, end_seconds=None), decodes=False)},
        {"audio": audio(times(packets=1))},
        "its audio track is declared but empty",
    ),
    "undecodable_video": ({"video": video(decodes=False)}, {}, "nothing of its video track can be decoded"),
    "undecodable_audio": ({"audio": audio(decodes=False)}, {}, "nothing of its audio track can be decoded"),
    "bad_crop": (
        {"video": video(crop=FrameCrop(ignored="its container's crop is ignored"))},
        {"video": video(crop=FrameCrop(top=60, bottom=60))},
        "its container's crop is ignored",
    ),
    "bad_shape": (
        {"video": video(width=801, height=100)},
        {"video": video(width=800, height=100)},
        "a picture of 801 × 100 pixels is too wide or too tall for a film; one side may be at most 8 times the other",
    ),
    "too_short": (
        {"claimed_seconds": None, "video": video(times(end_seconds=0.999), claimed_seconds=None)},
        {"claimed_seconds": None, "video": video(times(end_seconds=1.0), claimed_seconds=None)},
        "its picture lasts 1.00 s; a film lasts at least 1 s",
    ),
    "truncated": (
        {"video": video(claimed_seconds=12.01)},
        {"video": video(claimed_seconds=12.0)},
        "the container claims 12.01 s, but only 10.00 s of picture could be read",
    ),
    "other_tracks": (
        {"later_video_end_seconds": 25.0},
        {"later_video_end_seconds": None},
        "its picture ends at 10.00 s, and another picture track goes on to 25.00 s; that one is left out",
    ),
    "other_programmes": (
        {"programmes": 2},
        {"programmes": 1},
        "it carries 2 programmes; only one is taken, the one with a picture of 640 × 480 pixels",
    ),
    "time_jumps": (
        {"jumps": ((4.0, 700.0), (6.0, 0.0))},
        {"jumps": ()},
        "its timestamps jump 2 times, first at 4.00 s; they are treated as continuous there",
    ),
    "picture_gaps": (
        {"video": video(times(gaps=1, longest_gap_seconds=2.5))},
        {"video": video(times(gaps=0, longest_gap_seconds=1.9))},
        "its picture has 1 gap, of up to 2.50 s",
    ),
}  # fmt: skip
MEASURED: Mapping[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "undecodable_audio": (
        {"sound_start_seconds": None, "sound_end_seconds": None, "peak_dbfs": None, "silent_frames": 160},
        {},
        "nothing of its audio track can be decoded",
    ),
    "damaged": (
        {"damaged_video_packets": 21},
        {"damaged_video_packets": 0},
        "21 of 200 video packets could not be decoded as stored; at most 10% may be damaged",
    ),
    "too_short": (
        {"frames": 15, "sound_end_seconds": 0.9},
        {"frames": 16, "sound_end_seconds": 1.0},
        "its picture lasts 0.94 s; a film lasts at least 1 s",
    ),
    "undecodable_start": (
        {"origin_seconds": 1.01, "sound_start_seconds": -1.01},
        {"origin_seconds": 1.0, "sound_start_seconds": -1.0},
        "its first 1.01 s of picture cannot be decoded; the film starts after them, and the sound under them is left "
        "out",
    ),
    "sound_left_out": (
        {"sound_end_seconds": 11.01},
        {"sound_end_seconds": 11.0},
        "the sound goes on for 1.01 s after the last picture; that part of it is left out",
    ),
    "damaged_packets": (
        {"damaged_audio_packets": 10},
        {"damaged_audio_packets": 0},
        "10 of 100 audio packets could not be decoded as stored",
    ),
    "bad_sound_clock": (
        {"sound_laid_end_to_end": True},
        {"sound_laid_end_to_end": False},
        "its audio timestamps span far less time than its audio; placed end to end, it may be out of sync",
    ),
    "channels_left_out": (
        {"sound_lost_in_mix_seconds": 0.0625, "sound_channels": (3, 4)},
        {"sound_lost_in_mix_seconds": 0.0},
        "a mono mix of all its 2 channels would lose sound; only channels 3 and 4 are used; "
        "for 0.06 s a mono mix would lose the sound; the loudest channel is used there",
    ),
    "short_audio": (
        {"sound_end_seconds": 8.99},
        {"sound_end_seconds": 9.0},
        "the sound ends 1.01 s before the picture",
    ),
    "late_audio": (
        {"sound_start_seconds": 1.01},
        {"sound_start_seconds": 1.0},
        "the sound starts 1.01 s after the picture",
    ),
    "silent_audio": ({"peak_dbfs": -60.0}, {"peak_dbfs": -59.99}, "its sound is silent from start to end"),
    "black_video": ({"black_frames": 160}, {"black_frames": 159}, "its picture is black from start to end"),
    "still_video": ({"still_frames": 160}, {"still_frames": 159}, "its picture is still from start to end"),
}  # fmt: skip


@pytest.mark.parametrize("code", PACKETS)
def test_what_packets_show_is_a_reason_just_beyond_its_threshold_and_none_just_before(code: str) -> None:
    beyond, before, message = PACKETS[code]
    (reason,) = judge_film(info(**beyond), Thresholds())
    assert (reason.code, reason.text, reason.rejects) == (code, message, verdict_written(code) == "rejected")
    assert judge_film(info(**before), Thresholds()) == ()


@pytest.mark.parametrize("code", MEASURED)
def test_what_decoding_showed_is_a_reason_just_beyond_its_threshold_and_none_just_before(code: str) -> None:
    beyond, before, message = MEASURED[code]
    quiet = info(claimed_seconds=None, video=video(claimed_seconds=None))
    (reason,) = judged_after(info_=quiet, **beyond)
    assert (reason.code, reason.rejects) == (code, verdict_written(code) == "rejected")
    assert reason.text.startswith(message)
    assert judged_after(info_=quiet, **before) == ()


def test_the_share_that_rejects_is_more_than_the_threshold_and_counted_for_each_kind_alone() -> None:
    assert codes(judged_after(damaged_video_packets=20)) == ["damaged_packets"]
    assert codes(judged_after(damaged_video_packets=21)) == ["damaged"]
    assert codes(judged_after(damaged_audio_packets=11)) == ["damaged"]  # of all packets it is less than the share
    assert codes(judged_after(damaged_video_packets=21, damaged_audio_packets=1)) == ["damaged", "damaged_packets"]


def test_a_sound_without_one_sample_that_is_not_zero_is_silent() -> None:
    assert codes(judged_after(peak_dbfs=None)) == ["silent_audio"]


@pytest.mark.parametrize("aspect", [(100, 801, "1"), (1, 1, "801/100"), (1, 1, "100/801")])
def test_a_shape_is_that_of_the_shown_picture_whichever_side_is_the_long_one(aspect: tuple[int, int, str]) -> None:
    width, height, pixels = aspect
    assert codes(judge_film(info(video=video(width=width, height=height, pixel_aspect=pixels)), Thresholds())) == [
        "bad_shape"
    ]
    wide = info(video=video(width=1440, height=1080, pixel_aspect="4/3"))
    assert judge_film(wide, Thresholds()) == ()


def test_a_sound_that_was_chosen_and_is_not_there_is_told_with_those_that_are() -> None:
    tracks = (audio(language="eng"), audio(number=2, index=2), audio(number=3, index=3, language="deu"))
    (reason,) = judge_film(info(audio=None, audio_tracks=tracks), Thresholds())
    have = "1 (eng), 2 (unknown language), 3 (deu)"
    assert (reason.code, reason.rejects) == ("no_audio", True)
    assert reason.text == f"it does not have the audio track that was chosen; its tracks are {have}"


def test_a_file_that_breaks_off_is_truncated_whatever_it_claims() -> None:
    (reason,) = judge_film(info(unreadable_end=True), Thresholds())
    assert (reason.code, reason.text) == ("truncated", "the file cannot be read past 10.00 s of picture")
    assert codes(judge_film(info(unreadable_end=True, video=video(claimed_seconds=70.0)), Thresholds())) == [
        "truncated"
    ]


def test_where_the_clock_jumps_nothing_can_be_said_of_what_the_container_claims() -> None:
    jumping = info(jumps=((4.0, 700.0),), video=video(claimed_seconds=700.0))
    assert codes(judge_film(jumping, Thresholds())) == ["time_jumps"]


def test_where_the_track_claims_nothing_the_container_is_asked_and_means_its_longest_track() -> None:
    unclaimed = info(claimed_seconds=12.01, video=video(claimed_seconds=None))
    (reason,) = judge_film(unclaimed, Thresholds())
    assert (reason.code, reason.text) == (
        "truncated",
        "the container claims 12.01 s, but only 10.00 s could be read",
    )
    for longer in ({"longest_end_seconds": 10.02}, {"audio": audio(times(end_seconds=12.0))}):
        assert judge_film(unclaimed.model_copy(update=longer), Thresholds()) == ()
    assert judge_film(info(claimed_seconds=99.0), Thresholds()) == ()  # its subtitles may run on, the pictures do not


def test_each_track_is_held_against_its_own_claim() -> None:
    (reason,) = judge_film(info(audio=audio(times(end_seconds=4.0), claimed_seconds=10.0)), Thresholds())
    assert reason.text == "the container claims 10.00 s, but only 4.00 s of sound could be read"
    assert judge_film(info(audio=audio(times(end_seconds=4.0), claimed_seconds=4.0)), Thresholds()) == ()
    assert judge_film(info(audio=audio(times(end_seconds=30.0), claimed_seconds=30.0)), Thresholds()) == ()


def test_a_start_that_cannot_be_decoded_is_no_missing_end() -> None:
    assert codes(judged_after(96, origin_seconds=4.0, sound_start_seconds=-4.0, sound_end_seconds=6.0)) == [
        "undecodable_start"
    ]


def test_packets_before_the_first_picture_are_not_damaged_where_the_start_is_missing() -> None:
    damage = {"damaged_video_packets": 50, "damaged_start_packets": 50, "sound_start_seconds": -4.0}
    assert codes(judged_after(origin_seconds=4.0, **damage)) == ["undecodable_start"]
    assert codes(judged_after(origin_seconds=0.5, **damage))[0] == "damaged"
    assert codes(judged_after(origin_seconds=4.0, **(damage | {"damaged_video_packets": 51}))) == [
        "undecodable_start",
        "damaged_packets",
    ]


def test_sound_before_the_first_picture_is_told() -> None:
    (reason,) = judged_after(sound_start_seconds=-5.0)
    assert reason.code == "sound_left_out"
    assert reason.text == "the sound starts 5.00 s before the first picture; that part of it is left out"


def test_tracks_that_begin_in_the_middle_are_told() -> None:
    (reason,) = judge_film(info(late_tracks=True), Thresholds())
    assert reason.code == "other_tracks"
    assert reason.text.startswith("after 10.00 s it goes on in tracks that its start does not announce; ")


def test_a_slide_show_is_not_still() -> None:
    assert codes(judged_after(still_frames=160, changes=3)) == []
    assert codes(judged_after(still_frames=160, changes=0)) == ["still_video"]


def test_all_reasons_are_told_at_once_the_one_that_matters_most_first() -> None:
    everything = info(
        video=video(
            times(encrypted_packets=9, gaps=3, longest_gap_seconds=4.0), width=9000, height=10, claimed_seconds=90
        ),
        audio=audio(codec=None, decodes=False),
        unreadable_end=True,
    )
    found = judged_after(
        8, everything, damaged_video_packets=100, damaged_audio_packets=1, sound_start_seconds=3.0,
        sound_end_seconds=-2.0, sound_laid_end_to_end=True, peak_dbfs=None, black_frames=8, still_frames=8,
        sound_channels=(1,),
    )  # fmt: skip
    assert codes(found) == [
        "encrypted", "unknown_audio_codec", "damaged", "bad_shape", "too_short", "truncated", "damaged_packets",
        "bad_sound_clock", "channels_left_out", "short_audio", "late_audio", "silent_audio", "black_video",
        "still_video", "picture_gaps",
    ]  # fmt: skip
    assert decide_verdict(found) is Verdict.REJECTED
    assert decide_verdict(found[5:]) is Verdict.WARNED


@pytest.mark.parametrize(
    ("name", "value", "changes"),
    [
        ("shortest_seconds", 12.0, {}),
        ("most_damaged", 0.0, {"damaged_video_packets": 1}),
        ("most_aspect", 1.2, {}),
        ("late_sound_seconds", 0.1, {"sound_start_seconds": 0.2}),
        ("short_sound_seconds", 0.1, {"sound_end_seconds": 9.8}),
        ("left_out_seconds", 0.1, {"sound_end_seconds": 10.2}),
        ("silent_dbfs", -3.0, {}),
    ],
)
def test_every_threshold_is_that_of_the_config(name: str, value: float, changes: dict[str, Any]) -> None:
    film = info(claimed_seconds=None, video=video(claimed_seconds=None))
    before = codes(judge_film(film, Thresholds(), measures(**changes), 160, FPS))
    after = codes(judge_film(film, Thresholds(**{name: value}), measures(**changes), 160, FPS))
    assert before != after
    assert len(after) == 1


def test_a_threshold_of_what_may_be_missing_is_that_of_the_config() -> None:
    film = info(video=video(claimed_seconds=15.0))
    assert codes(judge_film(film, Thresholds(missing_seconds=4.9))) == ["truncated"]
    assert judge_film(film, Thresholds(missing_seconds=5.0)) == ()


@given(st.lists(st.sampled_from(IMPORTANCE)))
def test_whatever_the_order_in_which_reasons_are_found_they_are_told_in_one(found: list[str]) -> None:
    reasons = sort_reasons(Reason(code=code, text=code) for code in found)
    assert codes(reasons) == sorted(found, key=IMPORTANCE.index)


# What docs/verdicts.md says is what the code does.


def rows_of(header: str) -> list[list[str]]:
    table = WRITTEN.split(header)[1].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def verdict_written(code: str) -> str:
    (row,) = (row for row in rows_of("| code | verdict ") if row[0] == f"`{code}`")
    return row[1]


def value_of(name: str) -> Any:
    value: Any = IngestConfig()
    for part in name.split("."):
        value = getattr(value, part)
    return value


def test_every_code_is_written_down_in_the_order_of_importance() -> None:
    rows = rows_of("| code | verdict ")
    assert [row[0] for row in rows] == [f"`{code}`" for code in IMPORTANCE]
    assert {row[1] for row in rows} == {"rejected", "warning"}
    assert all(row[2] and row[3] for row in rows)


def test_the_judge_gives_every_code_but_those_that_are_known_without_it() -> None:
    assert PACKETS.keys() | MEASURED.keys() == set(IMPORTANCE) - ELSEWHERE


def test_every_threshold_that_is_named_is_one_of_the_config_and_has_the_default_that_is_written() -> None:
    named = {name for row in rows_of("| code | verdict ") for name in re.findall(r"`([\w.]+)`", row[4])}
    for name in named:
        value_of(name)
    defaults = {row[0].strip("`"): row[1] for row in rows_of("| threshold | default ")}
    assert {name: str(value_of(name)) for name in defaults} == defaults
    config = IngestConfig()
    assert {f"judge.{name}" for name in type(config.judge).model_fields} == {n for n in defaults if "judge." in n}
    assert {f"mark.{name}" for name in type(config.mark).model_fields} == {n for n in defaults if "mark." in n}
    assert {name for name in named if not name.startswith("audio.")} <= defaults.keys()
