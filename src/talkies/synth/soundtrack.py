"""Make the sound of a synthetic film: the events of its shots over its theme music.

Shapes: `N` samples.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np

from talkies.core import Float64s, Grid, Int16s
from talkies.media import decode_file
from talkies.synth.concepts import CONCEPTS, Voice
from talkies.synth.script import FilmScript, Shot

_CONCEPT_LEVEL = 0.30
_THEME_LEVEL = 0.12
_ROOM_LEVEL = 0.004
_FADE_SECONDS = 0.01
_RECORDING_RMS = 0.3


def compose_soundtrack(script: FilmScript) -> Int16s:
    """Return the whole sound of a film, int16 mono, as long as its pictures."""
    rate = script.config.audio_rate_hz
    random = np.random.default_rng([script.seed, 4])
    count = round(script.frames * rate / script.config.fps)
    mix = _ROOM_LEVEL * random.normal(size=count) + _THEME_LEVEL * script.config.mark_strength * _theme(script, count)
    for shot in script.shots:
        start = round(shot.start_frame * rate / script.config.fps)
        end = round(shot.end_frame * rate / script.config.fps)
        seconds = np.arange(start, end) / rate
        heard = _events(shot, seconds, random) if shot.recording is None else _played(shot, rate, end - start)
        mix[start:end] += _CONCEPT_LEVEL * (heard * _faded(seconds))
    return (np.clip(mix, -1, 1) * 32767).astype(np.int16)


def _events(shot: Shot, seconds_N: Float64s, random: np.random.Generator) -> Float64s:
    beats = (seconds_N - shot.first_event_seconds) / shot.period_seconds
    event = np.floor(beats)
    phase = beats - event
    concept = CONCEPTS[shot.concept]
    voice = Voice(concept.pitch, event.astype(np.int64), random.normal(0, 0.5, len(seconds_N)))
    return concept.voice(phase * shot.period_seconds, phase, voice)


def _faded(seconds_N: Float64s) -> Float64s:
    """Return the level of a shot's sound: none at its end, so that the cut does not click."""
    level_N: Float64s = np.clip((seconds_N[-1] - seconds_N) / _FADE_SECONDS, 0, 1)
    return level_N


def _played(shot: Shot, rate_hz: int, count: int) -> Float64s:
    """Return a shot's recording, as loud as any other, from where the shot takes it up."""
    recording_N = _recording(str(shot.recording), rate_hz)
    at = int(shot.recording_at * len(recording_N))
    return np.take(recording_N, np.arange(at, at + count), mode="wrap")


@lru_cache(maxsize=256)
def _recording(path: str, rate_hz: int) -> Float64s:
    """Return the sound of a file with a root mean square of `_RECORDING_RMS`, its peaks cut."""
    samples_N = decode_file(Path(path), "audio", Grid(1, rate_hz), 0).audio_S
    assert samples_N is not None, "sound was asked for"
    sound_N = samples_N / 32768
    loudness = float(np.sqrt(np.mean(sound_N**2)))
    level_N: Float64s = np.clip(sound_N * (_RECORDING_RMS / max(loudness, 1e-4)), -1.5, 1.5)
    return level_N


def _theme(script: FilmScript, count: int) -> Float64s:
    """Return the film's theme: its chord, broken over its beat, the same all through."""
    marks, rate = script.marks, script.config.audio_rate_hz
    seconds = np.arange(count) / rate
    beat = seconds / marks.theme_beat_seconds
    note = np.array(marks.theme_hz)[np.floor(beat).astype(np.int64) % len(marks.theme_hz)]
    swell = np.exp(-2.5 * (beat % 1))
    drone = sum(np.sin(2 * np.pi * hz * seconds) for hz in marks.theme_hz) / len(marks.theme_hz)
    lead = np.sin(2 * np.pi * note * 2 * seconds) + marks.theme_brightness * np.sin(2 * np.pi * note * 6 * seconds)
    return drone + swell * lead
