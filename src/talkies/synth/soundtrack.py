"""Compose the sound of a synthetic film: the events of its shots over its theme music.

Shapes: `N` samples.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np

from talkies.core import Float64s, Grid, Int16s
from talkies.media import decode_file
from talkies.synth.concepts import CONCEPTS, SoundInputs
from talkies.synth.script import FilmScript, Shot

_CONCEPT_LEVEL = 0.30
_THEME_LEVEL = 0.12
_NOISE_LEVEL = 0.004
_FADE_SECONDS = 0.01
_RECORDING_RMS = 0.3


def compose_soundtrack(script: FilmScript) -> Int16s:
    """Return the sound of a film, int16 mono `[N]`, as long as its pictures."""
    config = script.config
    rate_hz, fps = config.audio_rate_hz, config.fps
    random = np.random.default_rng([script.seed, 4])

    # Background noise and the theme.
    count = round(script.frames * rate_hz / fps)
    mix = _NOISE_LEVEL * random.normal(size=count)
    mix = mix + _THEME_LEVEL * config.mark_strength * _compose_theme(script, count)

    # The sound of each shot.
    for shot in script.shots:
        start = round(shot.start_frame * rate_hz / fps)
        end = round(shot.end_frame * rate_hz / fps)
        seconds = np.arange(start, end) / rate_hz
        if shot.recording is None:
            sound = _synthesise_events(shot, seconds, random)
        else:
            sound = _play_recording(shot, rate_hz, end - start)
        mix[start:end] += _CONCEPT_LEVEL * (sound * _compute_fade(seconds))
    return (np.clip(mix, -1, 1) * 32767).astype(np.int16)


def _synthesise_events(shot: Shot, seconds_N: Float64s, random: np.random.Generator) -> Float64s:
    """Return the sound of a shot's concept at times in seconds of the film."""
    beats = (seconds_N - shot.first_event_seconds) / shot.period_seconds
    event = np.floor(beats)
    phase = beats - event
    concept = CONCEPTS[shot.concept]
    inputs = SoundInputs(concept.pitch, event.astype(np.int64), random.normal(0, 0.5, len(seconds_N)))
    return concept.sound(phase * shot.period_seconds, phase, inputs)


def _compute_fade(seconds_N: Float64s) -> Float64s:
    """Return the gain of a shot's sound, which fades out at its end so that the cut does not click."""
    gain_N: Float64s = np.clip((seconds_N[-1] - seconds_N) / _FADE_SECONDS, 0, 1)
    return gain_N


def _play_recording(shot: Shot, rate_hz: int, count: int) -> Float64s:
    """Return `count` samples of a shot's recording, from its start position on, repeated where it is too short."""
    recording_N = _load_recording(str(shot.recording), rate_hz)
    start = int(shot.recording_at * len(recording_N))
    return np.take(recording_N, np.arange(start, start + count), mode="wrap")


@lru_cache(maxsize=256)
def _load_recording(path: str, rate_hz: int) -> Float64s:
    """Return the sound of a file, scaled to a root mean square of `_RECORDING_RMS`, its peaks clipped."""
    samples_N = decode_file(Path(path), "audio", Grid(1, rate_hz), 0).audio_S
    assert samples_N is not None, "audio was requested"
    sound_N = samples_N / 32768
    rms = float(np.sqrt(np.mean(sound_N**2)))
    scaled_N: Float64s = np.clip(sound_N * (_RECORDING_RMS / max(rms, 1e-4)), -1.5, 1.5)
    return scaled_N


def _compose_theme(script: FilmScript, count: int) -> Float64s:
    """Return `count` samples of the film's theme: its chord as a drone and, on each beat, the next note of it."""
    cues = script.marks
    seconds = np.arange(count) / script.config.audio_rate_hz
    beat = seconds / cues.theme_beat_seconds
    note_hz = np.array(cues.theme_hz)[np.floor(beat).astype(np.int64) % len(cues.theme_hz)]
    decay = np.exp(-2.5 * (beat % 1))
    drone = sum(np.sin(2 * np.pi * hz * seconds) for hz in cues.theme_hz) / len(cues.theme_hz)
    lead = np.sin(2 * np.pi * note_hz * 2 * seconds) + cues.theme_brightness * np.sin(2 * np.pi * note_hz * 6 * seconds)
    return drone + decay * lead
