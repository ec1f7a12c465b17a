"""Sound that a mono mix of all channels would lose: channels that cancel, and channels without a place in the mix."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from talkies.core import Grid, Span
from talkies.media import FilmResampler, OriginalReader, ResampledAudio, ResampleReport, decode_file, probe
from talkies.media.audio_timeline import AudioTimeline
from talkies.media.downmix import find_mix

RATE_HZ = 16_000
GRID = Grid(16, RATE_HZ)
NAMED = ["2.1", "3.0", "quad", "5.0", "5.1", "5.1(side)", "6.1", "7.1", "7.1(wide)", "5.1.2", "5.1.4", "7.1.4", "22.2"]
Samples = npt.NDArray[np.int16]


def make_noise(seconds: float, level: float = 8000, seed: int = 0) -> npt.NDArray[np.float64]:
    noise_S = np.random.default_rng(seed).normal(0, level, round(seconds * RATE_HZ))
    return np.asarray(noise_S.clip(-25_000, 25_000))


def to_frames(samples_CS: npt.NDArray[Any], layout: str, samples: int = 1024) -> list[av.AudioFrame]:
    packed_SC: Any = np.ascontiguousarray(np.clip(samples_CS, -32_768, 32_767).T.astype(np.int16))
    frames = []
    for start in range(0, len(packed_SC), samples):
        frame = av.AudioFrame.from_ndarray(packed_SC[start : start + samples].reshape(1, -1), "s16", layout)
        frame.sample_rate, frame.time_base, frame.pts = RATE_HZ, Fraction(1, RATE_HZ), start
        frames.append(frame)
    return frames


def mix(
    samples_CS: npt.NDArray[Any], layout: str, channels: tuple[int, ...] = (), samples: int = 1024
) -> tuple[Samples, AudioTimeline]:
    """Return the mono samples, and the timeline that made them."""
    timeline = AudioTimeline(GRID, channels=channels)
    timeline.origin = Fraction(0)
    parts = [part for frame in to_frames(samples_CS, layout, samples) for part in timeline.push(frame)]
    return np.concatenate([*parts, *timeline.flush(0)]), timeline


def mix_film(samples_CS: npt.NDArray[Any], layout: str) -> tuple[Samples, tuple[int, ...], float]:
    """Return the samples as ingest makes them, the channels that it uses throughout, and the seconds lost in them."""
    mono_S, timeline = mix(samples_CS, layout)
    channels = timeline.dominant_channels
    if channels:
        mono_S, timeline = mix(samples_CS, layout, channels)
    return mono_S, channels, timeline.lost_seconds


def mix_by_ffmpeg(samples_CS: npt.NDArray[Any], layout: str) -> Samples:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
    parts = [part for frame in [*to_frames(samples_CS, layout), None] for part in resampler.resample(frame)]
    return np.concatenate([part.to_ndarray().reshape(-1) for part in parts]).astype(np.int16)


@given(layout=st.sampled_from(["stereo", "5.1", "7.1"]), share=st.floats(0, 1), seed=st.integers(0, 9))
def test_a_mix_that_keeps_the_sound_is_ffmpegs_bit_for_bit(layout: str, share: float, seed: int) -> None:
    """Channels that share something, from nothing to all of it."""
    count = av.AudioLayout(layout).nb_channels
    common_S = make_noise(1, seed=100)
    samples_CS = np.stack([share * common_S + (1 - share) * make_noise(1, seed=seed + n) for n in range(count)])
    mono_S, timeline = mix(samples_CS, layout)
    assert np.array_equal(mono_S, mix_by_ffmpeg(samples_CS, layout))
    assert timeline.lost_seconds == 0
    assert timeline.dominant_channels == ()


@given(
    level=st.floats(0.75, 1.3), samples=st.sampled_from([160, 1024, 1601]), starts=st.sampled_from([0, 7000, 12_300])
)
def test_stereo_in_antiphase_is_its_loudest_channel(level: float, samples: int, starts: int) -> None:
    """From some sample on; before it both channels are the same."""
    sound_S = make_noise(1.25)
    right_S = np.where(np.arange(len(sound_S)) < starts, sound_S, -level * sound_S)
    mono_S, timeline = mix(np.stack([sound_S, right_S]), "stereo", samples=samples)
    after = -(-starts // 1000) * 1000 + 80  # decided for whole frames, with a fade of 5 ms
    heard_S = right_S if level**2 * 0.8 > 1 else sound_S
    assert np.abs(mono_S[after:] - np.clip(heard_S, -32_768, 32_767)[after:].astype(np.int16)).max() <= 1
    assert np.array_equal(mono_S[: starts // 1000 * 1000], sound_S.astype(np.int16)[: starts // 1000 * 1000])
    assert timeline.lost_seconds == pytest.approx((len(sound_S) - starts) / RATE_HZ, abs=1 / 16)


@given(share=st.floats(0.6, 1.0), seed=st.integers(0, 5))
def test_a_film_in_antiphase_throughout_is_one_channel_throughout(share: float, seed: int) -> None:
    """The channels also have something of their own, so that not every moment cancels."""
    common_S, own_CS = make_noise(3, seed=seed), [make_noise(3, 2500, seed + n) for n in (50, 60)]
    samples_CS = np.stack([common_S + own_CS[0], -common_S + share * own_CS[1]])
    mono_S, channels, lost = mix_film(samples_CS, "stereo")
    assert channels == (1,)
    assert lost == 0
    assert np.abs(mono_S - np.clip(samples_CS[0], -32_768, 32_767).astype(np.int16)).max() <= 1


@given(layout=st.sampled_from(["5.1", "5.1(side)", "7.1", "quad"]), centre=st.floats(0, 2), right=st.floats(0.7, 0.85))
def test_left_and_right_in_antiphase_leave_the_other_channels_in_the_mix(
    layout: str, centre: float, right: float
) -> None:
    left_S, speech_S = make_noise(2, 4000), make_noise(2, 4000, 1)
    samples_CS = np.zeros((av.AudioLayout(layout).nb_channels, len(left_S)))
    samples_CS[0], samples_CS[1], samples_CS[2] = left_S, -right * left_S, centre * speech_S
    mono_S, channels, _ = mix_film(samples_CS, layout)
    assert channels[0] == 1
    assert 2 not in channels
    for sound_S in (left_S, *([speech_S] if centre > 0.2 else [])):
        assert np.corrcoef(mono_S, sound_S)[0, 1] > 0.1


@given(channels=st.integers(9, 24), loud=st.integers(0, 23), pair=st.booleans(), hiss=st.floats(0, 5))
def test_of_channels_without_a_layout_the_loudest_or_its_pair_is_used(
    channels: int, loud: int, pair: bool, hiss: float
) -> None:
    loud %= channels
    sound_S = make_noise(1)
    samples_CS = np.stack([make_noise(1, hiss, seed + 5) if hiss else 0 * sound_S for seed in range(channels)])
    samples_CS[loud] = sound_S
    expected = {loud + 1}
    if pair and loud ^ 1 < channels:
        samples_CS[loud ^ 1] = 0.95 * sound_S
        expected |= {(loud ^ 1) + 1}
    mono_S, used, lost = mix_film(samples_CS, f"{channels} channels")
    assert set(used) == expected
    assert lost == 0
    mean_S = samples_CS[[number - 1 for number in used]].astype(np.int16).mean(axis=0)
    assert np.abs(mono_S - mean_S).max() <= 1


@given(layout=st.sampled_from(NAMED), loud=st.integers(0, 23), beeps=st.booleans())
def test_a_channel_that_sounds_alone_is_never_silent(layout: str, loud: int, beeps: bool) -> None:
    count = av.AudioLayout(layout).nb_channels
    loud %= count
    sound_S = make_noise(2, 3000)
    if beeps:
        sound_S *= np.arange(len(sound_S)) % 8000 < 3000
    samples_CS = np.zeros((count, len(sound_S)))
    samples_CS[loud] = sound_S
    mono_S, _, _ = mix_film(samples_CS, layout)
    assert np.abs(mono_S).max() >= 0.06 * np.abs(sound_S).max()
    assert np.corrcoef(mono_S, sound_S)[0, 1] > 0.95


def test_low_frequency_effects_are_heard_only_where_there_is_nothing_else_in_the_whole_film() -> None:
    samples_CS = np.zeros((6, 32_000))
    samples_CS[3] = make_noise(2)
    mono_S, channels, _ = mix_film(samples_CS, "5.1")
    assert channels == (4,)
    assert np.abs(mono_S - samples_CS[3].astype(np.int16)).max() <= 1
    samples_CS[2, 16_000:] = make_noise(1)
    mono_S, channels, lost = mix_film(samples_CS, "5.1")
    assert channels == ()
    assert lost == 0
    assert np.abs(mono_S[:15_900]).max() == 0


def test_ambisonic_sound_without_its_first_channel_is_heard() -> None:
    samples_CS = np.zeros((4, 32_000))
    samples_CS[2] = make_noise(2)
    mono_S, _, lost = mix_film(samples_CS, "ambisonic 1")
    assert np.abs(mono_S - samples_CS[2].astype(np.int16)).max() <= 1
    assert lost == 2


def test_three_channels_that_cancel_only_together_are_heard() -> None:
    sound_S = make_noise(2, 4000)
    samples_CS = np.stack([sound_S, sound_S, -sound_S * 2 * 0.5**0.5])
    mono_S, _, _ = mix_film(samples_CS, "3.0")
    assert np.abs(mono_S).max() > 0.3 * np.abs(sound_S).max()
    assert np.abs(mix_by_ffmpeg(samples_CS, "3.0")).max() < 0.01 * np.abs(sound_S).max()


@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1", "7.1", "22.2", "9 channels", "16 channels", "64 channels"])
def test_weights_sum_to_one_and_have_no_low_frequency_effects(layout: str) -> None:
    found = find_mix(layout)
    assert found.weights_C.sum() == pytest.approx(1)
    assert not found.weights_C[found.lfe_C].any()
    assert (found.audible_C >= found.weights_C).all()


# Files, by each of their readers


def write_film(path: Path, samples_CS: npt.NDArray[Any], layout: str) -> Path:
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
        audio: Any = container.add_stream("pcm_s16le", rate=RATE_HZ, layout=layout)
        for number in range(25 * samples_CS.shape[1] // RATE_HZ):
            picture: Any = np.full((32, 32, 3), number, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))
        for frame in [*to_frames(samples_CS, layout), None]:
            container.mux(audio.encode(frame))
    return path


def read_film(path: Path, channels: tuple[int, ...] = ()) -> tuple[Samples, ResampleReport]:
    resampler = FilmResampler(path, probe(path), GRID, 32, channels=channels)
    parts = [part.samples_S for part in resampler if isinstance(part, ResampledAudio)]
    return np.concatenate(parts), resampler.report


@pytest.mark.parametrize("kind", ["antiphase", "parts", "sixteen"])
def test_every_reader_of_a_file_mixes_alike(tmp_path: Path, kind: str) -> None:
    sound_S = make_noise(6)
    if kind == "sixteen":
        samples_CS, layout = np.zeros((16, len(sound_S))), "16 channels"
        samples_CS[10] = samples_CS[11] = sound_S
    else:
        right_S = np.where(np.arange(len(sound_S)) < (60_000 if kind == "parts" else 0), sound_S, -sound_S)
        samples_CS, layout = np.stack([sound_S, right_S]), "stereo"
    path = write_film(tmp_path / "film.mkv", samples_CS, layout)

    film_S, report = read_film(path)
    channels = report.dominant_channels
    if channels:
        film_S, report = read_film(path, channels)
    assert channels == {"antiphase": (1,), "parts": (), "sixteen": (11, 12)}[kind]
    assert np.abs(film_S[:4]).max() > 0
    assert np.corrcoef(film_S, sound_S[: len(film_S)])[0, 1] > 0.999

    both, alone = (decode_file(path, modalities, GRID, 32).audio_S for modalities in ("both", "audio"))
    assert both is not None
    assert alone is not None
    assert np.array_equal(both, film_S)
    assert np.array_equal(alone[: len(film_S)], film_S)
    with OriginalReader(path, probe(path), report.origin_seconds, GRID, 32, channels=channels) as original:
        _, part_S = original.read(range(70, 72), Span(64, 80))
    assert np.abs(part_S.astype(int) - film_S[64_000:80_000]).max() <= 1
