"""`Timeline`: jumps and restarts of a clock are corrected, and nothing else is changed."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from talkies.core import Grid
from talkies.media import FilmResampler, ResampledFrame, probe
from talkies.media.probing.clock import Timeline

VIDEO, AUDIO, LATE = 0, 1, 2
_TICK = {VIDEO: Fraction(1, 90_000), AUDIO: Fraction(1, 48_000), LATE: Fraction(1, 1000)}


@dataclass
class Stamp:
    """What `Timeline` reads of a packet."""

    stream_index: int
    dts: int | None
    pts: int | None
    duration: int | None

    @property
    def time_base(self) -> Fraction:
        return _TICK[self.stream_index]

    @property
    def seconds(self) -> float:
        ticks = self.pts if self.dts is None else self.dts
        assert ticks is not None
        return float(ticks * self.time_base)


def make_stamp(track: int, seconds: float, lasting: float = 0.04) -> Stamp:
    ticks = round(seconds / _TICK[track])
    return Stamp(track, ticks, ticks, round(lasting / _TICK[track]))


def make_run(track: int, start: float, seconds: float, step: float = 0.04) -> list[Stamp]:
    return [make_stamp(track, start + number * step, step) for number in range(round(seconds / step))]


def interleave(*runs: list[Stamp]) -> list[Stamp]:
    return sorted((packet for one in runs for packet in one), key=lambda packet: packet.seconds)


def make_film(start: float, seconds: float) -> list[Stamp]:
    return interleave(make_run(VIDEO, start, seconds), make_run(AUDIO, start - 0.01, seconds, 0.024))


def correct_packets(packets: Iterable[Stamp]) -> tuple[list[float], Timeline]:
    """Return how far each packet was shifted, in seconds, and the timeline."""
    timeline, shifts = Timeline(), []
    for packet in packets:
        before = packet.seconds
        timeline.correct(packet)
        shifts.append(packet.seconds - before)
    return shifts, timeline


@given(
    start=st.floats(-5, 90_000),
    steps=st.lists(st.tuples(st.sampled_from([VIDEO, AUDIO]), st.floats(-0.9, 9.9), st.floats(0, 12)), max_size=60),
)
def test_timestamps_without_a_jump_are_untouched(start: float, steps: list[tuple[int, float, float]]) -> None:
    packets, front, last = [make_stamp(VIDEO, start), make_stamp(AUDIO, start)], start, {VIDEO: start, AUDIO: start}
    for track, step, lasting in steps:
        # A track may run back a little, and be anywhere up to a jump ahead of what came so far.
        moment = max(last[track] - 0.9, front + step)
        packets.append(make_stamp(track, moment, lasting))
        last[track], front = moment, max(front, moment)
    shifts, timeline = correct_packets(packets)
    assert set(shifts) == {0.0}
    assert timeline.jumps == []


def test_a_packet_without_timestamps_is_left_alone_and_disturbs_nothing() -> None:
    packets = make_film(700, 2)
    packets.insert(20, Stamp(VIDEO, None, None, None))
    timeline = Timeline()
    for packet in packets:
        timeline.correct(packet)
    assert (packets[20].pts, packets[20].dts) == (None, None)
    assert timeline.jumps == []


def test_a_packet_with_a_presentation_time_alone_is_mended_by_it() -> None:
    packets = [
        *make_film(0, 4),
        *(Stamp(VIDEO, None, packet.pts, packet.duration) for packet in make_run(VIDEO, 900, 1)),
    ]
    _, timeline = correct_packets(packets)
    assert [jump.source_seconds for jump in timeline.jumps] == [900]
    assert packets[-1].dts is None
    assert packets[-1].seconds == pytest.approx(4 + 0.96, abs=0.05)


def test_after_a_restart_and_after_a_leap_time_goes_on_where_it_had_come_to() -> None:
    parts = [make_film(700, 6), make_film(0, 4), make_film(900, 5)]
    shifts, timeline = correct_packets([packet for part in parts for packet in part])
    assert [jump.at_seconds for jump in timeline.jumps] == pytest.approx([706, 710], abs=0.03)
    assert [jump.source_seconds for jump in timeline.jumps] == pytest.approx([-0.01, 899.99])
    ends = accumulate(len(part) for part in parts)
    for part, end, expected in zip(parts, ends, (0, 706, -190), strict=True):
        assert shifts[end - len(part) : end] == pytest.approx([expected] * len(part), abs=0.05)


LEAPS = st.sampled_from([-3, 13]) | st.floats(-5000, -3) | st.floats(13, 5000)  # beyond what a clock does by itself


@given(
    start=st.floats(-5, 90_000),
    parts=st.lists(st.tuples(LEAPS, st.floats(0.5, 8), st.floats(-0.5, 0.5)), min_size=2, max_size=5),
)
@example(start=0.0, parts=[(-3, 1.0, 0.0), (-3, 1.0, 0.0), (13, 1.0, 0.0)])  # an offset of before fits by chance
def test_films_joined_end_to_end_play_on_and_keep_picture_and_sound_together(
    start: float, parts: list[tuple[float, float, float]]
) -> None:
    timeline, clock, front = Timeline(), start, start
    for number, (leap, seconds, lead) in enumerate(parts):
        clock += leap if number else 0
        packets = interleave(make_run(VIDEO, clock, seconds), make_run(AUDIO, clock + lead, seconds, 0.024))
        before = [packet.seconds for packet in packets]
        for packet in packets:
            timeline.correct(packet)
        shifts = [packet.seconds - old for packet, old in zip(packets, before, strict=True)]
        assert max(shifts) - min(shifts) <= 1 / 48_000  # half a tick of the sound, and of the pictures
        if number:
            assert front - 1 <= packets[0].seconds <= front + 10
        front = max(packet.seconds for packet in packets)
        clock = max(before)


@pytest.mark.parametrize("hole_seconds", [5, 30, 3000])
def test_a_hole_in_one_track_alone_is_no_jump(hole_seconds: float) -> None:
    sound = make_run(AUDIO, 0, hole_seconds + 4, 0.5)
    slides = [*make_run(VIDEO, 0, 2), *make_run(VIDEO, hole_seconds + 2, 2)]
    shifts, timeline = correct_packets(interleave(slides, sound))
    assert set(shifts) == {0.0}
    assert timeline.jumps == []


def test_a_track_that_begins_after_a_jump_is_shifted_with_the_others() -> None:
    after = interleave(make_film(0, 4), make_run(LATE, 1, 3, 0.5))
    shifts, timeline = correct_packets([*make_film(700, 6), *after])
    assert len(timeline.jumps) == 1
    assert shifts[-len(after) :] == pytest.approx([706] * len(after), abs=0.05)


def test_packets_of_before_that_come_after_the_jump_stay_with_the_sound_of_before() -> None:
    first, second = make_film(700, 6), make_film(0, 4)
    held_back = [packet for packet in first if packet.stream_index == AUDIO][-3:]
    rest = [packet for packet in first if packet not in held_back]
    shifts, timeline = correct_packets([*rest, *second[:1], *held_back, *second[1:]])
    assert len(timeline.jumps) == 1
    assert shifts[len(rest) + 1 : len(rest) + 4] == [0, 0, 0]
    assert shifts[len(rest) + 4 :] == pytest.approx([706] * (len(second) - 1), abs=0.15)


@given(
    start=st.sampled_from([0.0, 20.0, 700.0]),
    place=st.floats(0, 1, exclude_max=True),
    wrong=st.floats(-1000, 1000) | st.floats(-12, 12),
)
def test_one_wrong_stamp_shifts_no_other_packet(start: float, place: float, wrong: float) -> None:
    packets = interleave(make_film(start, 4), make_run(LATE, start + 2, 2, 0.5))
    seen: set[int] = set()
    not_first = [n for n, packet in enumerate(packets) if packet.stream_index in seen or seen.add(packet.stream_index)]
    bad = not_first[int(place * len(not_first))]

    # Known limit: a track that starts between the wrong stamp and the next packet of its track is shifted with it.
    tracks = [packet.stream_index for packet in packets]
    next_of_track = tracks.index(tracks[bad], bad + 1) if tracks[bad] in tracks[bad + 1 :] else len(packets)
    assume(not bad < tracks.index(LATE) < next_of_track)

    packets[bad] = make_stamp(packets[bad].stream_index, packets[bad].seconds + wrong)
    shifts, _ = correct_packets(packets)
    del shifts[bad]
    assert set(shifts) == {0.0}


def write_transport_stream(coded: Any, path: Path, start: int, numbers: range) -> bytes:
    """Return a broadcast of 25 pictures a second, which show `numbers`, and of sound, both from `start` seconds on."""
    with av.open(str(path), "w", format="mpegts") as container:
        video: Any = container.add_stream("mpeg2video", rate=25, options={"qscale": "2", "g": "10", "bf": "2"})
        video.width, video.height, video.pix_fmt = 160, 120, "yuv420p"
        audio: Any = container.add_stream("mp2", rate=48_000, layout="mono")
        packets = []
        for place, number in enumerate(numbers):
            frame = av.VideoFrame.from_ndarray(coded.picture(number, 160, 120), format="rgb24")
            frame.pts, frame.time_base = start * 25 + place, Fraction(1, 25)
            packets += video.encode(frame)
        for place in range(len(numbers) * 1920 // 1152):
            sound = av.AudioFrame.from_ndarray(np.full((1, 1152), 3000, np.int16), format="s16", layout="mono")
            sound.sample_rate, sound.time_base = 48_000, Fraction(1, 48_000)
            sound.pts = start * 48_000 + place * 1152
            packets += audio.encode(sound)
        packets += [*video.encode(None), *audio.encode(None)]
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            container.mux(packet)
    return path.read_bytes()


def test_joined_transport_streams_play_on(tmp_path: Path, coded: Any) -> None:
    parts = [(700, range(100)), (3, range(200, 275)), (900, range(400, 500))]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(write_transport_stream(coded, tmp_path / "part.ts", *part) for part in parts))
    info = probe(joined)
    assert [round(at - 700) for at, _ in info.jumps] == [4, 7]
    assert info.video is not None
    assert info.video.times.duration_seconds == pytest.approx(11, abs=0.1)

    resampler = FilmResampler(joined, info, Grid(25, 25_000), 120)
    shown = [coded.number_in(part.to_yuv()[:120]) for part in resampler if isinstance(part, ResampledFrame)]
    expected = [number for _, numbers in parts for number in numbers]
    assert len(shown) == pytest.approx(275, abs=2)
    assert set(expected) - set(shown) == set()
    assert shown == sorted(shown)
    assert resampler.report.decoded_audio_seconds == pytest.approx(11, abs=0.1)
    assert resampler.report.audio_gaps == 0
