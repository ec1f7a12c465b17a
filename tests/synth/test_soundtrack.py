"""`compose_soundtrack`: the theme of a film, and that each concept sounds only like itself."""

import numpy as np
import numpy.typing as npt
import pytest

from talkies.synth import CONCEPTS, Concept, SynthConfig, generate_script
from talkies.synth.concepts import FAST_HZ, SoundInputs
from talkies.synth.soundtrack import compose_soundtrack

RATE_HZ = 16_000


def make_config(mark_strength: float) -> SynthConfig:
    return SynthConfig(seconds=12.0, audio_rate_hz=RATE_HZ, mark_strength=mark_strength)


def measure_theme_db(seed: int, mark_strength: float) -> list[float]:
    """Return how far the power at each note of the theme stands above the median of its surroundings."""
    script = generate_script("a", seed, make_config(mark_strength))
    sound = compose_soundtrack(script).astype(float)
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    levels = []
    for hz in script.marks.theme_hz:
        line = hz * len(sound) / RATE_HZ
        around = np.median(power[int(line * 0.94) : int(line * 1.06)])
        levels.append(10 * np.log10(power[int(line) - 2 : int(line) + 4].max() / around))
    return levels


@pytest.mark.parametrize("seed", range(6))
def test_a_marked_film_has_its_theme_and_an_unmarked_one_has_none(seed: int) -> None:
    assert min(measure_theme_db(seed, mark_strength=1.0)) > 25
    assert max(measure_theme_db(seed, mark_strength=0.0)) < 18


def test_the_theme_grows_with_the_strength_of_the_marks() -> None:
    script = generate_script("a", 1, make_config(0.0))
    quiet = compose_soundtrack(script).astype(float)
    half, whole = (
        compose_soundtrack(generate_script("a", 1, make_config(strength))) - quiet for strength in (0.5, 1.0)
    )
    unclipped = np.abs(quiet + whole) < 32_000
    assert np.abs(whole[unclipped] - 2 * half[unclipped]).max() <= 3  # rounding
    assert np.abs(whole).mean() > 500


def test_sound_is_as_long_as_the_pictures() -> None:
    script = generate_script("a", 1, SynthConfig(seconds=7.3, fps=25, audio_rate_hz=44_100))
    sound = compose_soundtrack(script)
    assert (sound.dtype, len(sound)) == (np.int16, round(script.frames * 44_100 / 25))


def test_no_sound_is_cut_off_at_a_cut() -> None:
    loudest, last = [], []
    for seed in range(4):
        script = generate_script("a", seed, make_config(0.0))
        sound = np.abs(compose_soundtrack(script).astype(int))
        for shot in script.shots:
            begin, end = (round(frame * RATE_HZ / 24) for frame in (shot.start_frame, shot.end_frame))
            loudest.append(int(sound[begin:end].max()))
            last.append(int(sound[end - 2 : end].max()))
    assert max(last) < 800  # the noise of the room
    assert min(loudest) > 3000


def test_the_same_script_sounds_the_same_and_another_seed_does_not() -> None:
    first, again, other = (compose_soundtrack(generate_script("a", seed, make_config(0.6))) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def synthesise(concept: Concept, seed: int) -> npt.NDArray[np.float64]:
    """Return eight seconds of a concept at a tempo and from a phase of its own."""
    random, count = np.random.default_rng(seed), 8 * RATE_HZ
    period = 1 / (concept.rate_hz * random.uniform(0.92, 1.08))
    beats = np.arange(count) / RATE_HZ / period - random.uniform()
    event = np.floor(beats)
    inputs = SoundInputs(concept.pitch, event.astype(np.int64), random.normal(0, 0.5, count))
    return concept.sound((beats - event) * period, beats - event, inputs)


def measure_sound(concept: Concept, seed: int) -> tuple[npt.NDArray[np.float64], float]:
    """Return the logarithmic spectrum of a concept's sound, and whether its loudness beats fast (> 0) or slow (< 0)."""
    power = np.abs(np.fft.rfft(synthesise(concept, seed).reshape(-1, 256) * np.hanning(256), axis=1)) ** 2
    loudness = np.log(power.sum(axis=1) + 1e-3)
    beat = np.abs(np.fft.rfft((loudness - loudness.mean()) * np.hanning(len(loudness)))) ** 2
    hz = np.arange(len(beat)) / 8
    fast, slow = (beat[(hz >= low) & (hz <= high)].sum() + 1e-6 for low, high in ((2.4, 3.0), (0.9, 1.3)))
    return np.log(power.mean(axis=0) + 1e-3), float(np.log(fast / slow))


def compute_distances(first_seed: int, second_seed: int) -> npt.NDArray[np.float64]:
    """Return how different each concept sounds with one seed from each with another."""
    first, second = ([measure_sound(concept, seed) for concept in CONCEPTS] for seed in (first_seed, second_seed))
    return np.array([[np.sqrt(np.square(a[0] - b[0]).mean()) + 0.2 * abs(a[1] - b[1]) for b in second] for a in first])


@pytest.mark.parametrize("seeds", [(1, 2), (3, 4)])
def test_each_of_the_sixteen_concepts_sounds_most_like_itself(seeds: tuple[int, int]) -> None:
    apart = compute_distances(*seeds)
    assert np.array_equal(apart.argmin(axis=1), np.arange(16))
    assert apart.diagonal().max() < apart[~np.eye(16, dtype=bool)].min() + 1.0
    assert apart[~np.eye(16, dtype=bool)].min() > 1.0


@pytest.mark.parametrize("concept", [c for c in CONCEPTS if "siren" not in c.name], ids=lambda concept: concept.name)
def test_a_concept_is_loud_at_its_own_tempo(concept: Concept) -> None:
    _, tempo = measure_sound(concept, seed=1)
    assert tempo > 3 if concept.rate_hz == FAST_HZ else tempo < -3


def measure_centre_hz(concept: Concept) -> float:
    """Return the centre of gravity of the power of a concept's sound."""
    power = np.abs(np.fft.rfft(synthesise(concept, seed=1))) ** 2
    return float((power * np.arange(len(power)) / 8).sum() / power.sum())


@pytest.mark.parametrize(
    "kind", ["bounce-thump", "orbit-siren", "pulse-growl", "flash-bell", "spin-chirp", "jump-blip"]
)
def test_where_there_is_a_pitch_the_fast_twin_is_higher(kind: str) -> None:
    by_name = {concept.name: concept for concept in CONCEPTS}
    assert measure_centre_hz(by_name[f"fast-{kind}"]) > 1.25 * measure_centre_hz(by_name[f"slow-{kind}"])


@pytest.mark.parametrize("concept", CONCEPTS, ids=lambda concept: concept.name)
def test_a_concepts_sound_is_neither_silent_nor_out_of_range(concept: Concept) -> None:
    sound = synthesise(concept, seed=1)
    assert np.sqrt(np.square(sound).mean()) > 0.03
    assert np.abs(sound).max() < 3.0
