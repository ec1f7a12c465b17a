"""Render composed films to MP4 files, with their ground truth in `truth.json` next to them."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from talkies.synth.composed.backgrounds import Background
from talkies.synth.composed.decoded import decode_materials
from talkies.synth.composed.materials import Materials
from talkies.synth.composed.painter import ComposedPainter
from talkies.synth.composed.script import ComposedConfig, ComposedScript, generate_composed_script
from talkies.synth.composed.soundtrack import compose_layers, mix_layers
from talkies.synth.composed.truth import describe_film
from talkies.synth.film_folder import (
    OnFilm,
    RenderReport,
    check_counts,
    encode_film,
    iterate_frames,
    number_films,
    open_folder,
    render_missing,
    write_truth,
)


def render_composed_films(
    folder: Path,
    films: int,
    config: ComposedConfig,
    materials: Materials,
    seed: int = 0,
    *,
    workers: int = 1,
    on_film: OnFilm | None = None,
) -> RenderReport:
    """Write `truth.json` into a folder, then render films there; existing ones of the same scripts are kept.

    Film number *n* depends only on (seed, n, config, materials).

    Args:
        folder: where to write; it is created.
        films: how many films to render.
        config: how the films are made.
        materials: the real files that they are made of.
        seed: the seed of everything random in them.
        workers: how many processes render.
        on_film: called after each film with its path.

    Raises:
        UsageError: if `films` is not positive, the folder holds films of another script, or as
            `generate_composed_script`.
        MediaError: if a file cannot be used.
        SourceError: if a file cannot be read.
    """
    check_counts(films, workers)
    scripts = [generate_composed_script(name, number, config, materials) for name, number in number_films(films, seed)]
    todo = open_folder(folder, scripts, ComposedScript.model_validate_json, on_film)
    write_truth(todo, materials.classes, describe_film)
    without_theme: list[Path] = []
    if todo.missing:
        with decode_materials(folder, todo.missing, workers) as decoded:
            for path, has_theme in render_missing(todo, partial(_render, decoded), workers, on_film):
                if not has_theme:
                    without_theme.append(path)
    return replace(todo.report, without_theme=tuple(sorted(without_theme)))


def render_composed_film(path: Path, script: ComposedScript) -> bool:
    """Render one film: H.264 pictures and AAC sound in an MP4 file; return whether its stretch has a theme.

    Raises:
        MediaError: if a file cannot be used.
        SourceError: if a file cannot be read.
    """
    with decode_materials(path.parent, [script], workers=1) as decoded:
        return _render(decoded, path, script)


def _render(decoded: Path, path: Path, script: ComposedScript) -> bool:
    """Render one film over its decoded background; return whether it has its theme, or should have none."""
    config = script.config
    background = None
    if script.background is not None and config.mark_strength > 0:
        background = Background(decoded, script.background, config.audio_rate_hz // config.fps)
    foreground_S, theme_S = compose_layers(decoded, script, background)
    painter = ComposedPainter(script, background)
    pictures = (painter.paint(frame, shot) for frame, shot in iterate_frames(script.shots))
    encode_film(path, config, pictures, mix_layers(foreground_S, theme_S))
    return background is None or bool(theme_S.any())
