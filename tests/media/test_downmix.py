"""`AudioTimeline`: channels mixed to mono by ITU-R BS.775, and each sample at its time for any frame sizes."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from talkies.core import Grid
from talkies.media import FilmResampler, ResampledAudio, probe
from talkies.media.audio_timeline import AudioTimeline

RATE = 16_000
GRID = Grid(16, RATE)
WEIGHT = {"FC": 1.0, "FL": 0.5**0.5, "FR": 0.5**0.5, "LFE": 0.0} | dict.fromkeys(("BL", "BR", "SL", "SR"), 0.5)
"""Of each loudspeaker in the mono mix (ITU-R BS.775-3, annex 4, table 2)."""


def mix_by_bs775(samples_CS: npt.NDArray[Any], channels: list[str]) -> npt.NDArray[np.float64]:
    """Return the mono mix, scaled so that full scale in all channels is full scale."""
    weights = np.array([WEIGHT[channel] for channel in channels])
    return np.asarray(weights @ samples_CS / weights.sum())


def make_frame(
    samples_CS: npt.NDArray[np.int16],
    begin_seconds: float | Fraction | None = 0.0,
    layout: str = "mono",
    rate_hz: int = RATE,
    form: str = "s16",
) -> av.AudioFrame:
    packed = np.ascontiguousarray(samples_CS.T).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(packed, format="s16", layout=layout)
    frame.sample_rate = rate_hz
    if form != "s16":
        frame = av.AudioResampler(format=form).resample(frame)[0]
    frame.time_base = Fraction(1, rate_hz)
    frame.pts = None if begin_seconds is None else round(begin_seconds * rate_hz)
    return frame


def run_timeline(
    frames: Iterable[av.AudioFrame], samples: int = 0, origin: Fraction = Fraction(0), end_to_end: bool = False
) -> npt.NDArray[np.int16]:
    timeline = AudioTimeline(GRID, end_to_end)
    timeline.origin = origin
    parts = [part for frame in frames for part in timeline.push(frame)]
    return np.concatenate([*parts, *timeline.flush(samples), np.zeros(0, np.int16)])


def make_noise(channels: int, samples: int = 3200, seed: int = 0) -> npt.NDArray[np.int16]:
    return np.random.default_rng(seed).integers(-32_768, 32_768, (channels, samples)).astype(np.int16)


@pytest.mark.parametrize("form", ["s16", "fltp", "s32"])
@pytest.mark.parametrize(
    ("layout", "channels"),
    [
        ("mono", ["FC"]),
        ("stereo", ["FL", "FR"]),
        ("2.1", ["FL", "FR", "LFE"]),
        ("3.0", ["FL", "FR", "FC"]),
        ("quad", ["FL", "FR", "BL", "BR"]),
        ("5.0", ["FL", "FR", "FC", "BL", "BR"]),
        ("5.1", ["FL", "FR", "FC", "LFE", "BL", "BR"]),
        ("5.1(side)", ["FL", "FR", "FC", "LFE", "SL", "SR"]),
        ("7.1", ["FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"]),
    ],
)
def test_channels_are_mixed_by_the_coefficients_of_the_standard(layout: str, channels: list[str], form: str) -> None:
    samples = make_noise(len(channels))
    mono = run_timeline([make_frame(samples, layout=layout, form=form)])
    assert np.abs(mono - mix_by_bs775(samples, channels)).max() <= 3


@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1", "7.1"])
@pytest.mark.parametrize("level", [32_767, -32_768])
def test_full_scale_in_every_channel_does_not_clip(layout: str, level: int) -> None:
    loud = np.full((av.AudioLayout(layout).nb_channels, 1600), level, np.int16)
    mono = run_timeline([make_frame(loud, layout=layout, form="fltp")]).astype(int)
    assert (np.abs(mono - level) <= 8).all()


def test_speech_in_the_centre_is_louder_than_in_a_surround_and_the_sub_is_not_heard() -> None:
    level = {}
    for number, channel in enumerate(["FL", "FR", "FC", "LFE", "BL", "BR"]):
        samples = np.zeros((6, 1600), np.int16)
        samples[number] = 10_000
        level[channel] = run_timeline([make_frame(samples, layout="5.1")]).max()
    assert level["FC"] == pytest.approx(10_000 / 3.4142, abs=3)
    assert level["FL"] == level["FR"] == pytest.approx(7071 / 3.4142, abs=3)
    assert level["BL"] == level["BR"] == pytest.approx(5000 / 3.4142, abs=3)
    assert level["LFE"] == 0


@pytest.mark.parametrize("form", ["s16", "fltp"])
@pytest.mark.parametrize(("layout", "count"), [("9 channels", 9), ("20 channels", 20), ("64 channels", 64)])
def test_channels_that_nobody_knows_count_alike(layout: str, count: int, form: str) -> None:
    samples = make_noise(count)
    mono = run_timeline(
        [make_frame(samples[:, :1600], 0, layout, form=form), make_frame(samples[:, 1600:], 0.1, layout)]
    )
    assert np.abs(mono - samples.mean(axis=0)).max() <= 2


@pytest.mark.parametrize(("layout", "count"), [("ambisonic 1", 4), ("ambisonic 2", 9)])
def test_of_ambisonic_sound_the_first_channel_is_heard_which_is_all_around(layout: str, count: int) -> None:
    samples = make_noise(count)
    assert np.array_equal(run_timeline([make_frame(samples, layout=layout)]), samples[0])


@pytest.mark.parametrize(("channels", "layout"), [(2, "2 channels"), (6, "6 channels"), (1, "1 channels")])
def test_a_count_of_channels_without_names_is_taken_for_the_usual_layout(channels: int, layout: str) -> None:
    names = {1: ["FC"], 2: ["FL", "FR"], 6: ["FL", "FR", "FC", "LFE", "BL", "BR"]}[channels]
    samples = make_noise(channels)
    assert np.abs(run_timeline([make_frame(samples, layout=layout)]) - mix_by_bs775(samples, names)).max() <= 3


@given(
    st.lists(st.tuples(st.integers(1, 3000), st.integers(-2000, 9000)), min_size=1, max_size=12),
    st.integers(-4000, 4000),
)
def test_every_sample_lands_at_its_time_or_where_the_one_before_ended(
    runs: list[tuple[int, int]], origin_samples: int
) -> None:
    """Frames of any length, each a hole or an overlap of at least 61 ms away from the last.

    Where the step from one timestamp to the next happens to be the length of the second frame, it may be that of ends.
    """
    holes = [step + 1000 if step > 0 else step - 1000 for _, step in runs]
    steps = [length + hole for (length, _), hole in zip(runs, holes[1:], strict=False)]
    assume(all(abs(step - length) > RATE // 500 for step, (length, _) in zip(steps, runs[1:], strict=True)))
    expected = np.zeros(200_000, np.int16)
    frames, end, given_until = [], 0, origin_samples
    for number, (length, step) in enumerate(runs):
        begin = end + (step + 1000 if step > 0 else step - 1000) if number else 0
        samples = make_noise(1, length, number)[0]
        frames.append(make_frame(samples[None], Fraction(begin, RATE)))
        fresh = max(0, given_until - begin)  # what was heard already is not heard again
        if fresh < length:
            expected[begin + fresh - origin_samples : begin + length - origin_samples] = samples[fresh:]
            given_until = begin + length
        end = begin + length
    mono = run_timeline(frames, 100_000, Fraction(origin_samples, RATE))
    assert np.array_equal(mono[:100_000], expected[:100_000])


def test_a_format_that_changes_on_the_way_makes_no_hole() -> None:
    first, second, third = make_noise(2, 1600, 1), make_noise(6, 3200, 2), make_noise(1, 1600, 3)
    frames = [
        make_frame(first, 0, "stereo"),
        make_frame(second, Fraction(1, 10), "5.1", form="fltp"),
        make_frame(third, Fraction(3, 10), "mono"),
    ]
    expected = [
        mix_by_bs775(first, ["FL", "FR"]),
        mix_by_bs775(second, ["FL", "FR", "FC", "LFE", "BL", "BR"]),
        third[0],
    ]
    assert np.abs(run_timeline(frames) - np.concatenate(expected)).max() <= 3


def test_a_rate_that_changes_on_the_way_keeps_the_time() -> None:
    clicks = np.zeros((1, 48_000), np.int16)
    clicks[0, 24_000] = 30_000
    frames = [make_frame(clicks, 0, rate_hz=48_000), make_frame(clicks[:, 1:], 1, rate_hz=48_000)]
    frames += [make_frame(clicks[:, 8000:40_000], 2, rate_hz=32_000)]
    mono = np.abs(run_timeline(frames, 48_000).astype(int))
    places = [int(np.argmax(mono[second * RATE : (second + 1) * RATE])) for second in range(3)]
    assert places == pytest.approx([8000, 8000, 8000], abs=1)


def test_silence_of_hours_is_given_a_second_at_a_time() -> None:
    timeline = AudioTimeline(GRID)
    timeline.origin = Fraction(0)
    frames = [make_frame(make_noise(1, 100), 0), make_frame(make_noise(1, 100), 7200)]
    lengths = [len(part) for frame in frames for part in timeline.push(frame)] + [
        len(p) for p in timeline.flush(9000 * RATE)
    ]
    assert max(lengths) == RATE
    assert sum(lengths) == 9000 * RATE
    assert timeline.gaps == 1


def test_silence_of_hours_reaches_the_film_a_second_at_a_time(tmp_path: Path, reel: Any) -> None:
    picture = np.zeros((16, 16, 3), np.uint8)
    film = reel(tmp_path / "film.mkv").pictures([picture] * 400, range(0, 4000, 10), 1, "ffv1")
    path = film.sound(make_noise(1)).write()
    lengths = [
        len(part.samples_S) for part in FilmResampler(path, probe(path), GRID, 16) if isinstance(part, ResampledAudio)
    ]
    assert max(lengths) <= 2 * RATE
    assert sum(lengths) == pytest.approx(4000 * RATE, rel=0.01)


def test_before_the_origin_is_known_nothing_is_given_and_nothing_is_lost() -> None:
    timeline, samples = AudioTimeline(GRID), make_noise(1)
    assert list(timeline.push(make_frame(samples, 2))) == []
    timeline.origin = Fraction(2)
    parts = list(timeline.push(make_frame(samples, Fraction(22, 10))))
    assert np.array_equal(np.concatenate([*parts, *timeline.flush(0)]), np.concatenate([samples[0], samples[0]]))


def test_of_a_sound_whose_clock_is_broken_only_the_first_time_is_believed() -> None:
    parts = [make_noise(1, 1600, seed) for seed in range(4)]
    broken = [make_frame(part, moment) for part, moment in zip(parts, (0.5, 0.5, None, 90), strict=True)]
    expected = np.concatenate([np.zeros(8000, np.int16), *(part[0] for part in parts)])
    assert np.array_equal(run_timeline(broken, end_to_end=True), expected)
    assert len(run_timeline(broken[:2])) == 8000 + 1600  # else the overlap is cut


def test_frames_without_times_go_on_where_the_last_ended() -> None:
    parts = [make_noise(1, 1600, seed) for seed in range(3)]
    frames = [make_frame(parts[0], 1), make_frame(parts[1], None), make_frame(parts[2], None)]
    assert np.array_equal(run_timeline(frames)[RATE:], np.concatenate([part[0] for part in parts]))
    assert np.array_equal(run_timeline([make_frame(parts[0], None)]), parts[0][0])


@pytest.mark.real_data
def test_a_real_film_in_surround_is_mixed_by_the_standard(real_data: Path) -> None:
    path, seconds = real_data / "films" / "big_buck_bunny_30s_5.1.mp4", 4
    channels = []
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.audio[0]):
            assert frame.layout.name == "5.1"
            channels.append(frame.to_ndarray())
            if frame.time and frame.time > seconds + 1:
                break
        first: Any = container.streams.audio[0].start_time or 0
    expected = 32_768 * mix_by_bs775(np.concatenate(channels, axis=1), ["FL", "FR", "FC", "LFE", "BL", "BR"])
    pieces: list[npt.NDArray[np.int16]] = []
    for part in FilmResampler(path, probe(path), Grid(16, 48_000), 64):
        pieces += [part.samples_S] if isinstance(part, ResampledAudio) else []
        if sum(map(len, pieces)) > seconds * 48_000:
            break
    shown = np.concatenate(pieces)[: seconds * 48_000].astype(float)
    assert first == 0
    assert np.abs(shown).max() > 100  # it begins quietly, but it is no silence
    assert np.abs(shown - expected[: len(shown)]).max() <= 2
