"""The sixteen concepts of synthetic films: a motion and a sound that belong together, each at a slow and a fast tempo.

A concept repeats an *event*: at phase 0 of each period the motion has its accent and the sound starts. All films share
the concepts; what a concept looks like otherwise (place, character, colour) depends on the film.

Shapes: `N` moments or samples.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from talkies.core import Float64s, Int64s

SLOW_HZ, FAST_HZ = 1.1, 2.7
_FAST_PITCH = 1.5


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a character is at one moment and how it looks.

    Attributes:
        x: horizontal offset in units of the character's range.
        y: vertical offset in the same units, downwards.
        size: relative to the character's own radius.
        rotation: in radians.
        glow: how far its colour is blended towards white, 0 to 1.
        separation: distance of two copies of the character from its position, in units of its range; 0 shows one.
    """

    x: float = 0.0
    y: float = 0.0
    size: float = 1.0
    rotation: float = 0.0
    glow: float = 0.0
    separation: float = 0.0


@dataclass(frozen=True, slots=True)
class SoundInputs:
    """What a concept's sound may depend on besides time: pitch factor, event number of each sample, white noise."""

    pitch: float
    event_N: Int64s
    noise_N: Float64s


Motion = Callable[[float, int], Pose]
"""The pose at a phase in [0, 1) of an event, given its number."""
SoundSynthesis = Callable[[Float64s, Float64s, SoundInputs], Float64s]
"""The samples at times since the last event, in seconds, and at phases of it in [0, 1)."""


@dataclass(frozen=True, slots=True)
class Concept:
    """One of the sixteen concepts: its name, events per second, motion, sound and pitch factor."""

    name: str
    rate_hz: float
    motion: Motion
    sound: SoundSynthesis
    pitch: float


def _scatter(event: int) -> tuple[float, float]:
    """Return a position in [-1, 1]² that looks random and differs from event to event."""
    return 2 * ((event * 0.6180339887) % 1) - 1, 2 * ((event * 0.7548776662 + 0.3) % 1) - 1


# Motions: the accent is at phase 0.


def _bounce(phase: float, _: int) -> Pose:
    return Pose(y=1 - 2 * abs(np.sin(np.pi * phase)))


def _sway(phase: float, _: int) -> Pose:
    return Pose(x=np.cos(2 * np.pi * phase))


def _orbit(phase: float, _: int) -> Pose:
    return Pose(x=np.cos(2 * np.pi * phase), y=np.sin(2 * np.pi * phase))


def _pulse(phase: float, _: int) -> Pose:
    return Pose(size=0.7 + 1.1 * np.exp(-4 * phase))


def _flash(phase: float, _: int) -> Pose:
    return Pose(glow=np.exp(-4 * phase))


def _spin(phase: float, event: int) -> Pose:
    return Pose(rotation=(event + 1 - np.exp(-4 * phase)) * np.pi / 2, size=1.3)


def _jump(_: float, event: int) -> Pose:
    x, y = _scatter(event)
    return Pose(x=x, y=y)


def _split(phase: float, _: int) -> Pose:
    return Pose(separation=abs(np.sin(np.pi * phase)))


# Sounds: they start at phase 0.


def _thump(since_N: Float64s, _: Float64s, inputs: SoundInputs) -> Float64s:
    sound_N: Float64s = np.sin(2 * np.pi * inputs.pitch * (50 * since_N + 8 * (1 - np.exp(-20 * since_N)))) * np.exp(
        -9 * since_N
    )
    return sound_N


def _whoosh(_: Float64s, phase_N: Float64s, inputs: SoundInputs) -> Float64s:
    smooth = np.convolve(inputs.noise_N, np.ones(12) / 4, mode="same")
    sound_N: Float64s = smooth * (0.5 + 0.5 * np.cos(2 * np.pi * phase_N)) ** 2
    return sound_N


def _siren(_: Float64s, phase_N: Float64s, inputs: SoundInputs) -> Float64s:
    # The frequency swings once per period, so its integral (the phase of the tone) is a sine: no numerical integration.
    cycles = (inputs.event_N + phase_N) * (200 if inputs.pitch == 1 else 130)
    sound_N: Float64s = 0.5 * np.sin(2 * np.pi * (inputs.pitch * 2 * cycles + 18 * np.sin(2 * np.pi * phase_N)))
    return sound_N


def _bell(since_N: Float64s, _: Float64s, inputs: SoundInputs) -> Float64s:
    partials = sum(np.sin(2 * np.pi * inputs.pitch * 880 * ratio * since_N) / ratio for ratio in (1.0, 2.76, 5.4))
    sound_N: Float64s = 0.6 * partials * np.exp(-5 * since_N)
    return sound_N


def _clap(since_N: Float64s, _: Float64s, inputs: SoundInputs) -> Float64s:
    sound_N: Float64s = inputs.noise_N * np.exp(-28 * since_N)
    return sound_N


def _growl(since_N: Float64s, _: Float64s, inputs: SoundInputs) -> Float64s:
    saw = 2 * ((inputs.pitch * 95 * since_N) % 1) - 1
    sound_N: Float64s = saw * np.exp(-4 * since_N) * (0.6 + 0.4 * np.sin(2 * np.pi * 24 * since_N))
    return sound_N


def _blip(since_N: Float64s, _: Float64s, inputs: SoundInputs) -> Float64s:
    step = (inputs.event_N * 5) % 8
    sound_N: Float64s = (
        0.7 * np.sign(np.sin(2 * np.pi * inputs.pitch * 900 * 2 ** (step / 12) * since_N)) * np.exp(-12 * since_N)
    )
    return sound_N


def _chirp(since_N: Float64s, _: Float64s, inputs: SoundInputs) -> Float64s:
    inside = np.minimum(since_N, 0.3)
    sound_N: Float64s = 0.8 * np.sin(2 * np.pi * inputs.pitch * (300 * inside + 2500 * inside**2)) * (since_N < 0.3)
    return sound_N


_KINDS: tuple[tuple[str, Motion, SoundSynthesis], ...] = (
    ("bounce-thump", _bounce, _thump),
    ("sway-whoosh", _sway, _whoosh),
    ("orbit-siren", _orbit, _siren),
    ("pulse-growl", _pulse, _growl),
    ("flash-bell", _flash, _bell),
    ("spin-chirp", _spin, _chirp),
    ("jump-blip", _jump, _blip),
    ("split-clap", _split, _clap),
)

CONCEPTS: tuple[Concept, ...] = tuple(
    Concept(f"{tempo}-{name}", rate_hz, motion, sound, pitch)
    for tempo, rate_hz, pitch in (("slow", SLOW_HZ, 1.0), ("fast", FAST_HZ, _FAST_PITCH))
    for name, motion, sound in _KINDS
)
