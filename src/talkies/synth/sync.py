"""Render a film of flashes and beeps, to measure whether picture and sound are in sync."""

from fractions import Fraction
from pathlib import Path

import numpy as np

from talkies.media import FilmWriter, X264Settings

FLASH_SECONDS = Fraction(1, 8)
BEEP_HZ = 1000
_AUDIO_RATE_HZ = 48_000
_WIDTH, _HEIGHT = 160, 120


def render_sync_film(path: Path, seconds: int, event_seconds: tuple[Fraction, ...], fps: int = 24) -> None:
    """Write a dark film that flashes white and beeps for an eighth of a second at each event.

    Args:
        path: the MP4 file to write.
        seconds: how long the film is.
        event_seconds: the times of the events.
        fps: frames per second.
    """
    # Synthesise the beeps.
    samples = np.zeros(seconds * _AUDIO_RATE_HZ)
    length = round(FLASH_SECONDS * _AUDIO_RATE_HZ)
    for event in event_seconds:
        start = round(event * _AUDIO_RATE_HZ)
        samples[start : start + length] = 0.5 * np.sin(2 * np.pi * BEEP_HZ * np.arange(length) / _AUDIO_RATE_HZ)
    sound = (samples * 32767).astype(np.int16)

    # Write each frame with the sound under it.
    settings = X264Settings(gop=48, crf=18, b_frames=2, tune=None)
    with FilmWriter(path, (_WIDTH, _HEIGHT), fps, _AUDIO_RATE_HZ, settings) as writer:
        for frame in range(seconds * fps):
            time = Fraction(frame, fps)
            is_lit = any(event <= time < event + FLASH_SECONDS for event in event_seconds)
            writer.write_rgb(np.full((_HEIGHT, _WIDTH, 3), 235 if is_lit else 16, np.uint8))
            writer.write_audio(sound[frame * _AUDIO_RATE_HZ // fps : (frame + 1) * _AUDIO_RATE_HZ // fps])
