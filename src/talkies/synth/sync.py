"""A film of flashes and beeps, for measuring whether picture and sound are the same moment."""

from fractions import Fraction
from pathlib import Path

import numpy as np

from talkies.media import FilmWriter, X264Settings

FLASH_SECONDS = Fraction(1, 8)
BEEP_HZ = 1000


def render_sync_film(path: Path, seconds: int, event_seconds: tuple[Fraction, ...], fps: int = 24) -> None:
    """Write a dark film that flashes white and beeps for an eighth of a second at each of `event_seconds`."""
    rate = 48_000
    samples = np.zeros(seconds * rate)
    for event in event_seconds:
        start, length = round(event * rate), round(FLASH_SECONDS * rate)
        samples[start : start + length] = 0.5 * np.sin(2 * np.pi * BEEP_HZ * np.arange(length) / rate)
    sound = (samples * 32767).astype(np.int16)
    coding = X264Settings(gop=48, crf=18, b_frames=2, tune=None)
    with FilmWriter(path, (160, 120), fps, rate, coding) as writer:
        for frame in range(seconds * fps):
            moment = Fraction(frame, fps)
            lit = any(event <= moment < event + FLASH_SECONDS for event in event_seconds)
            writer.write_rgb(np.full((120, 160, 3), 235 if lit else 16, np.uint8))
            writer.write_audio(sound[frame * rate // fps : (frame + 1) * rate // fps])
