"""Rendered films with their scripts, small and quick to read."""

from pathlib import Path

import numpy as np

from talkies.ingestion import ingest
from talkies.library import Library
from talkies.synth import FilmScript, SynthConfig, generate_script, render_film


def rendered(folder: Path, configs: dict[str, SynthConfig], seed: int) -> tuple[Library, dict[str, FilmScript]]:
    """A library of rendered films, and their scripts by name."""
    films = folder / "films"
    films.mkdir()
    scripts = {}
    for number, (name, config) in enumerate(configs.items()):
        scripts[f"{name}.mp4"] = script = generate_script(name, seed + number, config)
        render_film(films / f"{name}.mp4", script)
    return ingest([films], folder / "lib").library, scripts


def small(**changes: object) -> SynthConfig:
    """A film of few and little pictures."""
    values = {"fps": 8, "width": 64, "height": 64, "audio_rate_hz": 16_000, **changes}
    return SynthConfig.model_validate(values)


def concepts_at(script: FilmScript, seconds_N: np.ndarray) -> np.ndarray:
    """The concept of each moment, by the script."""
    ends = [shot.end_frame / script.config.fps for shot in script.shots]
    concepts = np.array([shot.concept for shot in script.shots])
    return concepts[np.minimum(np.searchsorted(ends, seconds_N, side="right"), len(concepts) - 1)]
