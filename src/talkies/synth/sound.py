"""Make the sound of a synthetic film: the events of its shots over its theme music.

Shapes: `N` samples.
"""

import numpy as np
import numpy.typing as npt

from talkies.synth.concepts import CONCEPTS, Voice
from talkies.synth.script import FilmScript, Shot

_CONCEPT_LEVEL = 0.30
_THEME_LEVEL = 0.12
_ROOM_LEVEL = 0.004
_FADE_SECONDS = 0.01

Floats = npt.NDArray[np.float64]


def compose(script: FilmScript) -> npt.NDArray[np.int16]:
    """Return the whole sound of a film, int16 mono, as long as its pictures."""
    rate = script.config.audio_rate_hz
    random = np.random.default_rng([script.seed, 4])
    count = round(script.frames * rate / script.config.fps)
    mix = _ROOM_LEVEL * random.normal(size=count) + _THEME_LEVEL * script.config.mark_strength * _theme(script, count)
    for shot in script.shots:
        start = round(shot.start_frame * rate / script.config.fps)
        end = round(shot.end_frame * rate / script.config.fps)
        mix[start:end] += _CONCEPT_LEVEL * _events(shot, np.arange(start, end) / rate, random)
    return (np.clip(mix, -1, 1) * 32767).astype(np.int16)


def _events(shot: Shot, seconds_N: Floats, random: np.random.Generator) -> Floats:
    beats = (seconds_N - shot.first_event_seconds) / shot.period_seconds
    event = np.floor(beats)
    phase = beats - event
    concept = CONCEPTS[shot.concept]
    voice = Voice(concept.pitch, event.astype(np.int64), random.normal(0, 0.5, len(seconds_N)))
    sound = concept.voice(phase * shot.period_seconds, phase, voice)
    sound *= np.clip((seconds_N[-1] - seconds_N) / _FADE_SECONDS, 0, 1)  # no click at the cut
    return sound


def _theme(script: FilmScript, count: int) -> Floats:
    """Return the film's theme: its chord, broken over its beat, the same all through."""
    marks, rate = script.marks, script.config.audio_rate_hz
    seconds = np.arange(count) / rate
    beat = seconds / marks.theme_beat_seconds
    note = np.array(marks.theme_hz)[np.floor(beat).astype(np.int64) % len(marks.theme_hz)]
    swell = np.exp(-2.5 * (beat % 1))
    drone = sum(np.sin(2 * np.pi * hz * seconds) for hz in marks.theme_hz) / len(marks.theme_hz)
    lead = np.sin(2 * np.pi * note * 2 * seconds) + marks.theme_brightness * np.sin(2 * np.pi * note * 6 * seconds)
    return drone + swell * lead
