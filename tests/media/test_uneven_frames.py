"""Frames of uneven length, with gaps, lost packets and drift: where the file's own times put them."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate, cycle, islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from talkies.core import Grid
from talkies.media import FilmResampler, ResampledAudio, decode_file, probe
from talkies.media.audio_timeline import AudioTimeline

RATE_HZ = 16_000
GRID = Grid(16, RATE_HZ)
MAX_SMOOTHED_ERROR_SECONDS = 0.005

BLOCKS = {
    "vorbis": [43] * 5 + [192] + [341] * 9 + [192],  # short, long, and those between
    "ntsc": [534, 534, 534, 533, 534],
    "one-in-many": [320] * 30 + [80],
    "random": [int(n) for n in np.random.default_rng(3).integers(16, 1600, 40)],
}
"""Lengths of frames in samples, repeated."""


def make_frame(value: int, samples: int, stamp: Fraction, ticks: int) -> av.AudioFrame:
    """Return a frame whose samples are all its own number, with a timestamp in whole ticks."""
    frame = av.AudioFrame.from_ndarray(np.full((1, samples), value, np.int16), format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, round(stamp * ticks), Fraction(1, ticks)
    return frame


def place_frames(lengths: Sequence[int], stamps: Sequence[Fraction], ticks: int) -> npt.NDArray[np.int16]:
    timeline = AudioTimeline(GRID)
    timeline.origin = Fraction(0)
    parts: list[npt.NDArray[np.int16]] = []
    for number, (samples, stamp) in enumerate(zip(lengths, stamps, strict=True), 1):
        parts += timeline.push(make_frame(number, samples, stamp, ticks))
    return np.concatenate([*parts, *timeline.flush(0)])


def measure_errors(
    heard_S: npt.NDArray[np.int16], lengths: Sequence[int], stamps: Sequence[Fraction]
) -> npt.NDArray[np.float64]:
    """Return for each sample, smoothed over a second, how much later it is than the timestamps say, in seconds."""
    errors: list[npt.NDArray[np.float64]] = []
    for number, (samples, stamp) in enumerate(zip(lengths, stamps, strict=True), 1):
        places = np.flatnonzero(heard_S == number)
        if len(places):  # the last samples are there, wherever an overlap cut the first
            start = (int(places[-1]) + 1 - samples) / RATE_HZ
            errors.append(np.full(samples, start - float(stamp)))
    padded = np.concatenate([np.zeros(RATE_HZ), *errors, np.zeros(RATE_HZ)])
    sums = np.cumsum(padded)
    return np.asarray((sums[RATE_HZ:] - sums[:-RATE_HZ]) / RATE_HZ)


@given(
    blocks=st.sampled_from(sorted(BLOCKS)),
    first=st.integers(0, 39),
    gaps=st.lists(st.tuples(st.floats(1.2, 3.0), st.floats(0.001, 0.12)), min_size=1, max_size=6),
    offset=st.floats(0, 2),
    ticks=st.sampled_from([1000, 16_000, 90_000]),
)
def test_gaps_of_any_length_are_where_the_file_has_them(
    blocks: str, first: int, gaps: list[tuple[float, float]], offset: float, ticks: int
) -> None:
    total = sum(distance for distance, _ in gaps) + 2
    lengths, stamps = [], []
    clock, until_gap, left = Fraction(offset), gaps[0][0], list(gaps)
    for samples in islice(cycle(BLOCKS[blocks]), first, None):
        lengths.append(samples)
        stamps.append(clock)
        clock += Fraction(samples, RATE_HZ)
        until_gap -= samples / RATE_HZ
        if left and until_gap <= 0:
            clock += Fraction(left.pop(0)[1])
            until_gap = left[0][0] if left else 1e9
        if sum(lengths) > total * RATE_HZ:
            break
    heard_S = place_frames(lengths, stamps, ticks)
    assert abs(measure_errors(heard_S, lengths, stamps)).max() <= MAX_SMOOTHED_ERROR_SECONDS


@given(blocks=st.sampled_from(sorted(BLOCKS)), lost=st.lists(st.integers(1, 5), min_size=1, max_size=5, unique=True))
def test_lost_frames_leave_a_hole_of_their_length(blocks: str, lost: list[int]) -> None:
    lengths = list(islice(cycle(BLOCKS[blocks]), 400))
    stamps = [Fraction(end - samples, RATE_HZ) for end, samples in zip(accumulate(lengths), lengths, strict=True)]
    holes = {number * 64 + number for number in lost}  # after the first frame of another length
    kept = [number for number in range(400) if number not in holes]
    heard_S = place_frames([lengths[n] for n in kept], [stamps[n] for n in kept], 1000)
    errors = measure_errors(heard_S, [lengths[n] for n in kept], [stamps[n] for n in kept])
    assert abs(errors).max() <= MAX_SMOOTHED_ERROR_SECONDS


@pytest.mark.parametrize("pace", [Fraction(1002, 1000), Fraction(998, 1000)], ids=["slow", "fast"])
@pytest.mark.parametrize("blocks", sorted(BLOCKS))
def test_drift_is_followed(blocks: str, pace: Fraction) -> None:
    lengths = list(islice(cycle(BLOCKS[blocks]), 1500))
    starts = [end - samples for end, samples in zip(accumulate(lengths), lengths, strict=True)]
    stamps = [pace * Fraction(start, RATE_HZ) for start in starts]
    heard_S = place_frames(lengths, stamps, 1000)
    assert abs(measure_errors(heard_S, lengths, stamps)).max() <= MAX_SMOOTHED_ERROR_SECONDS


@given(
    blocks=st.sampled_from(["vorbis", "one-in-many"]),
    first=st.integers(0, 15),
    gap_seconds=st.sampled_from([0.0, 0.03, 0.045, 0.3]),
)
def test_where_ends_are_stored_as_starts_only_the_gap_is_a_gap(blocks: str, first: int, gap_seconds: float) -> None:
    lengths = list(islice(cycle(BLOCKS[blocks]), first, first + 200))
    ends = list(accumulate(lengths))
    stamps = [Fraction(end - lengths[0], RATE_HZ) + (n >= 100) * Fraction(gap_seconds) for n, end in enumerate(ends)]
    heard_S = place_frames(lengths, stamps, 1000)
    silence = round(gap_seconds * RATE_HZ)
    expected_S = np.repeat(np.arange(1, 201, dtype=np.int16), lengths)
    before = sum(lengths[:100])
    assert np.array_equal(heard_S[:before], expected_S[:before])
    found = int(np.argmax(heard_S == 101)) - before
    assert abs(found - silence) <= 0.0016 * RATE_HZ
    assert np.array_equal(heard_S[before + found :], expected_S[before:])


@given(first=st.integers(0, 15))
def test_single_late_timestamps_change_nothing(first: int) -> None:
    """As in Ogg, where FFmpeg stamps the first packet of some pages as if its start were its end."""
    lengths = list(islice(cycle(BLOCKS["vorbis"]), first, first + 300))
    ends = list(accumulate(lengths))
    late = [samples == 192 and n > 0 and lengths[n - 1] == 43 for n, samples in enumerate(lengths)]
    starts = [end - samples + 149 * wrong for end, samples, wrong in zip(ends, lengths, late, strict=True)]
    heard_S = place_frames(lengths, [Fraction(start, RATE_HZ) for start in starts], 48_000)
    assert np.array_equal(heard_S, np.repeat(np.arange(1, 301, dtype=np.int16), lengths))


def test_a_first_frame_that_is_cut_does_not_make_the_others_uneven() -> None:
    """As in MP4, whose first frame of AAC is cut by what the encoder put before it."""
    lengths, packet = [200] + [320] * 299, Fraction(320, RATE_HZ)
    stamps = [Fraction(0), *(Fraction(200, RATE_HZ) + n * packet for n in range(299))]
    shifted = [stamp + Fraction(3, 100) * (n >= 100) for n, stamp in enumerate(stamps)]
    heard_S = place_frames(lengths, shifted, 1000)
    assert abs(int(np.argmax(heard_S == 101)) - float(shifted[100]) * RATE_HZ) <= 0.001 * RATE_HZ


def make_film(path: Path, codec: str, lost: set[int], rate_hz: int = 48_000) -> list[float]:
    """Write ten seconds with a click each 0.7 s, without some packets of sound; return the clicks that are left."""
    clicks = np.arange(0.35, 9.9, 0.7)
    sound_S = np.zeros(10 * rate_hz)
    for click in clicks:
        start = round(click * rate_hz)
        sound_S[start : start + rate_hz // 50] = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(rate_hz // 50) / rate_hz)
    samples_S = (32_767 * sound_S).astype(np.int16)

    kept: list[float] = []
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
        audio: Any = container.add_stream(codec, rate=rate_hz, layout="mono")
        for number in range(250):
            picture: Any = np.full((32, 32, 3), number, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))
        packets = encode(audio, samples_S, rate_hz)
        for number, packet in enumerate(packets):
            if number not in lost:
                kept.append(float(packet.pts * packet.time_base))
                container.mux(packet)
        missing = [float(packets[number].pts * packets[number].time_base) for number in lost]
    return [float(click) for click in clicks if all(abs(click - time) > 0.15 for time in missing)]


def encode(stream: Any, samples_S: npt.NDArray[np.int16], rate_hz: int) -> list[Any]:
    """Return the packets of NTSC's uneven blocks; a codec with frames of its own makes its own lengths of them."""
    resampler = av.AudioResampler(stream.format, "mono", rate_hz, stream.codec_context.frame_size or None)
    frames: list[Any] = []
    start = 0
    for samples in cycle([1601, 1602, 1601, 1602, 1602]):
        part_1S: Any = np.ascontiguousarray(samples_S[None, start : start + samples])
        if not part_1S.size:
            break
        frame = av.AudioFrame.from_ndarray(part_1S, format="s16", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = rate_hz, Fraction(1, rate_hz), start
        frames += resampler.resample(frame)
        start += samples
    frames += resampler.resample(None)
    return [packet for frame in [*frames, None] for packet in stream.encode(frame)]


def find_clicks(samples_S: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
    loud = np.flatnonzero(np.abs(samples_S.astype(int)) > 4000) / RATE_HZ
    return np.asarray(loud[np.diff(loud, prepend=-1) > 0.3])


def read_sound(path: Path) -> npt.NDArray[np.int16]:
    parts = FilmResampler(path, probe(path), GRID, 32)
    return np.concatenate([part.samples_S for part in parts if isinstance(part, ResampledAudio)])


@pytest.mark.parametrize(
    ("name", "codec", "lost"),
    [
        ("ntsc.mkv", "pcm_s16le", {50, 150, 200}),
        ("ntsc.mov", "pcm_s16le", set()),
        ("ntsc.avi", "pcm_s16le", set()),
        ("flac.mkv", "flac", {30, 31}),
        ("aac.mkv", "aac", {100, 101, 102, 250, 251}),
        ("opus.mkv", "libopus", {100, 250, 251}),
    ],
)
def test_the_clicks_of_a_film_with_lost_packets_are_in_time(
    tmp_path: Path, name: str, codec: str, lost: set[int]
) -> None:
    path = tmp_path / name
    clicks = make_film(path, codec, lost)
    assert len(clicks) >= 9
    with av.open(str(path)) as container:
        first: Any = container.streams.audio[0].start_time or 0
    for heard_S in (read_sound(path), decode_file(path, "audio", GRID, 32).audio_S):
        assert heard_S is not None
        found = find_clicks(heard_S)
        assert [click for click in clicks if min(abs(found - click)) > MAX_SMOOTHED_ERROR_SECONDS] == []
    assert first == 0


@pytest.mark.real_data
def test_lost_packets_of_real_vorbis_move_nothing_after_them(real_data: Path, tmp_path: Path) -> None:
    """A file whose timestamps are ends: holes of 23 to 70 ms, and the sound after them is where it is in the whole."""
    whole, holed = real_data / "films" / "tears_of_steel_excerpt.webm", tmp_path / "holed.webm"
    lost = {600, 1000, 1001, 1400, 1401, 1402, 2000}
    ends: list[float] = []
    with av.open(str(whole)) as source, av.open(str(holed), "w") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        number = 0
        for packet in source.demux():
            if packet.dts is None:
                continue
            is_audio = packet.stream.type == "audio"
            number += is_audio
            if is_audio and number in lost:
                ends.append(float(packet.pts * packet.time_base))
                continue
            packet.stream = streams[packet.stream.index]
            target.mux(packet)

    first_S, second_S = (decode_file(path, "audio", GRID, 32).audio_S for path in (whole, holed))
    assert first_S is not None
    assert second_S is not None
    first_S, second_S = first_S / 1.0, second_S / 1.0
    for end in ends:
        start = round((end + 0.25) * RATE_HZ)
        part_S = first_S[start : start + RATE_HZ // 2]
        lags = range(-480, 481)
        matches = [np.dot(part_S, second_S[start + lag : start + lag + len(part_S)]) for lag in lags]
        assert abs(lags[int(np.argmax(matches))]) <= MAX_SMOOTHED_ERROR_SECONDS * RATE_HZ


@given(
    st.lists(
        st.tuples(
            st.sampled_from([8_000, 44_100, 48_000, 11_025]), st.integers(1, 40), st.sampled_from([16, 63, 1024])
        ),
        min_size=1,
        max_size=4,
        unique_by=lambda part: part[0],
    ),
    st.sampled_from([1, 90_000, 44_100, 1_000_000]),
)
@settings(max_examples=15)
def test_times_are_exact_whatever_rates_and_time_bases_follow_one_another(
    parts: list[tuple[int, int, int]], first_ticks: int
) -> None:
    """Each part has a rate of its own, and the time base of it; the first frame's is another."""
    timeline, end = AudioTimeline(GRID), Fraction(7)
    timeline.origin = Fraction(0)
    for number, (rate_hz, frames, samples) in enumerate(parts):
        for place in range(frames):
            frame = make_frame(1, samples, Fraction(0), 1)
            ticks = rate_hz if number else first_ticks
            frame.sample_rate, frame.time_base = rate_hz, Fraction(1, ticks)
            frame.pts = None if number or place else 7 * ticks  # the others continue the one before
            list(timeline.push(frame))
            end += Fraction(samples, rate_hz)
            assert timeline.end == end
    assert (timeline.start, timeline.decoded_seconds, timeline.gaps) == (7, end - 7, 0)
