"""Audio timestamps that are slightly off: imprecise ones change nothing, real shifts move the samples."""

from collections.abc import Iterable
from fractions import Fraction
from itertools import accumulate, cycle, islice
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from talkies.core import Grid
from talkies.media import FilmResampler, ResampledAudio, probe
from talkies.media.audio_timeline import AudioTimeline

RATE_HZ = 16_000
GRID = Grid(16, RATE_HZ)
MILLISECOND = Fraction(1, 1000)


def make_noise(count: int) -> npt.NDArray[np.int16]:
    return np.random.default_rng(0).integers(-20_000, 20_000, count).astype(np.int16)


def place_frames(frames: Iterable[tuple[npt.NDArray[np.int16], Fraction]], samples: int) -> npt.NDArray[np.int16]:
    """Return what `AudioTimeline` makes of frames of sound stamped, to a millisecond, with times."""
    timeline, parts = AudioTimeline(GRID), []
    timeline.origin = Fraction(0)
    for sound_S, seconds in frames:
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound_S[None]), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, round(seconds * 1000), MILLISECOND
        parts += list(timeline.push(frame))
    return np.concatenate([*parts, *timeline.flush(samples)])


def test_sound_lost_by_one_short_packet_is_made_up_for_within_a_second() -> None:
    packet, lost = RATE_HZ // 50, 100  # 20 ms, as in a call that was recorded
    sound_S = make_noise(300 * packet)
    parts = [(sound_S[n * packet : (n + 1) * packet], Fraction(n, 50)) for n in range(300) if n != lost]
    heard_S = place_frames(parts, len(sound_S))
    before, after = lost * packet, (lost + 52) * packet
    assert np.array_equal(heard_S[:before], sound_S[:before])
    assert np.array_equal(heard_S[after:], sound_S[after:])


@pytest.mark.parametrize("pace", [Fraction(10_001, 10_000), Fraction(9_999, 10_000)], ids=["slow", "fast"])
def test_a_clock_of_sound_that_is_not_the_pictures_is_followed_within_five_milliseconds(pace: Fraction) -> None:
    """Ten minutes in which the sound's clock goes wrong by 60 ms, with a click in the middle of each half second."""
    packet, packets = RATE_HZ // 2, 1200
    sound_S = np.zeros(packet, np.int16)
    sound_S[packet // 2] = 30_000
    heard_S = place_frames(((sound_S, n * pace / 2) for n in range(packets)), (packets + 1) * packet)
    heard = np.flatnonzero(heard_S) / RATE_HZ
    true = (np.arange(packets) + 0.5) / 2 * float(pace)
    assert len(heard) == packets
    assert 0.003 < abs(heard - true).max() <= 0.005


def test_frames_of_uneven_lengths_whose_ends_are_told_as_their_beginnings_are_one_sound() -> None:
    """As in many a WebM file: with a long frame the timestamps go 56 ms ahead, with a short one they come back."""
    lengths = list(islice(cycle([128] * 9 + [576] + [1024] * 30 + [576]), 1000))
    ends = list(accumulate(lengths))
    sound_S = make_noise(ends[-1])
    frames = ((sound_S[end - n : end], Fraction(end - 128, RATE_HZ)) for n, end in zip(lengths, ends, strict=True))
    assert np.array_equal(place_frames(frames, len(sound_S)), sound_S)


@pytest.mark.real_data
def test_the_vorbis_sound_of_a_real_film_is_one_whole(real_data: Path) -> None:
    path = real_data / "films" / "tears_of_steel_excerpt.webm"
    resampler = FilmResampler(path, probe(path), GRID, 16)
    heard_S = np.concatenate([part.samples_S for part in resampler if isinstance(part, ResampledAudio)])
    assert resampler.report.audio_gaps == 0
    late = round(0.003 * RATE_HZ)  # by its first timestamp
    decoded_S = decode_without_timestamps(path)[: len(heard_S) - late]
    assert np.array_equal(heard_S[late : late + len(decoded_S)], decoded_S)


def decode_without_timestamps(path: Path) -> npt.NDArray[np.int16]:
    resampler, parts = av.AudioResampler(format="s16", layout="mono", rate=RATE_HZ), []
    with av.open(str(path)) as container:
        for frame in [*container.decode(audio=0), None]:
            if frame is not None:
                frame.pts = None
            parts += [part.to_ndarray().reshape(-1) for part in resampler.resample(frame)]
    return np.concatenate(parts).astype(np.int16)
