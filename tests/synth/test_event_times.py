"""Picture and sound of an event coincide in the rendered and decoded file."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from talkies.synth import CONCEPTS, FilmScript, SynthConfig, generate_script, render_film, render_sync_film

CONFIG = SynthConfig(seconds=12.0, width=96, height=64, concepts_per_film=1, mark_strength=0.0)
ONSET_STEP_SECONDS = 0.005  # an onset is known to this


def find_film(name: str) -> FilmScript:
    number = next(n for n, concept in enumerate(CONCEPTS) if concept.name == name)
    scripts = (generate_script("a", seed, CONFIG) for seed in range(999))
    return next(script for script in scripts if script.shots[0].concept == number)


def measure_brightness(path: Path) -> npt.NDArray[np.float64]:
    """Return the mean luma of the brightest fiftieth of each picture."""
    with av.open(str(path)) as container:
        frames = container.decode(container.streams.video[0])
        lumas = [np.sort(frame.to_ndarray()[: frame.height], axis=None) for frame in frames]
    return np.array([luma[-len(luma) // 50 :].mean() for luma in lumas])


def decode_sound(path: Path) -> npt.NDArray[np.float32]:
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(container.streams.audio[0])])


def find_onset_seconds(sound: npt.NDArray[np.float32], begin: float, end: float, rate_hz: int) -> float:
    """Return where between two times the loudness of one step grows the most over the step before."""
    step = round(ONSET_STEP_SECONDS * rate_hz)
    part = sound[int(begin * rate_hz) : int(end * rate_hz)]
    loudness = np.sqrt(np.square(part[: len(part) // step * step].reshape(-1, step)).mean(axis=1))
    return begin + (int(np.argmax(np.diff(loudness))) + 1) * step / rate_hz


@pytest.mark.parametrize("name", ["slow-flash-bell", "fast-flash-bell"])
def test_a_flash_and_its_bell_coincide_within_a_frame_at_every_event(name: str, tmp_path: Path) -> None:
    script, path = find_film(name), tmp_path / "film.mp4"
    render_film(path, script)
    brightness, sound = measure_brightness(path), decode_sound(path)
    measured = 0
    for shot in script.shots:
        reach = shot.period_seconds * 0.4
        for event in shot.event_seconds:
            if not shot.start_frame / 24 + reach <= event <= shot.end_frame / 24 - reach:
                continue  # a cut nearby is brighter, or louder, than any event
            first, last = int((event - reach) * 24), int((event + reach) * 24)
            flash = (first + int(np.argmax(brightness[first : last + 1]))) / 24
            bell = find_onset_seconds(sound, event - reach, event + reach, CONFIG.audio_rate_hz)
            assert abs(bell - event) < 0.01
            assert -1e-6 <= flash - event < 1 / 24
            assert abs(flash - bell) < 1 / 24 + ONSET_STEP_SECONDS
            measured += 1
    assert measured >= 8


@pytest.mark.parametrize("fps", [24, 30])
def test_the_sync_film_flashes_and_beeps_exactly_when_it_is_told(tmp_path: Path, fps: int) -> None:
    path, events = tmp_path / "film.mp4", (Fraction(1, 2), Fraction(2), Fraction(9, 2))
    render_sync_film(path, 6, events, fps)
    lit = measure_brightness(path) > 128
    loud = np.abs(decode_sound(path)) > 0.05
    assert len(lit) == 6 * fps
    expected = {frame for e in events for frame in range(round(e * fps), -int(-(e + Fraction(1, 8)) * fps // 1))}
    assert set(np.nonzero(lit)[0].tolist()) == expected
    for event in events:
        begin = round(event * 48_000)
        onset = int(np.argmax(loud[begin - 4800 :])) - 4800
        assert abs(onset) <= 24  # half a millisecond
        assert not loud[begin + 6000 + 240 : begin + 12_000].any()
