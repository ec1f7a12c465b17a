"""A study so little that it takes seconds."""

import wave
from pathlib import Path

import numpy as np

from talkies.config import check
from talkies.study import Scale

SMALL_FILMS = {
    "seconds": 12.0, "fps": 8, "width": 48, "height": 48, "audio_rate_hz": 16_000, "concepts_per_film": 3,
    "mark_strength": 1.0, "shot_seconds_min": 1.5, "shot_seconds_max": 2.5,
}  # fmt: skip
LITTLE = {
    "name": "little",
    "film_sets": 2,
    "unseen_films": 4,
    "probe_films": 4,
    "synth": SMALL_FILMS,
    "profile": {"fps": 8, "short_side": 32, "gop": 8, "audio_rate_hz": 16_000},
    "recipe": "tiny",
    "set": [
        "transforms.video.size=32", "transforms.audio.mels=16", "transforms.audio.hop=320", "training.trackers=[]",
        "training.log_every=1", "loader.workers=0",
    ],
    "batch_clips": 4,
    "steps": 4,
    "judged_at": [0.5, 1.0],
    "endpoints": ["concept_video", "concept_audio"],
    "equivalence_margin": 0.05,
    "samplings": {
        "random": {"words": "other films", "clips_per_film": 1},
        "within": {"words": "2 clips of a film", "clips_per_film": 2},
    },
    "natures": {"cues-0": {"words": "films without cues", "changes": {"mark_strength": 0.0}}},
    "blocks": [
        {"films": [4, 6], "samplings": ["random", "within"]},
        {"films": [4], "natures": ["cues-0"], "samplings": ["random", "within"]},
    ],
    "families": {
        "claim": {
            "title": "The claim", "question": "Does it help?", "pairings": [{"arm": "within", "films": [4, 6]}],
        },
        "control": {
            "title": "The control", "question": "Without cues?",
            "pairings": [
                {"arm": "within", "films": [4], "natures": ["cues-0"]},
                {"arm": "within", "against": "untrained", "films": [4]},
            ],
        },
    },
}  # fmt: skip


def little(**changes: object) -> Scale:
    """Return the scale with some of its values changed."""
    return check(Scale, LITTLE | changes, "little")


def tones(root: Path, classes: int = 3, each: int = 5) -> Path:
    """Write sounds of half a second, a folder a class: tones of one pitch a class, in noise."""
    random, seconds = np.random.default_rng(0), np.arange(8_000) / 16_000
    for number in range(classes):
        folder = root / f"class-{number}"
        folder.mkdir(parents=True)
        for take in range(each):
            sound = 0.4 * np.sin(2 * np.pi * 300 * (number + 1) * seconds) + random.normal(0, 0.1, len(seconds))
            with wave.open(str(folder / f"{take}.wav"), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(16_000)
                file.writeframes((8_000 * sound).astype("<i2").tobytes())
    return root
