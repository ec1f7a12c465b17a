"""`PacketStats`: times, gaps, rate and key frames of a track, from its packets."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talkies.media.probing.packet_stats import PacketStats, TrackTimes


@dataclass
class FakePacket:
    """What `PacketStats` reads of a packet."""

    pts: int | None
    duration: int = 40
    is_keyframe: bool = False
    is_corrupt: bool = False
    is_discard: bool = False
    sidedata: dict[str, bytes] = field(default_factory=dict)

    def has_sidedata(self, name: str) -> bool:
        return name in self.sidedata

    def get_sidedata(self, name: str) -> bytes:
        return self.sidedata[name]

    def iter_sidedata(self) -> Iterator[bytes]:
        if "of a kind that PyAV does not know" in self.sidedata:
            raise IndexError
        return iter(self.sidedata.values())


def test_side_data_of_an_unknown_kind_hides_no_other() -> None:
    packet = FakePacket(0, sidedata={"of a kind that PyAV does not know": b"", "encryption_info": b""})
    assert compute_times([packet]).encrypted_packets == 1


def make_skipping_packet(samples: int, pts: int = 0) -> FakePacket:
    return FakePacket(pts, sidedata={"skip_samples": struct.pack("<IIBB", samples, 0, 0, 0)})


def count_packets(packets: list[FakePacket], is_audio: bool = False, gap: float = 2.0) -> PacketStats:
    stats = PacketStats("1/1000", 0.001, gap, is_audio)
    for packet in packets:
        stats.add(packet)  # type: ignore[arg-type]
    return stats


def compute_times(packets: list[FakePacket], **how: Any) -> TrackTimes:
    return count_packets(packets, **how).finish()


def test_a_track_lasts_from_its_first_packet_to_the_end_of_its_last() -> None:
    found = compute_times([FakePacket(500 + 40 * n) for n in range(100)])
    assert (found.start_seconds, found.end_seconds) == pytest.approx((0.5, 4.5))
    assert found.duration_seconds == pytest.approx(4.0)
    assert (found.packets, found.gaps, found.time_base) == (100, 0, "1/1000")


def test_an_empty_track_has_no_times() -> None:
    found = compute_times([])
    assert (found.start_seconds, found.end_seconds, found.duration_seconds) == (None, None, 0.0)
    assert count_packets([]).fps is None
    assert count_packets([]).constant_rate


def test_a_last_picture_of_unknown_duration_lasts_as_long_as_the_others() -> None:
    packets = [FakePacket(40 * n, duration=0) for n in range(10)]
    assert compute_times(packets).end_seconds == pytest.approx(0.4)
    assert compute_times(packets, is_audio=True).end_seconds == pytest.approx(
        0.36
    )  # a sound's packets say how long they last


def test_a_last_packet_lasts_as_long_as_it_says() -> None:
    packets = [FakePacket(40 * n, duration=10**5) for n in range(10)]
    assert compute_times(packets).end_seconds == pytest.approx(0.36 + 100)
    assert compute_times(packets).last_start_seconds == pytest.approx(0.36)
    assert compute_times(packets, is_audio=True).end_seconds == pytest.approx(0.36 + 100)


@pytest.mark.parametrize("b_frames", [1, 3, 16])
def test_packets_in_the_order_of_decoding_are_counted_in_the_order_of_presentation(b_frames: int) -> None:
    order: list[int] = []
    for group in range(0, 200, b_frames + 1):  # each group's last picture is decoded before the others
        order += [group + b_frames, *range(group, group + b_frames)]
    stats = count_packets([FakePacket(40 * n) for n in order])
    found = stats.finish()
    assert (found.start_seconds, found.gaps) == (0.0, 0)
    assert found.end_seconds == pytest.approx(len(order) * 0.04)
    assert stats.constant_rate
    assert stats.fps == pytest.approx(25)


@pytest.mark.parametrize("seed", range(4))
def test_pictures_that_wait_for_others_in_the_decoder_are_put_in_order(seed: int) -> None:
    random, moments = Random(seed), [700_000 + 40 * number for number in range(240)]
    for place in range(0, 240, 24):
        part = moments[place : place + 24]
        random.shuffle(part)
        moments[place : place + 24] = part
    stats = count_packets([FakePacket(moment) for moment in moments], gap=0.05)
    found = stats.finish()
    assert (found.start_seconds, found.end_seconds) == (pytest.approx(700), pytest.approx(709.6))
    assert (found.gaps, stats.constant_rate, stats.fps) == (0, True, pytest.approx(25))


@given(st.lists(st.integers(1, 400), min_size=1, max_size=60), st.integers(-5000, 10**9))
def test_rate_and_steadiness_are_those_of_the_steps(steps: list[int], start: int) -> None:
    stats = count_packets([FakePacket(start + sum(steps[:n])) for n in range(len(steps) + 1)])
    found = stats.finish()
    assert found.start_seconds == pytest.approx(start / 1000)
    assert stats.fps == pytest.approx(1000 * len(steps) / sum(steps))
    assert stats.constant_rate == (max(steps) - min(steps) <= 1)
    assert found.gaps == 0


@pytest.mark.parametrize(
    ("step_ms", "constant"), [((41, 42), True), ((33, 34), True), ((40, 42), False), ((33, 67), False)]
)
def test_a_rate_is_constant_as_far_as_a_container_of_milliseconds_can_tell(
    step_ms: tuple[int, int], constant: bool
) -> None:
    stats = count_packets([FakePacket(sum(step_ms) * (n // 2) + step_ms[0] * (n % 2)) for n in range(50)])
    stats.finish()
    assert stats.constant_rate == constant


def test_a_hole_between_pictures_is_a_gap_from_one_to_the_next() -> None:
    packets = (
        [FakePacket(40 * n) for n in range(25)] + [FakePacket(5000 + 40 * n) for n in range(25)] + [FakePacket(9000)]
    )
    found = compute_times(packets)
    assert found.gaps == 2
    assert found.longest_gap_seconds == pytest.approx(5.0 - 0.96)
    assert compute_times(packets, gap=10).gaps == 0
    assert compute_times(packets, gap=10).longest_gap_seconds == 0


@pytest.mark.parametrize("step", [2500, 25_000])
def test_slides_that_all_stand_long_are_no_gaps_and_one_that_stands_much_longer_is(step: int) -> None:
    slides = [FakePacket(step * n) for n in range(20)]
    assert compute_times(slides).gaps == 0
    found = compute_times([*slides, FakePacket(step * 30)])
    assert (found.gaps, found.longest_gap_seconds) == (1, pytest.approx(11 * step / 1000))


def test_a_hole_in_sound_is_a_gap_from_the_end_of_a_packet_to_the_next() -> None:
    packets = [FakePacket(0, 1000), FakePacket(1000, 1000), FakePacket(2600, 1000), FakePacket(3700, 1000)]
    found = compute_times(packets, is_audio=True, gap=0.5)
    assert found.gaps == 1
    assert found.longest_gap_seconds == pytest.approx(0.6)


def test_a_long_packet_covers_the_shorter_ones_after_it() -> None:
    packets = [FakePacket(0, 5000), FakePacket(100, 100), FakePacket(4000, 100)]
    found = compute_times(packets, is_audio=True, gap=0.5)
    assert (found.gaps, found.end_seconds) == (0, pytest.approx(5.0))


def test_key_frames_are_counted_and_the_longest_way_between_two_is_told() -> None:
    stats = count_packets([FakePacket(40 * n, is_keyframe=n in (0, 10, 60, 70)) for n in range(100)])
    assert stats.key_frames == 4
    assert stats.longest_key_frame_distance_seconds == pytest.approx(2.0)
    once = count_packets([FakePacket(40 * n, is_keyframe=n == 0) for n in range(100)])
    assert (once.key_frames, once.longest_key_frame_distance_seconds) == (1, None)


def test_packets_that_an_edit_list_takes_out_have_no_part_in_the_times() -> None:
    packets = [FakePacket(40 * n, is_discard=n < 5 or n > 90, is_keyframe=n % 50 == 0) for n in range(100)]
    stats = count_packets(packets)
    found = stats.finish()
    assert (found.packets, found.discarded_packets) == (100, 14)
    assert (found.start_seconds, found.end_seconds) == (pytest.approx(0.2), pytest.approx(91 * 0.04))
    assert stats.fps == pytest.approx(25)
    assert stats.key_frames == 1  # that which is shown


def test_damage_encryption_and_packets_without_a_time_are_counted() -> None:
    secret = {"encryption_info": b""}
    packets = [
        FakePacket(0),
        FakePacket(None),
        FakePacket(40, is_corrupt=True),
        FakePacket(80, sidedata=secret),
        FakePacket(120),
    ]
    found = compute_times(packets)
    assert (found.packets, found.corrupt_packets, found.encrypted_packets) == (5, 1, 1)
    assert found.end_seconds == pytest.approx(0.16)


def test_the_samples_that_are_skipped_at_the_beginning_are_told() -> None:
    found = compute_times([make_skipping_packet(1024), *(FakePacket(40 * n) for n in range(1, 50))], is_audio=True)
    assert found.skipped_samples == 1024
    assert (
        compute_times([make_skipping_packet(1000), make_skipping_packet(24, 40)], is_audio=True).skipped_samples == 1024
    )
    at_the_end = [*(FakePacket(40 * n) for n in range(50)), make_skipping_packet(300, 2000)]
    assert compute_times(at_the_end, is_audio=True).skipped_samples == 0
    assert compute_times([make_skipping_packet(1024)]).skipped_samples == 0  # pictures have no samples
