"""Render synthetic films to MP4 files, with their ground truth in `truth.json` next to them."""

from pathlib import Path
from typing import Any

from talkies.synth.concepts import CONCEPTS
from talkies.synth.film_folder import (
    OnFilm,
    RenderReport,
    check_counts,
    describe_shot,
    encode_film,
    iterate_frames,
    number_films,
    open_folder,
    render_missing,
    write_truth,
)
from talkies.synth.painter import Painter
from talkies.synth.script import FilmScript, Recordings, SynthConfig, generate_script
from talkies.synth.soundtrack import compose_soundtrack


def render_films(
    folder: Path,
    films: int,
    config: SynthConfig,
    seed: int = 0,
    workers: int = 1,
    *,
    on_film: OnFilm | None = None,
    recordings: Recordings = (),
) -> RenderReport:
    """Write `truth.json` into a folder, then render films there; existing ones of the same scripts are kept.

    Film number *n* depends only on (seed, n, config, recordings).

    Args:
        folder: where to write; it is created.
        films: how many films to render.
        config: how the films are made.
        seed: the seed of everything random in them.
        workers: how many processes render.
        on_film: called after each film with its path.
        recordings: audio files by class; the concepts sound like them.

    Raises:
        UsageError: if `films` is not positive, the folder holds films of another script, or as `generate_script`.
        MediaError: if a recording cannot be read.
    """
    check_counts(films, workers)
    scripts = [generate_script(name, number, config, recordings) for name, number in number_films(films, seed)]
    todo = open_folder(folder, scripts, FilmScript.model_validate_json, on_film)
    write_truth(todo, [concept.name for concept in CONCEPTS], _describe)
    for _ in render_missing(todo, render_film, workers, on_film):
        pass
    return todo.report


def render_film(path: Path, script: FilmScript) -> None:
    """Render one film: H.264 pictures and AAC sound in an MP4 file."""
    config = script.config
    samples = compose_soundtrack(script)
    painter = Painter(script)
    pictures = (painter.paint(frame, shot) for frame, shot in iterate_frames(script.shots))
    encode_film(path, config, pictures, samples)


def _describe(script: FilmScript) -> dict[str, Any]:
    """Return what is true of a film."""
    fps = script.config.fps
    return {"shots": [describe_shot(shot, fps, CONCEPTS[shot.concept].name) for shot in script.shots]}
