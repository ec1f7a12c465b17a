"""Small files to compose films of: recordings of noise and tones, clips that flash and beep, moving backgrounds."""

from pathlib import Path

import numpy as np
from scipy.io import wavfile

from talkies.media import FilmWriter, X264Settings
from talkies.synth import Materials

FPS, RATE = 8, 16_000
SETTINGS = X264Settings(gop=8, crf=18, preset="ultrafast")


def write_tone(path: Path, hz: float, seconds: float = 1.0) -> Path:
    """Write a tone with a quarter of a second of silence around it."""
    tone = 8_000 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)
    wavfile.write(path, RATE, np.pad(tone, RATE // 4).astype(np.int16))
    return path


def write_noise(path: Path, seed: int, seconds: float) -> Path:
    """Write white noise, in which every moment differs from every other."""
    noise = np.random.default_rng(seed).normal(0, 4_000, round(seconds * RATE))
    wavfile.write(path, RATE, np.clip(noise, -30_000, 30_000).astype(np.int16))
    return path


def write_background(path: Path, seed: int, seconds: float = 6.0, *, is_silent: bool = False) -> Path:
    """Write a film of slowly moving waves, without a cut, and noise."""
    random = np.random.default_rng(seed)
    tilt = random.uniform(0.02, 0.08, 2)
    rows, columns = np.mgrid[:48, :80]
    with FilmWriter(path, (80, 48), FPS, RATE, SETTINGS) as writer:
        for frame in range(round(seconds * FPS)):
            waves = np.sin(2 * np.pi * (tilt[0] * columns + tilt[1] * rows + frame / 16))
            writer.write_rgb((120 + 80 * waves[..., None] * random.uniform(0.98, 1, 3)).astype(np.uint8))
            level = 0 if is_silent else 2_000
            writer.write_audio(random.normal(0, level, RATE // FPS).astype(np.int16))
    return path


def write_clip(path: Path, beat_frames: int = 4, *, is_silent: bool = False) -> Path:
    """Write a clip of 16 frames that is white and beeps in every fourth of them, and else is black and still."""
    with FilmWriter(path, (64, 48), FPS, RATE, SETTINGS) as writer:
        for frame in range(16):
            is_lit = frame % beat_frames == 0
            writer.write_rgb(np.full((48, 64, 3), 255 if is_lit else 0, np.uint8))
            beep = 9_000 * np.sin(2 * np.pi * 1_000 * np.arange(RATE // FPS) / RATE)
            writer.write_audio((beep * (is_lit and not is_silent)).astype(np.int16))
    return path


def write_materials(root: Path, classes: int = 2) -> Materials:
    """Write two recordings of noise for each class, and two backgrounds."""
    return Materials(
        classes=tuple(f"class-{number:02d}" for number in range(classes)),
        sounds=tuple(
            tuple(write_noise(root / f"{number}-{take}.wav", 2 * number + take, 1.0 + 0.3 * take) for take in range(2))
            for number in range(classes)
        ),
        backgrounds=tuple(write_background(root / f"{name}.mp4", seed) for seed, name in enumerate(("waves", "tide"))),
    )
