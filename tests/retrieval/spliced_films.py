"""Films spliced from rendered pieces, pictures and sound separately, so that every repetition is known."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from talkies.media import FilmWriter, X264Settings
from talkies.synth import FilmScript, SynthConfig, generate_script
from talkies.synth.painter import Painter
from talkies.synth.soundtrack import compose_soundtrack

FPS, RATE_HZ, WIDTH, HEIGHT = 16, 16_000, 64, 48
Pieces = Sequence[tuple[int, float]]
"""Which piece, and how many seconds of it."""
Pictures = list[np.ndarray]
_GOOD = X264Settings(gop=48, crf=22, preset="superfast", b_frames=2, tune=None)
LOW = X264Settings(gop=48, crf=34, preset="superfast", b_frames=2, tune=None)


@cache
def _script(piece: int, seconds: float) -> FilmScript:
    size = {"fps": FPS, "width": WIDTH, "height": HEIGHT, "audio_rate_hz": RATE_HZ}
    config = SynthConfig(seconds=seconds, shot_seconds_min=1.5, shot_seconds_max=3.5, **size)
    return generate_script(f"piece-{piece}", piece, config)


def render_pictures(pieces: Pieces) -> Pictures:
    found = []
    for script in (_script(*piece) for piece in pieces):
        painter = Painter(script)
        found += [painter.paint(n, shot) for shot in script.shots for n in range(shot.start_frame, shot.end_frame)]
    return found


def render_sound(pieces: Pieces) -> np.ndarray:
    return np.concatenate([compose_soundtrack(_script(*piece)) for piece in pieces])


def write_film(path: Path, shown: Pictures, heard: np.ndarray, coding: X264Settings = _GOOD) -> None:
    height, width = shown[0].shape[:2]
    samples = RATE_HZ // FPS
    with FilmWriter(path, (width, height), FPS, RATE_HZ, coding) as writer:
        for number, picture in enumerate(shown):
            writer.write_rgb(picture)
            writer.write_audio(heard[number * samples : (number + 1) * samples])
